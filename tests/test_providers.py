"""Retries, the circuit breaker, stale answers and masked keys: what Larder does when a provider fails."""
import json
import time
import unittest

from crowd import Crowd, post, split_reply
from harness import LarderTest, OPENAI_KEY, configuration, in_parallel, wait_until
from scripted import ScriptedProvider


class Retries(LarderTest):
    def setUp(self):
        super().setUp()
        self.larder, self.replay = self.start_both(provider_keys="first_byte_timeout: 5s")

    def fault(self, name, **members):
        return self.larder.generate(f"fault {name}", provider="openai", model=f"fault-{name}", **members)

    def test_two_failures_are_tried_again(self):
        self.assertEqual(self.fault("flaky-2").status, 200)
        self.assertEqual(self.replay.stats()["calls"], 3)

    def test_a_stream_too_before_its_first_byte(self):
        reply = self.fault("flaky-2", stream=True)
        self.assertEqual((reply.status, reply.events()[-1][0]), (200, "done"))
        self.assertEqual(self.replay.stats()["calls"], 3)

    def test_three_failures_are_an_error(self):
        self.assert_error(self.fault("flaky-9"), 502)
        self.assertEqual(self.replay.stats()["calls"], 3)

    def test_a_fault_of_the_request_is_never_tried_again(self):
        for status in (400, 401, 403, 404, 422):
            self.replay.reset()
            self.fault(str(status))
            self.assertEqual(self.replay.stats()["calls"], 1, status)

    def test_408_409_and_429_are_tried_again(self):
        for status in (408, 409, 429):
            self.replay.reset()
            self.fault(str(status))
            self.assertEqual(self.replay.stats()["calls"], 3, status)
            time.sleep(1.2)  # a breaker that counts these would be half open again

    def test_retry_after_is_honoured(self):
        begin = time.monotonic()
        reply = self.fault("429-retry-after-1")
        waited = time.monotonic() - begin
        self.assertEqual(reply.status, 429)
        self.assertGreaterEqual(waited, 1.9, "two waits of a second each")
        self.assertEqual(self.replay.stats()["calls"], 3)

    def test_a_retry_after_beyond_the_bound_is_not_waited_for(self):
        begin = time.monotonic()
        reply = self.fault("429-retry-after-30")
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual(reply.status, 429)
        self.assertEqual(self.replay.stats()["calls"], 1)

    def test_what_cannot_be_read_is_not_tried_again(self):
        for name in ("garbage", "half-json", "content-type"):
            self.replay.reset()
            self.assert_error(self.fault(name), 502)
            self.assertEqual(self.replay.stats()["calls"], 1, name)


class Deadline(LarderTest):
    def hang(self, keys):
        larder, replay = self.start_both(provider_keys=keys)
        self.assert_error(larder.generate("slow", provider="openai", model="fault-hang"), 504)
        return replay.wait_for(cancelled=1)

    def test_the_total_time_out_holds_for_all_tries_together(self):
        # A first try that took all of it leaves nothing for another one.
        stats = self.hang("total_timeout: 1s, retries: 2")
        self.assertEqual(stats["calls"], 1)

    def test_a_try_gets_what_the_others_have_left(self):
        stats = self.hang("total_timeout: 1500ms, first_byte_timeout: 600ms, retries: 9, retry_base: 1ms")
        self.assertIn(stats["calls"], (2, 3))


class Breaker(LarderTest):
    def test_five_failures_open_it_and_a_probe_closes_it(self):
        larder, replay = self.start_both(provider_keys="retries: 0")
        for index in range(5):
            reply = larder.generate(f"fail {index}", provider="openai", model="fault-500")
            self.assertEqual(reply.status, 502, reply)
        self.assertEqual(replay.stats()["calls"], 5)
        reply = larder.generate("left alone", model="gpt-4o")
        self.assertEqual(reply.status, 503, reply)
        self.assertEqual(replay.stats()["calls"], 5, "the provider is left alone")
        # Another provider is not concerned.
        self.assertEqual(larder.generate("other", model="claude-sonnet-4-5").status, 200)
        wait_until(lambda: larder.generate("probe", model="gpt-4o").status == 200, "the probe closes the breaker")


    def test_one_that_opens_between_two_tries_leaves_the_providers_own_error(self):
        larder, replay = self.start_both(provider_keys="retries: 2, retry_base: 1ms, breaker: { failures: 2 }")
        for ask in (lambda: larder.generate("a", provider="openai", model="fault-500"),
                    lambda: larder.messages("a", model="anthropic/fault-500", stream=True)):
            before = replay.stats()["calls"]
            reply = ask()
            self.assertIn(reply.status, (500, 502), reply)
            self.assertIn(b"The provider answers 500.", reply.body)
            self.assertEqual(replay.stats()["calls"] - before, 2)
        self.assert_error(larder.generate("b", provider="openai", model="gpt-4o"), 503)


class Stale(LarderTest):
    def test_a_stale_entry_is_served_when_the_provider_fails(self):
        larder, replay = self.start_both(provider_keys="retries: 0")
        fresh = larder.generate("stale", {"x-larder-ttl": "2"})
        self.assertEqual(fresh.status, 200)
        wait_until(lambda: larder.generate("stale", {"cache-control": "only-if-cached"}).status == 504,
                   "the entry runs out")
        replay.stop()
        reply = larder.generate("stale")
        self.assertEqual((reply.status, reply.cache), (200, "stale"), reply)
        self.assertGreaterEqual(int(reply.headers["age"]), 1)
        self.assertEqual(reply.json()["text"], fresh.json()["text"])
        self.assertTrue(reply.json()["metadata"]["cached"])
        # In a stream as well; but never for one who asked for something new.
        reply = larder.generate("stale", stream=True)
        self.assertEqual((reply.cache, reply.events()[-1][0]), ("stale", "done"))
        self.assertGreaterEqual(larder.generate("stale", {"cache-control": "no-cache"}).status, 500)

    def test_those_who_join_a_call_that_fails_get_it_too(self):
        answer = {"object": "chat.completion", "model": "gpt-4o", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "old"}, "finish_reason": "stop"}]}
        provider = self.enterContext(ScriptedProvider(200, answer))
        larder = self.start_larder(configuration(provider.address, "  threads: 1", provider_keys="retries: 0",
                                                 rest="cache: { ttl: 1s }"))
        asked = post("/llm/generate", {"prompt": "stale for all"})
        self.assertEqual(split_reply(*Crowd(larder.address, asked, 1).replies())[0], 200)
        wait_until(lambda: larder.generate("stale for all", {"cache-control": "only-if-cached"}).status == 504,
                   "the entry runs out")
        provider.status, provider.body = 503, {"error": {"message": "The jar is empty."}}
        provider.gate.clear()
        crowd = Crowd(larder.address, asked, 1)
        self.addCleanup(crowd.close)
        wait_until(lambda: provider.calls == 2, "the provider is asked")
        late = Crowd(larder.address, asked, 10)
        self.addCleanup(late.close)
        wait_until(lambda: "larder_connections 12" in larder.get("/metrics").body.decode(), "the others have come")
        provider.gate.set()
        replies = [split_reply(reply) for each in (crowd, late) for reply in each.replies()]
        self.assertEqual({(status, fields["x-larder-cache"]) for status, fields, _ in replies}, {(200, "stale")})

    def run_out(self, larder, prompt):
        """Leaves an entry that has run out; the provider is still there."""
        self.assertEqual(larder.generate(prompt, {"x-larder-ttl": "1"}).status, 200)
        wait_until(lambda: larder.generate(prompt, {"cache-control": "only-if-cached"}).status == 504,
                   "the entry runs out")

    def test_max_age_is_never_answered_with_an_older_entry(self):
        larder, replay = self.start_both(provider_keys="retries: 0")
        self.run_out(larder, "old")
        self.assertEqual(larder.generate("kept").status, 200)
        wait_until(lambda: int(larder.generate("kept").headers["age"]) >= 1, "it is a second old")
        replay.stop()
        for prompt in ("old", "kept"):
            for stream in (False, True):
                with self.subTest(prompt=prompt, stream=stream):
                    reply = larder.generate(prompt, {"cache-control": "max-age=0"}, stream=stream)
                    self.assert_error(reply, reply.status)
                    self.assertGreaterEqual(reply.status, 500)
        self.assertEqual(larder.generate("kept").cache, "hit", "the entry stays for the others")
        self.assertEqual(larder.generate("old", {"cache-control": "max-age=1000"}).cache, "stale")

    def test_a_stale_answer_counts_as_a_hit_only_and_an_error_as_neither(self):
        larder, replay = self.start_both(provider_keys="retries: 0, breaker: { failures: 1000 }")

        def figures():
            stats = larder.get("/llm/cache/stats").json()
            return stats["hits"], stats["misses"]

        self.run_out(larder, "counted")
        hits, misses = figures()
        self.assertEqual(misses, 1, "what only-if-cached refuses is no miss")
        for refused in ({"provider": "nobody"}, {"model": "nobody's"}, {"temperature": "hot"}):
            self.assertGreaterEqual(larder.generate("refused", **refused).status, 400)
        for fault in ("500", "401", "garbage", "cut-head"):
            self.assertGreaterEqual(larder.generate("a", provider="openai", model=f"fault-{fault}").status, 400)
        self.assertEqual(figures(), (hits, misses))
        replay.stop()
        self.assertGreaterEqual(larder.generate("never kept").status, 500)
        self.assertEqual(figures(), (hits, misses))
        self.assertEqual(larder.generate("counted").cache, "stale")
        self.assertEqual(figures(), (hits + 1, misses))
        self.assertEqual(larder.generate("counted", stream=True).cache, "stale")
        self.assertEqual(figures(), (hits + 2, misses))


class Masking(LarderTest):
    def test_a_key_that_a_provider_echoes_is_masked(self):
        larder, _ = self.start_both()
        for reply in (larder.generate("echo", provider="openai", model="fault-echo-key"),
                      larder.chat("echo", model="openai/fault-echo-key"),
                      larder.messages("echo", model="anthropic/fault-echo-key")):
            self.assertNotIn(b"TESTKEY", reply.body)
            self.assertGreaterEqual(reply.status, 400)
            self.assertNotIn("TESTKEY", json.dumps(reply.headers))
        self.assertNotIn(OPENAI_KEY, larder.text())
        self.assertNotIn("TESTKEY", larder.text())


class PlainKeys(LarderTest):
    """Keys without a known vendor's form, in errors that come with any status."""

    KEY = "local-secret-1"

    def ask_all(self, status, body):
        """Each dialect's reply, plain and streaming, to a provider of its own API: (what was asked, reply) pairs."""
        provider = self.enterContext(ScriptedProvider(status, body))
        larder = self.start_larder(f"""server: {{ listen: 127.0.0.1:0 }}
providers:
  openai: {{ api: openai, base_url: "http://{provider.address}/v1", api_key: {self.KEY}, retries: 0 }}
  anthropic: {{ api: anthropic, base_url: "http://{provider.address}", api_key: {self.KEY}, retries: 0 }}
limits: {{ llm: {{ max: 0 }} }}
store: {{ kind: memory }}
""")
        replies = []
        for ask in (larder.generate, larder.chat, larder.messages):
            for stream in (False, True):
                what = f"{ask.__name__}, stream {stream}"
                replies.append((what, ask(what, **({"stream": True} if stream else {}))))
        self.assertEqual(provider.calls, len(replies))
        self.assertEqual(larder.stop(), 0)
        self.assertNotIn(self.KEY, larder.text())
        return replies

    def test_the_configured_key_is_masked_whatever_it_looks_like(self):
        error = {"type": "error", "error": {"type": "authentication_error", "code": "invalid_api_key",
                                            "message": f"The shelf of {self.KEY} is locked."}}
        for what, reply in self.ask_all(401, error):
            with self.subTest(what):
                self.assertGreaterEqual(reply.status, 400)
                self.assertNotIn(self.KEY.encode(), reply.body)
                self.assertNotIn(self.KEY, json.dumps(reply.headers))
                self.assertIn(b"is locked", reply.body, "the rest of the sentence stays")

    def test_an_error_with_status_200_is_a_502_and_masked(self):
        error = {"error": {"type": "server_error", "message": f"No shelf for {self.KEY}."}}
        for what, reply in self.ask_all(200, error):
            with self.subTest(what):
                self.assertEqual(reply.status, 502, reply)
                self.assertIn("error", reply.json())
                self.assertNotIn(self.KEY.encode(), reply.body)


class Routing(LarderTest):
    def test_names_models_and_aliases_find_their_provider(self):
        replay = self.start_replay()
        larder, _ = self.start_both(
            replay=replay,
            providers=f"""  local: {{ api: openai, base_url: "http://{replay.address}/local/v1", models: [llama3.2, gpt-4o-mini] }}""",
            rest="models:\n  fast: { provider: anthropic, model: claude-haiku-4-5 }")
        for members, provider, model in (
                ({}, "openai", "gpt-4o"),
                ({"model": "llama3.2"}, "local", "llama3.2"),
                ({"model": "gpt-4o-mini"}, "local", "gpt-4o-mini"),
                ({"model": "gpt-4o-mini", "provider": "openai"}, "openai", "gpt-4o-mini"),
                ({"model": "o3-mini"}, "openai", "o3-mini"),
                ({"model": "claude-sonnet-4-5"}, "anthropic", "claude-sonnet-4-5"),
                ({"model": "openai/made-up"}, "openai", "made-up"),
                ({"model": "fast"}, "anthropic", "claude-haiku-4-5")):
            with self.subTest(members=members):
                reply = larder.generate("route", **members)
                self.assertEqual(reply.status, 200, reply)
                metadata = reply.json()["metadata"]
                self.assertEqual((metadata["provider"], metadata["model"]), (provider, model))
                self.assertEqual(json.loads(replay.last()["body"])["model"], model)

    def test_a_provider_without_a_key_is_called_without_one(self):
        replay = self.start_replay()
        larder = self.start_larder(f"""server: {{ listen: 127.0.0.1:0 }}
providers:
  local: {{ api: openai, base_url: "http://{replay.address}/local/v1", models: [llama3.2] }}
store: {{ kind: memory }}
""")
        self.assertEqual(larder.generate("a", {"authorization": "Bearer mine"}, model="llama3.2").status, 200)
        self.assertNotIn("authorization", [name.lower() for name, _ in replay.last()["headers"]])

    def test_a_server_that_only_speaks_an_api_gets_none_of_its_vendors_models(self):
        replay = self.start_replay()
        larder = self.start_larder(f"""server: {{ listen: 127.0.0.1:0 }}
providers:
  local: {{ api: openai, base_url: "http://{replay.address}/local/v1" }}
store: {{ kind: memory }}
""")
        error = self.assert_error(larder.generate("a", model="gpt-4o"), 404, "model_not_found")
        self.assertIn("local", error["error"])
        self.assertEqual(replay.stats()["calls"], 0)
        reply = larder.generate("a", model="local/gpt-4o")
        self.assertEqual(reply.status, 200)
        self.assertEqual((reply.json()["metadata"]["priced"], reply.json()["metadata"]["estimatedCost"]), (False, 0))

    def test_parallel_misses_are_calls_of_their_own(self):
        larder, replay = self.start_both()
        replies = in_parallel(16, lambda index: larder.generate(f"parallel {index}"))
        self.assertEqual({reply.status for reply in replies}, {200})
        self.assertEqual(len({reply.json()["text"] for reply in replies}), 16)
        self.assertEqual(replay.stats()["calls"], 16)


if __name__ == "__main__":
    unittest.main()
