"""Routes: which model is asked next after which failure, and what the client and the trace then say."""
import json
import subprocess
import unittest

from harness import BUILD, Stream, wait_until
from route_targets import (BOUND, RouteTest, begin_with_error, break_after, cut_after, end_at_once, hang, metadata_of,
                           say, say_html, text_of)

DIALECTS = ("generate", "chat", "messages")


class Fallback(RouteTest):
    def assert_second(self, larder, one, two, result, first_calls=1, dialects=DIALECTS, streams=(False, True)):
        """Every dialect, plain and streaming, gets the second one's answer after `result` of the first."""
        for ask in dialects:
            for stream in streams:
                with self.subTest(ask=ask, stream=stream):
                    before = one.calls, two.calls
                    reply = getattr(larder, ask)(f"{ask} {stream}", model="smart",
                                                 **({"stream": True} if stream else {}))
                    self.assertEqual(reply.status, 200, reply)
                    self.assert_tried(reply, f"one/m={result}, two/m=200")
                    self.assertEqual(text_of(reply), f"two answers {two.calls}")
                    self.assertEqual((one.calls - before[0], two.calls - before[1]), (first_calls, 1))
                    self.assertEqual(reply.cache, "miss")
                    if ask == "generate":
                        metadata = metadata_of(reply)
                        self.assertEqual((metadata["provider"], metadata["model"]), ("two", "m"))
                        route = metadata["route"]
                        self.assertEqual((route["name"], route["mode"]), ("smart", "fallback"))
                        self.assertEqual([(each["provider"], each["model"], each["result"]) for each in route["tried"]],
                                         [("one", "m", result), ("two", "m", "200")])
                        self.assertTrue(all(isinstance(each["tookMs"], int) for each in route["tried"]))

    WELL = "breaker: { failures: 1000 }"  # no failure opens it

    def test_after_a_refused_connection(self):
        larder, one, two = self.two(self.dead(), keys={"one": self.WELL})
        self.assert_second(larder, one, two, "unavailable", first_calls=0)

    def test_after_a_500(self):
        larder, one, two = self.two(say(500), keys={"one": self.WELL})
        self.assert_second(larder, one, two, "500")

    def test_after_a_429(self):
        larder, one, two = self.two(say(429, retry_after_ms=1), keys={"one": self.WELL})
        for ask in DIALECTS:
            for stream in (False, True):
                with self.subTest(ask=ask, stream=stream):
                    def asked():
                        calls = one.calls
                        reply = getattr(larder, ask)(f"{ask} {stream} {two.calls}", model="smart",
                                                     **({"stream": True} if stream else {}))
                        self.assertEqual((reply.status, text_of(reply)), (200, f"two answers {two.calls}"))
                        return one.calls > calls and reply  # else it was left alone for its millisecond

                    self.assert_tried(wait_until(asked, "the first is asked"), "one/m=429, two/m=200")

    def test_after_silence_with_a_bound(self):
        larder, one, two = self.two(hang, route=f"{{ mode: fallback, {BOUND}, targets: [one/m, two/m] }}",
                                    keys={"one": self.WELL})
        self.assert_second(larder, one, two, "timeout")

    def test_a_targets_own_bound_stands_before_the_routes(self):
        larder, one, two = self.two(
            hang, keys={"one": self.WELL}, route="{ mode: fallback, first_byte_timeout: 1h, "
                                                 "targets: [{ model: one/m, first_byte_timeout: 50ms }, two/m] }")
        self.assert_second(larder, one, two, "timeout", dialects=("chat",))

    def test_after_a_stream_that_ends_before_its_first_event(self):
        larder, one, two = self.two(end_at_once, keys={"one": self.WELL})
        self.assert_second(larder, one, two, "unavailable", streams=(True,))

    def test_after_a_stream_that_begins_with_an_error(self):
        larder, one, two = self.two(begin_with_error, keys={"one": self.WELL})
        for ask in DIALECTS:
            with self.subTest(ask):
                reply = getattr(larder, ask)(ask, model="smart", stream=True)
                self.assertEqual((reply.status, text_of(reply)), (200, f"two answers {two.calls}"), reply)
                self.assertNotIn(b"out of breath", reply.body)
                self.assertRegex(reply.headers["x-larder-route-tried"], r"^one/m=[a-z0-9-]+, two/m=200$")
        self.assertEqual((one.calls, two.calls), (3, 3))

    def test_after_an_answer_of_another_kind(self):
        larder, one, two = self.two(say_html, keys={"one": self.WELL})
        self.assert_second(larder, one, two, "unreadable")

    def test_after_a_provider_without_a_key(self):
        two = self.provider("two")
        larder = self.start_larder(self.text({"two": two}, {"smart": "{ mode: fallback, targets: [one/m, two/m] }"})
                                   .replace("providers:\n", "providers:\n  one: { api: openai, base_url: "
                                            '"http://127.0.0.1:9/v1", api_key: "${LARDER_TEST_NO_SUCH_KEY}" }\n'))
        reply = larder.chat("a", model="smart")
        self.assertEqual((reply.status, text_of(reply)), (200, "two answers 1"), reply)

    def test_not_after_a_fault_of_the_request(self):
        for status in (400, 401, 404, 422):
            larder, one, two = self.two(say(status))
            with self.subTest(status):
                reply = larder.chat("a", model="smart")
                self.assertEqual((reply.status, one.calls, two.calls), (status, 1, 0))
                self.assert_tried(reply, f"one/m={status}")

    def test_after_what_is_listed_only(self):
        route = "{ mode: fallback, on: [404, 500-503], targets: [one/m, two/m] }"
        for status, moves in ((404, True), (500, True), (503, True), (504, False), (400, False), (429, False)):
            larder, one, two = self.two(say(status), route=route)
            with self.subTest(status):
                reply = larder.chat("a", model="smart")
                self.assertEqual((reply.status, two.calls), (200, 1) if moves else (status, 0), reply)

    def test_connection_and_timeout_only_where_listed(self):
        larder, one, two = self.two(self.dead(), route="{ mode: fallback, on: [5xx], targets: [one/m, two/m] }")
        self.assertEqual(larder.chat("a", model="smart").status, 502)
        self.assertEqual(two.calls, 0)
        larder, one, two = self.two(hang, route="{ mode: fallback, on: [connection], first_byte_timeout: 50ms, "
                                                "targets: [one/m, two/m] }")
        self.assertEqual(larder.chat("a", model="smart").status, 504)
        self.assertEqual(two.calls, 0)

    def test_a_third_one_and_its_retries(self):
        one, two, three = self.provider("one", say(500)), self.provider("two", say(503)), self.provider("three")
        larder = self.start({"one": one, "two": two, "three": three},
                            {"smart": "{ mode: fallback, targets: [{ model: one/m, retries: 1 }, two/m, three/m] }"},
                            keys="retries: 2, retry_base: 1ms")
        reply = larder.chat("a", model="smart")
        self.assert_tried(reply, "one/m=500, two/m=503, three/m=200")
        self.assertEqual((one.calls, two.calls, three.calls), (2, 1, 1))

    def test_the_last_one_has_its_providers_own_retries(self):
        larder, one, two = self.two(say(500), say(500), keys="retries: 2, retry_base: 1ms")
        self.assertEqual(larder.chat("a", model="smart").status, 500)
        self.assertEqual((one.calls, two.calls), (1, 3))


class SingleModel(RouteTest):
    def test_has_no_next_one(self):
        larder, one, two = self.two(say(500), route="{ mode: single-model, targets: [one/m, two/m] }")
        reply = larder.chat("a", "smart")
        self.assert_tried(reply, "one/m=500")
        self.assertEqual((reply.status, two.calls), (500, 0))


class Failures(RouteTest):
    """What a client gets when nobody answers."""

    def test_the_last_ones_error_in_each_dialect(self):
        larder, one, two = self.two(say(500), say(503), keys="breaker: { failures: 1000 }")
        for stream in (False, True):
            members = {"stream": True} if stream else {}
            for ask, status in (("generate", 502), ("chat", 503), ("messages", 503)):
                with self.subTest(ask=ask, stream=stream):
                    reply = getattr(larder, ask)(f"{ask} {stream}", model="smart", **members)
                    self.assert_tried(reply, "one/m=500, two/m=503")
                    self.assertEqual(reply.status, status, reply)
                    error = reply.json()["error"]
                    words = error if ask == "generate" else error["message"]
                    self.assertIn("two says 503", words)
                    if ask == "messages":
                        self.assertEqual(reply.json()["type"], "error")
            with self.subTest("responses", stream=stream):
                reply = larder.request("POST", "/v1/responses", {"model": "smart", "input": f"a {stream}", **members})
                self.assert_tried(reply, "one/m=500, two/m=503")
                self.assertEqual(reply.status, 503)
                self.assertIn("two says 503", reply.json()["error"]["message"])

    def test_the_responses_api_has_its_answer_from_the_second(self):
        larder, one, two = self.two(say(500))
        reply = larder.request("POST", "/v1/responses", {"model": "smart", "input": "Hello"})
        self.assertEqual((reply.status, text_of(reply)), (200, "two answers 1"), reply)
        self.assert_tried(reply, "one/m=500, two/m=200")

    def test_all_unreachable(self):
        one, two = self.dead(), self.dead()
        larder = self.start({"one": one, "two": two}, {"smart": "{ mode: fallback, targets: [one/m, two/m] }"})
        reply = larder.generate("a", model="smart")
        self.assert_error(reply, 502, "provider_unavailable")
        self.assertIn("two", reply.json()["error"])
        self.assert_tried(reply, "one/m=unavailable, two/m=unavailable")

    def test_all_silent(self):
        larder, one, two = self.two(hang, hang, "{ mode: fallback, first_byte_timeout: 50ms, targets: [one/m, two/m] }")
        for stream in (False, True):
            reply = larder.generate(f"a {stream}", model="smart", stream=stream)
            self.assert_error(reply, 504, "timeout")
            self.assert_tried(reply, "one/m=timeout, two/m=timeout")


class Told(RouteTest):
    """Once a byte has gone out, nobody else is asked."""

    def check(self, behave, words=()):
        larder, one, two = self.two(behave)
        for index, ask in enumerate(DIALECTS):
            with self.subTest(ask):
                reply = getattr(larder, ask)(ask, model="smart", stream=True)
                self.assertEqual(reply.status, 200)
                self.assert_tried(reply, "one/m=200")
                self.assertEqual(text_of(reply), "one answers")
                name, data = reply.events()[-1]
                self.assertIn("error", json.loads(data), reply)
                if ask != "chat":
                    self.assertEqual(name, "error")
                for word in words:
                    self.assertIn(word, reply.body)
                self.assertEqual((one.calls, two.calls), (index + 1, 0))

    def test_an_error_in_the_middle(self):
        self.check(break_after(2), [b"one is out of breath"])

    def test_a_connection_that_is_gone(self):
        self.check(cut_after(2))

    def test_silence_after_the_first_event_is_no_matter_of_the_bound(self):
        def slow(call):
            call.handler.send_response(200)
            call.handler.send_header("content-type", "text/event-stream")
            call.handler.end_headers()
            events = call.events()
            call.handler.wfile.write(events[0])
            call.handler.wfile.flush()
            call.provider.gate.wait()
            call.handler.wfile.write(b"".join(events[1:]))
            call.handler.close_connection = True

        larder, one, two = self.two(slow, route=f"{{ mode: fallback, {BOUND}, targets: [one/m, two/m] }}")
        stream = Stream(larder.address, "/llm/generate", {"prompt": "a", "model": "smart", "stream": True})
        self.addCleanup(stream.close)
        stream.start()
        stream.read_until("one")
        # Another request runs into the bound: so this one's has passed as well.
        one.behave = hang
        self.assert_tried(larder.generate("b", model="smart"), "one/m=timeout, two/m=200")
        one.gate.set()
        self.assertIn(b"one answers 1", stream.read_all())


class Asking(RouteTest):
    """How a request says which route it wants."""

    def setUp(self):
        super().setUp()
        self.one, self.two_ = self.provider("one", say(500)), self.provider("two")
        self.larder = self.start(
            {"one": self.one, "two": self.two_},
            {"smart": "{ mode: fallback, targets: [one/m, two/m] }",
             "even": "{ mode: load-balance, targets: [two/m, { model: two/n }] }"},
            keys="breaker: { failures: 1000 }")

    def test_by_the_header(self):
        for ask in DIALECTS:
            reply = getattr(self.larder, ask)(ask, model="two/other", headers={"x-larder-route": " smart "})
            self.assertEqual(reply.status, 200, reply)
            self.assert_tried(reply, "one/m=500, two/m=200")

    def test_one_that_is_unknown_names_those_that_are_configured(self):
        for ask in DIALECTS:
            reply = getattr(self.larder, ask)("a", model="two/m", headers={"x-larder-route": "clever"})
            self.assertEqual(reply.status, 400, reply)
            for word in (b"clever", b"smart", b"even", b"x-larder-route"):
                self.assertIn(word, reply.body)
        self.assertEqual(self.one.calls + self.two_.calls, 0)

    def test_no_route_no_trace(self):
        reply = self.larder.generate("a", model="two/m")
        self.assertEqual(reply.status, 200)
        self.assertFalse([name for name in reply.headers if name.startswith("x-larder-route")])
        self.assertNotIn("route", reply.json()["metadata"])

    def test_a_mode_without_a_model_takes_the_files_first_route_of_it(self):
        self.assert_tried(self.larder.generate("a", routingMode="fallback"), "one/m=500, two/m=200", "fallback")
        reply = self.larder.generate("b", routingMode="load-balance")
        self.assertEqual((reply.status, reply.headers["x-larder-route"]), (200, "load-balance"), reply)

    def test_a_mode_with_a_model_goes_on_with_the_files_route(self):
        reply = self.larder.generate("a", model="one/x", routingMode="fallback")
        self.assertEqual(reply.status, 200, reply)
        self.assertEqual(reply.headers["x-larder-route"], "fallback")
        self.assertEqual(reply.headers["x-larder-route-tried"], "one/x=500, one/m=500, two/m=200")
        self.assertEqual(metadata_of(reply)["route"]["mode"], "fallback")

    def test_a_mode_with_a_model_that_several_providers_have(self):
        one, two, three = self.provider("one"), self.provider("two"), self.provider("three")
        larder = self.start({"one": one, "two": two, "three": three}, {"other": "{ mode: cheapest, targets: [three/m] }"},
                            keys={"one": "models: [shared]", "two": "models: [shared]", "three": "models: [m]"})
        for index in range(20):
            reply = larder.generate(f"{index}", model="shared", routingMode="load-balance")
            self.assertEqual((reply.status, reply.headers["x-larder-route"]), (200, "load-balance"), reply)
        self.assertEqual((one.calls, two.calls, three.calls), (10, 10, 0))
        one.behave = say(500)
        self.assert_tried(larder.generate("a", model="shared", routingMode="fallback"),
                          "one/shared=500, two/shared=200", "fallback")
        # A provider that is named stays the first.
        self.assert_tried(larder.generate("b", model="shared", provider="two", routingMode="fallback"),
                          "two/shared=200", "fallback")

    def test_the_header_names_a_mode(self):
        reply = self.larder.chat("a", model="one/x", headers={"x-larder-route": "fallback"})
        self.assertEqual(reply.headers["x-larder-route-tried"], "one/x=500, one/m=500, two/m=200", reply)

    def test_a_mode_with_a_routes_name_is_that_route_in_another_mode(self):
        reply = self.larder.generate("a", model="smart", routingMode="fastest")
        self.assertEqual((reply.status, reply.headers["x-larder-route"]), (200, "smart"), reply)
        self.assertEqual(metadata_of(reply)["route"]["mode"], "fastest")

    def test_single_model_is_the_default_and_an_unknown_mode_a_400(self):
        reply = self.larder.generate("a", model="two/m", routingMode="single-model")
        self.assertEqual(reply.status, 200)
        self.assertNotIn("x-larder-route", reply.headers)
        self.assert_error(self.larder.generate("a", model="two/m", routingMode="clever"), 400, "invalid_request")

    def test_a_route_as_the_default_model(self):
        two = self.provider("two")
        larder = self.start({"one": self.one, "two": two}, {"smart": "{ mode: fallback, targets: [one/m, two/m] }"},
                            rest="default_model: smart\n")
        self.assert_tried(larder.generate("a"), "one/m=500, two/m=200")

    def test_hostile_names(self):
        for name in ("a\r\nx-evil: 1", 'a"b\\', "smart\x00", "é" * 20, "x" * 10_000):
            with self.subTest(name[:20]):
                reply = self.larder.generate("a", model=name)
                self.assertGreaterEqual(reply.status, 400)
                self.assertNotIn("x-evil", reply.headers)
                reply = self.larder.generate("a", model="two/" + name, routingMode="fallback")
                self.assertNotIn("x-evil", reply.headers)
                self.assertLess(len(reply.headers.get("x-larder-route-tried", "")), 2000)
                self.assertLess(reply.status, 500)
        for session in ("s" * 10_000, 'a"b\\', "\u00e9"):
            self.assertEqual(self.larder.chat(session[:9], "even", {"x-larder-session": session}).status, 200)
        for name in ('a"b\\', "x" * 10_000, "smart, even", "../smart"):
            with self.subTest(header=name[:20]):
                reply = self.larder.chat("a", model="two/m", headers={"x-larder-route": name})
                self.assertEqual(reply.status, 400)
                self.assertLess(len(reply.body), 1000)
                json.loads(reply.body)
        self.assertEqual(self.larder.chat("a", model="smart").status, 200, "it is still there")


class Nested(RouteTest):
    def test_a_route_stands_where_its_target_stands(self):
        names = ("one", "two", "three", "four")
        providers = {name: self.provider(name, say(500) if name != "four" else None) for name in names}
        larder = self.start(providers, {
            "smart": "{ mode: fallback, targets: [one/m, { route: inner }, four/m] }",
            "inner": "{ mode: fallback, targets: [two/m, one/m, three/m] }"}, keys="breaker: { failures: 1000 }")
        reply = larder.chat("a", model="smart")
        self.assert_tried(reply, "one/m=500, two/m=500, three/m=500, four/m=200")

    def test_each_has_its_own_conditions(self):
        one, two, three = self.provider("one", say(404)), self.provider("two", say(404)), self.provider("three")
        larder = self.start({"one": one, "two": two, "three": three}, {
            "smart": "{ mode: fallback, targets: [inner, three/m] }",
            "inner": "{ mode: fallback, on: [404], targets: [one/m, two/m] }"})
        reply = larder.chat("a", model="smart")
        self.assertEqual(reply.status, 404, reply)
        self.assert_tried(reply, "one/m=404, two/m=404")
        self.assertEqual(three.calls, 0)

    def check(self, routes):
        """Of `larder check`: its status and what it says."""
        path = self.folder / "checked.yaml"
        dead = self.dead()
        path.write_text(self.text({"one": dead, "two": dead}, routes))
        done = subprocess.run([BUILD / "larder", "check", "--config", path], capture_output=True, text=True, timeout=60,
                              check=False, env={})
        return done.returncode, done.stdout + done.stderr

    def test_check_refuses_what_cannot_be_followed(self):
        self.assertEqual(self.check({"a": "{ mode: fallback, targets: [one/m, b] }",
                                     "b": "{ mode: cheapest, targets: [two/m] }"})[0], 0)
        deep = {f"r{index}": f"{{ mode: fallback, targets: [r{index + 1}] }}" for index in range(9)}
        for what, routes, word in (
                ("itself", {"a": "{ mode: fallback, targets: [one/m, a] }"}, "circle"),
                ("circle", {"a": "{ mode: fallback, targets: [b] }", "b": "{ mode: fallback, targets: [c, one/m] }",
                            "c": "{ mode: fallback, targets: [a] }"}, "circle"),
                ("unknown", {"a": "{ mode: fallback, targets: [{ route: nobody }] }"}, "nobody"),
                ("no mode", {"a": "{ targets: [one/m] }"}, "mode"),
                ("none", {"a": "{ mode: fallback, targets: [] }"}, "targets"),
                ("name", {"fallback": "{ mode: fallback, targets: [one/m] }"}, "mode"),
                ("line ends", {'"a\\r\\nb"': "{ mode: fallback, targets: [one/m] }"}, "name"),
                ("deep", {**deep, "r9": "{ mode: fallback, targets: [one/m] }"}, "deep")):
            with self.subTest(what):
                status, said = self.check(routes)
                self.assertNotEqual(status, 0, said)
                self.assertIn(word, said)


if __name__ == "__main__":
    unittest.main()
