"""Routes that choose: by weight, speed and price, and which target is left alone for how long."""
import hashlib
import json
import threading
import time
import unittest

from harness import PATIENCE, in_parallel, wait_until
from route_targets import BOUND, RouteTest, hang, metadata_of, say, text_of

WELL = "breaker: { failures: 1000 }"


def slow(seconds):
    def behave(call):
        time.sleep(seconds)
        call.answer()

    return behave


class LoadBalance(RouteTest):
    ROUTE = "{ mode: load-balance, targets: [{ model: one/m, weight: 70 }, { model: two/m, weight: 30 }] }"
    STICKY = "{ mode: load-balance, sticky: session, targets: [one/m, two/m] }"

    def test_a_thousand_requests_by_weight(self):
        larder, one, two = self.two(route=self.ROUTE)

        def ask(worker):
            for index in range(250):
                self.assertEqual(larder.chat(f"{worker} {index}", model="smart").status, 200)

        in_parallel(4, ask)
        self.assertEqual(one.calls + two.calls, 1000)
        self.assertAlmostEqual(one.calls, 700, delta=10)

    def test_hits_of_whichever_target_ask_nobody(self):
        larder, one, two = self.two(route=self.ROUTE)
        for _ in range(50):
            self.assertEqual(larder.chat("a", model="smart").status, 200)
        self.assertEqual(one.calls + two.calls, 1)

    def test_the_other_one_stands_in(self):
        larder, one, two = self.two(say(500), route=self.ROUTE, keys=WELL)
        for index in range(40):
            reply = larder.chat(f"{index}", model="smart")
            self.assertEqual(reply.status, 200)
            self.assertIn(reply.headers["x-larder-route-tried"], ("one/m=500, two/m=200", "two/m=200"))
        self.assertEqual(two.calls, 40)
        self.assertAlmostEqual(one.calls, 28, delta=3)

    def stays(self, ask):
        """The provider of each of 20 sessions, asked five times each; `ask(session, prompt)`."""
        homes = {}
        for turn in range(5):
            for session in range(20):
                reply = ask(f"session-{session}", f"{session} {turn}")
                self.assertEqual(reply.status, 200, reply)
                home = homes.setdefault(session, text_of(reply).split(" ")[0])
                self.assertEqual(text_of(reply).split(" ")[0], home, f"session {session} stays")
        self.assertEqual(set(homes.values()), {"one", "two"})
        return homes

    def test_sessions_stay(self):
        larder, one, two = self.two(route=self.STICKY)
        for what, ask in (
                ("header", lambda session, prompt: larder.generate(
                    prompt, {"x-larder-session": session}, model="smart")),
                ("header before body", lambda session, prompt: larder.chat(
                    "b" + prompt, "smart", {"x-larder-session": session}, prompt_cache_key=prompt, user=prompt)),
                ("prompt_cache_key", lambda session, prompt: larder.chat(
                    prompt, "smart", prompt_cache_key=session, user=prompt)),
                ("user", lambda session, prompt: larder.chat("u" + prompt, "smart", user=session)),
                ("metadata.user_id", lambda session, prompt: larder.messages(
                    prompt, "smart", metadata={"user_id": session}))):
            with self.subTest(what):
                self.stays(ask)

    def test_a_session_is_the_same_wherever_it_is_said(self):
        larder, one, two = self.two(route=self.STICKY)
        homes = self.stays(lambda session, prompt: larder.generate(prompt, {"x-larder-session": session}, model="smart"))
        for session, home in homes.items():
            reply = larder.chat(f"again {session}", "smart", prompt_cache_key=f"session-{session}")
            self.assertEqual(text_of(reply).split(" ")[0], home)

    def test_sessions_survive_their_targets_death(self):
        larder, one, two = self.two(route=self.STICKY, keys="breaker: { failures: 1, rate: 0.001, probe_after: 200ms }")
        counter = iter(range(1_000_000))

        def home(session):
            reply = larder.generate(f"turn {next(counter)}", {"x-larder-session": f"session-{session}"}, model="smart")
            self.assertEqual(reply.status, 200, reply)
            return metadata_of(reply)["provider"]

        homes = {session: home(session) for session in range(20)}
        self.assertEqual(set(homes.values()), {"one", "two"})
        one.behave = say(500)
        self.assertEqual({home(session) for session in homes}, {"two"})
        one.behave = say()
        wait_until(lambda: {session: home(session) for session in homes} == homes, "they come home")

    def test_users_stay(self):
        one, two = self.provider("one"), self.provider("two")
        keys = [f"key-of-user-{number}" for number in range(12)]
        entries = ", ".join(f'{{ name: k{number}, user: u{number}, scopes: [llm], '
                            f'sha256: "{hashlib.sha256(key.encode()).hexdigest()}" }}' for number, key in enumerate(keys))
        larder = self.start({"one": one, "two": two},
                            {"smart": "{ mode: load-balance, sticky: user, targets: [one/m, two/m] }"},
                            rest=f"auth: {{ mode: keys, keys: [{entries}] }}\n")
        homes = {}
        for turn in range(4):
            for key in keys:
                reply = larder.chat(f"{key} {turn}", "smart", {"authorization": f"Bearer {key}"})
                self.assertEqual(reply.status, 200, reply)
                self.assertEqual(homes.setdefault(key, text_of(reply).split(" ")[0]), text_of(reply).split(" ")[0])
        self.assertEqual(set(homes.values()), {"one", "two"})

    def test_a_nested_routes_weight_is_its_targets(self):
        names = ("one", "two", "three")
        providers = {name: self.provider(name) for name in names}
        larder = self.start(providers, {
            "smart": "{ mode: load-balance, targets: [{ route: pair, weight: 3 }, { model: three/m, weight: 1 }] }",
            "pair": "{ mode: load-balance, targets: [one/m, two/m] }"})
        for index in range(160):
            self.assertEqual(larder.chat(f"{index}", "smart").status, 200)
        for name, share in (("one", 60), ("two", 60), ("three", 40)):
            self.assertAlmostEqual(providers[name].calls, share, delta=4, msg=name)


class Fastest(RouteTest):
    ROUTE = "{ mode: fastest, targets: [one/m, two/m, three/m] }"

    def start_three(self, first, route=ROUTE, **options):
        providers = {"one": self.provider("one", first), "two": self.provider("two"), "three": self.provider("three")}
        return self.start(providers, {"smart": route}, **options), providers

    def share(self, larder, provider, prompt, count=150):
        before = provider.calls
        for index in range(count):
            self.assertEqual(larder.chat(f"{prompt} {index}", "smart").status, 200)
        return (provider.calls - before) / count

    def test_a_slow_one_is_left_alone(self):
        larder, providers = self.start_three(slow(0.5 * PATIENCE))
        wait_until(lambda: larder.chat(f"warm {time.monotonic()}", "smart").status == 200 and providers["one"].calls,
                   "each has been asked")
        self.assertLessEqual(self.share(larder, providers["one"], "then"), 0.05)
        self.assertGreater(providers["two"].calls, 20)
        self.assertGreater(providers["three"].calls, 20)

    def test_one_that_fails_fast_is_no_fast_one(self):
        larder, providers = self.start_three(say(500), keys=WELL)
        wait_until(lambda: larder.chat(f"warm {time.monotonic()}", "smart").status == 200 and providers["one"].calls,
                   "each has been asked")
        self.assertLessEqual(self.share(larder, providers["one"], "then"), 0.05)

    def test_a_silent_one_is_left_alone_although_no_breaker_is_open(self):
        larder, providers = self.start_three(
            hang, f"{{ mode: fastest, {BOUND}, targets: [one/m, two/m, three/m] }}", keys=WELL)
        wait_until(lambda: larder.chat(f"warm {time.monotonic()}", "smart").status == 200 and providers["one"].calls,
                   "each has been asked")
        self.assertLessEqual(self.share(larder, providers["one"], "then", 60), 0.05)

    def test_a_busy_one_is_left_to_its_work(self):
        larder, providers = self.start_three(None, "{ mode: fastest, targets: [one/m, two/m] }")
        for index in range(20):
            self.assertEqual(larder.chat(f"warm {index}", "smart").status, 200)
        providers["one"].behave = hang
        stuck = [threading.Thread(target=larder.chat, args=(f"stuck {index}", "one/m"), daemon=True)
                 for index in range(20)]
        before = providers["one"].calls
        for thread in stuck:
            thread.start()
        wait_until(lambda: providers["one"].calls == before + 20, "it is busy")
        for index in range(30):
            self.assertIn("two answers", text_of(larder.chat(f"then {index}", "smart")))
        self.assertEqual(providers["one"].calls, before + 20)
        providers["one"].gate.set()
        for thread in stuck:
            thread.join()


TINY_IMAGE = ("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
              "awAAAABJRU5ErkJggg==")
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]


class Cheapest(RouteTest):
    """`short` has no vision and a short context, `gemma-3` no tools; `llama-4` can all and is dear; `free` has no price."""

    PRICES = {"one/short": {"mode": "chat", "input": 0.1, "output": 0.1, "context": 4000},
              "one/gemma-3": {"mode": "chat", "input": 0.2, "output": 0.2, "context": 100000},
              "one/llama-4": {"mode": "chat", "input": 5, "output": 9, "context": 100000},
              "one/talker": {"mode": "chat", "input": 0.05, "output": 50, "context": 100000}}

    def setUp(self):
        super().setUp()
        self.one = self.provider("one")
        (self.folder / "prices.json").write_text(json.dumps({"models": self.PRICES}))
        self.larder = self.start({"one": self.one}, {
            "smart": "{ mode: cheapest, targets: [one/free, one/llama-4, one/gemma-3, one/short] }",
            "long": "{ mode: cheapest, targets: [one/llama-4, one/talker] }"}, keys=WELL,
            rest=f"prices: {{ file: {self.folder / 'prices.json'} }}\n")

    def taken(self, content, route="smart", **members):
        reply = self.larder.request("POST", "/v1/chat/completions", {
            "model": route, "messages": [{"role": "user", "content": content}], **members})
        self.assertEqual(reply.status, 200, reply)
        return self.one.models[-1]

    def image(self, words):
        return [{"type": "text", "text": words}, {"type": "image_url", "image_url": {"url": TINY_IMAGE}}]

    def test_the_cheap_one(self):
        self.assertEqual(self.taken("Hello"), "short")
        self.assertEqual(self.taken("Hello, tools", tools=TOOLS), "short")

    def test_not_one_whose_context_is_too_short(self):
        self.assertEqual(self.taken("word " * 4000), "gemma-3")
        self.assertEqual(self.taken("Hello", max_tokens=3999), "gemma-3")
        self.assertEqual(self.taken("Hello", max_tokens=3000), "short")

    def test_not_one_without_tools_or_vision(self):
        self.assertEqual(self.taken(self.image("a")), "gemma-3")
        self.assertEqual(self.taken("word " * 4000, tools=TOOLS), "llama-4")
        self.assertEqual(self.taken(self.image("b"), tools=TOOLS), "llama-4")

    def test_the_output_counts(self):
        self.assertEqual(self.taken("word " * 20000, "long", max_tokens=1), "talker")
        self.assertEqual(self.taken("Hello", "long", max_tokens=1000), "llama-4")

    def test_the_next_cheapest_stands_in_and_those_without_a_price_come_last(self):
        def fail_two(call):
            return call.refuse(500) if call.model in ("short", "gemma-3", "llama-4") else call.answer()

        self.one.behave = fail_two
        reply = self.larder.generate("Hello", model="smart")
        self.assertEqual(reply.headers["x-larder-route-tried"],
                         "one/short=500, one/gemma-3=500, one/llama-4=500, one/free=200", reply)

    def test_where_none_can_all_are_asked(self):
        reply = self.larder.chat("word " * 120_000, "smart")
        self.assertEqual(reply.status, 200, reply)


class LeftAlone(RouteTest):
    def test_a_429_until_its_retry_after(self):
        larder, one, two = self.two(say(429, retry_after=60))
        self.assert_tried(larder.chat("a", "smart"), "one/m=429, two/m=200")
        for index in range(10):
            self.assert_tried(larder.chat(f"b {index}", "smart"), "two/m=200")
        self.assertEqual(one.calls, 1)
        # Of the model at that provider only, and for routes only: who names it gets it.
        self.assertEqual(larder.chat("c", "one/m").status, 429)
        self.assertEqual(one.calls, 2)

    def test_it_is_not_asked_when_the_others_fail_and_what_it_has_said_is_still_found(self):
        larder, one, two = self.two()
        self.assert_tried(larder.chat("kept", "smart"), "one/m=200")
        one.behave = say(429, retry_after=60)
        self.assert_tried(larder.chat("a", "smart"), "one/m=429, two/m=200")
        two.behave = say(503)
        reply = larder.chat("b", "smart")
        self.assert_tried(reply, "two/m=503")
        self.assertEqual((reply.status, one.calls), (503, 2))
        self.assert_tried(larder.chat("kept", "smart"), "one/m=hit")

    def test_another_model_there_is_asked(self):
        one, two = self.provider("one", say(429, retry_after=60)), self.provider("two")
        larder = self.start({"one": one, "two": two}, {"smart": "{ mode: fallback, targets: [one/m, one/n, two/m] }"})
        one.behave = lambda call: call.refuse(429, {"retry-after": "60"}) if call.model == "m" else call.answer()
        self.assert_tried(larder.chat("a", "smart"), "one/m=429, one/n=200")
        self.assert_tried(larder.chat("b", "smart"), "one/n=200")

    def test_then_it_is_asked_again(self):
        larder, one, two = self.two(say(429, retry_after_ms=300))
        limited = time.monotonic()
        self.assert_tried(larder.chat("a", "smart"), "one/m=429, two/m=200")
        one.behave = say()
        counter = iter(range(100_000))

        def comes_back():
            reply = larder.chat(f"b {next(counter)}", "smart")
            self.assertEqual(reply.status, 200)
            return reply.headers["x-larder-route-tried"] == "one/m=200"

        wait_until(comes_back, "it is asked again")
        self.assertGreaterEqual(time.monotonic() - limited, 0.3)

    def test_a_503_that_says_when(self):
        larder, one, two = self.two(say(503, retry_after=60), keys=WELL)
        self.assert_tried(larder.chat("a", "smart"), "one/m=503, two/m=200")
        self.assert_tried(larder.chat("b", "smart"), "two/m=200")

    def test_a_503_that_does_not_is_asked_again(self):
        larder, one, two = self.two(say(503), keys=WELL)
        for prompt in ("a", "b"):
            self.assert_tried(larder.chat(prompt, "smart"), "one/m=503, two/m=200")

    def test_where_all_are_limited_all_are_asked(self):
        larder, one, two = self.two(say(429, retry_after=60), say(429, retry_after=60))
        for prompt in ("a", "b"):
            reply = larder.chat(prompt, "smart")
            self.assert_tried(reply, "one/m=429, two/m=429")
            self.assertEqual((reply.status, reply.headers["retry-after"]), (429, "60"))

    def test_a_load_balance_goes_on_with_the_others(self):
        larder, one, two = self.two(say(429, retry_after=60), route="{ mode: load-balance, targets: [one/m, two/m] }")
        for index in range(20):
            self.assertEqual(larder.chat(f"{index}", "smart").status, 200)
        self.assertEqual((one.calls, two.calls), (1, 20))

    def test_one_that_fails_too_often(self):
        larder, one, two = self.two(say(500), keys="breaker: { failures: 3, probe_after: 1h }")
        for index in range(3):
            self.assert_tried(larder.chat(f"a {index}", "smart"), "one/m=500, two/m=200")
        for index in range(10):
            self.assert_tried(larder.chat(f"b {index}", "smart"), "two/m=200")
        self.assertEqual(one.calls, 3)
        # Where all are left alone, it is said.
        two.behave = say(500)
        counter = iter(range(1000))
        wait_until(lambda: "two/m=left-alone" in larder.chat(f"c {next(counter)}", "smart").headers[
            "x-larder-route-tried"], "half of the second one's calls have failed")
        calls = two.calls
        reply = larder.generate("d", model="smart")
        self.assert_error(reply, 503, "provider_overloaded")
        self.assert_tried(reply, "one/m=left-alone, two/m=left-alone")
        self.assertEqual(two.calls, calls)

    def test_silence_is_held_against_a_model_by_routes_only(self):
        route = f"{{ mode: fallback, {BOUND}, targets: [one/m, two/m] }}"
        larder, one, two = self.two(hang, route=route, keys="breaker: { failures: 2, probe_after: 1h }")
        for index in range(2):
            self.assert_tried(larder.chat(f"a {index}", "smart"), "one/m=timeout, two/m=200")
        self.assert_tried(larder.chat("b", "smart"), "two/m=200")
        # Who asks the provider itself may wait for as long as it takes.
        one.behave = say()
        self.assertEqual(larder.chat("c", "one/m").status, 200)

    def test_a_call_that_was_given_up_ends_whatever_becomes_of_answers_that_nobody_waits_for(self):
        route = f"{{ mode: fallback, {BOUND}, targets: [one/m, two/m] }}"
        larder, one, two = self.two(hang, route=route, rest="cache: { on_disconnect: finish }\n")
        self.assert_tried(larder.chat("a", "smart"), "one/m=timeout, two/m=200")
        wait_until(lambda: "\nlarder_flights 0\n" in larder.get("/metrics").body.decode(), "the call is over")
        self.assertFalse(one.gate.is_set())

    def test_a_probe_brings_it_back(self):
        larder, one, two = self.two(say(500), keys="breaker: { failures: 3, rate: 0.01, probe_after: 100ms }")
        counter = iter(range(100_000))

        def tried():
            reply = larder.chat(f"{next(counter)}", "smart")
            self.assertEqual(reply.status, 200)
            return reply.headers["x-larder-route-tried"]

        wait_until(lambda: tried() == "two/m=200", "it is left alone")
        wait_until(lambda: tried() == "one/m=500, two/m=200", "a probe fails, and its request is answered")
        one.behave = say()
        wait_until(lambda: tried() == "one/m=200", "a probe succeeds")
        self.assertEqual([tried() for _ in range(5)], ["one/m=200"] * 5)

    def test_one_probe_at_a_time(self):
        larder, one, two = self.two(say(500), keys=f"breaker: {{ failures: 3, probe_after: {int(2 * PATIENCE)}s }}")
        for index in range(3):
            larder.chat(f"a {index}", "smart")
        one.behave = hang
        probe = []
        counter = iter(range(100_000))

        def ask():
            probe.append(larder.chat(f"b {next(counter)}", "smart"))

        def probing():
            if one.calls > 3:
                return True
            threading.Thread(target=ask, daemon=True).start()
            return False

        wait_until(probing, "a probe is under way")
        began = time.monotonic()
        others = 0
        while time.monotonic() - began < 0.5 * PATIENCE:
            reply = larder.chat(f"c {next(counter)}", "smart")
            self.assert_tried(reply, "two/m=200")
            others += 1
        self.assertGreater(others, 0)
        self.assertEqual(one.calls, 4)
        answered = len(probe)
        one.gate.set()
        wait_until(lambda: len(probe) > answered or larder.chat(f"d {next(counter)}", "smart").headers[
            "x-larder-route-tried"] == "one/m=200", "the probe is answered")


if __name__ == "__main__":
    unittest.main()
