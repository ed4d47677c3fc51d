"""Limits: exact under any concurrency, the same headers on success and refusal, per user or address."""
import json
import time
import unittest

from harness import LarderTest, in_parallel, request


class Limits(LarderTest):
    def limited(self, text="  llm: { max: 3, window: 60s }\n  standard: { max: 2, window: 60s }", **options):
        return self.start_both(limits=text, **options)

    def test_over_the_limit_it_is_a_429_with_every_promised_header(self):
        larder, replay = self.limited()
        for left in (2, 1, 0):
            reply = larder.generate("limit")
            self.assertEqual(reply.status, 200)
            self.assertEqual(reply.headers["x-ratelimit-limit"], "3")
            self.assertEqual(reply.headers["x-ratelimit-remaining"], str(left))
            reset = int(reply.headers["x-ratelimit-reset"]) - time.time() * 1000
            self.assertTrue(0 < reset <= 62_000, reset)
            self.assertIn("ratelimit", reply.headers)
            self.assertIn("ratelimit-policy", reply.headers)
        reply = larder.generate("limit")
        error = self.assert_error(reply, 429, "rate_limited")
        self.assertEqual(error["error"], "Too many LLM requests, please wait before trying again.")
        self.assertTrue(1 <= error["retryAfter"] <= 61, error)
        self.assertEqual(reply.headers["retry-after"], str(error["retryAfter"]))
        self.assertEqual(reply.headers["x-ratelimit-remaining"], "0")
        self.assertEqual(replay.stats()["calls"], 1)

    def test_the_tiers_count_apart_and_have_their_own_words(self):
        larder, _ = self.limited()
        for _ in range(2):
            self.assertEqual(larder.get("/llm/cache/stats").status, 200)
        error = self.assert_error(larder.get("/llm/models"), 429, "rate_limited")
        self.assertEqual(error["error"], "Too many requests, please wait before trying again.")
        self.assertEqual(larder.generate("other tier").status, 200)

    def test_operation_is_under_no_limit(self):
        larder, _ = self.limited()
        for _ in range(10):
            for path in ("/health", "/ready", "/metrics"):
                reply = larder.get(path)
                self.assertEqual(reply.status, 200)
                self.assertNotIn("x-ratelimit-limit", reply.headers)

    def test_eight_threads_at_one_key_get_exactly_the_limit(self):
        larder, _ = self.limited("  llm: { max: 20, window: 60s }")
        larder.generate("hammer", {"x-forwarded-for": "192.0.2.1"})

        def hammer(_):
            return [larder.generate("hammer").status for _ in range(25)]

        statuses = [status for part in in_parallel(8, hammer) for status in part]
        self.assertEqual(statuses.count(200), 19)
        self.assertEqual(statuses.count(429), 8 * 25 - 19)

    def test_the_native_dialects_are_under_the_same_tier_and_refuse_in_their_own_shape(self):
        larder, _ = self.limited()
        larder.generate("a")
        larder.chat("b")
        larder.messages("c")
        reply = larder.chat("d")
        self.assertEqual(reply.status, 429)
        self.assertIn("message", reply.json()["error"])
        self.assertIn("retry-after", reply.headers)
        reply = larder.messages("d")
        self.assertEqual((reply.status, reply.json()["error"]["type"]), (429, "rate_limit_error"))

    def test_a_refused_request_takes_nothing(self):
        larder, _ = self.limited("  llm: { max: 2, window: 3s }")
        self.assertEqual([larder.generate("x").status for _ in range(2)], [200, 200])
        # Refusals for longer than the window: were they counted, it would never open again.
        end = time.monotonic() + 30
        while larder.generate("x").status == 429:
            self.assertLess(time.monotonic(), end, "the limit never opens again")
            time.sleep(0.05)

    def test_forwarded_addresses_count_only_from_trusted_proxies(self):
        larder, _ = self.limited("  llm: { max: 1, window: 60s }")
        self.assertEqual(larder.generate("x", {"x-forwarded-for": "192.0.2.1"}).status, 200)
        self.assertEqual(larder.generate("x", {"x-forwarded-for": "192.0.2.2"}).status, 429)

    def test_behind_a_trusted_proxy_each_client_has_its_own_limit(self):
        larder, _ = self.limited("  llm: { max: 1, window: 60s }", server="  trusted_proxies: [127.0.0.1/32]")

        def ask(forwarded):
            return larder.generate("x", {"x-forwarded-for": forwarded}).status

        self.assertEqual(ask("192.0.2.1"), 200)
        self.assertEqual(ask("192.0.2.2"), 200)
        self.assertEqual(ask("192.0.2.1"), 429)
        self.assertEqual(ask("203.0.113.9, 192.0.2.2"), 429, "only the rightmost address is believed")
        self.assertEqual(ask("::ffff:192.0.2.1"), 429, "IPv4-mapped is IPv4")
        self.assertEqual(ask("2001:db8:1:2::1"), 200)
        self.assertEqual(ask("2001:db8:1:2:ffff::9"), 429, "IPv6 counts by /64")
        self.assertEqual(ask("2001:db8:1:3::1"), 200)

    def test_an_operator_makes_routes_expensive(self):
        larder, _ = self.limited(
            '  llm: { max: 0 }\n  standard: { max: 0 }\n'
            '  expensive: { max: 1, window: 60s, routes: ["GET /llm/models"], message: "That was dear." }')
        self.assertEqual(larder.get("/llm/models").status, 200)
        error = self.assert_error(larder.get("/llm/models"), 429, "rate_limited")
        self.assertEqual(error["error"], "That was dear.")
        self.assertEqual(larder.get("/llm/providers").status, 200)

    def test_every_algorithm_accepts_exactly_its_maximum(self):
        for algorithm in ("sliding", "fixed", "gcra"):
            with self.subTest(algorithm=algorithm):
                larder, replay = self.start_both(
                    limits=f"  llm: {{ max: 5, window: 300s, algorithm: {algorithm} }}")
                statuses = [larder.generate("x").status for _ in range(8)]
                self.assertEqual(statuses, [200] * 5 + [429] * 3)
                larder.stop()
                replay.stop()

    def test_zero_switches_a_tier_off(self):
        larder, _ = self.limited("  llm: { max: 0 }")
        for _ in range(25):
            reply = larder.generate("free")
            self.assertEqual(reply.status, 200)
        self.assertNotIn("x-ratelimit-limit", reply.headers)

    def test_a_stream_and_a_hit_carry_the_headers_too(self):
        larder, _ = self.limited()
        for stream in (True, False):
            reply = larder.generate("headers", stream=stream)
            self.assertIn("x-ratelimit-remaining", reply.headers)
        self.assertEqual(reply.cache, "hit")


if __name__ == "__main__":
    unittest.main()
