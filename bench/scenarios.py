"""The rows of the table: each sets up its servers, measures, and gives one or more Rows."""

import http.client
import json
import os
import shutil
import subprocess
import time

import fleet
import routes
import streams
import workflows
from measure import (
    cpu_round,
    interleave,
    load,
    load_command,
    make_body,
    median_of,
    memory_bytes,
    prime,
    ratio_of,
    wait_until_idle,
    wrk,
)
from processes import ALL_CORES, BenchError, Larder, Nginx, Upstream, key_entries, post
from rows import Row

MEGABYTE = 1_000_000
LAG_MAX_US = 200  # above it the open loop's requests leave too late to say anything


def cpu_row(what, target, results, peer, **options):
    larder, other = (median_of(results[name], "cpuUsPerRequest") for name in ("larder", peer))
    ratio = ratio_of(results, peer, "cpuUsPerRequest")
    shown = f"{larder:.1f} µs beside {other:.1f} µs"
    return Row(what, target, ratio, shown, raw=results, **options)


def measure_hits(run, size):
    path, body = make_body(run, "hit")
    upstream = Upstream(run)
    servers = {"larder": run.larder(upstream.port), "nginx": Nginx(run, "cache", upstream.port),
               "nginxOpenFiles": Nginx(run, "cache", upstream.port, open_files=True)}
    for server in servers.values():
        prime(server, body)
        load(run, server.port, path, duration=size.warmup)
    calls = upstream.calls()

    def measure_round(server):
        return cpu_round(server, lambda: wrk(run, server.port, path, size.seconds))

    results = interleave(size.rounds, servers, measure_round)
    if upstream.calls() != calls:
        raise BenchError("some of the hits were misses")
    run.saturated_rate = median_of(results["larder"], "requestsPerSecond")
    if run.profile:
        profile(run, servers["larder"], path)
    run.stop(upstream, *servers.values())
    return [
        cpu_row("hit: CPU a request, beside nginx proxy_cache", 0.8, results, "nginx"),
        cpu_row("the same, nginx with open_file_cache", 0.8, results, "nginxOpenFiles",
                informational=True),
    ]


def profile(run, server, path):
    """perf record of one more round, into bench/results/tmp."""
    run.scratch.mkdir(parents=True, exist_ok=True)
    data = run.scratch / "hit.perf.data"
    perf, silent = run.tool("perf"), {"stderr": subprocess.DEVNULL}
    record = [perf, "record", "-q", "-g", "-F", "997", "-p", str(server.pid()), "-o", str(data)]
    recorder = subprocess.Popen([*record, "--", "sleep", "3"], stdout=subprocess.DEVNULL, **silent)
    try:
        wrk(run, server.port, path, 4)
    finally:
        recorder.wait(20)
    with open(run.scratch / "hit.perf.txt", "w", encoding="utf-8") as text:
        report = [perf, "report", "--stdio", "--no-children", "-g", "none", "-i", str(data)]
        subprocess.run(report, stdout=text, timeout=120, check=False, **silent)


def miss_rounds(run, size, cache):
    path, body = make_body(run, "miss")
    upstream = Upstream(run)
    larder = run.larder(upstream.port, cache=cache)
    servers = {"larder": larder, "nginx": Nginx(run, "pass", upstream.port)}

    def drive(server, seconds):
        before = upstream.calls()
        result = load(run, server.port, path, duration=seconds, unique=run.unique())
        if upstream.calls() - before < result["completed"]:
            raise BenchError("some of the misses were hits")
        return result

    for server in servers.values():
        status, _, reply = post(server.port, body)
        if status != 200:
            raise BenchError(f"{server.name} answers {status}: {reply[:200]!r}")
        drive(server, size.warmup)
    wait_until_idle(larder.pid(), size.quiet)

    def measure_round(server):
        quiet = size.quiet if server is larder else 0
        return cpu_round(server, lambda: drive(server, size.seconds), quiet)

    results = interleave(size.rounds, servers, measure_round)
    run.stop(upstream, *servers.values())
    return results


def measure_misses(run, size):
    results = miss_rounds(run, size, cache=False)
    return [cpu_row("miss, cache off: CPU a request, beside proxy_pass", 1.5, results, "nginx")]


def measure_cached_misses(run, size):
    results = miss_rounds(run, size, cache=True)
    what = "miss, cache on, SQLite writer counted: CPU a request, beside proxy_pass"
    return [cpu_row(what, 2.2, results, "nginx")]


def measure_latency(run, size):
    path, body = make_body(run, "hit")
    upstream = Upstream(run)
    larder = run.larder(upstream.port)
    reply = prime(larder, body)
    servers = {"larder": larder, "nginx": Nginx(run, "return", body=b"x" * len(reply))}
    if run.saturated_rate is None:
        wrk(run, larder.port, path, 1)
        run.saturated_rate = wrk(run, larder.port, path, 2)["completed"] / 2
    rate = run.saturated_rate / 4

    def drive(server):
        result = load(run, server.port, path, rate=rate, duration=size.seconds + 0.5, warmup=0.5,
                      connections=64)
        server.trim_logs()
        return {**result, **result["windows"], "lagUs": result["sendLagUs"]["p99"]}

    results = interleave(size.rounds, servers, drive)
    run.stop(upstream, *servers.values())
    lag = median_of(results["nginx"], "lagUs")
    note = f"; requests left {lag:,.0f} µs late: the host is too busy" if lag > LAG_MAX_US else ""
    rows = []
    for key, name, target in (("medianP50Us", "p50", 1.3), ("medianP99Us", "p99", 1.5)):
        ours, other = (median_of(results[side], key) for side in ("larder", "nginx"))
        what = f"hit latency at {rate:,.0f}/s, {name}, beside nginx return 200"
        shown = f"{ours:.0f} µs beside {other:.0f} µs{note}"
        raw = {"rate": rate, **results} if name == "p50" else {}
        rows.append(Row(what, target, ratio_of(results, "nginx", key), shown, raw=raw))
    return rows


def memory_row(what, megabytes, process):
    memory = memory_bytes(process.pid())
    used = memory["VmRSS"] / MEGABYTE
    shown = f"at its peak {memory['VmHWM'] / MEGABYTE:.1f} MB"
    return Row(f"memory {what} (resident)", megabytes, used, shown, "MB", raw=memory)


def measure_memory(run, size):
    path, body = make_body(run, "hit")
    small, large = Upstream(run), Upstream(run, body_bytes=2048)
    larder = run.larder(small.port, threads=0, cores=ALL_CORES)
    time.sleep(1)
    rows = [memory_row("idle", 20, larder)]
    prime(larder, body)
    load(run, larder.port, path, requests=size.hits)
    rows.append(memory_row(f"after {size.hits:,} hits", 30, larder))
    run.stop(larder)
    larder = run.larder(large.port, threads=0, cores=ALL_CORES)
    load(run, larder.port, make_body(run, "miss")[0], requests=size.entries, unique=run.unique())
    wait_until_idle(larder.pid(), size.quiet)
    rows.append(memory_row(f"with {size.entries:,} entries of 2 KB", 300, larder))
    run.stop(larder, small, large)
    return rows


def first_answer(process, body):
    """Seconds from the start of the process to its first answer: a hit, so from the disk."""
    while time.perf_counter() - process.started_at < 10:
        connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=10)
        try:
            connection.request("POST", "/llm/generate", body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            reply.read()
            seconds = time.perf_counter() - process.started_at
            outcome = reply.getheader("x-larder-cache")
            if reply.status != 200 or outcome != "hit":
                raise BenchError(f"the first answer is {reply.status}, {outcome}")
            return seconds
        except ConnectionRefusedError:
            if process.child.poll() is not None:
                break
            time.sleep(0.0003)
        finally:
            connection.close()
    raise BenchError(f"no first answer: {process.last_output()}")


def measure_start(run, size):
    _, body = make_body(run, "hit")
    upstream = Upstream(run)
    directory = run.new_directory("start")
    options = {"directory": directory, "threads": 0, "cores": ALL_CORES}
    larder = Larder(run, upstream.port, **options).wait()
    prime(larder, body)
    time.sleep(1.2)
    run.stop(larder)
    times = []
    for _ in range(size.starts):
        larder = Larder(run, upstream.port, **options)
        times.append({"ms": round(first_answer(larder, body) * 1000, 2)})
        run.stop(larder)
    run.stop(upstream)
    middle, worst = median_of(times, "ms"), max(t["ms"] for t in times)
    what = "start to the first answer, a hit from SQLite (median)"
    shown = f"{middle:.1f} ms, at worst {worst:.1f} ms"
    return [Row(what, 50, middle, shown, "ms", raw={"starts": times})]


def measure_size(run, _):
    stripped = run.directory / "larder.stripped"
    shutil.copy(run.program("larder"), stripped)
    subprocess.run([run.tool("strip"), str(stripped)], check=True, capture_output=True)
    used = os.path.getsize(stripped) / MEGABYTE
    return [Row("size of the stripped program", 15, used, "", "MB")]


def measure_single_flight(run, size):
    upstream = Upstream(run, delay_ms=300)
    larder = run.larder(upstream.port, threads=0, cores=ALL_CORES)
    rows = []
    kinds = (("plain", False, '"metadata"'), ("streaming", True, "event: done"))
    for name, streaming, sign in kinds:
        counts = []
        for repeat in range(size.repeats):
            path, _ = make_body(run, f"flight-{name}-{repeat}", stream=streaming,
                                prompt=f"A {name} question, {repeat}.")
            before = upstream.calls()
            result = load(run, larder.port, path, requests=1000, connections=1000, contains=sign)
            whole = result["containing"] if not run.calibrate else 1000
            if result["completed"] != 1000 or whole != 1000:
                raise BenchError(f"{result['completed']} answers, {whole} of them whole")
            counts.append({"calls": upstream.calls() - before, **result})
        most = max(counts, key=lambda count: abs(count["calls"] - 1))["calls"]
        what = f"1,000 identical requests at once, {name}: upstream calls"
        shown = f"rounds: {', '.join(str(count['calls']) for count in counts)}"
        rows.append(Row(what, 1, most, shown, "", exact=True, raw={"rounds": counts}))
    run.stop(larder, upstream)
    return rows


def hammer(run, port, path, key):
    """Eight clients on one API key for 2 s: {status: count}."""
    command = load_command(run, port, path, connections=8, duration=2,
                           header=f"Authorization: Bearer {key}")
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    statuses = {}
    try:
        for client in clients:
            for status, count in json.loads(client.communicate(timeout=30)[0])["statuses"].items():
                statuses[status] = statuses.get(status, 0) + count
    finally:
        for client in clients:
            client.kill()
            client.wait()
    if set(statuses) - {"200", "429"}:
        raise BenchError(f"statuses {statuses}")
    return {"accepted": statuses.get("200", 0), "refused": statuses.get("429", 0)}


def measure_limit(run, size):
    path, _ = make_body(run, "hit")
    upstream = Upstream(run)
    keys = [f"bench-key-{number}" for number in range(size.repeats)]
    larder = Larder(run, upstream.port, threads=8, limit=20, keys=key_entries(keys),
                    cores=ALL_CORES).wait()
    results = [hammer(run, larder.port, path, key) for key in keys]
    run.stop(larder, upstream)
    most = max(results, key=lambda result: abs(result["accepted"] - 20))["accepted"]
    refused = sum(result["refused"] for result in results)
    what = "8 threads on one key at max 20: accepted in a window"
    shown = f"rounds: {', '.join(str(r['accepted']) for r in results)}; refused: {refused:,}"
    return [Row(what, 20, most, shown, "", exact=True, raw={"rounds": results})]


SCENARIOS = {
    "hit": measure_hits,
    "miss": measure_misses,
    "miss-cached": measure_cached_misses,
    "latency": measure_latency,
    "memory": measure_memory,
    "start": measure_start,
    "size": measure_size,
    "flight": measure_single_flight,
    "limit": measure_limit,
    **streams.SCENARIOS,
    **routes.SCENARIOS,
    **workflows.SCENARIOS,
    **fleet.SCENARIOS,
}
CALIBRATED = ("hit", "miss", "miss-cached", "latency", "flight")  # nginx can stand in for Larder
