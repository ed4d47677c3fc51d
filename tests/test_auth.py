"""Who asks: keys with scopes, users and namespaces; CORS; the order of authentication and limits."""
import hashlib
import unittest

from harness import LarderTest, request


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


KEYS = f"""auth:
  mode: keys
  keys:
    - {{ name: web, sha256: "{sha256('key-web')}", scopes: [llm, stats] }}
    - {{ name: other, sha256: "{sha256('key-other')}", scopes: [llm] }}
    - {{ name: twin, sha256: "{sha256('key-twin')}", scopes: [llm], user: web, namespace: web }}
    - {{ name: stats, sha256: "{sha256('key-stats')}", scopes: [stats] }}
"""


class Keys(LarderTest):
    def ask(self, larder, key=None, prompt="Hello", style="bearer"):
        headers = {}
        if key is not None:
            headers = {"authorization": f"Bearer {key}"} if style == "bearer" else {"x-api-key": key}
        return larder.generate(prompt, headers)

    def test_missing_and_wrong_keys_are_401_and_a_missing_scope_is_403(self):
        larder, replay = self.start_both(rest=KEYS)
        self.assert_error(self.ask(larder), 401)
        for key in ("wrong", "", "KEY-WEB", "key-we", sha256("key-web")):
            with self.subTest(key=key):
                self.assert_error(self.ask(larder, key), 401)
        self.assert_error(self.ask(larder, "key-stats"), 403)
        self.assertEqual(replay.stats()["calls"], 0)
        for style in ("bearer", "x-api-key"):
            self.assertEqual(self.ask(larder, "key-web", style=style).status, 200)
        self.assertEqual(larder.generate("Hello", {"authorization": "bearer key-web"}).status, 200)
        self.assert_error(larder.generate("Hello", {"authorization": "Basic key-web"}), 401)

    def test_each_dialect_refuses_in_its_own_shape(self):
        larder, _ = self.start_both(rest=KEYS)
        for headers, status, openai, anthropic in (
                ({}, 401, "invalid_request_error", "authentication_error"),
                ({"authorization": "Bearer key-stats"}, 403, None, "permission_error")):
            reply = larder.chat("a", headers=headers)
            self.assertEqual(reply.status, status)
            self.assertIn("message", reply.json()["error"])
            if openai:
                self.assertEqual(reply.json()["error"]["type"], openai)
            reply = larder.messages("a", headers=headers)
            self.assertEqual((reply.status, reply.json()["type"], reply.json()["error"]["type"]),
                             (status, "error", anthropic))

    def test_statistics_and_metrics_need_their_scope(self):
        larder, _ = self.start_both(rest=KEYS)
        for path, allowed in (("/llm/cache/stats", ("key-web", "key-other", "key-stats")),
                              ("/metrics", ("key-web", "key-stats")), ("/llm/models", ("key-web", "key-other"))):
            for key in ("key-web", "key-other", "key-stats"):
                with self.subTest(path=path, key=key):
                    status = larder.request("GET", path, headers={"authorization": f"Bearer {key}"}).status
                    self.assertEqual(status, 200 if key in allowed else 403)
            self.assertEqual(larder.get(path).status, 401)
        for path in ("/health", "/ready"):
            self.assertEqual(larder.get(path).status, 200)

    def test_namespaces_do_not_share_entries_unless_they_are_one(self):
        larder, replay = self.start_both(rest=KEYS)
        self.assertEqual([self.ask(larder, key, "shared?").cache for key in ("key-web", "key-other", "key-twin")],
                         ["miss", "miss", "hit"])
        self.assertEqual(replay.stats()["calls"], 2)

    def test_scope_global_shares_all(self):
        larder, _ = self.start_both(rest=KEYS + "cache: { scope: global }")
        self.assertEqual([self.ask(larder, key, "shared?").cache for key in ("key-web", "key-other")], ["miss", "hit"])

    def test_limits_are_per_user_and_refusals_touch_only_the_address(self):
        larder, _ = self.start_both(rest=KEYS, limits="  llm: { max: 2, window: 60s }")
        for _ in range(2):
            self.assertEqual(self.ask(larder, "wrong").status, 401)
        reply = self.ask(larder, "wrong")
        self.assertEqual(reply.status, 429, "an unverified caller is limited by address")
        self.assertEqual([self.ask(larder, "key-web").status for _ in range(2)], [200, 200])
        self.assertEqual(self.ask(larder, "key-twin").status, 429, "two keys of one user are one subject")
        self.assertEqual(self.ask(larder, "key-other").status, 200)
        self.assert_error(self.ask(larder, "key-stats"), 403)

    def test_refusals_carry_the_limits_headers_and_take_nothing_from_the_user(self):
        larder, _ = self.start_both(rest=KEYS, limits="  llm: { max: 3, window: 60s }\n"
                                                      "  standard: { max: 3, window: 60s }")

        def get(path, key):
            reply = larder.request("GET", path, headers={"authorization": f"Bearer {key}"})
            self.assertEqual(reply.headers["x-ratelimit-limit"], "3", reply)
            for name in ("x-ratelimit-reset", "ratelimit", "ratelimit-policy"):
                self.assertIn(name, reply.headers)
            return reply.status, reply.headers["x-ratelimit-remaining"]

        forbidden, unknown = [], []
        for _ in range(4):
            forbidden.append(get("/llm/models", "key-stats"))
            unknown.append(get("/llm/models", "wrong"))
        self.assertEqual(forbidden, [(403, "2"), (403, "1"), (403, "0"), (429, "0")], "counted by address")
        self.assertEqual(unknown, [(401, "2"), (401, "1"), (401, "0"), (429, "0")])
        self.assertEqual([get("/llm/cache/stats", "key-stats") for _ in range(3)],
                         [(200, "2"), (200, "1"), (200, "0")], "the user's own limit is whole")
        self.assertEqual(get("/llm/models", "key-other"), (200, "2"))
        for headers, status in (({}, 401), ({"authorization": "Bearer key-stats"}, 403)):
            for ask in (larder.generate, larder.chat, larder.messages):
                reply = ask("a", headers=headers)
                self.assertEqual((reply.status, reply.headers["x-ratelimit-limit"]), (status, "3"))


class Cors(LarderTest):
    def setUp(self):
        super().setUp()
        self.larder, _ = self.start_both(server='  cors: { origins: ["https://app.example.com"] }')

    def preflight(self, origin):
        return request(self.larder.address, "OPTIONS", "/llm/generate", headers={
            "origin": origin, "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,x-larder-ttl"})

    def test_a_known_origin_may_read_the_reply_and_its_headers(self):
        reply = self.preflight("https://app.example.com")
        self.assertIn(reply.status, (200, 204))
        self.assertEqual(reply.headers["access-control-allow-origin"], "https://app.example.com")
        self.assertIn("POST", reply.headers["access-control-allow-methods"])
        self.assertIn("content-type", reply.headers["access-control-allow-headers"].lower())
        for stream in (False, True):
            reply = self.larder.generate("cors", {"origin": "https://app.example.com"}, stream=stream)
            self.assertEqual(reply.headers["access-control-allow-origin"], "https://app.example.com")
            exposed = reply.headers["access-control-expose-headers"].lower()
            for name in ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit",
                         "ratelimit-policy", "retry-after", "x-larder-cache", "age", "etag", "x-request-id"):
                self.assertIn(name, exposed)
            self.assertIn("origin", reply.headers["vary"].lower())

    def test_errors_are_readable_too(self):
        reply = self.larder.generate("", {"origin": "https://app.example.com"})
        self.assertEqual(reply.headers["access-control-allow-origin"], "https://app.example.com")

    def test_another_origin_gets_nothing(self):
        for origin in ("https://evil.example.com", "https://app.example.com.evil.com", "http://app.example.com", "null"):
            self.assertNotIn("access-control-allow-origin", self.preflight(origin).headers)
            self.assertNotIn("access-control-allow-origin", self.larder.generate("x", {"origin": origin}).headers)


if __name__ == "__main__":
    unittest.main()
