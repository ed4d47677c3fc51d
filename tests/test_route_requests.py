"""Requests that have a route: what happens while they wait, what each model is sent, how they are counted."""
import json
import signal
import threading
import unittest

from harness import PATIENCE, Stream, in_parallel, wait_until
from route_targets import (BOUND, RouteTest, begin_with_error, break_after, cut_after, end_at_once, hang, metadata_of, only_comments,
                           say, text_of)

DIALECTS = ("generate", "chat", "messages")


class Meanwhile(RouteTest):
    """What happens while one is waited for."""

    ROUTE = f"{{ mode: fallback, {BOUND}, targets: [one/m, two/m] }}"

    def start_alive(self, first, second):
        one, two = self.provider("one", first), self.provider("two", second)
        text = self.text({"one": one, "two": two}, {"smart": self.ROUTE}, "breaker: { failures: 1000 }")
        text = text.replace("listen: 127.0.0.1:0", "listen: 127.0.0.1:0, stream_keep_alive: 50ms")
        return self.start_larder(text), one, two

    def test_a_comment_is_no_answer(self):
        larder, one, two = self.start_alive(hang, None)
        for ask in DIALECTS:
            with self.subTest(ask):
                reply = getattr(larder, ask)(ask, model="smart", stream=True)
                self.assertIn(b": keep-alive", reply.body)
                self.assertEqual((reply.status, text_of(reply)), (200, f"two answers {two.calls}"))
        tried = metadata_of(larder.generate("tried", model="smart", stream=True))["route"]["tried"]
        self.assertEqual([each["result"] for each in tried], ["timeout", "200"])
        self.assertGreaterEqual(tried[0]["tookMs"], 290 * PATIENCE)

    def test_a_providers_comments_say_nothing_either(self):
        larder, one, two = self.start_alive(only_comments, None)
        for ask in DIALECTS:
            with self.subTest(ask):
                reply = getattr(larder, ask)(ask, model="smart", stream=True)
                self.assertIn(b": ", reply.body)
                self.assertEqual((reply.status, text_of(reply)), (200, f"two answers {two.calls}"))

    def test_after_a_comment_the_error_is_an_event(self):
        larder, one, two = self.start_alive(hang, say(503))
        for ask in DIALECTS:
            with self.subTest(ask):
                reply = getattr(larder, ask)(ask, model="smart", stream=True)
                self.assertEqual(reply.status, 200)
                self.assertIn("two says 503", reply.events()[-1][1])
                self.assertEqual(len(reply.events()), 1, reply)

    def test_a_client_that_leaves_ends_it(self):
        larder, one, two = self.start_alive(hang, None)
        stream = Stream(larder.address, "/v1/chat/completions",
                        {"model": "smart", "messages": [{"role": "user", "content": "leaves"}]})
        wait_until(lambda: one.calls == 1, "it is asked")
        stream.close()
        # The one after it has waited for as long: the first would have gone on before.
        self.assertEqual(text_of(larder.chat("stays", "smart")), "two answers 1")
        self.assertEqual((one.calls, two.calls), (2, 1))

    def test_who_asks_the_first_one_itself_is_not_hurried(self):
        def fail_once(call):
            if call.provider.calls > 1:
                return call.answer()
            call.provider.gate.wait()
            return call.refuse(500)

        one, two = self.provider("one", fail_once), self.provider("two")
        larder = self.start({"one": one, "two": two}, {"smart": "{ mode: fallback, targets: [one/m, two/m] }"},
                            keys="retries: 2, retry_base: 1ms")
        bodies = ({"model": "smart"}, {"model": "one/m"})

        def ask(index):
            if index == 1:
                wait_until(lambda: one.calls == 1, "the route's call is under way")
            else:
                threading.Thread(target=release, daemon=True).start()
            return larder.chat("the same", **bodies[index])

        def release():
            wait_until(lambda: "larder_connections 3" in larder.get("/metrics").body.decode(), "both have come")
            one.gate.set()

        routed, direct = in_parallel(2, ask)
        self.assertEqual(text_of(routed), "two answers 1")
        self.assertEqual((direct.status, text_of(direct)), (200, "one answers 2"), direct)


class Requests(RouteTest):
    """What each target is sent, and what of the first one's reply the client sees."""

    def test_a_large_one_is_sent_whole_to_each(self):
        names = ("one", "ant", "two", "three")
        providers = {name: self.provider(name, None if name == "three" else say(500)) for name in names}
        larder = self.start(providers, {"smart": "{ mode: fallback, targets: [one/m1, ant/m2, two/m3, three/m4] }"})
        prompt = "a large one, " * 40_000
        for ask in DIALECTS:
            with self.subTest(ask):
                reply = getattr(larder, ask)(prompt + ask, model="smart", max_tokens=5)
                self.assertEqual((reply.status, text_of(reply)), (200, f"three answers {providers['three'].calls}"))
                for number, name in enumerate(names, 1):
                    body = providers[name].asked[-1].body
                    self.assertEqual((body["model"], body["max_tokens"]), (f"m{number}", 5))
                    content = body["messages"][-1]["content"]
                    content = content if isinstance(content, str) else content[0]["text"]
                    self.assertEqual(content, prompt + ask)
                    self.assertNotIn("routingMode", body)

    def test_members_of_larders_own_go_nowhere(self):
        larder, one, two = self.two(say(500))
        reply = larder.generate("a", {"x-larder-route": "smart", "x-larder-session": "s"}, routingMode="fallback")
        self.assertEqual(reply.status, 200)
        for call in (*one.asked, *two.asked):
            self.assertNotIn("routingMode", call.body)
            self.assertFalse([name for name in call.headers if name.startswith("x-larder")])

    def test_nothing_of_the_firsts_reply_is_left(self):
        larder, one, two = self.two(say(429, retry_after=60, x_request_id="of-the-first", x_should_retry="true"))
        for stream in (False, True):
            reply = larder.chat(f"a {stream}", "smart", **({"stream": True} if stream else {}))
            self.assertEqual(reply.status, 200)
            self.assertNotIn("retry-after", reply.headers)
            self.assertNotIn("x-should-retry", reply.headers)
            self.assertNotIn("of-the-first", json.dumps(reply.headers))

    def test_a_reload_changes_routes(self):
        larder, one, two = self.two()
        self.assert_tried(larder.chat("a", "smart"), "one/m=200")
        text = larder.config_path.read_text()
        larder.config_path.write_text(text.replace("[one/m, two/m]", "[two/n]").replace("  smart:", "  other:"))
        larder.process.send_signal(signal.SIGHUP)
        counter = iter(range(100_000))
        wait_until(lambda: larder.chat(f"{next(counter)}", "other").status == 200, "the new route is there")
        self.assert_tried(larder.chat("b", "other"), "two/n=200", "other")
        self.assertEqual(larder.chat("a", "smart").status, 404, "the old one is gone")
        self.assertEqual(larder.chat("a", "one/m").cache, "hit")


class Counts(RouteTest):
    def test_a_request_counts_once_whoever_is_asked(self):
        one, two = self.provider("one", say(500)), self.provider("two")
        larder = self.start_larder(
            self.text({"one": one, "two": two}, {"smart": "{ mode: fallback, targets: [one/m, two/m] }"})
            .replace("llm: { max: 0 }", "llm: { max: 3, window: 1h }"))
        for left in ("2", "1", "0"):
            reply = larder.chat(left, "smart")
            self.assertEqual((reply.status, reply.headers["x-ratelimit-remaining"]), (200, left))
        self.assertEqual(larder.chat("over", "smart").status, 429)
        stats = larder.get("/llm/cache/stats").json()
        self.assertEqual((stats["hits"], stats["misses"]), (0, 3))
        self.assertEqual(larder.stop(), 0)
        answered = [line for line in larder.log() if line.get("status") == 200 and "chat" in str(line)]
        self.assertEqual({line.get("provider") for line in answered}, {"two"})
        self.assertNotIn("sk-route-test-key", larder.text())


class Embeddings(RouteTest):
    def embed(self, larder, words, model="smart", **headers):
        return larder.request("POST", "/v1/embeddings", {"model": model, "input": words},
                              {name.replace("_", "-"): value for name, value in headers.items()})

    def test_the_second_ones_vectors_are_its_own(self):
        larder, one, two = self.two(say(500), keys="breaker: { failures: 1000 }")
        reply = self.embed(larder, ["a", "bcd"])
        self.assertEqual(reply.status, 200, reply)
        self.assert_tried(reply, "one/m=500, two/m=200")
        self.assertEqual([each["embedding"] for each in reply.json()["data"]], [[1, 1], [1, 3]])
        self.assertEqual((self.embed(larder, ["bcd"], "two/m").cache, self.embed(larder, ["bcd"], "one/m").status),
                         ("hit", 500))
        reply = self.embed(larder, ["a", "new", "bcd"])
        self.assert_tried(reply, "one/m=500, two/m=200")
        self.assertEqual(reply.headers["x-larder-cache-elements"], "2/3")
        self.assertEqual(two.asked[-1].body["input"], ["new"])
        self.assertEqual([each["embedding"] for each in reply.json()["data"]], [[1, 1], [2, 3], [1, 3]])
        one.behave = say()
        self.assert_tried(self.embed(larder, ["a"]), "two/m=hit")
        self.assert_tried(self.embed(larder, ["another"]), "one/m=200")

    def test_after_a_refused_connection_and_after_silence(self):
        for first, result in ((self.dead(), "unavailable"), (hang, "timeout")):
            with self.subTest(result):
                larder, one, two = self.two(
                    first, route=f"{{ mode: fallback, {BOUND}, targets: [one/m, two/m] }}")
                self.assert_tried(self.embed(larder, "a"), f"one/m={result}, two/m=200")

    def test_one_whose_api_has_none_is_left_out(self):
        ant, two = self.provider("ant"), self.provider("two")
        larder = self.start({"ant": ant, "two": two}, {
            "smart": "{ mode: fallback, targets: [ant/m, two/m] }", "later": "{ mode: fallback, targets: [two/m, ant/m] }",
            "none": "{ mode: fallback, targets: [ant/m, ant/n] }"})
        self.assert_tried(self.embed(larder, "a"), "two/m=200")
        self.assertEqual(self.embed(larder, "a", "none").status, 400)
        two.behave = say(500)
        reply = self.embed(larder, "b", "later")
        self.assert_tried(reply, "two/m=500", "later")
        self.assertEqual((reply.status, ant.calls), (500, 0))

    def test_when_all_fail_the_last_ones_error(self):
        larder, one, two = self.two(say(500), say(503))
        reply = self.embed(larder, "a")
        self.assertEqual((reply.status, reply.json()["error"]["message"]), (503, "two says 503"))
        self.assert_tried(reply, "one/m=500, two/m=503")
        self.assertEqual(self.embed(larder, "a", x_larder_route="nobody").status, 400)
        self.assertEqual(self.embed(larder, "a", "two/m", x_larder_route="smart").headers["x-larder-route"], "smart")


class Conversions(RouteTest):
    """A route over both APIs, for clients of each."""

    def test_every_client_gets_an_answer_from_either(self):
        for order in (["one/m", "ant/m"], ["ant/m", "one/m"]):
            for fails in (None, order[0]):
                providers = {name: self.provider(name, say(500) if fails == f"{name}/m" else None)
                             for name in ("one", "ant")}
                larder = self.start(providers, {"smart": f"{{ mode: fallback, targets: [{', '.join(order)}] }}"},
                                    keys="breaker: { failures: 1000 }")
                winner = order[1] if fails else order[0]
                for ask in DIALECTS:
                    for stream in (False, True):
                        with self.subTest(order=order, fails=fails, ask=ask, stream=stream):
                            reply = getattr(larder, ask)(f"{ask} {stream}", model="smart", max_tokens=50,
                                                         **({"stream": True} if stream else {}))
                            self.assertEqual(reply.status, 200, reply)
                            provider = providers[winner.split("/")[0]]
                            self.assertEqual(text_of(reply), f"{provider.name} answers {provider.calls}")
                            tried = f"{order[0]}=500, {order[1]}=200" if fails else f"{order[0]}=200"
                            self.assert_tried(reply, tried)
                            self.assertEqual(set(provider.models), {"m"})

    def test_the_head_of_a_message_has_told_an_llm_client_nothing(self):
        provider, two = self.provider("ant", break_after(0)), self.provider("two")
        larder = self.start({"ant": provider, "two": two}, {"smart": "{ mode: fallback, targets: [ant/m, two/m] }"})
        reply = larder.generate("a", model="smart", stream=True)
        self.assertEqual((text_of(reply), provider.calls), ("two answers 1", 1))
        tried = metadata_of(reply)["route"]["tried"]
        self.assertEqual([each["result"] for each in tried], ["refused", "200"])
        # An Anthropic client has got it, and nobody else can go on from there.
        reply = larder.messages("b", model="smart", stream=True)
        self.assertEqual((reply.events()[-1][0], two.calls), ("error", 1))

    def test_a_stream_is_never_a_mixture_of_two(self):
        for first in ("one", "ant"):
            for what, behave, text in (("an error at once", begin_with_error, None), ("no event", end_at_once, None),
                                       ("an error later", break_after(2), f"{first} answers"),
                                       ("a cut", cut_after(2), f"{first} answers")):
                provider, two = self.provider(first, behave), self.provider("two")
                larder = self.start({first: provider, "two": two},
                                    {"smart": f"{{ mode: fallback, targets: [{first}/m, two/m] }}"},
                                    keys="breaker: { failures: 1000 }")
                for index, ask in enumerate(DIALECTS, 1):
                    with self.subTest(first=first, what=what, ask=ask):
                        reply = getattr(larder, ask)(ask, model="smart", stream=True)
                        self.assertEqual(text_of(reply), text or f"two answers {index}")
                        self.assertEqual(two.calls, 0 if text else index)
                        failures = [data for name, data in reply.events() if '"error":' in data]
                        self.assertEqual(len(failures), 1 if text else 0, reply.body)


if __name__ == "__main__":
    unittest.main()
