"""The rows of routes: what a fallback adds, and whom load-balance and fastest choose."""

import json
import socket
import statistics
import threading
import time

from measure import interleave, load
from processes import BenchError, Upstream, free_port
from rows import Row

PATH = "/v1/chat/completions"
ANSWER = json.dumps({
    "id": "chatcmpl-bench", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "A short answer."},
                 "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}).encode()
ERROR = b'{"error":{"message":"The benchmark says so.","type":"server_error"}}'
BOUND_MS = 1000     # of the route whose first target is silent
SLOWED_BY_S = 0.5   # one of three
PATIENCE_S = 2      # after so long it is left alone


class HandProvider:
    """A provider in this process, a thread a connection: answers with `status` after `delay_s`, or never.

    It takes some 50 µs of an idle core for an answer.
    """

    def __init__(self, status="200 OK", body=ANSWER, delay_s=0.0, is_silent=False):
        self.reply = (f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
                      f"Content-Length: {len(body)}\r\n\r\n").encode() + body
        self.delay_s, self.is_silent, self.calls = delay_s, is_silent, 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        data = b""
        with client:
            try:
                while piece := client.recv(65536):
                    data += piece
                    head, end, body = data.partition(b"\r\n\r\n")
                    length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
                    if not end or len(body) < int(length or 0):
                        continue
                    data = b""
                    with self.lock:
                        self.calls += 1
                    if self.is_silent:
                        continue
                    if self.delay_s > 0:
                        time.sleep(self.delay_s)
                    client.sendall(self.reply)
            except OSError:
                """Its client has left."""

    def close(self):
        self.listener.close()


def provider_line(name, port):
    """Of the configuration. Its breaker stays shut: what is measured is the route."""
    return (f'  {name}: {{ api: openai, api_key: bench, base_url: "http://127.0.0.1:{port}/v1", '
            "breaker: { failures: 1000, window: 100ms } }\n")


def make_body(run, model):
    path = run.directory / f"route-{model.replace('/', '-')}.json"
    path.write_text(json.dumps({"model": model, "messages": [
        {"role": "user", "content": "Number {{unique}}: what does a route do?"}]}))
    return path


def measure_fallbacks(run, size):
    """One request after the other, to the healthy provider directly and through routes whose first one is none."""
    upstream = Upstream(run)
    failing = HandProvider("500 Internal Server Error", ERROR)
    silent = HandProvider(is_silent=True)
    providers = "".join(provider_line(name, port) for name, port in (
        ("well", upstream.port), ("closed", free_port()), ("failing", failing.port), ("silent", silent.port)))
    larder = run.larder(upstream.port, providers=providers, rest=(
        "routes:\n"
        "  from-closed: { mode: fallback, targets: [closed/m, well/m] }\n"
        "  from-failing: { mode: fallback, targets: [failing/m, well/m] }\n"
        f"  from-silent: {{ mode: fallback, first_byte_timeout: {BOUND_MS}ms, targets: [silent/m, well/m] }}\n"))
    count = 1000 if size.rounds > 1 else 100
    # Silent ones side by side: each waits its second, and nothing else is going on.
    plans = {"direct": ("well/m", count, 1), "closed": ("from-closed", count, 1),
             "failing": ("from-failing", count, 1), "silent": ("from-silent", 6, 3)}
    bodies = {name: make_body(run, plan[0]) for name, plan in plans.items()}

    def measure_round(name):
        _, requests, connections = plans[name]
        before = upstream.calls()
        result = load(run, larder.port, bodies[name], path=PATH, requests=requests, connections=connections,
                      unique=run.unique(requests))
        if upstream.calls() - before != requests:
            raise BenchError(f"{upstream.calls() - before} of {requests} answers are the healthy provider's")
        return {"requests": requests, "p50Ms": result["latencyUs"]["p50"] / 1000}

    for name in ("direct", "closed", "failing"):
        measure_round(name)
    failing.calls = silent.calls = 0
    results = interleave(size.rounds, {name: name for name in plans}, measure_round)
    for name, provider in (("failing", failing), ("silent", silent)):
        asked = sum(result["requests"] for result in results[name])
        if provider.calls != asked:
            raise BenchError(f"the {name} provider was asked {provider.calls} times, not {asked}")
    run.stop(larder, upstream)
    failing.close()
    silent.close()
    rows = []
    for name, target, words in (("closed", 1, "connection refused"), ("failing", 2, "a 500"),
                                ("silent", BOUND_MS + 10, "silence, 1 s allowed")):
        pairs = list(zip(results[name], results["direct"]))
        added = statistics.median(one["p50Ms"] - direct["p50Ms"] for one, direct in pairs)
        ours, direct = (statistics.median(pair[side]["p50Ms"] for pair in pairs) for side in (0, 1))
        rows.append(Row(f"fallback after {words}: time added (median)", target, added,
                        f"{ours:,.2f} ms beside {direct:.2f} ms directly", "ms", raw=results if name == "closed" else {}))
    return rows


def measure_load_balance(run, size):
    count = 10_000 if size.rounds > 1 else 1000
    upstreams = [Upstream(run), Upstream(run)]
    providers = "".join(provider_line(name, upstream.port) for name, upstream in zip(("one", "two"), upstreams))
    larder = run.larder(upstreams[0].port, providers=providers, rest=(
        "routes:\n  even: { mode: load-balance, targets: [{ model: one/m, weight: 70 }, { model: two/m, weight: 30 }] }\n"))
    load(run, larder.port, make_body(run, "even"), path=PATH, requests=count, unique=run.unique(count))
    one, two = (upstream.calls() for upstream in upstreams)
    run.stop(larder, *upstreams)
    if one + two != count:
        raise BenchError(f"{one} + {two} calls for {count} requests")
    share = 100 * one / count
    return [Row(f"load-balance 70/30 over {count:,} requests: off by", 1, abs(share - 70), f"{one:,} and {two:,}",
                "points", raw={"calls": [one, two]})]


def measure_fastest(run, size):
    """Three equal ones under a steady load, until one of them becomes slow."""
    providers = [HandProvider() for _ in range(3)]
    slowed = providers[0]
    names = ("one", "two", "three")
    larder = run.larder(providers[0].port, providers="".join(
        provider_line(name, provider.port) for name, provider in zip(names, providers)), rest=(
        "routes:\n  fast: { mode: fastest, targets: [one/m, two/m, three/m] }\n"))
    rate, before_s, after_s = 200, 2, 4
    result = {}

    def drive():
        try:
            result["load"] = load(run, larder.port, make_body(run, "fast"), path=PATH, rate=rate, connections=64,
                                  duration=before_s + PATIENCE_S + after_s, unique=run.unique())
        except BenchError as error:
            result["error"] = error

    def share_of(seconds):
        """Of the calls of the next seconds, the part that goes to it."""
        begin = [provider.calls for provider in providers]
        time.sleep(seconds)
        calls = [provider.calls - earlier for provider, earlier in zip(providers, begin)]
        if sum(calls) < rate * seconds / 4:
            raise BenchError(f"only {sum(calls)} calls in {seconds} s")
        return 100 * calls[0] / sum(calls)

    driver = threading.Thread(target=drive)
    driver.start()
    try:
        time.sleep(before_s / 2)
        before = share_of(before_s / 4)
        slowed.delay_s = SLOWED_BY_S
        meanwhile = share_of(PATIENCE_S)
        after = share_of(after_s - 1)
    finally:
        driver.join()
    run.stop(larder)
    for provider in providers:
        provider.close()
    if "error" in result:
        raise result["error"]
    shown = f"{before:.1f} % before, {meanwhile:.1f} % in the first {PATIENCE_S} s"
    return [Row(f"fastest, one of three slowed by 500 ms: its share after {PATIENCE_S} s", 5, after, shown, "%",
                raw={"before": before, "meanwhile": meanwhile, "load": result["load"]})]


def measure_routes(run, size):
    return measure_fallbacks(run, size) + measure_load_balance(run, size) + measure_fastest(run, size)


SCENARIOS = {"routes": measure_routes}
