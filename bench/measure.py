"""Drives a server with wrk or larder-bench-load; reads what the kernel counted for it meanwhile."""

import csv
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

from processes import HERE, BenchError, post

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 32
PROMPT = (
    "Write a function that takes a list of orders, each with a customer, a price in cents and a "
    "date, and gives the ten customers who spent most in the last quarter, with their totals. "
    "Number {{unique}}."
)
MEMORY_FIELDS = ("VmRSS", "VmHWM", "RssAnon", "RssFile", "RssShmem")


def make_body(run, name, **changes):
    """A request in a file: (path, bytes). About 200 bytes of prompt."""
    request = {"prompt": PROMPT, "model": "gpt-4o", "temperature": 0.7, **changes}
    path = run.directory / f"{name}.json"
    path.write_text(json.dumps(request))
    return path, path.read_bytes()


def cpu_seconds(pid):
    """User and system time of all threads of the process, those that have ended too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def memory_bytes(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) * 1024 for name in MEMORY_FIELDS}


def wait_until_idle(pid, quiet_seconds, at_most=20):
    """Until the process has used no CPU for a while: what it writes behind is written."""
    end = time.monotonic() + at_most
    before, since = cpu_seconds(pid), time.monotonic()
    while time.monotonic() < end:
        time.sleep(0.1)
        now = cpu_seconds(pid)
        # One tick is what timers alone come to.
        if now - before > 1.5 / TICKS_PER_SECOND:
            before, since = now, time.monotonic()
        elif time.monotonic() - since >= quiet_seconds:
            return
    raise BenchError(f"still at work after {at_most} s")


def wrk(run, port, body_path, seconds, connections=CONNECTIONS):
    """A closed loop of one constant POST: completed, seconds. Anything but a 2xx is an error."""
    command = [run.tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s"]
    command += ["-s", str(HERE / "peers/post.lua"), f"http://127.0.0.1:{port}/llm/generate"]
    environment = {**os.environ, "LARDER_BENCH_BODY": str(body_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 20,
                          env=environment, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("JSON "):
            result = json.loads(line[5:])
            if result["socketErrors"] or result["badStatuses"] or not result["completed"]:
                raise BenchError(f"wrk: {result}")
            return result
    raise BenchError(f"wrk: {done.stdout[-200:]}{done.stderr[-200:]}")


def load_command(run, port, body_path, **options):
    command = [str(run.program("larder-bench-load")), "--port", str(port), "--body", str(body_path),
               "--header", "Content-Type: application/json"]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    return command


def load_any(run, port, body_path, **options):
    """larder-bench-load, whatever the answers are. Its JSON is described in bench/README.md."""
    options.setdefault("connections", CONNECTIONS)
    command = load_command(run, port, body_path, **options)
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode != 0:
        raise BenchError(f"larder-bench-load: {done.stdout[-300:]}{done.stderr[-300:]}")
    return json.loads(done.stdout)


def load(run, port, body_path, **options):
    """`load_any`; every answer must be a 200."""
    result = load_any(run, port, body_path, **options)
    if any(result["errors"].values()) or set(result["statuses"]) != {"200"}:
        raise BenchError(f"larder-bench-load: {result['statuses']} {result['errors']}")
    if result["completed"] < options.get("requests", 1):
        raise BenchError(f"only {result['completed']} of {options['requests']} in time")
    return result


def load_together(run, ports, body_path, **options):
    """One larder-bench-load a port, all at once; their results in order."""
    commands = [load_command(run, port, body_path, **options) for port in ports]
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    try:
        return [json.loads(client.communicate(timeout=60)[0]) for client in clients]
    finally:
        for client in clients:
            client.kill()
            client.wait()


def redis_benchmark(run, port, *arguments):
    """One test of redis-benchmark: requests a second, p50 and p99 in µs."""
    given = [one if isinstance(one, bytes) else str(one) for one in arguments]
    command = [run.tool("redis-benchmark"), "-p", str(port), "--csv", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    lines = list(csv.reader(done.stdout.splitlines()))
    if done.returncode != 0 or len(lines) != 2 or "p50_latency_ms" not in lines[0]:
        raise BenchError(f"redis-benchmark: {done.stdout[-300:]}{done.stderr[-300:]}")
    fields = dict(zip(*lines))
    return {"requestsPerSecond": float(fields["rps"]),
            "p50Us": float(fields["p50_latency_ms"]) * 1000,
            "p99Us": float(fields["p99_latency_ms"]) * 1000}


def cpu_round(process, drive, quiet_seconds=0):
    """Runs `drive`; gives the CPU time that each of the requests took that the client counted.

    With `quiet_seconds`, what the process does behind the requests until it is idle counts too.
    """
    pid = process.pid()
    before = cpu_seconds(pid)
    result = drive()
    busy = (cpu_seconds(pid) - before) / result["seconds"]
    if quiet_seconds > 0:
        wait_until_idle(pid, quiet_seconds)
    spent = cpu_seconds(pid) - before
    process.trim_logs()
    return {
        "requests": result["completed"],
        "seconds": result["seconds"],
        "cpuSeconds": round(spent, 3),
        "cpuUsPerRequest": round(spent * 1e6 / result["completed"], 3),
        "busyCores": round(busy, 3),
        "requestsPerSecond": round(result["completed"] / result["seconds"], 1),
    }


def interleave(count, servers, measure_round):
    """A B, B A, A B …, so that a drift of the host meets both: {name: [result of a round, …]}."""
    results = {name: [] for name in servers}
    order = list(servers)
    for _ in range(count):
        for name in order:
            results[name].append(measure_round(servers[name]))
        order.reverse()
    return results


def ratio_of(results, peer, key):
    """The median over the rounds of Larder's figure by the peer's of the same round."""
    pairs = list(zip(results["larder"], results[peer]))
    if any(other[key] <= 0 for _, other in pairs):
        raise BenchError(f"{peer}: too little to be measured")
    return statistics.median(ours[key] / other[key] for ours, other in pairs)


def median_of(results, key):
    return statistics.median(result[key] for result in results)


def prime(process, body):
    """Asks twice; the second answer must be a hit. Gives its bytes."""
    name, value = process.hit_header
    for _ in range(2):
        status, headers, reply = post(process.port, body)
        if status != 200:
            raise BenchError(f"{process.name} answers {status}: {reply[:200]!r}")
    if headers.get(name) != value:
        raise BenchError(f"{process.name}: the second answer is {headers.get(name)}, not {value}")
    return reply
