"""Routes and the cache: what is kept under whose key, who finds it, and how many calls a crowd makes."""
import json
import unittest

from crowd import Crowd, post, raise_file_limit, split_reply
from harness import in_parallel, wait_until
from route_targets import BOUND, RouteTest, hang, metadata_of, say, text_of

ONLY = {"cache-control": "only-if-cached"}
WELL = "breaker: { failures: 1000 }"


class Kept(RouteTest):
    ASKS = ("generate", "chat", "messages")

    def test_a_fallbacks_answer_is_the_seconds(self):
        for ask in self.ASKS:
            for stream in (False, True):
                larder, one, two = self.two(say(500), keys=WELL)
                members = {"stream": True} if stream else {}

                def again(model="smart", prompt="a", **headers):
                    return getattr(larder, ask)(prompt, model=model, headers=headers, **members)

                with self.subTest(ask=ask, stream=stream):
                    self.assertEqual(again().cache, "miss")
                    reply = again()
                    self.assertEqual((reply.cache, text_of(reply)), ("hit", "two answers 1"), reply)
                    self.assert_tried(reply, "two/m=hit")
                    self.assertEqual((one.calls, two.calls), (1, 1), "a hit makes no call")
                    if ask == "generate":
                        metadata = metadata_of(reply)
                        self.assertEqual((metadata["provider"], metadata["cached"], metadata["route"]["tried"][0]["result"]),
                                         ("two", True, "hit"))
                    # The second one's, to whoever asks it directly; never the first one's.
                    self.assertEqual(again("two/m").cache, "hit")
                    self.assertEqual((again("one/m").status, one.calls), (502 if ask == "generate" else 500, 2))
                    # The first one is well again: it is asked for what is new, and what is kept stays.
                    one.behave = say()
                    self.assertEqual(text_of(again(prompt="b")), "one answers 3")
                    self.assertEqual(text_of(again()), "two answers 1")
                    self.assertEqual((again("one/m").cache, one.calls), ("miss", 4))
                    # Both have one now: the first in the order counts.
                    self.assertEqual(text_of(again()), "one answers 4")

    def test_a_hit_of_any_of_a_routes_models_makes_no_call(self):
        names = ("one", "two", "three")
        providers = {name: self.provider(name) for name in names}
        larder = self.start(providers, {
            "smart": "{ mode: fallback, targets: [one/m, two/m, three/n] }",
            "even": "{ mode: load-balance, targets: [one/m, two/m, three/n] }",
            "fast": "{ mode: fastest, targets: [one/m, two/m, three/n] }"})
        self.assertEqual(larder.chat("a", model="three/n").cache, "miss")
        for route in ("smart", "even", "fast"):
            for _ in range(4):
                reply = larder.chat("a", model=route)
                self.assertEqual((reply.cache, text_of(reply)), ("hit", "three answers 1"), reply)
                self.assert_tried(reply, "three/n=hit", route)
        self.assertEqual([provider.calls for provider in providers.values()], [0, 0, 1])

    def test_only_if_cached(self):
        larder, one, two = self.two(say(500), keys=WELL)
        for stream in (False, True):
            reply = larder.generate("a", ONLY, model="smart", stream=stream)
            self.assert_error(reply, 504, "not_cached")
            self.assertEqual(reply.headers["x-larder-route"], "smart")
        self.assertEqual(one.calls + two.calls, 0)
        self.assertEqual(larder.generate("a", model="smart").cache, "miss")
        reply = larder.generate("a", ONLY, model="smart")
        self.assertEqual((reply.status, reply.cache, one.calls, two.calls), (200, "hit", 1, 1))

    def test_no_store_and_no_cache(self):
        larder, one, two = self.two(say(500), keys=WELL)
        for count in (1, 2):
            reply = larder.chat("a", model="smart", headers={"cache-control": "no-store"})
            self.assertEqual((reply.cache, text_of(reply), one.calls), ("bypass", f"two answers {count}", count))
        self.assertEqual(larder.chat("a", model="smart", headers=ONLY).status, 504)
        self.assertEqual(text_of(larder.chat("a", model="smart")), "two answers 3")
        reply = larder.chat("a", model="smart", headers={"cache-control": "no-cache"})
        self.assertEqual((reply.cache, text_of(reply)), ("miss", "two answers 4"))
        self.assertEqual(text_of(larder.chat("a", model="smart")), "two answers 4", "it was refreshed")

    def test_a_stale_answer_stands_in_when_all_fail(self):
        larder, one, two = self.two(keys=WELL)
        self.assertEqual(larder.chat("a", model="smart", headers={"x-larder-ttl": "1"}).cache, "miss")
        wait_until(lambda: larder.chat("a", model="smart", headers=ONLY).status == 504, "the entry runs out")
        one.behave = two.behave = say(500)
        reply = larder.chat("a", model="smart")
        self.assertEqual((reply.status, reply.cache, text_of(reply)), (200, "stale", "one answers 1"), reply)
        self.assertEqual(two.calls, 1, "the second one was asked first")

    def test_a_stale_answer_of_another_api_has_the_clients_form(self):
        for order in (("ant", "one"), ("one", "ant")):
            providers = {name: self.provider(name) for name in order}
            larder = self.start(providers, {"smart": f"{{ mode: fallback, targets: [{order[0]}/m, {order[1]}/m] }}"}, WELL)
            for stream in (False, True):
                members = {"stream": True} if stream else {}
                prompt = f"question {stream}"
                with self.subTest(order=order, stream=stream):
                    for provider in providers.values():
                        provider.behave = say()
                    fresh = larder.chat(prompt, model="smart", headers={"x-larder-ttl": "1"}, **members)
                    wait_until(lambda: larder.chat(prompt, model="smart", headers=ONLY).status == 504, "it runs out")
                    for provider in providers.values():
                        provider.behave = say(500)
                    reply = larder.chat(prompt, model="smart", **members)
                    self.assertEqual((reply.status, reply.cache, text_of(reply)), (200, "stale", text_of(fresh)), reply)
                    self.assertNotIn(b"message_start", reply.body)

    def test_an_error_is_not_kept(self):
        larder, one, two = self.two(say(500), say(500), keys=WELL)
        self.assertEqual(larder.chat("a", model="smart").status, 500)
        two.behave = say()
        reply = larder.chat("a", model="smart")
        self.assertEqual((reply.cache, text_of(reply)), ("miss", "two answers 2"))


class Deployments(RouteTest):
    def start_pair(self, first, second):
        one, two = self.provider("one"), self.provider("two")
        larder = self.start({"one": one, "two": two}, {
            "here": f"{{ mode: fallback, targets: [{first}] }}", "there": f"{{ mode: fallback, targets: [{second}] }}"})
        return larder, one, two

    def is_shared(self, first, second, ask="chat", **members):
        """Whether `there` finds what `here` got, and which calls were made for it."""
        larder, one, two = self.start_pair(first, second)
        self.assertEqual(getattr(larder, ask)("a", model="here", **members).cache, "miss")
        reply = getattr(larder, ask)("a", model="there", **members)
        self.assertEqual(reply.status, 200, reply)
        return reply.cache == "hit" and text_of(reply) == "one answers 1" and one.calls == 1 and two.calls == 0

    def test_equal_requests_to_one_deployment_do_not_wait_for_its_silent_target(self):
        one, two = self.provider("one", hang), self.provider("two")
        larder = self.start({"one": one, "two": two}, {"smart": f"""{{ mode: fallback, {BOUND}, targets: [
            {{ model: one/m, deployment: x }}, {{ model: two/m, deployment: x }}] }}"""}, WELL)
        replies = in_parallel(5, lambda _: larder.chat("the same", "smart"))
        self.assertEqual({(reply.status, text_of(reply)) for reply in replies}, {(200, "two answers 1")}, replies)
        self.assertEqual((one.calls, two.calls), (1, 1))
        # Kept for both.
        self.assertEqual(larder.chat("the same", "smart").cache, "hit")

    def test_a_failure_of_one_target_of_a_deployment_is_none_of_the_others(self):
        one, two = self.provider("one", say(500)), self.provider("two")
        larder = self.start({"one": one, "two": two}, {"smart": """{ mode: load-balance, targets: [
            { model: one/m, deployment: x }, { model: two/m, deployment: x }] }"""}, WELL)
        replies = in_parallel(16, lambda index: larder.chat(f"question {index // 4}", "smart"))
        self.assertEqual({reply.status for reply in replies}, {200}, replies)

    def test_targets_of_one_deployment_share_their_answers(self):
        for ask in ("chat", "generate"):
            for members in ({}, {"stream": True}):
                with self.subTest(ask=ask, **members):
                    self.assertTrue(self.is_shared("{ model: one/m, deployment: x }", "{ model: two/m, deployment: x }",
                                                   ask, **members), "two providers")
                    self.assertTrue(self.is_shared("{ model: one/m, deployment: x }", "{ model: two/n, deployment: x }",
                                                   ask, **members), "two providers and two names")

    def test_others_do_not(self):
        for first, second in (("one/m", "two/m"), ("{ model: one/m, deployment: x }", "two/m"),
                              ("one/m", "{ model: two/m, deployment: x }"),
                              ("{ model: one/m, deployment: x }", "{ model: two/m, deployment: y }"),
                              ("{ model: one/m, deployment: m }", "one/m")):
            with self.subTest(first=first, second=second):
                self.assertFalse(self.is_shared(first, second))

    def test_plain_and_stream_are_one_entry(self):
        larder, one, two = self.start_pair("{ model: one/m, deployment: x }", "{ model: two/n, deployment: x }")
        self.assertEqual(larder.chat("a", model="here", stream=True).cache, "miss")
        self.assertEqual(text_of(larder.chat("a", model="there")), "one answers 1")
        self.assertEqual((one.calls, two.calls), (1, 0))

    def test_a_purge_of_the_model_ends_it(self):
        larder, one, two = self.start_pair("{ model: one/m, deployment: x }", "{ model: two/n, deployment: x }")
        self.assertEqual(larder.chat("a", model="here").cache, "miss")
        self.assertEqual(larder.request("DELETE", "/admin/cache?model=m").status, 200)
        self.assertEqual(larder.chat("a", model="here").cache, "miss")


class Crowds(RouteTest):
    COUNT = 200

    def crowd(self, larder, members):
        crowd = Crowd(larder.address, post("/llm/generate", {"prompt": "a", "model": "smart", **members}), self.COUNT)
        self.addCleanup(crowd.close)
        connected = f"larder_connections {self.COUNT + 1}"  # the last is who asks
        wait_until(lambda: connected in larder.get("/metrics").body.decode(), "all have come")
        return crowd

    def check(self, larder, crowd, one, two, first_calls, text):
        replies = [split_reply(data) for data in crowd.replies()]
        self.assertEqual({status for status, _, _ in replies}, {200})
        self.assertEqual((one.calls, two.calls), (first_calls, 1))
        outcomes = [fields["x-larder-cache"] for _, fields, _ in replies]
        self.assertEqual(outcomes.count("miss"), 1)
        self.assertLessEqual(set(outcomes), {"miss", "coalesced", "hit"})
        self.assertTrue(all(text in body for _, _, body in replies))

    def two_with_one_thread(self, first, second):
        one = first if not callable(first) else self.provider("one", first)
        two = self.provider("two", second)
        text = self.text({"one": one, "two": two}, {"smart": "{ mode: fallback, targets: [one/m, two/m] }"}, WELL)
        return self.start_larder(text.replace("listen: 127.0.0.1:0", "listen: 127.0.0.1:0, threads: 1")), one, two

    def test_equal_requests_at_once_are_one_call_to_each(self):
        raise_file_limit()
        for members in ({}, {"stream": True}):
            def fail(call):
                call.provider.gate.wait()
                call.refuse(500)

            with self.subTest(**members):
                larder, one, two = self.two_with_one_thread(fail, None)
                crowd = self.crowd(larder, members)
                wait_until(lambda: one.calls, "the first is asked")
                self.assertEqual((one.calls, two.calls), (1, 0))
                one.gate.set()
                self.check(larder, crowd, one, two, 1, b"two answers 1")

    def test_to_a_dead_provider_too(self):
        raise_file_limit()
        for members in ({}, {"stream": True}):
            with self.subTest(**members):
                larder, one, two = self.two_with_one_thread(self.dead(), hang)
                crowd = self.crowd(larder, members)
                wait_until(lambda: two.calls, "the second is asked")
                two.gate.set()
                self.check(larder, crowd, one, two, 0, b"two answers 1")

    def test_to_a_silent_one_with_a_bound(self):
        raise_file_limit()
        one, two = self.provider("one", hang), self.provider("two")
        larder = self.start({"one": one, "two": two},
                            {"smart": f"{{ mode: fallback, {BOUND}, targets: [one/m, two/m] }}"}, WELL)
        crowd = Crowd(larder.address, post("/llm/generate", {"prompt": "a", "model": "smart"}), self.COUNT)
        self.addCleanup(crowd.close)
        replies = [split_reply(data) for data in crowd.replies()]
        self.assertEqual({(status, json.loads(body)["text"]) for status, _, body in replies}, {(200, "two answers 1")})
        self.assertEqual((one.calls, two.calls), (1, 1))


if __name__ == "__main__":
    unittest.main()
