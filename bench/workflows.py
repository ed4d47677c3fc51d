"""The rows of workflows: Larder's own CPU time a step, and how near a workflow comes to its slowest chain."""

import json
import statistics

from measure import cpu_round, interleave, load, median_of, post
from processes import BenchError, Upstream
from routes import HandProvider, provider_line
from rows import Row

PATH = "/llm/execute-workflow"
AT_ONCE = 100
LEVELS, WIDTH = 5, 4
STEPS = LEVELS * WIDTH
CHAIN, SLOW_S, QUICK_S = 4, 0.25, 0.1


def wide_steps():
    """Five levels of four steps; each reads one of the level before, and the first of each level two."""
    steps = []
    for level in range(LEVELS):
        for place in range(WIDTH):
            prompt = f"Part {place} of level {level}, number {{{{input.number}}}}."
            if level > 0:
                prompt += f"\n\n{{{{steps.s{level - 1}-{place}.output}}}}"
                if place == 0:
                    prompt += f"\n\n{{{{steps.s{level - 1}-{WIDTH - 1}.output}}}}"
            steps.append({"id": f"s{level}-{place}", "model": "openai/gpt-4o", "maxTokens": 300, "prompt": prompt})
    return steps


def chain_steps():
    """A chain of four slow steps; beside each a quick one, and over all of it a list of quick ones, that the last one reads."""
    steps = [{"id": "each", "model": "quick/m", "prompt": "{{item}} {{input.number}}",
              "forEach": {"in": "{{input.list}}", "parallel": 4}}]
    for place in range(CHAIN):
        before = f"{{{{steps.slow{place - 1}.output}}}}" if place else "begin {{input.number}}"
        steps.append({"id": f"quick{place}", "model": "quick/m", "prompt": f"beside {before}"})
        slow = {"id": f"slow{place}", "model": "slow/m", "prompt": before}
        if place == CHAIN - 1:
            slow["prompt"] += "{{steps.quick1.output}}{{steps.each.output}}"
        steps.append(slow)
    return steps


def make_body(run, name, steps):
    """{{unique}} is the generator's, and stands in the input."""
    path = run.directory / f"workflow-{name}.json"
    path.write_text(json.dumps({"workflow": {"steps": steps, "output": "{{input.number}}"},
                                "input": {"number": "{{unique}}", "list": list(range(12))}}))
    return path


def check_once(port, body_path, states):
    """That such a workflow is done, with so many steps."""
    status, _, reply = post(port, body_path.read_bytes(), PATH)
    body = json.loads(reply)
    if status != 200 or [step["status"] for step in body["steps"]] != ["done"] * states:
        raise BenchError(f"the workflow is not done: {status} {reply[:300]!r}")


def measure_steps(run, size):
    upstream = Upstream(run)
    larder = run.larder(upstream.port)
    body = make_body(run, "wide", wide_steps())
    check_once(larder.port, body, STEPS)
    requests = 10 * AT_ONCE if size.rounds > 1 else AT_ONCE

    def measure_round(_):
        before = upstream.calls()
        result = cpu_round(larder, lambda: load(run, larder.port, body, path=PATH, requests=requests,
                                                connections=AT_ONCE, unique=run.unique(requests)), size.quiet)
        if upstream.calls() - before != requests * STEPS:
            raise BenchError(f"{upstream.calls() - before} calls for {requests} workflows")
        return {**result, "cpuUsPerStep": result["cpuUsPerRequest"] / STEPS}

    measure_round(None)
    results = interleave(size.rounds, {"larder": None}, measure_round)["larder"]
    run.stop(larder, upstream)
    each = median_of(results, "cpuUsPerStep")
    rate = median_of(results, "requestsPerSecond")
    shown = f"{rate:,.0f} workflows/s, {rate * STEPS:,.0f} steps/s"
    return [Row(f"{AT_ONCE} workflows of {STEPS} steps at once: CPU time a step", 100, each, shown, "µs",
                raw={"rounds": results})]


def measure_chain(run, size):
    slow, quick = HandProvider(delay_s=SLOW_S), HandProvider(delay_s=QUICK_S)
    larder = run.larder(slow.port, providers=provider_line("slow", slow.port) + provider_line("quick", quick.port))
    steps = chain_steps()
    body = make_body(run, "chain", steps)
    check_once(larder.port, body, len(steps))
    count = 15 if size.rounds > 1 else 3
    elapsed = [load(run, larder.port, body, path=PATH, requests=1, connections=1,
                    unique=run.unique(1))["latencyUs"]["p50"] / 1e6 for _ in range(count)]
    if slow.calls != (count + 1) * CHAIN:
        raise BenchError(f"{slow.calls} calls of the slow provider")
    run.stop(larder)
    for provider in (slow, quick):
        provider.close()
    median = statistics.median(elapsed)
    shown = f"{median * 1000:,.1f} ms beside {CHAIN} × {SLOW_S * 1000:.0f} ms, median of {count}"
    return [Row("workflow: time beside the sum of its slowest chain", 1.02, median / (CHAIN * SLOW_S), shown,
                raw={"elapsedSeconds": elapsed})]


def measure_workflows(run, size):
    return measure_steps(run, size) + measure_chain(run, size)


SCENARIOS = {"workflows": measure_workflows}
