"""The rows of streams, and of misses on /v1/chat/completions, where no body is written anew."""

import json
import socket
import subprocess
import time
import urllib.request

from measure import cpu_seconds, interleave, load, median_of, memory_bytes, ratio_of, wait_until_idle
from processes import (ALL_CORES, CLIENT_CORE, LIMIT_OF_NOTHING, BenchError, Nginx, Process, Upstream,
                       free_port)
from rows import Row

EVENTS = 64
PATH = "/v1/chat/completions"
KILOBYTE = 1_000
MEGABYTE = 1_000_000


class StreamProvider(Process):
    """larder-bench-stream-provider."""

    def __init__(self, run, events=EVENTS, interval_ms=20, event_bytes=0, cores=CLIENT_CORE):
        self.port = free_port()
        command = [str(run.program("larder-bench-stream-provider")), "--port", str(self.port),
                   "--events", str(events), "--interval-ms", str(interval_ms),
                   "--event-bytes", str(event_bytes)]
        super().__init__(run, "stream-provider", run.new_directory("stream-provider"), command, cores)
        self.wait_for_port(self.port)

    def open_streams(self):
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"http://127.0.0.1:{self.port}/stats", timeout=5) as reply:
            return json.load(reply)["open"]


def stream_command(run, port, **options):
    command = [str(run.program("larder-bench-streams")), "--port", str(port)]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    return command


def stream_load(run, port, **options):
    """larder-bench-streams; every stream must be whole. Its JSON is described in bench/README.md."""
    done = subprocess.run(stream_command(run, port, **options), capture_output=True, text=True, timeout=180,
                          check=False)
    if done.returncode != 0:
        raise BenchError(f"larder-bench-streams: {done.stdout[-300:]}{done.stderr[-300:]}")
    result = json.loads(done.stdout)
    if result["broken"] or result["whole"] != options["streams"]:
        raise BenchError(f"larder-bench-streams: {result}")
    return result


def measure_streams(run, size):
    """Time to first token and CPU an event, in the same rounds: directly, through Larder, through nginx."""
    provider = StreamProvider(run)
    servers = {"larder": run.larder(provider.port), "nginx": Nginx(run, "stream", provider.port),
               "direct": provider}
    streams = 1000 if size.rounds > 1 else 100
    at_once = 200 if size.rounds > 1 else 50

    def measure_round(server):
        before = cpu_seconds(server.pid())
        result = stream_load(run, server.port, streams=streams, at_once=at_once, ramp_ms=1300,
                             unique=run.unique(streams))
        if server is servers["larder"]:
            wait_until_idle(server.pid(), size.quiet)
        spent = cpu_seconds(server.pid()) - before
        server.trim_logs()
        return {**result, "firstP50Us": result["firstUs"]["p50"], "firstP99Us": result["firstUs"]["p99"],
                "cpuUsPerEvent": spent * 1e6 / (streams * EVENTS)}

    for server in servers.values():
        stream_load(run, server.port, streams=at_once, at_once=at_once, ramp_ms=1300, unique=run.unique(at_once))
    results = interleave(min(size.rounds, 5), servers, measure_round)
    run.stop(provider, servers["larder"], servers["nginx"])
    rows = []
    for key, name, target in (("firstP50Us", "p50", 150), ("firstP99Us", "p99", 2000)):
        ours, direct, other = (median_of(results[side], key) for side in ("larder", "direct", "nginx"))
        what = f"time to first token added on a miss, {streams:,} streams, {at_once} at a time, {name}"
        shown = f"{ours:.0f} µs beside {direct:.0f} µs directly ({other:.0f} µs through nginx)"
        rows.append(Row(what, target, ours - direct, shown, "µs", raw=results if name == "p50" else {}))
    wrong = sum(one[key] for one in results["larder"] for key in ("lost", "doubled", "reordered"))
    shown = f"of {sum(one['events'] for one in results['larder']):,} events"
    rows.append(Row("events lost, doubled or reordered", 0, wrong, shown, "", exact=True))
    ours, other = (median_of(results[side], "cpuUsPerEvent") for side in ("larder", "nginx"))
    rows.append(Row("CPU a forwarded event, beside proxy_pass with proxy_buffering off", 1.5,
                    ratio_of(results, "nginx", "cpuUsPerEvent"), f"{ours:.1f} µs beside {other:.1f} µs"))
    return rows


def measure_open_streams(run, size):
    count = 5000 if size.rounds > 1 else 500
    provider = StreamProvider(run, events=600, interval_ms=1000, cores=ALL_CORES)
    larder = run.larder(provider.port, threads=0, cores=ALL_CORES)
    time.sleep(1)
    idle = memory_bytes(larder.pid())["VmRSS"]
    command = stream_command(run, larder.port, streams=count, at_once=count, ramp_ms=5000, events=600)
    clients = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while provider.open_streams() < count:
            if time.monotonic() > end or clients.poll() is not None:
                raise BenchError(f"only {provider.open_streams()} of {count} streams are open")
            time.sleep(0.2)
        time.sleep(3)  # some events for each
        used = memory_bytes(larder.pid())["VmRSS"]
    finally:
        clients.kill()
        clients.wait()
    run.stop(larder, provider)
    each = (used - idle) / count / KILOBYTE
    shown = f"{used / MEGABYTE:.1f} MB, idle {idle / MEGABYTE:.1f} MB"
    return [Row(f"memory of an open stream, {count:,} of them", 20, each, shown, "KB",
                raw={"idle": idle, "used": used})]


def read_slowly(port, larder, seconds):
    """Reads a stream at some 2.5 MB/s for a while and then as fast as it can: the most memory that Larder took."""
    body = json.dumps({"model": "gpt-4o", "stream": True,
                       "messages": [{"role": "user", "content": f"slowly {time.monotonic_ns()}"}]})
    before = memory_bytes(larder.pid())["VmRSS"]
    most, received, tail = before, 0, b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                       f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        end = time.monotonic() + seconds
        while not tail.endswith(b"0\r\n\r\n"):
            data = client.recv(65536)
            if not data:
                raise BenchError("the stream was cut")
            received, tail = received + len(data), (tail + data)[-16:]
            most = max(most, memory_bytes(larder.pid())["VmRSS"])
            if time.monotonic() < end:
                time.sleep(len(data) / 2.5e6)
    return {"grownBytes": most - before, "received": received}


def measure_slow_reader(run, size):
    megabytes = 50 if size.rounds > 1 else 8
    provider = StreamProvider(run, events=megabytes * 100, interval_ms=0, event_bytes=10_000)
    larder = run.larder(provider.port)
    stream_load(run, larder.port, streams=1, at_once=1, events=megabytes * 100, unique=run.unique(1))
    results = [read_slowly(larder.port, larder, 8 if size.rounds > 1 else 1) for _ in range(size.repeats)]
    run.stop(larder, provider)
    worst = max(results, key=lambda result: result["grownBytes"])
    shown = f"{worst['received'] / MEGABYTE:.1f} MB received"
    return [Row(f"a slow reader of a {megabytes} MB stream: memory grown", 2, worst["grownBytes"] / MEGABYTE,
                shown, "MB", raw={"rounds": results})]


def chat_misses(run, size, cache):
    path = run.directory / "chat-miss.json"
    path.write_text(json.dumps({"model": "gpt-4o", "temperature": 0.7, "messages": [
        {"role": "system", "content": "You are a careful assistant who answers in one sentence."},
        {"role": "user", "content": "Number {{unique}}: what does a cache in front of a language model keep, "
                                    "and who may share it?"}]}))
    upstream = Upstream(run)
    larder = run.larder(upstream.port, cache=cache, limit=LIMIT_OF_NOTHING)
    servers = {"larder": larder, "nginx": Nginx(run, "stream", upstream.port)}

    def drive(server, seconds):
        before = upstream.calls()
        result = load(run, server.port, path, path=PATH, duration=seconds, unique=run.unique())
        if upstream.calls() - before < result["completed"]:
            raise BenchError("some of the misses were hits")
        return result

    def measure_round(server):
        before = cpu_seconds(server.pid())
        result = drive(server, size.seconds)
        if server is larder:
            wait_until_idle(server.pid(), size.quiet)
        spent = cpu_seconds(server.pid()) - before
        server.trim_logs()
        return {"requests": result["completed"], "cpuUsPerRequest": spent * 1e6 / result["completed"]}

    for server in servers.values():
        drive(server, size.warmup)
    wait_until_idle(larder.pid(), size.quiet)
    results = interleave(size.rounds, servers, measure_round)
    run.stop(upstream, *servers.values())
    ours, other = (median_of(results[side], "cpuUsPerRequest") for side in ("larder", "nginx"))
    return ratio_of(results, "nginx", "cpuUsPerRequest"), f"{ours:.1f} µs beside {other:.1f} µs", results


def measure_chat_misses(run, size):
    rows = []
    for cache, target, name in ((False, 1.25, "cache off"), (True, 2.0, "everything on")):
        ratio, shown, results = chat_misses(run, size, cache)
        what = f"miss on {PATH}, {name}: CPU a request, beside proxy_pass"
        rows.append(Row(what, target, ratio, shown, raw=results))
    return rows


SCENARIOS = {
    "stream": measure_streams,
    "stream-memory": measure_open_streams,
    "slow-reader": measure_slow_reader,
    "chat-miss": measure_chat_misses,
}
