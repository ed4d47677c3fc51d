"""Routes of a fleet, and of a node that comes back: the models' answers are everybody's, and a crowd makes one call to each."""
import threading
import unittest

from fleet import FleetTest, redis_store, text_of
from harness import wait_until
from redis_servers import RedisServer
from route_targets import RouteTest, say
from route_targets import text_of as text_of_reply

ROUTE = {"smart": "{ mode: fallback, targets: [one/m, two/m] }"}
WELL = "breaker: { failures: 1000 }"
ONLY = {"cache-control": "only-if-cached"}


def held(behave):
    """What it does once its gate is open."""
    def wait(call):
        call.provider.gate.wait()
        behave(call)

    return wait


class Fleet(RouteTest, FleetTest):
    def setUp(self):
        super().setUp()
        self.redis = self.own(RedisServer())

    def start_fleet(self, first, second, count=3):
        self.one, self.two_ = self.provider("one", first), self.provider("two", second)
        text = self.text({"one": self.one, "two": self.two_}, ROUTE, WELL)
        text = text.replace("store: { kind: memory }", redis_store(self.redis.url))
        nodes = [self.start_larder(text, name=f"node{index}") for index in range(count)]
        for node in nodes:
            self.wait_for_ready(node)
        return nodes

    def test_a_crowd_at_each_node_is_one_call_to_each_model(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                nodes = self.start_fleet(held(say(500)), held(say()))
                crowds = self.crowds(nodes, {"prompt": f"a {stream}", "model": "smart", "stream": stream}, 20)
                wait_until(lambda: self.one.calls == 1, "the first is asked")
                self.one.gate.set()
                wait_until(lambda: self.two_.calls >= 1, "the second is asked")
                self.two_.gate.set()
                texts = {text_of(reply) for crowd in crowds for reply in crowd.replies()}
                self.assertEqual(texts, {"two answers 1"})
                self.assertEqual(self.two_.calls, 1)
                self.assertLessEqual(self.one.calls, len(nodes))

    def test_what_one_node_fell_back_to_is_a_hit_at_another(self):
        first, second = self.start_fleet(say(500), None, 2)
        self.assert_tried(first.chat("a", "smart"), "one/m=500, two/m=200")
        wait_until(lambda: second.chat("a", "two/m", ONLY).status == 200, "the other node finds it")
        reply = second.chat("a", "smart")
        self.assert_tried(reply, "two/m=hit")
        self.assertEqual((self.one.calls, self.two_.calls), (1, 1))


    def test_what_another_node_has_kept_meanwhile_is_a_hit(self):
        first, second, third = self.start_fleet(held(say(500)), None)
        for stream in (False, True):
            with self.subTest(stream=stream):
                self.one.gate.clear()
                before = self.one.calls, self.two_.calls
                members = {"stream": True} if stream else {}
                waiting = []
                thread = threading.Thread(target=lambda: waiting.append(first.generate(
                    f"a {stream}", model="smart", **members)), daemon=True)
                thread.start()
                wait_until(lambda: self.one.calls > before[0], "the first is asked")
                self.assertEqual(second.generate(f"a {stream}", model="two/m").cache, "miss")
                wait_until(lambda: third.generate(f"a {stream}", ONLY, model="two/m").status == 200, "it is in Redis")
                self.one.gate.set()
                thread.join()
                self.assert_tried(waiting[0], "one/m=500, two/m=hit")
                self.assertEqual((waiting[0].cache, text_of_reply(waiting[0])), ("hit", f"two answers {before[1] + 1}"))
                self.assertEqual(self.two_.calls, before[1] + 1)


class Restart(RouteTest):
    def test_a_fallbacks_answer_is_found_after_a_restart(self):
        one, two = self.provider("one", say(500)), self.provider("two")
        text = self.text({"one": one, "two": two}, ROUTE, WELL).replace(
            "store: { kind: memory }", "store: { kind: sqlite, sqlite: { path: larder.db } }")
        larder = self.start_larder(text)
        self.assert_tried(larder.chat("a", "smart"), "one/m=500, two/m=200")
        self.assertEqual(larder.stop(), 0)
        larder = self.start_larder(text)
        reply = larder.chat("a", "smart")
        self.assert_tried(reply, "two/m=hit")
        self.assertEqual((text_of_reply(reply), one.calls, two.calls), ("two answers 1", 1, 1))
        self.assertEqual(larder.chat("a", "one/m", ONLY).status, 504, "it is not the first one's")


if __name__ == "__main__":
    unittest.main()
