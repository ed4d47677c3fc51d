"""Workflows that a model writes: its answers, its errors given back, and what is refused."""
import json
import unittest

from harness import Stream, wait_until
from route_targets import say
from workflow_targets import Leaving, WorkflowTest, in_turn, said, script, step, system_of

GOOD = {"steps": [step("draft", "Write about {{input.topic}}.", maxTokens=4), step("revise", "Mend: {{steps.draft.output}}", maxTokens=4)]}
CYCLE = {"steps": [step("a", "{{steps.b.output}}"), step("b", "{{steps.a.output}}")]}
UNKNOWN = {"steps": [step("a", "{{steps.nobody.output}}")]}


def written(workflow):
    return json.dumps({"workflow": workflow})


class Generation(WorkflowTest):
    def wish(self, description="Draft and revise a text about a topic.", **more):
        return self.larder.request("POST", "/llm/workflow/generate", {"description": description, **more})

    def test_a_good_answer_is_taken_at_once_and_can_be_executed(self):
        self.begin(in_turn(written(GOOD), "draft", "revised"))
        reply = self.wish()
        self.assertEqual(reply.status, 200, reply.body)
        body = reply.json()
        self.assertEqual(body["workflow"], GOOD)
        self.assertEqual((body["metadata"]["attempts"], body["metadata"]["model"], body["metadata"]["provider"]), (1, "m", "one"))
        self.assertEqual(body["metadata"]["estimatedTokens"], 7)
        asked = self.model.asked[0]
        self.assertIn('"$schema"', system_of(asked))
        self.assertIn("Draft and revise a text about a topic.", said(asked)[0][1])
        self.assertNotIn("response_format", asked.body)
        run = self.post({"workflow": body["workflow"], "input": {"topic": "tea"}})
        self.assertEqual((run.status, run.json()["output"]), (200, "revised"))

    def test_the_schema_that_the_model_sees_is_the_published_one(self):
        self.begin(in_turn(written(GOOD)))
        self.wish()
        self.assertIn(self.larder.get("/llm/workflow/schema").body.decode().strip(), system_of(self.model.asked[0]))

    def test_other_forms_of_an_answer(self):
        for text in (json.dumps(GOOD), f"Here you are:\n```json\n{written(GOOD)}\n```\nGood luck!", f"```\n{json.dumps(GOOD)}\n```"):
            with self.subTest(text[:30]):
                self.begin(in_turn(text))
                self.assertEqual(self.wish().json().get("workflow"), GOOD)
                self.assertEqual(self.model.calls, 1)

    def test_errors_are_given_back_twice(self):
        self.begin(in_turn(written(CYCLE), written(UNKNOWN), written(GOOD)))
        body = self.wish().json()
        self.assertEqual((body["workflow"], body["metadata"]["attempts"], self.model.calls), (GOOD, 3, 3))
        self.assertEqual(body["metadata"]["estimatedTokens"], 21)
        second, third = (said(call) for call in self.model.asked[1:])
        self.assertEqual([role for role, _ in second], ["user", "assistant", "user"])
        self.assertEqual(second[1][1], written(CYCLE))
        self.assertIn("steps", second[2][1])
        self.assertEqual(len(third), 5)
        self.assertIn("nobody", third[4][1])
        self.assertEqual(third[:3], second)

    def test_what_the_model_is_told(self):
        for answer, words in (("I can't.", "JSON"), ("{}", "workflow"), (written({"steps": []}), "/steps"),
                              (written({"steps": [step("a", more=1)]}), "more"), (written({"steps": [step("a", model="no-such")]}), "no-such"),
                              (written({"steps": [step("a", "{{input.gone}}")]}), "gone"), (written({"steps": [step("a", "{{oops}}")]}), "steps[0].prompt")):
            with self.subTest(answer):
                self.begin(in_turn(answer, written(GOOD)))
                self.assertEqual(self.wish(input={"topic": "tea"}).status, 200)
                self.assertIn(words, said(self.model.asked[1])[-1][1])

    def test_three_wrong_ones_are_a_422(self):
        self.begin(in_turn(written(CYCLE)))
        error = self.assert_error(self.wish(), 422, "workflow_invalid")
        self.assertIn("steps", error["error"])
        self.assertEqual(self.model.calls, 3)

    def test_an_impossible_one_is_a_422_with_the_reason(self):
        self.begin(in_turn(json.dumps({"impossible": "Steps can't send mail."})))
        error = self.assert_error(self.wish("Send a mail every Monday."), 422, "workflow_impossible")
        self.assertIn("Steps can't send mail.", error["error"])
        self.assertEqual(self.model.calls, 1)

    def test_a_sample_input_is_shown_and_must_fit(self):
        self.begin(in_turn(written(GOOD), written({"steps": [step("a", "{{input.subject}}")]})))
        self.assertEqual(self.wish(input={"subject": "tea"}).json()["workflow"]["steps"][0]["id"], "a")
        self.assertIn('{"subject": "tea"}', said(self.model.asked[0])[0][1])
        self.assertIn("input.topic", said(self.model.asked[1])[-1][1])

    def test_structured_output_is_asked_for_where_the_provider_has_it(self):
        self.begin(in_turn(written(GOOD)), keys="structured_outputs: true")
        self.assertEqual(self.wish().json()["workflow"], GOOD)
        form = self.model.asked[0].body["response_format"]
        self.assertEqual(form["type"], "json_schema")
        schema = form["json_schema"]["schema"]
        self.assertEqual(set(schema["properties"]), {"workflow", "impossible"})
        self.assertIn("step", schema["$defs"])

    def test_without_it_where_the_provider_refuses_the_schema(self):
        self.begin(lambda call: call.refuse(400) if "response_format" in call.body else call.answer(written(GOOD)),
                   keys="structured_outputs: true")
        body = self.wish().json()
        self.assertEqual((body["workflow"], self.model.calls), (GOOD, 2))

    def test_what_it_would_cost_at_most(self):
        prices = self.folder / "prices.json"
        prices.write_text(json.dumps({"models": {"one/m": {"mode": "chat", "input": 0, "output": 10000, "max_output": 100}}}))
        steps = [step("one", maxTokens=4), step("three", maxTokens=4, retry={"attempts": 3}),
                 step("checked", maxTokens=4, outputSchema={"type": "object"}),
                 step("each", "{{item}}", maxTokens=4, forEach={"in": "{{input.list}}", "maxItems": 5})]
        self.begin(in_turn(written({"steps": steps}), written({"steps": [step("a")]})), rest=f"prices: {{ file: {prices} }}\n")
        body = self.wish().json()
        self.assertEqual(body["estimate"]["calls"], 1 + 3 + 2 + 5)
        self.assertAlmostEqual(body["estimate"]["maxCost"], 11 * 0.04)
        self.assertEqual((body["estimate"]["priced"], body["estimate"]["bounded"]), (True, True))
        self.assertAlmostEqual(body["metadata"]["estimatedCost"], 0.04)
        self.assertAlmostEqual(self.wish().json()["estimate"]["maxCost"], 1)  # the model's own longest answer

    def test_a_model_without_a_price(self):
        self.begin(in_turn(written(GOOD)))
        body = self.wish().json()
        self.assertEqual((body["estimate"]["priced"], body["estimate"]["maxCost"], body["metadata"]["priced"]), (False, 0, False))

    def test_the_model_is_chosen_as_elsewhere(self):
        one, claude = self.provider("one", script({})), self.provider("a-two", in_turn(written(GOOD)))
        self.larder = self.start_larder(self.configure({"one": one, "a-two": claude}))
        body = self.wish(model="k", provider="a-two").json()
        self.assertEqual((body["metadata"]["provider"], body["metadata"]["model"], one.calls), ("a-two", "k", 0))
        self.assertEqual(claude.asked[0].path, "/v1/messages")

    def test_bad_wishes_ask_nobody(self):
        self.begin(in_turn(written(GOOD)))
        for body, field in (({}, "description"), ({"description": ""}, "description"), ({"description": 5}, "description"),
                            ({"description": "x" * 70_000}, "description"), ({"description": "x", "input": []}, "input"),
                            ({"description": "x", "more": 1}, "more")):
            with self.subTest(body=str(body)[:50]):
                reply = self.larder.request("POST", "/llm/workflow/generate", body)
                self.assertIn(reply.status, (400, 413))
                self.assertEqual(self.assert_error(reply, reply.status)["field"], field)
        self.assert_error(self.wish(model="no-such-model"), 404, "model_not_found")
        self.assertEqual(self.model.calls, 0)

    def test_hostile_answers(self):
        for answer, status, code in (("[" * 200_000, 422, "workflow_invalid"), ('{"workflow":' * 5_000, 422, "workflow_invalid"),
                                     ('{"steps": [], "steps": []}', 422, "workflow_invalid"), ("x" * 3_000_000, 502, "answer_too_large"),
                                     (written({"steps": [step("a", outputSchema={"$ref": "#"})]}), 422, "workflow_invalid"),
                                     ('{"impossible": 5}', 422, "workflow_impossible"),
                                     (json.dumps({"impossible": "é" * 5_000}), 422, "workflow_impossible")):
            with self.subTest(answer[:30]):
                self.begin(in_turn(answer))
                reply = self.wish()
                self.assert_error(reply, status, code)
                self.assertLess(len(reply.body), 4_000)

    def test_a_provider_that_fails(self):
        self.begin(say(500))
        self.assert_error(self.wish(), 502, "provider_error")

    def test_a_client_that_leaves_ends_the_call(self):
        leaving = Leaving()
        self.begin(leaving)
        client = Stream(self.larder.address, "/llm/workflow/generate", {"description": "x"})
        wait_until(lambda: self.model.calls == 1, "it is asked")
        client.close()
        wait_until(lambda: leaving.left, "the call is given up")

    def test_it_counts_once(self):
        self.begin(in_turn(written(CYCLE), written(CYCLE), written(GOOD)),
                   limits="limits: { llm: { max: 2, window: 60s }, standard: { max: 0 } }\n")
        self.assertEqual([self.wish().status for _ in range(3)], [200, 200, 429])


if __name__ == "__main__":
    unittest.main()
