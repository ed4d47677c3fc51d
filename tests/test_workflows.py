"""Workflows: the worked examples, what runs together and what waits, what texts become, and what is kept."""
import hashlib
import json
import unittest

from harness import ROOT, parse_events, wait_until
from route_targets import say
from workflow_targets import (EXAMPLES, Gate, NO_LIMITS, WorkflowTest, example, in_turn, of_step, prompt_of, script,
                              states, step, system_of)


class Examples(WorkflowTest):
    """The five that users begin with, from end to end."""

    def run_example(self, name, behave):
        workflow, value = example(name)
        self.begin(behave)
        reply = self.post({"workflow": workflow, "input": value})
        self.assertEqual(reply.status, 200, reply.body)
        body = reply.json()
        self.assertEqual(body["metadata"]["status"], "done")
        self.assertEqual([each["id"] for each in body["steps"]], [each["id"] for each in workflow["steps"]])
        return body, value

    def test_there_are_five_each_with_an_input(self):
        names = sorted(path.name.removesuffix(".json") for path in EXAMPLES.glob("*.json")
                       if not path.name.endswith(".input.json"))
        self.assertEqual(names, ["classify-and-route", "draft-review-revise", "extract-invoice", "opinions-and-vote",
                                 "summarize-documents"])
        for name in names:
            example(name)

    def test_draft_review_revise(self):
        body, value = self.run_example("draft-review-revise", in_turn("a draft", "two faults", "the revision"))
        self.assertEqual(body["output"], "the revision")
        draft, review, revise = self.prompts
        self.assertIn(value["topic"], draft)
        self.assertIn("<text>\na draft\n</text>", review)
        self.assertIn("<text>\na draft\n</text>\n\n<review>\ntwo faults\n</review>", revise)
        first = self.model.asked[0]
        self.assertIn("You are a writer", system_of(first))
        self.assertEqual((first.body["temperature"], first.body["max_tokens"]), (0.8, 1000))

    def test_classify_and_route(self):
        for kind, skipped in (("bug", "request"), ("request", "bug")):
            def behave(call, kind=kind):
                if "Sort this message" in prompt_of(call):
                    return call.answer(json.dumps({"kind": kind, "language": "Dutch"}))
                return call.answer("Dag!" if "friendly reply" in prompt_of(call) else f"answer to a {kind}")

            with self.subTest(kind):
                body, value = self.run_example("classify-and-route", behave)
                self.assertEqual(body["output"], "Dag!")
                self.assertEqual(states(body), {"classify": "done", kind: "done", skipped: "skipped", "reply": "done"})
                self.assertIsNone(of_step(body, skipped)["output"])
                self.assertEqual(of_step(body, "classify")["json"], {"kind": kind, "language": "Dutch"})
                self.assertEqual(self.model.calls, 3)
                self.assertTrue(self.prompts[2].endswith(f"\n\nanswer to a {kind}"), self.prompts[2])
                self.assertIn("reply in Dutch,", self.prompts[2])
                self.assertIn(value["message"], self.prompts[1])

    def test_summarize_documents(self):
        def behave(call):
            for number, title in enumerate(("3rd", "9th", "21st")):
                if f'title="Report of the {title}"' in prompt_of(call):
                    return call.answer(f"summary {number}")
            return call.answer("The log-in page, by a certificate.")

        body, value = self.run_example("summarize-documents", behave)
        self.assertEqual(body["output"], "The log-in page, by a certificate.")
        self.assertEqual(of_step(body, "summarize")["output"], '["summary 0","summary 1","summary 2"]')
        self.assertEqual(of_step(body, "summarize")["metadata"]["calls"], 3)
        self.assertTrue(self.prompts[-1].endswith('["summary 0","summary 1","summary 2"]'))
        self.assertIn(value["documents"][0]["text"], "".join(self.prompts))

    def test_extract_invoice_with_a_repair(self):
        facts = {"number": "2026-0417", "date": "2026-05-04", "due": "2026-05-18", "seller": "Harbour Coffee",
                 "currency": "EUR", "lines": [{"text": "house blend", "quantity": 12, "amount": 216}], "total": 315.5}
        self.run_example("extract-invoice", in_turn(json.dumps({**facts, "currency": "euro"}),
                                                    "Here it is:\n```json\n" + json.dumps(facts) + "\n```"))
        self.assertEqual(self.model.calls, 2)
        self.assertIn("/currency", self.prompts[1])
        reply = self.post(dict(zip(("workflow", "input"), example("extract-invoice"))))
        self.assertEqual(json.loads(reply.json()["output"]), facts)

    def test_opinions_and_vote(self):
        vote = {"yes": 1, "no": 3, "decision": "no", "reason": "The season is too near."}

        def behave(call):
            if "Count their votes" in prompt_of(call):
                return call.answer(json.dumps(vote))
            return call.answer(system_of(call)[:20] + "… VOTE: no")

        body, _ = self.run_example("opinions-and-vote", behave)
        self.assertEqual(body["output"], "no (1 to 3): The season is too near.")
        self.assertEqual(self.prompts[-1].count("VOTE: no"), 4)

    def test_an_adviser_who_fails_leaves_only_the_vote_out(self):
        workflow, value = example("opinions-and-vote")
        self.begin(lambda call: call.refuse(400) if "speak for the customers" in system_of(call) else call.answer("ok"))
        reply = self.post({"workflow": workflow, "input": value})
        body = reply.json()
        self.assertEqual(states(body), {"cost": "done", "risk": "done", "customers": "failed", "opponent": "done",
                                        "vote": "cancelled"})
        self.assertEqual(of_step(body, "opponent")["output"], "ok")
        self.assertIn('step "customers"', body["error"])
        self.assertEqual(body["metadata"]["status"], "failed")


class Order(WorkflowTest):
    def ask_behind(self, gate, steps, seen, value=None):
        """Begins a workflow in a stream of its own and waits for so many prompts to be held."""
        self.begin(gate)
        stream = self.stream(steps, value)
        wait_until(lambda: len(gate.seen) >= seen, f"{seen} calls are held")
        self.assertEqual(len(gate.seen), seen)
        return stream

    def test_what_can_run_together_does(self):
        gate = Gate()
        stream = self.ask_behind(gate, [step("a"), step("b"), step("c"), step("d"),
                                        step("last", "{{steps.a.output}}{{steps.b.output}}{{steps.c.output}}")], 4)
        self.assertEqual((sorted(gate.seen), gate.answered), (["a", "b", "c", "d"], []))
        gate.open()
        stream.start()
        self.assertIn(b'"output":"a!b!c!!"', stream.read_all())

    def test_what_depends_waits_for_all_it_depends_on(self):
        gate = Gate()
        stream = self.ask_behind(gate, [step("last", dependsOn=["a", "b"]), step("a"), step("b")], 2)
        self.assertEqual(sorted(gate.seen), ["a", "b"])
        gate.let_go()
        wait_until(lambda: len(gate.answered) == 1, "one is answered")
        stream.start()
        stream.read_until("event: step.done")
        self.assertEqual(len(gate.seen), 2)
        gate.let_go()
        wait_until(lambda: len(gate.seen) == 3, "the last one is asked")
        self.assertEqual((gate.seen[2], sorted(gate.answered)), ("last", ["a", "b"]))
        gate.open()
        # The one that is written last, not the one that ran last.
        self.assertIn(b'{"output":"b!"', stream.read_all())

    def test_one_branch_does_not_wait_for_the_other(self):
        gate = Gate()
        self.begin(lambda call: gate(call) if prompt_of(call) == "slow" else call.answer(prompt_of(call) + "!"))
        stream = self.stream([step("slow"), step("quick"), step("next", "{{steps.quick.output}}"),
                              step("more", "{{steps.next.output}}")])
        wait_until(lambda: self.model.calls == 4, "the quick branch is through")
        self.assertEqual((gate.held, gate.answered), (1, []))
        gate.open()
        stream.start()
        self.assertIn(b"workflow.done", stream.read_all())

    def test_for_each_has_a_bound_on_what_runs_at_once(self):
        gate = Gate()
        items = [f"i{number}" for number in range(9)]
        stream = self.ask_behind(gate, [step("each", "{{item}}", forEach={"in": "{{input.list}}", "parallel": 3})], 3,
                                 {"list": items})
        for count in range(4, 10):
            gate.let_go()
            wait_until(lambda count=count: len(gate.seen) == count, f"{count} calls")
        gate.open()
        stream.start()
        body = json.loads(stream.read_all().split(b"event: workflow.done\ndata: ")[1])
        self.assertEqual(json.loads(body["output"]), [f"{item}!" for item in items])
        self.assertEqual((gate.most, sorted(gate.seen)), (3, items))

    def test_four_items_at_once_where_nothing_is_said(self):
        gate = Gate()
        self.ask_behind(gate, [step("each", "{{item}}", forEach={"in": "{{input.list}}"})], 4, {"list": [1, 2, 3, 4, 5, 6]})
        gate.let_go()
        wait_until(lambda: len(gate.seen) == 5, "the next one")
        self.assertEqual(gate.most, 4)
        gate.open()

    def test_all_steps_together_have_the_configurations_bound(self):
        gate = Gate()
        self.begin(gate, rest="workflows: { parallel: 2 }\n")
        stream = self.stream([step(f"s{number}") for number in range(5)])
        for count in range(2, 6):
            wait_until(lambda count=count: len(gate.seen) == count, f"{count} calls")
            gate.let_go()
        gate.open()
        stream.start()
        self.assertIn(b"workflow.done", stream.read_all())
        self.assertEqual(gate.most, 2)


class Texts(WorkflowTest):
    def test_inputs_and_their_members(self):
        self.begin()
        self.done([step("a", "{{input.text}}|{{ input.deep.list.1.x }}|{{input.deep}}|{{input[\"odd name\"]}}|{{input.none}}|")],
                  {"text": 'x "y"', "deep": {"list": [1, {"x": True}]}, "odd name": 1.50, "none": None})
        self.assertEqual(self.prompts, ['x "y"|true|{"list": [1, {"x": true}]}|1.5||'])

    def test_outputs_and_their_json(self):
        self.begin({"one": '{"list": ["x", {"y": 2}], "n": null}', "two": "plain"})
        body = self.done([step("one"), step("two"),
                          step("three", "{{steps.one.json.list.0}}|{{steps.one.json.list.1}}|{{steps.one.json.n}}|"
                                        "{{steps.two.output}}|{{steps.one.output}}")],
                         output="{{steps.one.json.list.1.y}} and {{input.x}}", value={"x": "in"})
        self.assertEqual(body["output"], "2 and in")
        self.assertEqual(self.prompts[-1], 'x|{"y": 2}||plain|{"list": ["x", {"y": 2}], "n": null}')

    def test_items_and_their_index(self):
        self.begin()
        body = self.done([step("a", "{{index}}: {{item.name}} of {{input.all.1.name}}",
                               forEach={"in": "{{input.all}}", "parallel": 1})],
                         {"all": [{"name": "x"}, {"name": "y"}]})
        self.assertEqual(self.prompts, ["0: x of y", "1: y of y"])
        self.assertEqual(json.loads(body["output"]), ["0: x of y!", "1: y of y!"])

    def test_messages_and_a_system(self):
        self.begin()
        self.done([{"id": "a", "system": "Be {{input.how}}.", "temperature": 0.25, "maxTokens": 77,
                    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "{{input.how}}?"},
                                 {"role": "user", "content": "{{input.how}}"}]}], {"how": "brief"})
        body = self.model.asked[0].body
        self.assertEqual([(each["role"], each["content"]) for each in body["messages"]],
                         [("system", "Be brief."), ("user", "Hi"), ("assistant", "brief?"), ("user", "brief")])
        self.assertEqual((body["temperature"], body["max_tokens"]), (0.25, 77))

    def test_braces_in_an_input_stay_text(self):
        tricky = "{{input.secret}} {{steps.a.output}} {{item}} {{ \\{{ }} {{unknown"
        self.begin({"a": "fine"})
        body = self.done([step("a"), step("b", "{{input.x}}"),
                          step("c", "{{item}}", forEach={"in": "{{input.list}}"})],
                         {"x": tricky, "list": [tricky], "secret": "S"}, output="{{input.x}}")
        self.assertEqual(self.prompts.count(tricky), 2)
        self.assertEqual(body["output"], tricky)

    def test_braces_in_an_output_stay_text(self):
        tricky = "{{input.secret}} {{steps.a.output}} {{ }} {{"
        self.begin({"a": tricky, "j": json.dumps({"x": tricky, "list": [tricky]})})
        body = self.done([step("a"), step("j"), step("b", "{{steps.a.output}}"), step("c", "{{steps.j.json.x}}"),
                          step("d", "{{item}}", forEach={"in": "{{steps.j.json.list}}"})],
                         {"secret": "S"}, output="{{steps.a.output}}|{{steps.d.output}}")
        self.assertEqual(self.prompts.count(tricky), 3)
        self.assertEqual(body["output"], tricky + "|" + json.dumps([tricky + "!"]))

    def test_a_backslash_writes_braces(self):
        self.begin()
        self.done([step("a", "\\{{input.x}} {{input.x}}")], {"x": "1"})
        self.assertEqual(self.prompts, ["{{input.x}} 1"])

    def test_a_reference_that_leads_nowhere_fails_its_step_alone(self):
        self.begin({"a": "no JSON", "j": '{"x": 1}'})
        reply = self.execute([step("a"), step("j"), step("b", "{{steps.a.json.x}}"), step("c", "{{steps.j.json.y}}"),
                              step("d", "{{steps.j.json.x}}")], onError="continue")
        self.assertEqual(states(reply), {"a": "done", "j": "done", "b": "failed", "c": "failed", "d": "done"})
        self.assertIn("steps.a.json.x", of_step(reply.json(), "b")["error"]["error"])
        self.assertIn("steps.j.json.y", of_step(reply.json(), "c")["error"]["error"])
        self.assertEqual(self.model.calls, 3)


class Branches(WorkflowTest):
    def test_a_condition_that_does_not_hold_skips_its_step_and_what_needs_it_alone(self):
        self.begin({"a": '{"kind": "x", "score": 7}'})
        body = self.done([
            step("a"),
            step("x", when={"value": "{{steps.a.json.kind}}", "equals": "x"}),
            step("y", when={"value": "{{steps.a.json.kind}}", "equals": "y"}),
            step("of-y", "{{steps.y.output}}"),
            step("of-both", "[{{steps.x.output}}{{steps.y.output}}]")])
        self.assertEqual(states(body), {"a": "done", "x": "done", "y": "skipped", "of-y": "skipped", "of-both": "done"})
        self.assertEqual(body["output"], "[x!]!")
        self.assertEqual((sorted(self.prompts), body["metadata"]["status"]), (["[x!]", "a", "x"], "done"))

    def test_each_operator(self):
        value = {"n": 5, "text": "a cat", "list": [1, "two"], "none": None, "number": "12"}
        conditions = [
            ({"value": "{{input.n}}", "equals": 5.0}, True), ({"value": "{{input.n}}", "notEquals": 5}, False),
            ({"value": "{{input.text}}", "in": ["a dog", "a cat"]}, True), ({"value": "{{input.n}}", "in": ["5"]}, False),
            ({"value": "{{input.text}}", "contains": "cat"}, True), ({"value": "{{input.list}}", "contains": "two"}, True),
            ({"value": "{{input.list}}", "contains": "t"}, False), ({"value": "{{input.text}}", "matches": "^a c.t$"}, True),
            ({"value": "{{input.text}}", "matches": "^cat"}, False), ({"value": "{{input.none}}", "exists": True}, True),
            ({"value": "{{input.gone}}", "exists": True}, False), ({"value": "{{input.gone}}", "exists": False}, True),
            ({"value": "{{input.gone}}", "equals": None}, False), ({"value": "{{input.n}}", "greaterThan": 5}, False),
            ({"value": "{{input.n}}", "atLeast": 5}, True), ({"value": "{{input.number}}", "greaterThan": 9}, True),
            ({"value": "{{input.n}}", "lessThan": 5.5}, True), ({"value": "{{input.n}}", "atMost": 4}, False),
            ({"not": {"value": "{{input.n}}", "equals": 5}}, False),
            ({"all": [{"value": "{{input.n}}", "equals": 5}, {"value": "{{input.text}}", "contains": "dog"}]}, False),
            ({"any": [{"value": "{{input.n}}", "equals": 5}, {"value": "{{input.text}}", "contains": "dog"}]}, True)]
        self.begin()
        body = self.done([step(f"s{number}", when=condition) for number, (condition, _) in enumerate(conditions)], value)
        for number, (condition, holds) in enumerate(conditions):
            self.assertEqual(of_step(body, f"s{number}")["status"], "done" if holds else "skipped", condition)

    def test_the_output_of_a_skipped_last_step_is_none(self):
        self.begin()
        body = self.done([step("a"), step("b", when={"value": "{{steps.a.output}}", "equals": "never"})])
        self.assertEqual((body["output"], states(body)), (None, {"a": "done", "b": "skipped"}))

    def test_an_empty_list_asks_nobody(self):
        self.begin()
        body = self.done([step("a", "{{item}}", forEach={"in": "{{input.list}}"})], {"list": []})
        self.assertEqual((body["output"], states(body), self.model.calls), ("[]", {"a": "done"}, 0))

    def test_a_list_that_a_step_made(self):
        self.begin({"list": '["x", {"y": 1}]'})
        body = self.done([step("list"), step("each", "{{item}}", forEach={"in": "{{steps.list.json}}", "parallel": 1})])
        self.assertEqual(json.loads(body["output"]), ["x!", '{"y": 1}!'])

    def test_what_is_no_list_and_a_list_that_is_too_long_fail_their_step(self):
        self.begin({"a": '{"x": 1}'}, rest="workflows: { items: 3 }\n")
        for each, where, value in (({"in": "{{steps.a.json}}"}, "needs a list", None),
                                   ({"in": "{{input.list}}"}, "at most 3", {"list": [1, 2, 3, 4]}),
                                   ({"in": "{{input.list}}", "maxItems": 2}, "at most 2", {"list": [1, 2, 3]})):
            with self.subTest(each):
                reply = self.execute([step("a"), step("b", "no {{item}}", forEach=each)], value, onError="continue")
                self.assertEqual(states(reply), {"a": "done", "b": "failed"})
                self.assertIn(where, of_step(reply.json(), "b")["error"]["error"])
                self.assertFalse([prompt for prompt in self.prompts if prompt.startswith("no")])


class Kept(WorkflowTest):
    """What of a workflow is kept, and what it counts as."""

    def test_only_steps_that_say_so(self):
        self.begin(lambda call: call.answer(f"{prompt_of(call)} {call.provider.calls}"))
        steps = [step("kept", cache=True), step("fresh"), step("each", "e{{item}}", cache=True,
                                                              forEach={"in": "{{input.list}}", "parallel": 1})]
        first = self.done(steps, {"list": [1, 2]})
        self.assertEqual(self.model.calls, 4)
        second = self.done(steps, {"list": [1, 2, 3]})
        self.assertEqual(sorted(self.prompts[4:]), ["e3", "fresh"])
        self.assertEqual([of_step(body, "kept")["metadata"]["cached"] for body in (first, second)], [False, True])
        self.assertEqual([of_step(body, "fresh")["metadata"]["cached"] for body in (first, second)], [False, False])
        self.assertEqual(of_step(second, "kept")["output"], of_step(first, "kept")["output"])
        self.assertNotEqual(of_step(second, "fresh")["output"], of_step(first, "fresh")["output"])
        each = of_step(second, "each")["metadata"]
        self.assertEqual((each["cached"], each["cache"]), (False, ["hit", "hit", "miss"]))
        self.assertEqual(of_step(first, "fresh")["metadata"]["cache"], ["bypass"])

    def test_entries_are_those_of_generate(self):
        self.begin(lambda call: call.answer(f"answer {call.provider.calls}"))
        plain = self.larder.generate("shared", model="one/m").json()
        body = self.done([step("a", "shared", cache=True, model="one/m")])
        self.assertEqual((body["output"], self.model.calls), (plain["text"], 1))

    def test_equal_steps_at_once_share_a_call_only_where_they_are_kept(self):
        for cache, calls in ((True, 1), (False, 3)):
            gate = Gate(lambda call: call.answer("same"))
            self.begin(gate)
            stream = self.stream([step(f"s{n}", "same", cache=cache) for n in range(3)])
            wait_until(lambda gate=gate, calls=calls: len(gate.seen) == calls, f"{calls} calls")
            gate.open()
            stream.start()
            last = json.loads(stream.read_all().split(b"event: workflow.done\ndata: ")[1])
            with self.subTest(cache=cache):
                self.assertEqual(self.model.calls, calls)
                outcomes = sorted(outcome for each in last["steps"] for outcome in each["metadata"]["cache"])
                self.assertEqual(outcomes, ["coalesced", "coalesced", "miss"] if cache else ["bypass"] * 3)

    def test_headers_that_steer_the_cache_or_a_route_do_not_count(self):
        self.begin()
        steps = [step("a", cache=True)]
        self.done(steps)
        for headers in ({"cache-control": "no-cache"}, {"cache-control": "no-store"}, {"x-larder-variant": "x"},
                        {"x-larder-ttl": "0"}, {"x-larder-route": "fallback"}):
            self.assertEqual(of_step(self.done(steps, headers=headers), "a")["metadata"]["cache"], ["hit"], headers)
        self.assertEqual(self.model.calls, 1)

    def test_entries_are_the_namespaces(self):
        keys = ", ".join(f'{{ name: {name}, sha256: "{hashlib.sha256(name.encode()).hexdigest()}", scopes: [llm] }}'
                         for name in ("x", "y"))
        self.begin(lambda call: call.answer(f"answer {call.provider.calls}"), rest=f"auth: {{ mode: keys, keys: [{keys}] }}\n")
        outputs = [self.execute([step("a", cache=True)], headers={"authorization": f"Bearer {key}"}).json()["output"]
                   for key in ("x", "y", "x", "y")]
        self.assertEqual(outputs, ["answer 1", "answer 2", "answer 1", "answer 2"])

    def test_statistics_count_what_steps_asked_for(self):
        self.begin()
        steps = [step("kept", cache=True), step("fresh")]
        for _ in range(2):
            self.done(steps)
        stats = self.larder.get("/llm/cache/stats").json()
        self.assertEqual((stats["hits"], stats["misses"], stats["bypassed"], stats["providerCalls"]), (1, 1, 2, 3))

    def test_the_log_has_a_line_and_no_text(self):
        self.begin({"secret prompt": "secret answer"})
        self.done([step("secret-step", "secret prompt", system="secret system")], {"x": "secret input"})
        line = wait_until(lambda: [line for line in self.larder.log() if "/llm/execute-workflow" in json.dumps(line)], "the line")
        self.assertEqual(len(line), 1)
        self.assertNotIn("secret", self.larder.text())

    def test_the_request_itself_is_never_kept(self):
        self.begin(lambda call: call.answer(f"answer {call.provider.calls}"))
        replies = [self.execute([step("a")]) for _ in range(2)]
        self.assertEqual([reply.json()["output"] for reply in replies], ["answer 1", "answer 2"])
        for reply in replies:
            self.assertNotIn("age", reply.headers)
            self.assertNotIn(reply.cache, ("hit", "stale", "coalesced"))

    def test_a_workflow_counts_once(self):
        self.begin(limits="limits: { llm: { max: 2, window: 60s }, standard: { max: 0 } }\n")
        steps = [step(f"s{number}") for number in range(5)]
        first = self.execute(steps)
        self.assertEqual((first.status, first.headers["x-ratelimit-remaining"]), (200, "1"))
        self.assertEqual(self.execute(steps).status, 200)
        error = self.assert_error(self.execute(steps), 429, "rate_limited")
        self.assertGreaterEqual(error["retryAfter"], 1)
        self.assertEqual(self.model.calls, 10)

    def test_the_scope_llm_is_needed(self):
        keys = ", ".join(f'{{ name: {name}, sha256: "{hashlib.sha256(name.encode()).hexdigest()}", scopes: [{name}] }}'
                         for name in ("llm", "stats"))
        self.begin(rest=f"auth: {{ mode: keys, keys: [{keys}] }}\n", limits=NO_LIMITS)
        for key, status in ((None, 401), ("wrong", 401), ("stats", 403), ("llm", 200)):
            headers = {"authorization": f"Bearer {key}"} if key else {}
            with self.subTest(key):
                self.assertEqual(self.execute([step("a")], headers=headers).status, status)
                self.assertEqual(self.larder.request("GET", "/llm/workflow/schema", headers=headers).status, status)
                wish = {"description": ""} if key == "llm" else {"description": "anything"}
                self.assertEqual(self.larder.request("POST", "/llm/workflow/generate", wish, headers).status,
                                 400 if key == "llm" else status)
        self.assertEqual(self.model.calls, 1)


class Providers(WorkflowTest):
    def test_two_apis_in_one_stream(self):
        one, claude = self.provider("one", script({})), self.provider("a-two", script({}))
        self.larder = self.start_larder(self.configure({"one": one, "a-two": claude}))
        stream = self.stream([step("a", "hello you"), step("b", "{{steps.a.output}}", model="a-two/k")])
        stream.start()
        events = [(name, json.loads(data)) for name, data in parse_events(stream.read_all())]
        for name, text in (("a", "hello you!"), ("b", "hello you!!")):
            self.assertEqual("".join(data["text"] for event, data in events
                                     if event == "step.delta" and data["id"] == name), text)
        self.assertEqual((events[-1][0], events[-1][1]["output"]), ("workflow.done", "hello you!!"))

    def test_two_apis_in_one_workflow(self):
        one, claude = self.provider("one", script({})), self.provider("a-two", script({}))
        self.larder = self.start_larder(self.configure({"one": one, "a-two": claude}))
        body = self.done([step("a", "hello", model="one/m"),
                          step("b", "{{steps.a.output}}", provider="a-two", model="k", system="Be kind.", maxTokens=9)])
        self.assertEqual(body["output"], "hello!!")
        self.assertEqual((one.asked[0].path, claude.asked[0].path), ("/v1/chat/completions", "/v1/messages"))
        asked = claude.asked[0]
        self.assertEqual((asked.model, asked.body["max_tokens"], system_of(asked), prompt_of(asked)),
                         ("k", 9, "Be kind.", "hello!"))
        metadata = [of_step(body, name)["metadata"] for name in "ab"]
        self.assertEqual([(each["provider"], each["model"], each["estimatedTokens"]) for each in metadata],
                         [("one", "m", 7), ("a-two", "k", 7)])
        self.assertEqual((body["metadata"]["estimatedTokens"], body["metadata"]["calls"]), (14, 2))

    def test_a_route_as_a_steps_model(self):
        one, two = self.provider("one", lambda call: call.refuse(500)), self.provider("two", script({}))
        self.larder = self.start_larder(self.configure(
            {"one": one, "two": two}, rest="routes:\n  smart: { mode: fallback, targets: [one/m, two/n] }\n"))
        body = self.done([step("a", model="smart"), step("b", "{{steps.a.output}}", model="smart")])
        self.assertEqual((body["output"], one.calls, two.models), ("a!!", 2, ["n", "n"]))
        metadata = of_step(body, "a")["metadata"]
        self.assertEqual((metadata["provider"], metadata["model"], metadata["calls"]), ("two", "n", 1))

    def test_a_routing_mode_of_a_step(self):
        one, two = self.provider("one", lambda call: call.refuse(503)), self.provider("two", script({}))
        self.larder = self.start_larder(self.configure({"one": one, "two": two}, keys="models: [m]"))
        body = self.done([step("a", model="m", routingMode="fallback")])
        self.assertEqual((body["output"], one.calls, two.calls), ("a!", 1, 1))


class Documents(WorkflowTest):
    """What the documents show runs as it stands there."""

    def test_the_request_of_workflows_md(self):
        text = (ROOT / "docs" / "workflows.md").read_text()
        request = json.loads(text.partition("```json\n")[2].partition("```")[0])

        def behave(call):
            if "Which topics" in prompt_of(call):
                return call.answer('{"topics": ["price", "complaint"]}')
            return call.answer(prompt_of(call).partition("\n")[0])

        one = self.provider("one", behave)
        self.larder = self.start_larder(self.configure({"one": one, "openai": one}))
        reply = self.post(request)
        self.assertEqual((reply.status, one.calls), (200, 5), reply.body)
        self.assertEqual(reply.json()["output"], "Make one letter of these:")
        self.assertEqual(json.loads(of_step(reply.json(), "answers")["output"]),
                         ["Answer on price alone:", "Answer on complaint alone:"])

    def test_the_command_of_api_md(self):
        text = (ROOT / "docs" / "api.md").read_text()
        command = text.partition("/llm/execute-workflow -H")[2].partition("-d '")[2].partition("'")[0]
        self.begin(in_turn("a paragraph", "A Cup of Calm"))
        reply = self.post(command)
        self.assertEqual((reply.status, reply.json()["output"]), (200, "A Cup of Calm"), reply.body)

    def test_every_member_of_a_reply_is_named(self):
        text = (ROOT / "docs" / "workflows.md").read_text()
        self.begin({"bad": say(400)})
        body = self.done([step("a"), step("bad")], onError="continue", output="{{steps.a.output}}")
        names = {name for each in body["steps"] for name in (*each, *each["metadata"])} | {*body, *body["metadata"]}
        self.assertEqual([name for name in sorted(names) if f'"{name}"' not in text and f"`{name}`" not in text], [])


class Schema(WorkflowTest):
    def published(self):
        self.begin()
        reply = self.larder.get("/llm/workflow/schema")
        self.assertEqual((reply.status, reply.headers["content-type"]), (200, "application/schema+json"))
        return reply.json()

    def test_is_published(self):
        schema = self.published()
        self.assertEqual(schema["$schema"], "https://json-schema.org/draft/2020-12/schema")
        self.assertEqual(schema["required"], ["steps"])
        self.assertEqual(self.model.calls, 0)

    def test_the_examples_are_valid_by_it_and_wrong_ones_are_not(self):
        try:
            import jsonschema
        except ImportError:
            self.skipTest("python3-jsonschema is missing")
        validator = jsonschema.Draft202012Validator(self.published())
        for path in EXAMPLES.glob("*.json"):
            if not path.name.endswith(".input.json"):
                validator.validate(json.loads(path.read_text()))
        for wrong in ({}, {"steps": []}, {"steps": [{"id": "a"}]}, {"steps": [step("a", more=1)]},
                      {"steps": [step("a", messages=[])]}, {"steps": [step("a b")]}, {"steps": [step("a")], "x": 1}):
            self.assertFalse(validator.is_valid(wrong), wrong)


if __name__ == "__main__":
    unittest.main()
