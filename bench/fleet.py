"""The rows of a fleet: Larders on one Redis, beside redis-benchmark on the same machine.

Larder, Redis and the clients run on all cores here, as redis-benchmark and its Redis do: three
programs take part, and the kernel places them.
"""

import ast
import http.client
import json
import os
import re
import signal
import statistics
import subprocess
import threading
import time

from measure import (
    cpu_round,
    interleave,
    load,
    load_any,
    load_together,
    make_body,
    median_of,
    ratio_of,
    redis_benchmark,
)
from processes import (
    ALL_CORES,
    SERVER_CORE,
    BenchError,
    Larder,
    Redis,
    Upstash,
    Upstream,
    key_entries,
)
from rows import Row

NODES = 4
CLIENTS = 50           # at each node
CONNECTIONS = 64
ENTRIES = 1000         # that the hits go round
MISSES_ONE_IN = 1000   # of the hits, at most
OLD_BACKEND_MS = 15    # of a session's read or write
STOPPED_SECONDS = 10
RATE = 1000
SAMPLES = 20_000       # of redis-benchmark, a second of a round


def on_all_cores(run, upstream, store, **options):
    options = {"threads": 0, "cores": ALL_CORES, **options}
    larder = Larder(run, upstream.port, store=store, **options).wait()
    larder.wait_until_ready()
    return larder


class Hits:
    """Two Larders on one Redis with the same entries, one without its memory tier; no limits."""

    def __init__(self, run):
        self.run = run
        self.path, _ = make_body(run, "redis-hit")
        self.upstream = Upstream(run)
        self.redis = Redis(run, ALL_CORES)
        self.first = run.unique()
        self.completed = 0
        store = self.redis.store
        self.servers = {
            "larder": on_all_cores(run, self.upstream, store, memory="0", limit=0),
            "memory": on_all_cores(run, self.upstream, store, limit=0)}
        for _ in range(3):
            for server in self.servers.values():
                self.drive(server, requests=ENTRIES, connections=8)
            time.sleep(0.2)
        self.value_bytes = self.stored_bytes()
        self.calls = self.upstream.calls()
        self.completed = 0
        redis_benchmark(run, self.redis.port, "-t", "set", "-n", 1, "-c", 1, "-d", self.value_bytes)

    def stored_bytes(self):
        """The size of an entry as Redis has it."""
        for key in self.redis.ask("KEYS", "llm:cache:{*}").splitlines():
            if self.redis.ask("TYPE", key) == "string" and key.endswith("}"):
                return int(self.redis.ask("STRLEN", key))
        raise BenchError("no entry in Redis")

    def drive(self, server, **options):
        options = {"connections": CONNECTIONS, "unique": self.first, "cycle": ENTRIES, **options}
        result = load(self.run, server.port, self.path, **options)
        self.completed += result["completed"]
        return result

    def raw(self, connections, requests):
        return redis_benchmark(self.run, self.redis.port, "-t", "get", "-n", requests,
                               "-c", connections, "-P", 1, "-d", self.value_bytes)

    def check(self):
        """A look-up that a pause of the host made late is a miss: a few are no harm."""
        misses = self.upstream.calls() - self.calls
        if misses * MISSES_ONE_IN > self.completed:
            raise BenchError(f"{misses:,} of {self.completed:,} hits were misses")

    def stop(self):
        self.run.stop(*self.servers.values(), self.redis, self.upstream)


def measure_redis_hits(run, size):
    hits = Hits(run)

    def measure_round(server):
        if server == "redis":
            return hits.raw(CONNECTIONS, SAMPLES * 3 * size.seconds)
        return cpu_round(server, lambda: hits.drive(server, duration=size.seconds))

    results = interleave(size.rounds, {**hits.servers, "redis": "redis"}, measure_round)
    hits.check()
    hits.stop()
    ours, raw, memory = (median_of(results[name], "requestsPerSecond")
                         for name in ("larder", "redis", "memory"))
    cpu, other = (median_of(results[name], "cpuUsPerRequest") for name in ("larder", "memory"))
    return [
        Row(f"hits from Redis, {CONNECTIONS} connections, beside redis-benchmark's GET",
            0.35, ratio_of(results, "redis", "requestsPerSecond"),
            f"{ours:,.0f}/s beside {raw:,.0f}/s, {hits.value_bytes:,} bytes; from memory "
            f"{memory:,.0f}/s", at_least=True, raw=results),
        Row("hit from Redis: CPU a request, beside a hit from memory", 1.8,
            ratio_of(results, "memory", "cpuUsPerRequest"),
            f"{cpu:.1f} µs beside {other:.1f} µs"),
    ]


def measure_redis_latency(run, size):
    hits = Hits(run)

    def measure_round(server):
        if server == "redis":
            return hits.raw(1, SAMPLES * size.seconds // 2)
        latency = hits.drive(server, duration=size.seconds, connections=1)["latencyUs"]
        return {"p50Us": latency["p50"], "p99Us": latency["p99"]}

    results = interleave(size.rounds, {**hits.servers, "redis": "redis"}, measure_round)
    hits.check()
    hits.stop()
    rows = []
    for key, name, target in (("p50Us", "p50", 100), ("p99Us", "p99", 1000)):
        added = statistics.median(ours[key] - raw[key]
                                  for ours, raw in zip(results["larder"], results["redis"]))
        ours, raw, memory = (median_of(results[one], key) for one in ("larder", "redis", "memory"))
        shown = f"{ours:.0f} µs beside {raw:.0f} µs; from memory {memory:.0f} µs"
        rows.append(Row(f"hit from Redis, one connection, {name}: added over one raw GET", target,
                        added, shown, "µs", raw=results if name == "p50" else {}))
    return rows


def monitored_arguments(line):
    """The arguments of a command as MONITOR shows it, as bytes."""
    return [ast.literal_eval(f"b{text}") for text in re.findall(r'"(?:[^"\\]|\\.)*"', line)]


def capture_decision(redis, ask):
    """The EVALSHA of one limit decision, as Larder sends it."""
    command = ["redis-cli", "-p", str(redis.port), "MONITOR"]
    monitor = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace")
    stop = threading.Timer(10, monitor.kill)
    stop.start()
    try:
        monitor.stdout.readline()  # OK: it is on
        ask()
        for line in monitor.stdout:
            arguments = monitored_arguments(line)
            if arguments[:1] in ([b"EVALSHA"], [b"evalsha"]) and b"limit:{" in arguments[3]:
                return arguments
    finally:
        stop.cancel()
        monitor.kill()
        monitor.wait()
    raise BenchError("no limit decision was seen in Redis")


def measure_redis_limit(run, size):
    upstream = Upstream(run)
    redis = Redis(run, ALL_CORES)
    larder = on_all_cores(run, upstream, redis.store)
    path = "/dev/null"
    options = {"method": "GET", "path": "/llm/providers", "connections": CONNECTIONS}
    load(run, larder.port, path, requests=100, **options)
    arguments = capture_decision(
        redis, lambda: load(run, larder.port, path, requests=20, **options))

    def measure_round(server):
        if server == "redis":
            count = SAMPLES * size.seconds
            return redis_benchmark(run, redis.port, "-n", count, "-c", CONNECTIONS, *arguments)
        return cpu_round(
            server, lambda: load(run, server.port, path, duration=size.seconds, **options))

    results = interleave(size.rounds, {"larder": larder, "redis": "redis"}, measure_round)
    run.stop(larder, redis, upstream)
    ours, raw = (median_of(results[name], "requestsPerSecond") for name in ("larder", "redis"))
    what = "limit decisions in Redis, beside redis-benchmark's EVALSHA of the same script"
    return [Row(what, 0.5, ratio_of(results, "redis", "requestsPerSecond"),
                f"{ours:,.0f}/s beside {raw:,.0f}/s", at_least=True, raw=results)]


class Fleet:
    """Four Larders on one Redis, of one thread each."""

    def __init__(self, run, upstream, **options):
        self.redis = Redis(run, ALL_CORES)
        self.nodes = [on_all_cores(run, upstream, self.redis.store, threads=1, **options)
                      for _ in range(NODES)]

    def ports(self):
        return [node.port for node in self.nodes]

    def seen(self):
        """When each node last said that it is there, by Redis' clock."""
        return [float(score) for score in self.redis.ask(
            "ZRANGE", "limit:nodes", 0, -1, "WITHSCORES").splitlines()[1::2]]

    def settle(self, run, key):
        """Until each node has looked who is there since the last one came, and has answered."""
        end = time.monotonic() + 30
        since = None
        while since is None or min(self.seen()) <= since:
            if time.monotonic() > end:
                raise BenchError("the nodes don't see each other")
            seen = self.seen()
            if since is None and len(seen) == len(self.nodes):
                since = max(seen)
            time.sleep(0.05)
        path, _ = make_body(run, "fleet-settle", prompt="Is everybody there?")
        for port in self.ports():
            load(run, port, path, requests=2, connections=1, header=f"Authorization: Bearer {key}")


def measure_fleet_flight(run, size):
    upstream = Upstream(run, delay_ms=300)
    fleet = Fleet(run, upstream)
    rows = []
    kinds = (("plain", False, '"metadata"'), ("streaming", True, "event: done"))
    for name, streaming, sign in kinds:
        counts = []
        for repeat in range(size.repeats):
            path, _ = make_body(run, f"fleet-{name}-{repeat}", stream=streaming,
                                prompt=f"A {name} question of a fleet, {repeat}.")
            before = upstream.calls()
            results = load_together(run, fleet.ports(), path, requests=CLIENTS,
                                    connections=CLIENTS, contains=sign)
            whole = sum(result["containing"] for result in results)
            if whole != NODES * CLIENTS:
                raise BenchError(f"{whole} whole answers of {NODES * CLIENTS}")
            counts.append({"calls": upstream.calls() - before})
        most = max(counts, key=lambda count: abs(count["calls"] - 1))["calls"]
        what = f"{NODES} Larders, {CLIENTS} clients each, one prompt, {name}: upstream calls"
        shown = f"rounds: {', '.join(str(count['calls']) for count in counts)}"
        rows.append(Row(what, 1, most, shown, "", exact=True, raw={"rounds": counts}))
    run.stop(*fleet.nodes, fleet.redis, upstream)
    return rows


def accepted_in_round(run, fleet, upstream, key, kill=None):
    """One user's 200 requests at once, each a call of its own; the node `kill` dies meanwhile."""
    path, _ = make_body(run, "fleet-limit")
    before = upstream.calls()
    if kill is not None:
        threading.Timer(0.1, lambda: os.kill(kill.pid(), signal.SIGKILL)).start()
    header = f"Authorization: Bearer {key}\r\nCache-Control: no-store"
    results = load_together(run, fleet.ports(), path, requests=CLIENTS, connections=CLIENTS,
                            unique=run.unique(), header=header)
    statuses = {}
    for result in results:
        for status, count in result["statuses"].items():
            statuses[status] = statuses.get(status, 0) + count
    calls = upstream.calls() - before
    return {"statuses": statuses, "accepted": statuses.get("200", 0), "calls": calls}


def measure_fleet_limit(run, size):
    keys = [f"fleet-key-{number}" for number in range(2 * size.repeats)]
    settling = "fleet-key-of-another"
    entries = key_entries([*keys, settling])
    upstream = Upstream(run, delay_ms=200)
    fleet = Fleet(run, upstream, limit=20, keys=entries)
    fleet.settle(run, settling)
    whole = [accepted_in_round(run, fleet, upstream, key) for key in keys[:size.repeats]]
    run.stop(*fleet.nodes, fleet.redis)
    broken = []
    for key in keys[size.repeats:]:
        fleet = Fleet(run, upstream, limit=20, keys=entries)
        fleet.settle(run, settling)
        broken.append(accepted_in_round(run, fleet, upstream, key, kill=fleet.nodes[1]))
        run.stop(*fleet.nodes, fleet.redis)
    run.stop(upstream)
    most = max((one["accepted"] for one in whole), key=lambda accepted: abs(accepted - 20))
    over = max(max(one["accepted"], one["calls"]) - 20 for one in broken)
    what = f"{NODES} Larders, one user at max 20, {NODES * CLIENTS} requests at once: accepted"
    return [
        Row(what, 20, most, f"rounds: {', '.join(str(one['accepted']) for one in whole)}", "",
            exact=True, raw={"rounds": whole}),
        Row("the same, a node killed in the middle: accepted beyond 20", 0, max(over, 0),
            f"upstream calls: {', '.join(str(one['calls']) for one in broken)}", "", exact=True,
            raw={"rounds": broken}),
    ]


def session_round(port, count):
    """`count` sessions through their lives on one connection: {step: p50 in ms}."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.connect()
    times = {"create": [], "get": [], "update": [], "destroy": []}

    def step(name, method, path, body, expected):
        data = None if body is None else json.dumps(body)
        began = time.perf_counter()
        connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
        reply = connection.getresponse()
        text = reply.read()
        times[name].append((time.perf_counter() - began) * 1000)
        if reply.status != expected:
            raise BenchError(f"session {name}: {reply.status} {text[:200]!r}")
        return text

    for number in range(count):
        session = {"userId": f"user{number % 50}", "data": {"cart": [1, 2, 3]}}
        made = step("create", "POST", "/sessions", session, 201)
        path = f"/sessions/{json.loads(made)['id']}"
        step("get", "GET", path, None, 200)
        step("update", "PATCH", path, {"data": {"name": "Ann"}}, 200)
        step("destroy", "DELETE", path, None, 204)
    connection.close()
    return {name: round(statistics.median(values), 3) for name, values in times.items()}


def measure_sessions(run, size):
    upstream = Upstream(run)
    redis = Redis(run, ALL_CORES)
    rows = []
    upstash = Upstash(run, redis, ALL_CORES)
    kinds = (("Redis", redis, 1), ("REST on loopback", upstash, OLD_BACKEND_MS / 5))
    for name, store, target in kinds:
        larder = on_all_cores(run, upstream, store.store, threads=1)
        session_round(larder.port, 20)
        rounds = [session_round(larder.port, 150 * size.seconds) for _ in range(size.repeats)]
        medians = {step: statistics.median(one[step] for one in rounds) for step in rounds[0]}
        shown = ", ".join(f"{step} {value:.2f}" for step, value in medians.items())
        rows.append(Row(f"session on {name}: the slowest step's p50", target,
                        max(medians.values()), f"{shown} ms", "ms", raw={"rounds": rounds}))
        run.stop(larder)
    run.stop(upstash, redis, upstream)
    return rows


def failures_of(result, planned):
    """Planned requests that got no 200."""
    return planned - result["statuses"].get("200", 0)


def measure_redis_stop(run, size):
    """The load has its core for itself, for it spins; everything else shares the other one."""
    upstream = Upstream(run, cores=SERVER_CORE)
    redis = Redis(run, SERVER_CORE)
    larder = Larder(run, upstream.port, store=redis.store).wait()
    path, _ = make_body(run, "redis-stop")
    stopped = STOPPED_SECONDS if size.seconds > 1 else 2
    first = run.unique()
    issued = 0

    def drive(seconds):
        nonlocal issued
        result = load_any(run, larder.port, path, unique=first + issued, rate=RATE,
                          duration=seconds, connections=CONNECTIONS, **{"fresh-every": 2})
        issued += RATE * seconds
        return {**result, "failed": failures_of(result, RATE * seconds)}

    drive(1)
    phases = {"before": drive(stopped)}
    resume = threading.Timer(stopped, redis.child.send_signal, (signal.SIGCONT,))
    redis.child.send_signal(signal.SIGSTOP)
    resume.start()
    try:
        phases["during"] = drive(stopped)
    finally:
        resume.join()
    phases["after"] = drive(max(2, stopped // 3))
    run.stop(larder, redis, upstream)
    failed = sum(phase["failed"] for phase in phases.values())
    total = sum(phase["completed"] for phase in phases.values())
    before, during = (phases[name]["latencyUs"]["p99"] / 1000 for name in ("before", "during"))
    what = f"Redis stopped for {stopped} s under {RATE:,} requests/s of hits and misses"
    return [
        Row(f"{what}: failed", 0, failed, f"of {total:,}", "", exact=True, raw=phases),
        Row(f"{what}: p99 more than before", 60, during - before,
            f"{during:.1f} ms, before {before:.1f} ms", "ms"),
    ]


SCENARIOS = {
    "redis-hit": measure_redis_hits,
    "redis-latency": measure_redis_latency,
    "redis-limit": measure_redis_limit,
    "fleet-flight": measure_fleet_flight,
    "fleet-limit": measure_fleet_limit,
    "session": measure_sessions,
    "redis-stop": measure_redis_stop,
}
