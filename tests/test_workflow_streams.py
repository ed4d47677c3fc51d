"""A workflow's events: in order, with what each step says as it says it."""
import json
import unittest

from harness import parse_events, wait_until
from route_targets import break_after, cut_after, say
from workflow_targets import Gate, WorkflowTest, in_turn, states, step


class Events(WorkflowTest):
    def events(self, steps, value=None, **workflow):
        stream = self.stream(steps, value, **workflow)
        response = stream.start()
        self.assertEqual((response.status, response.headers["content-type"]), (200, "text/event-stream"))
        return [(name, json.loads(data)) for name, data in parse_events(stream.read_all())]

    def test_of_a_small_graph(self):
        self.begin({"a": "one two"})
        events = self.events([step("a"), step("b", "{{steps.a.output}}"), step("c", when={"value": "{{steps.b.output}}", "exists": False})],
                             output="{{steps.b.output}}")
        shown = [(name, data.get("id"), data.get("text")) for name, data in events]
        self.assertEqual(shown, [
            ("step.started", "a", None), ("step.delta", "a", "one"), ("step.delta", "a", " two"), ("step.done", "a", None),
            ("step.started", "b", None), ("step.delta", "b", "one"), ("step.delta", "b", " two!"), ("step.done", "b", None),
            ("step.done", "c", None), ("workflow.done", None, None)])
        done = events[3][1]
        self.assertEqual((done["status"], done["output"], done["metadata"]["calls"]), ("done", "one two", 1))
        self.assertEqual(events[8][1]["status"], "skipped")
        last = events[-1][1]
        self.assertEqual((last["output"], states(last)), ("one two!", {"a": "done", "b": "done", "c": "skipped"}))
        self.assertEqual(last["metadata"]["status"], "done")
        self.assertTrue(last["metadata"]["requestId"])

    def test_come_as_it_happens(self):
        gate = Gate()
        self.begin(lambda call: gate(call) if call.body["messages"][-1]["content"] == "slow" else call.answer("quick words"))
        stream = self.stream([step("quick"), step("slow")])
        stream.start()
        stream.read_until("step.done")
        self.assertNotIn(b"workflow.done", stream.received)
        self.assertEqual(gate.answered, [])
        gate.open()
        stream.read_all()
        self.assertIn(b"workflow.done", stream.received)

    def test_of_items_have_their_index(self):
        self.begin()
        events = self.events([step("each", "{{item}}", forEach={"in": "{{input.list}}", "parallel": 1})], {"list": ["x", "y"]})
        self.assertEqual([(data["index"], data["text"]) for name, data in events if name == "step.delta"], [(0, "x!"), (1, "y!")])
        self.assertEqual([name for name, _ in events].count("step.done"), 1)

    def test_a_try_that_is_made_again_begins_anew(self):
        for breaks in (break_after(1), cut_after(1)):
            self.begin(in_turn(breaks, "well done"), keys="breaker: { failures: 1000 }")
            events = self.events([step("a", retry={"attempts": 2, "delay": "1ms"})])
            names = [name for name, _ in events]
            self.assertEqual(names.count("step.started"), 2)
            again = len(names) - 1 - names[::-1].index("step.started")
            text = "".join(data["text"] for name, data in events[again:] if name == "step.delta")
            self.assertEqual((text, events[-1][1]["output"]), ("well done", "well done"))

    def test_a_repair_begins_anew(self):
        self.begin(in_turn("no JSON", '{"x": 1}'))
        events = self.events([step("a", outputSchema={"type": "object"})])
        names = [name for name, _ in events]
        self.assertEqual((names.count("step.started"), names[-1]), (2, "workflow.done"))
        self.assertEqual(next(data for name, data in events if name == "step.done")["json"], {"x": 1})

    def test_a_failure_ends_with_an_error_and_no_done(self):
        self.begin({"bad": say(400)})
        events = self.events([step("a"), step("bad", dependsOn=["a"]), step("c", "{{steps.bad.output}}")])
        names = [name for name, _ in events]
        self.assertEqual(names[-1], "error")
        self.assertNotIn("workflow.done", names)
        self.assertEqual([(data["id"], data["status"]) for name, data in events if name == "step.failed"],
                         [("bad", "failed"), ("c", "cancelled")])
        last = events[-1][1]
        self.assertIn('step "bad"', last["error"])
        self.assertEqual((last["metadata"]["status"], states(last)), ("failed", {"a": "done", "bad": "failed", "c": "cancelled"}))
        self.assertTrue(last["code"] and last["requestId"])

    def test_with_on_error_continue_it_ends_as_done(self):
        self.begin({"bad": say(400)})
        events = self.events([step("bad"), step("b", dependsOn=[])], onError="continue")
        self.assertEqual((events[-1][0], events[-1][1]["metadata"]["status"]), ("workflow.done", "partial"))

    def test_a_silent_stream_is_kept_alive(self):
        gate = Gate()
        self.begin(gate, server=", stream_keep_alive: 50ms")
        stream = self.stream([step("a")])
        stream.start()
        stream.read_until(": keep-alive\n\n: keep-alive")
        gate.open()
        self.assertIn(b"workflow.done", stream.read_all())

    def test_kept_steps_stream_too(self):
        self.begin()
        steps = [step("a", "some words", cache=True)]
        first, second = self.events(steps), self.events(steps)
        self.assertEqual(self.model.calls, 1)
        self.assertEqual("".join(data["text"] for name, data in second if name == "step.delta"), "some words!")
        self.assertEqual(first[-1][1]["output"], second[-1][1]["output"])

    def test_clients_that_leave_in_the_middle_leave_nothing_behind(self):
        gate = Gate()
        self.begin(lambda call: gate(call) if "wait" in call.body["messages"][-1]["content"] else call.answer("some words"))
        streams = [self.stream([step("a"), step("b", "{{steps.a.output}}"), step("c", "wait {{steps.b.output}}"),
                                step("d", "wait {{item}}", forEach={"in": "{{input.list}}"})], {"list": [1, 2, 3]}) for _ in range(40)]
        for number, stream in enumerate(streams):
            stream.start()
            stream.read_until("step.delta")
            if number % 2:
                stream.close()
        gate.open()
        for stream in streams[::2]:
            self.assertEqual(parse_events(stream.read_all())[-1][0], "workflow.done")

        def is_idle():
            lines = self.larder.get("/metrics").body.decode().splitlines()
            return {"larder_flights 0", "larder_bytes_in_flight 0"} <= set(lines)

        wait_until(is_idle, "nothing is in flight")

    def test_a_hundred_streams_at_once_are_whole(self):
        self.begin()
        wide = [step(f"s{n}", f"{{{{input.x}}}} {n}") for n in range(4)]
        streams = [self.stream([*wide, step("end", "{{steps.s0.output}} {{steps.s3.output}}")], {"x": str(number)})
                   for number in range(100)]
        for number, stream in enumerate(streams):
            stream.start()
            last = parse_events(stream.read_all())[-1]
            self.assertEqual((last[0], json.loads(last[1])["output"]), ("workflow.done", f"{number} 0! {number} 3!!"))
        self.assertEqual(self.model.calls, 500)


if __name__ == "__main__":
    unittest.main()
