"""Requests for workflows that are refused before any model is asked: each with a clear sentence, its place and its status."""
import json
import unittest

from workflow_targets import WorkflowTest, script, step


class Refused(WorkflowTest):
    def setUp(self):
        super().setUp()
        self.begin()

    def tearDown(self):
        self.assertEqual(self.model.calls, 0, "a refused workflow asked a model")
        self.assertEqual(self.larder.get("/health").status, 200)

    def refuse(self, steps, field=None, words=(), status=400, value=None, body=None, **workflow):
        with self.subTest(field=field, words=words, more=workflow or body):
            reply = self.execute(steps, value, body=body, **workflow)
            error = self.assert_error(reply, status)
            self.assertEqual(error.get("field"), field, error)
            for word in words:
                self.assertIn(word, error["error"])
            self.assertNotIn("steps", error)
            return error

    def test_cycles(self):
        self.refuse([step("a", "{{steps.c.output}}"), step("b", "{{steps.a.output}}"), step("c", "{{steps.b.output}}")],
                    "workflow.steps[0].dependsOn", ("a -> c -> b -> a",))
        self.refuse([step("a", "{{steps.a.output}}")], "workflow.steps[0].prompt", ("itself",))
        self.refuse([step("a", dependsOn=["a"])], "workflow.steps[0].dependsOn[0]", ("itself",))
        self.refuse([step("a", dependsOn=["b"]), step("b", when={"value": "{{steps.a.json.x}}", "exists": True})],
                    "workflow.steps[0].dependsOn", ("a -> b -> a",))

    def test_steps_and_inputs_that_are_not_there(self):
        self.refuse([step("a", "{{steps.nobody.output}}")], "workflow.steps[0].prompt", ("nobody",))
        self.refuse([step("a"), step("b", dependsOn=["a", "nobody"])], "workflow.steps[1].dependsOn[1]", ("nobody",))
        self.refuse([step("a", when={"value": "{{steps.nobody.output}}", "equals": 1})], "workflow.steps[0].when", ("nobody",))
        self.refuse([step("a", "{{item}}", forEach={"in": "{{steps.nobody.json}}"})], "workflow.steps[0].forEach.in", ("nobody",))
        self.refuse([step("a")], "workflow.output", ("nobody",), output="{{steps.nobody.output}}")
        self.refuse([step("a", "{{input.topic}}")], "input.topic", ("topic",))
        self.refuse([step("a", "{{input.deep.member}}")], "input.deep.member", ("deep.member",), value={"deep": {"other": 1}})
        self.refuse([step("a", "{{item}}", forEach={"in": "{{input.list}}"})], "input.list", ("list",), value={"list": "x"})
        self.refuse([step("a")], "input.gone", ("gone",), output="{{input.gone}}")

    def test_templates_that_cannot_be_read(self):
        for prompt in ("{{", "{{}}", "{{input}}", "{{inputs.x}}", "{{input.x", "{{steps.a}}", "{{steps.a.text}}", "{{item}}",
                       "{{index}}", "{{input.x | upper}}", "{{ {{input.x}} }}"):
            self.refuse([step("a"), step("b", prompt)], "workflow.steps[1].prompt", value={"x": 1})
        self.refuse([step("a", when={"value": "{{input.x}} and more", "equals": 1})], "workflow.steps[0].when.value")

    def test_too_many_steps_and_too_long_chains(self):
        self.refuse([step(f"s{n}") for n in range(65)], "workflow.steps", ("64", "65"), 413)
        chain = [step("s0")] + [step(f"s{n}", f"{{{{steps.s{n - 1}.output}}}}") for n in range(1, 33)]
        error = self.assert_error(self.execute(chain), 413)
        self.assertIn("32", error["error"])
        self.assertTrue(error["field"].startswith("workflow.steps"), error)

    def test_too_much_text(self):
        many = "{{input.x}}" * 950_000  # 10 MB
        self.refuse([step("a", many)], "workflow", ("1048576",), 413, value={"x": 1})
        self.refuse([step("a", "{{input.x}}" * 2_001)], "workflow.steps[0].prompt", ("2000",), 413, value={"x": 1})

    def test_schema_bombs(self):
        deep = {"type": "object"}
        for _ in range(100):
            deep = {"not": deep}
        double = {"$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}, "$ref": "#/$defs/d0"}
        double["$defs"]["d40"] = {"type": "object"}
        for schema, status in (
                (deep, None), (double, 400), ({"anyOf": [{"type": "string"}] * 6_000}, None),
                ({"description": "x" * 300_000}, None),
                ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, 400),
                ({"$ref": "#"}, 400), ({"$ref": "https://example.com/schema.json"}, 400), ({"$ref": "#/$defs/gone"}, 400),
                ({"pattern": "(a+"}, 400), ({"pattern": "((a{1,1000}){1,1000}){1,1000}"}, 400), ({"type": "strange"}, 400),
                ({"$dynamicRef": "#x"}, 400)):
            with self.subTest(json.dumps(schema)[:80]):
                reply = self.execute([step("a"), step("b", outputSchema=schema)])
                error = self.assert_error(reply, status or reply.status)
                self.assertIn(reply.status, (400, 413))
                self.assertTrue(error["field"].startswith("workflow.steps[1].outputSchema"), error)

    def test_members_that_nobody_knows(self):
        self.refuse([step("a", more=1)], "workflow.steps[0].more")
        self.refuse([step("a")], "workflow.more", more=1)
        self.refuse([step("a")], "more", body={"more": 1})
        self.refuse([step("a")], "workflow.limits.calls", limits={"calls": 1})
        self.refuse([step("a", retry={"attempts": 2, "every": 1})], "workflow.steps[0].retry.every")
        self.refuse([step("a", "{{item}}", forEach={"in": "{{input.x}}", "of": 1})], "workflow.steps[0].forEach.of", value={"x": []})
        self.refuse([step("a", when={"value": "{{input.x}}", "is": 1})], "workflow.steps[0].when", ("exactly one of",), value={"x": 1})

    def test_ids(self):
        self.refuse([step("a"), step("b"), step("a")], "workflow.steps[2].id", ("steps[0]", "'a'"))
        for name in ("", "a b", "a.b", "ä", "x" * 65, 5, None):
            self.refuse([step("a"), {"id": name, "prompt": "p"}], "workflow.steps[1].id")

    def test_values_out_of_bounds(self):
        for members, place in (({"temperature": 3}, "temperature"), ({"maxTokens": 0}, "maxTokens"), ({"timeout": "0s"}, "timeout"),
                               ({"timeout": "soon"}, "timeout"), ({"retry": {"attempts": 11}}, "retry.attempts"),
                               ({"cache": "yes"}, "cache"), ({"onError": "ignore"}, "onError"), ({"model": ""}, "model"),
                               ({"routingMode": "random"}, "routingMode"), ({"outputSchema": []}, "outputSchema"),
                               ({"messages": [{"role": "user", "content": "x"}]}, None), ({"dependsOn": "a"}, "dependsOn"),
                               ({"forEach": {"in": "{{input.x}}", "parallel": 65}}, "forEach.parallel"),
                               ({"forEach": {"in": "{{input.x}}", "maxItems": 201}}, "forEach.maxItems")):
            with self.subTest(members):
                error = self.assert_error(self.execute([step("a", **members)], {"x": []}), 400, "invalid_request")
                self.assertTrue(error["field"].startswith("workflow.steps[0]"), error)
                if place:
                    self.assertEqual(error["field"], f"workflow.steps[0].{place}")
        self.refuse([step("a")], "workflow.limits.time", limits={"time": "6m"})
        self.refuse([step("a")], "workflow.limits.cost", limits={"cost": 11})
        self.refuse([step("a")], "limits.cost", body={"limits": {"cost": -1}})
        self.refuse([step("a")], "stream", body={"stream": "yes"})
        self.refuse([step("a")], "input", body={"input": [1]})
        self.refuse([], "workflow.steps")

    def test_what_is_no_request(self):
        for body, field in (("[]", None), ("{}", "workflow"), ('{"workflow": []}', "workflow"), ('{"workflow": {}}', "workflow.steps"),
                            ('{"workflow": {"steps": [1]}}', "workflow.steps[0]"), ('{"workflow": {"steps": [{"id": "a"}]}}', "workflow.steps[0]")):
            with self.subTest(body):
                error = self.assert_error(self.post(body), 400, "invalid_request")
                if field:
                    self.assertTrue(error["field"].startswith(field), error)
        self.assertIn("position", self.assert_error(self.post('{"workflow": {'), 400))
        self.assertEqual(self.larder.request("GET", "/llm/execute-workflow").status, 405)

    def test_a_refused_stream_is_a_plain_error(self):
        reply = self.execute([step("a", "{{steps.b.output}}")], body={"stream": True})
        self.assert_error(reply, 400)


class Taken(WorkflowTest):
    """What is just within the bounds."""

    def test_64_steps_and_a_chain_of_32(self):
        self.begin()
        chain = [step("s0", "x")] + [step(f"s{n}", f"{{{{steps.s{n - 1}.output}}}}") for n in range(1, 32)]
        body = self.done(chain + [step(f"w{n}") for n in range(32)], output="{{steps.s31.output}}")
        self.assertEqual((body["output"], self.model.calls), ("x" + "!" * 32, 64))

    def test_a_workflow_of_nearly_a_mebibyte_and_2000_references(self):
        self.begin()
        prompt = "{{input.x}}" * 1_000 + "y" * 900_000
        self.done([step("a", prompt), step("b", "{{input.x}}" * 1_000)], {"x": "z"})
        self.assertEqual(sorted(len(each) for each in self.prompts), [1_000, 901_000])


    def test_paths_into_large_values_take_no_time_for_each(self):
        """100 items × 1,900 references × 100,000 members: looked through one after the other they would take a minute."""
        self.begin()
        prompt = "".join(f"{{{{input.large.k{99_999 - number}}}}}" for number in range(1_900))
        body = self.done([step("a", prompt, forEach={"in": "{{input.list}}", "parallel": 64})],
                         {"large": {f"k{number}": 1 for number in range(100_000)}, "list": [0] * 100})
        self.assertEqual(json.loads(body["output"]), ["1" * 1_900 + "!"] * 100)


class Models(WorkflowTest):
    def test_models_and_providers_that_are_not_there(self):
        self.begin()
        error = self.assert_error(self.execute([step("a"), step("b", model="no-such-model")]), 404, "model_not_found")
        self.assertEqual(error["field"], "workflow.steps[1].model")
        self.assertIn("no-such-model", error["error"])
        error = self.assert_error(self.execute([step("a"), step("b", provider="nobody", model="m")]), 400)
        self.assertTrue(error["field"].startswith("workflow.steps[1]."), error)
        self.assertIn("nobody", error["error"])
        self.assertEqual(self.model.calls, 0)

    def test_a_provider_without_its_key(self):
        model = self.provider("one", script({}))
        keyless = ('  two: { api: openai, base_url: "http://127.0.0.1:9/v1", api_key: "${LARDER_TEST_NO_SUCH_KEY}" }\n'
                   "default_model:")
        self.larder = self.start_larder(self.configure({"one": model}).replace("default_model:", keyless))
        error = self.assert_error(self.execute([step("a"), step("b", model="two/m")]), 503, "provider_unconfigured")
        self.assertIn("LARDER_TEST_NO_SUCH_KEY", error["error"])
        self.assertEqual((error["field"], model.calls), ("workflow.steps[1].model", 0))


if __name__ == "__main__":
    unittest.main()
