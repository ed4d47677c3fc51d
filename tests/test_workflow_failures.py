"""Workflows that fail, or would take too much: schemas and their repair, retries, bounds on time, calls, cost and size,
and what is told of what was paid for."""
import json
import signal
import time
import unittest

from harness import DEADLINE, Stream, parse_events, wait_until
from route_targets import say
from workflow_targets import Gate, Leaving, WorkflowTest, in_turn, of_step, prompt_of, said, states, step, system_of

KIND = {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["a", "b"]}}}


class Schemas(WorkflowTest):
    def test_a_valid_answer_is_taken_at_once(self):
        self.begin(in_turn(' {"kind": "a"} '))
        body = self.done([step("s", system="Sort.", outputSchema=KIND)])
        one = of_step(body, "s")
        self.assertEqual((one["json"], json.loads(one["output"]), one["metadata"]["repairs"]), ({"kind": "a"},) * 2 + (0,))
        self.assertEqual(self.model.calls, 1)
        asked = system_of(self.model.asked[0])
        self.assertTrue(asked.startswith("Sort.\n\n"))
        self.assertEqual(json.loads(asked[asked.index("{"):]), KIND)

    def test_a_wrong_one_is_repaired_once(self):
        for wrong, why in (('{"kind": "c"}', "/kind"), ("It is an a.", "no JSON"), ("{}", "kind")):
            with self.subTest(wrong):
                self.begin(in_turn(wrong, '```json\n{"kind": "b"}\n```'))
                body = self.done([step("s", "sort it", outputSchema=KIND)])
                one = of_step(body, "s")
                self.assertEqual((one["json"], one["metadata"]["repairs"], one["metadata"]["calls"]), ({"kind": "b"}, 1, 2))
                (_, first), (role, answer), (_, complaint) = said(self.model.asked[1])
                self.assertEqual((first, role, answer), ("sort it", "assistant", wrong))
                self.assertIn(why, complaint)

    def test_a_second_wrong_one_fails_the_step(self):
        self.begin(in_turn('{"kind": "secret words"}'))
        reply = self.execute([step("s", outputSchema=KIND, retry={"attempts": 3, "delay": 0})])
        error = self.assert_error(reply, 502, "provider_unreadable")
        self.assertIn('step "s"', error["error"])
        self.assertIn("/kind", error["error"])
        self.assertNotIn("secret words", reply.body.decode())
        self.assertEqual(self.model.calls, 2)

    def test_each_item_has_its_own_repair(self):
        self.begin(lambda call: call.answer('{"kind": "a"}' if len(said(call)) > 1 or prompt_of(call) == "1" else "no"))
        body = self.done([step("s", "{{item}}", outputSchema=KIND, forEach={"in": "{{input.list}}"})], {"list": [1, 2, 3]})
        self.assertEqual(json.loads(body["output"]), [{"kind": "a"}] * 3)
        self.assertEqual(of_step(body, "s")["json"], [{"kind": "a"}] * 3)
        self.assertEqual((of_step(body, "s")["metadata"]["repairs"], self.model.calls), (2, 5))

    def test_a_schema_whose_check_would_not_end_fails_its_step_without_a_repair(self):
        self.begin(in_turn(json.dumps([1] * 2_000)))
        schema = {"items": {"anyOf": [{"type": "null"}] * 2_000 + [{"type": "integer"}]}}
        began = time.monotonic()
        reply = self.execute([step("bomb", outputSchema=schema), step("other")], onError="continue")
        self.assertLess(time.monotonic() - began, DEADLINE / 2)
        self.assertEqual(states(reply), {"bomb": "failed", "other": "done"})
        error = of_step(reply.json(), "bomb")["error"]
        self.assertEqual(error["code"], "unprocessable")
        self.assertIn("outputSchema asks for too much work", error["error"])
        self.assertEqual(self.model.calls, 2)  # no repair


class Tries(WorkflowTest):
    RETRY = {"attempts": 3, "delay": "1ms"}

    def test_an_overloaded_model_is_asked_again(self):
        for status in (503, 429, 500):
            with self.subTest(status):
                self.begin(in_turn(say(status), say(status), "well"), keys="breaker: { failures: 1000 }")
                body = self.done([step("s", retry=self.RETRY)])
                self.assertEqual((body["output"], self.model.calls), ("well", 3))
                self.assertEqual(of_step(body, "s")["metadata"]["calls"], 3)

    def test_a_request_that_is_wrong_is_not(self):
        for status in (400, 401, 404, 422):
            with self.subTest(status):
                self.begin(in_turn(say(status), "well"))
                reply = self.execute([step("s", retry=self.RETRY)])
                self.assertGreaterEqual(reply.status, 400)
                self.assertEqual((states(reply), self.model.calls), ({"s": "failed"}, 1))

    def test_no_more_often_than_it_says(self):
        self.begin(say(503), keys="breaker: { failures: 1000 }")
        self.assertEqual(self.execute([step("s", retry=self.RETRY)]).status, 502)
        self.assertEqual(self.model.calls, 3)
        self.execute([step("s")])
        self.assertEqual(self.model.calls, 4)


class Time(WorkflowTest):
    def test_a_step_that_takes_too_long_fails_and_its_call_ends(self):
        leaving = Leaving()
        self.begin({"slow": leaving})
        reply = self.execute([step("slow", timeout="100ms", retry={"attempts": 5, "delay": 0}), step("b")], onError="continue")
        self.assertEqual(states(reply), {"slow": "failed", "b": "done"})
        error = of_step(reply.json(), "slow")["error"]
        self.assertEqual(error["code"], "timeout")
        self.assertIn("100 ms", error["error"])
        wait_until(lambda: leaving.left, "the call is given up")

    def test_a_workflow_that_takes_too_long_ends(self):
        for name, more in (("workflow", {"limits": {"time": "200ms"}}), ("request", {"body": {"limits": {"time": "200ms"}}}),
                           ("configuration", {})):
            leaving = Leaving()
            # A second is the least that a configuration takes.
            self.begin({"slow": leaving}, rest="workflows: { time: 1s }\n" if name == "configuration" else "")
            with self.subTest(name):
                reply = self.execute([step("a"), step("slow", dependsOn=["a"]), step("c", "{{steps.slow.output}}")], **more)
                error = self.assert_error(reply, 504, "timeout")
                self.assertIn("1 s" if name == "configuration" else "200 ms", error["error"])
                self.assertEqual(states(reply), {"a": "done", "slow": "cancelled", "c": "cancelled"})
                self.assertEqual(of_step(error, "a")["output"], "a!")
                wait_until(lambda: leaving.left, "the call is given up")

    def test_waiting_before_a_try_ends_with_the_workflow(self):
        self.begin(say(503))
        began = time.monotonic()
        reply = self.execute([step("a", retry={"attempts": 3, "delay": "60s"})], limits={"time": "100ms"})
        self.assert_error(reply, 504, "timeout")
        self.assertLess(time.monotonic() - began, DEADLINE)
        self.assertEqual(self.model.calls, 1)


class Bounds(WorkflowTest):
    def priced(self, behave=None, rest=""):
        """An answer has 4 tokens, and costs 4 cents."""
        prices = self.folder / "prices.json"
        prices.write_text(json.dumps({"models": {"one/m": {"mode": "chat", "input": 0, "output": 10000}}}))
        self.begin(behave, rest=f"prices: {{ file: {prices} }}\n{rest}")

    CHAIN = [step("s0", maxTokens=4)] + [step(f"s{n}", f"{{{{steps.s{n - 1}.output}}}}", maxTokens=4) for n in range(1, 5)]

    def test_what_a_workflow_cost(self):
        self.priced()
        body = self.done(self.CHAIN)
        self.assertAlmostEqual(body["metadata"]["estimatedCost"], 0.2)
        self.assertAlmostEqual(of_step(body, "s1")["metadata"]["estimatedCost"], 0.04)
        self.assertTrue(body["metadata"]["priced"])

    def test_a_bound_on_cost_stops_before_it_is_passed(self):
        for name, more, rest in (("workflow", {"limits": {"cost": 0.1}}, ""), ("request", {"body": {"limits": {"cost": 0.1}}}, ""),
                                 ("configuration", {}, "workflows: { cost: 0.1 }\n")):
            self.priced(rest=rest)
            with self.subTest(name):
                reply = self.execute(self.CHAIN, **more)
                error = self.assert_error(reply, 422, "unprocessable")
                self.assertIn('step "s2"', error["error"])
                self.assertIn("$0.1", error["error"])
                self.assertEqual(states(reply), {"s0": "done", "s1": "done", "s2": "failed", "s3": "cancelled", "s4": "cancelled"})
                self.assertAlmostEqual(error["metadata"]["estimatedCost"], 0.08)
                self.assertEqual(of_step(error, "s1")["output"], "s0!!")
                self.assertEqual(self.model.calls, 2)

    def test_what_runs_at_once_counts_before_it_is_paid(self):
        gate = Gate()
        self.priced(gate)
        stream = self.stream([step(f"p{n}", maxTokens=4) for n in range(6)], limits={"cost": 0.1}, onError="continue")
        wait_until(lambda: len(gate.seen) == 2, "two are asked")
        stream.start()
        stream.read_until("cost bound")
        gate.open()
        stream.read_all()
        self.assertEqual(self.model.calls, 2)

    def test_without_a_bound_on_its_answer_a_call_may_pass_it_and_is_the_last(self):
        self.priced()
        reply = self.execute([{name: value for name, value in each.items() if name != "maxTokens"} for each in self.CHAIN],
                             limits={"cost": 0.1})
        error = self.assert_error(reply, 422, "unprocessable")
        self.assertIn('step "s3"', error["error"])
        self.assertAlmostEqual(error["metadata"]["estimatedCost"], 0.12)
        self.assertEqual(self.model.calls, 3)

    def test_routes_and_aliases_have_the_prices_of_their_models(self):
        self.priced(rest="routes:\n  smart: { mode: fallback, targets: [one/m] }\nmodels: { other: { provider: one, model: m } }\n")
        for model in ("smart", "other"):
            before = self.model.calls
            reply = self.execute([step(f"p{n}", maxTokens=4, model=model) for n in range(6)], onError="continue",
                                 limits={"cost": 0.1})
            with self.subTest(model):
                self.assertEqual(self.model.calls - before, 2)
                self.assertAlmostEqual(reply.json()["metadata"]["estimatedCost"], 0.08)

    def test_a_kept_answer_costs_nothing(self):
        self.priced()
        steps = [step("s", cache=True, maxTokens=4)]
        self.done(steps)
        metadata = self.done(steps)["metadata"]
        self.assertEqual(metadata["estimatedCost"], 0)
        self.assertAlmostEqual(metadata["savedCost"], 0.04)

    def test_a_bound_on_calls_counts_items_and_tries(self):
        self.begin(in_turn(say(503), "well"), rest="workflows: { calls: 4 }\n")
        reply = self.execute([step("s", retry={"attempts": 2, "delay": 0}),
                              step("each", "{{item}}", dependsOn=["s"], forEach={"in": "{{input.list}}", "parallel": 1})],
                             {"list": [1, 2, 3]})
        error = self.assert_error(reply, 422, "unprocessable")
        self.assertIn("4 calls", error["error"])
        self.assertEqual((states(reply), self.model.calls), ({"s": "done", "each": "failed"}, 4))
        self.assertEqual(error["metadata"]["calls"], 4)

    def test_an_answer_of_10_mb_fails_its_step_alone(self):
        self.begin({"huge": lambda call: call.answer("x" * 10_000_000)})
        for asked in (self.execute, None):
            if asked:
                body = asked([step("huge"), step("b"), step("of-huge", "{{steps.huge.output}}")], onError="continue",
                             output="{{steps.b.output}}").json()
            else:
                stream = self.stream([step("huge"), step("b"), step("of-huge", "{{steps.huge.output}}")],
                                     onError="continue", output="{{steps.b.output}}")
                stream.start()
                body = json.loads(stream.read_all().split(b"event: workflow.done\ndata: ")[1])
            with self.subTest(asked):
                self.assertEqual(states(body), {"huge": "failed", "b": "done", "of-huge": "cancelled"})
                self.assertEqual((body["output"], body["metadata"]["status"]), ("b!", "partial"))
                self.assertIn("1048576", of_step(body, "huge")["error"]["error"])
                self.assertEqual(self.prompts.count("huge"), 1)
                self.model.asked.clear()

    def test_prompts_under_way_count_for_the_servers_memory(self):
        gate = Gate(lambda call: call.answer("well"))
        self.begin(gate, server=", memory: 32MiB")
        steps = [step("each", "{{input.x}}{{item}}", forEach={"in": "{{input.list}}", "parallel": 64})]
        stream = self.stream(steps, {"x": "y" * 1_000_000, "list": list(range(16))})
        stream.start()
        last = parse_events(stream.read_all())[-1]
        self.assertEqual((last[0], json.loads(last[1])["code"]), ("error", "overloaded"), last[1][:200])
        gate.open()
        # What was taken is given back.
        self.assertEqual(self.execute(steps, {"x": "y" * 1_000_000, "list": [1, 2, 3]}).status, 200)
        idle = b"\nlarder_bytes_in_flight 0\n"
        wait_until(lambda: idle in self.larder.get("/metrics").body, "nothing is in flight")

    def test_absurd_usage_does_not_overflow_the_sums(self):
        def absurd(call):
            body = {"id": "c", "object": "chat.completion", "created": 1, "model": call.model,
                    "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 922_337_203_685_477, "total_tokens": 1}}
            call.send_json(200, body)

        self.begin(absurd, keys="vendor: openai", rest="workflows: { cost: 1000000 }\n")
        body = self.execute([step(f"s{place}", model="one/gpt-4o") for place in range(16)], onError="continue").json()
        self.assertGreater(body["metadata"]["estimatedCost"], 9_000_000)
        self.assertNotIn(b"_dollars_total -", self.larder.get("/metrics").body)

    def test_a_list_of_outputs_and_a_prompt_have_bounds(self):
        self.begin(lambda call: call.answer("y" * 60_000), rest="workflows: { output: 64KiB, prompt: 128KiB }\n")
        each = step("each", "{{item}}", forEach={"in": "{{input.list}}", "parallel": 1})
        reply = self.execute([each], {"list": [1, 2, 3, 4, 5, 6]})
        self.assertIn("items' outputs", self.assert_error(reply, 422)["error"])
        self.assertLessEqual(self.model.calls, 5)
        calls = self.model.calls
        reply = self.execute([step("a"), step("b", "{{steps.a.output}}" * 3)])
        self.assertIn("131072", self.assert_error(reply, 422)["error"])
        self.assertEqual(self.model.calls, calls + 1)


class Ends(WorkflowTest):
    """What goes on after a failure, and what is told of it."""

    def test_stop_ends_what_runs_and_what_waits(self):
        leaving = Leaving()
        self.begin({"slow": leaving, "bad": lambda call: wait_until(lambda: self.model.calls == 2, "both") and call.refuse(400)})
        reply = self.execute([step("slow"), step("bad"), step("c", "{{steps.slow.output}}")])
        error = self.assert_error(reply, 502, "provider_error")
        self.assertIn('step "bad"', error["error"])
        self.assertEqual(states(reply), {"slow": "cancelled", "bad": "failed", "c": "cancelled"})
        wait_until(lambda: leaving.left, "the call is given up")

    def test_continue_ends_only_what_depends_on_it(self):
        self.begin({"bad": say(400)})
        body = self.done([step("bad"), step("of-bad", "{{steps.bad.output}}"), step("well"), step("last", "{{steps.well.output}}")],
                         onError="continue")
        self.assertEqual(states(body), {"bad": "failed", "of-bad": "cancelled", "well": "done", "last": "done"})
        self.assertEqual((body["output"], body["metadata"]["status"]), ("well!!", "partial"))
        self.assertIn("bad", of_step(body, "of-bad")["error"]["error"])

    def test_a_steps_own_choice_stands_before_the_workflows(self):
        self.begin({"bad": say(400)})
        body = self.done([step("bad", onError="continue"), step("well")], onError="stop")
        self.assertEqual(states(body), {"bad": "failed", "well": "done"})
        reply = self.execute([step("bad", onError="stop"), step("well", dependsOn=["well0"]), step("well0", "hang")],
                             onError="continue")
        self.assertEqual(states(reply)["bad"], "failed")
        self.assertNotEqual(reply.status, 200)

    def test_an_output_that_needs_a_failed_step_is_an_error_with_all_that_was_paid_for(self):
        self.begin({"bad": say(400)})
        reply = self.execute([step("well"), step("bad")], onError="continue", output="{{steps.well.output}}{{steps.bad.output}}")
        error = self.assert_error(reply, 502, "provider_error")
        self.assertIn('step "bad"', error["error"])
        self.assertEqual(error["metadata"]["status"], "failed")
        self.assertEqual(of_step(error, "well")["output"], "well!")
        self.assertEqual(error["metadata"]["estimatedTokens"], 7)
        self.assertEqual(error["metadata"]["requestId"], error["requestId"])

    def test_one_item_that_fails_fails_its_step(self):
        self.begin({"2": say(400)})
        reply = self.execute([step("each", "{{item}}", forEach={"in": "{{input.list}}", "parallel": 1})], {"list": [1, 2, 3]})
        self.assertEqual((states(reply), self.prompts), ({"each": "failed"}, ["1", "2"]))

    def test_a_client_that_leaves_ends_its_calls(self):
        leaving = Leaving()
        self.begin(leaving)
        stream = self.stream([step("a"), step("b"), step("c", "{{steps.a.output}}")])
        wait_until(lambda: self.model.calls == 2, "both are asked")
        stream.start()
        left = time.monotonic()
        stream.close()
        wait_until(lambda: len(leaving.left) == 2, "both are given up")
        self.assertLess(max(leaving.left) - left, 1 if DEADLINE == 20 else DEADLINE)
        self.assertEqual(self.model.calls, 2)

    def test_what_is_under_way_is_done_before_the_program_ends(self):
        gate = Gate()
        self.begin(gate)
        stream = self.stream([step("a"), step("b", "{{steps.a.output}}")])
        wait_until(lambda: len(gate.seen) == 1, "it is asked")
        stream.start()
        self.larder.process.send_signal(signal.SIGTERM)
        wait_until(lambda: any(line.get("msg") == "stopping" for line in self.larder.log()), "it is stopping")
        gate.open()
        self.assertIn(b"workflow.done", stream.read_all())
        self.assertEqual(self.larder.stop(), 0)

    def test_a_client_that_leaves_before_a_plain_reply_ends_its_calls(self):
        leaving = Leaving()
        self.begin(leaving)
        client = Stream(self.larder.address, "/llm/execute-workflow", {"workflow": {"steps": [step("a"), step("b")]}})
        wait_until(lambda: self.model.calls == 2, "both are asked")
        client.close()
        wait_until(lambda: len(leaving.left) == 2, "both are given up")
        self.assertEqual(self.larder.get("/health").status, 200)


if __name__ == "__main__":
    unittest.main()
