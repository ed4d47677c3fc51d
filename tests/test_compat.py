"""The cache switches of other gateways: each only where `compat` names it, and what the provider gets then."""
import json
import subprocess
import unittest

from harness import BUILD, LarderTest, wait_until


def body_of(**members):
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], **members}


class Compat(LarderTest):
    def start(self, *names, rest=""):
        return self.start_both(rest=f"compat: [{', '.join(names)}]\n{rest}")

    def outcomes(self, larder, *headers, prompt="Hello"):
        return [larder.chat(prompt, headers=one).cache for one in headers]

    def test_an_unknown_name_is_refused_with_its_line(self):
        bad = self.folder / "bad.yaml"
        bad.write_text("log: { level: info }\ncompat: [litellm, gptcache]\n")
        checked = subprocess.run([BUILD / "larder", "check", "--config", bad], capture_output=True, text=True)
        self.assertNotEqual(checked.returncode, 0)
        self.assertIn("bad.yaml:2: compat[1]: 'gptcache' is not known", checked.stdout + checked.stderr)

    def test_without_compat_no_switch_has_a_meaning(self):
        larder, replay = self.start_both()
        self.assertEqual(self.outcomes(larder, {}, {"x-portkey-cache-force-refresh": "true"},
                                       {"x-portkey-cache-namespace": "a"}, {"helicone-cache-enabled": "false"},
                                       {"helicone-cache-bucket-max-size": "-"}, {"helicone-cache-seed": "a"},
                                       {"cf-aig-skip-cache": "true"}, {"cf-aig-cache-ttl": "soon"}),
                         ["miss"] + ["hit"] * 7)
        reply = larder.chat(headers={})
        for name in ("x-portkey-cache-status", "helicone-cache", "cf-aig-cache-status"):
            self.assertNotIn(name, reply.headers)

    def test_without_compat_litellms_field_goes_up_as_it_is_and_counts(self):
        larder, replay = self.start_both()
        text = json.dumps(body_of(cache={"no-cache": True, "ttl": "x"}))
        replies = [larder.request("POST", "/v1/chat/completions", text) for _ in range(2)]
        self.assertEqual([reply.cache for reply in replies], ["miss", "hit"])
        self.assertEqual(replay.last()["body"], text)
        self.assertEqual(larder.chat().cache, "miss", "another key")

    def test_litellms_field_never_reaches_a_provider_in_any_dialect(self):
        larder, replay = self.start("litellm")
        switch = {"ttl": 60, "s-maxage": 60, "no-cache": True, "no-store": False, "namespace": "a", "use-cache": True}
        for ask in (larder.chat, larder.messages, larder.generate):
            for stream in (False, True):
                with self.subTest(ask=ask.__name__, stream=stream):
                    self.assertEqual(ask("Hello", cache=switch, stream=stream).status, 200)
                    self.assertNotIn("cache", json.loads(replay.last()["body"]))
        for path, members in (("/v1/responses", {"model": "gpt-4o"}),
                              ("/v1/embeddings", {"model": "text-embedding-3-small"})):
            with self.subTest(path=path):
                reply = larder.request("POST", path, {**members, "input": "Hello", "cache": switch})
                self.assertEqual(reply.status, 200, reply)
                self.assertNotIn("cache", json.loads(replay.last()["body"]))
                wrong = larder.request("POST", path, {**members, "input": "Hello", "cache": {"ttl": "5"}})
                self.assertEqual((wrong.status, wrong.json()["error"]["param"]), (400, "cache.ttl"))
        larder.request("POST", "/v1/chat/completions",
                       '{"model":"gpt-4o", "cache": {}, "messages":[{"role":"user","content":"cut"}]}')
        self.assertEqual(replay.last()["body"], '{"model":"gpt-4o",  "messages":[{"role":"user","content":"cut"}]}')

    def test_litellms_field_switches(self):
        larder, replay = self.start("litellm")

        def ask(**cache):
            return larder.chat(cache=cache).cache

        self.assertEqual(larder.chat().cache, "miss")
        self.assertEqual(ask(), "hit", "it is in no key")
        self.assertEqual([ask(ttl=60), ask(**{"no-cache": True}), ask(**{"no-store": True})],
                         ["hit", "miss", "bypass"])
        self.assertEqual([ask(**{"no-cache": False}), ask(**{"no-store": None}), ask(**{"use-cache": False})],
                         ["hit", "hit", "bypass"])
        self.assertEqual([ask(namespace="a"), ask(namespace="a"), ask(namespace="b"), ask()],
                         ["miss", "hit", "miss", "hit"])
        calls = replay.stats()["calls"]
        for _ in range(3):
            self.assertEqual(ask(**{"no-cache": True}), "miss", "equal bytes are no short cut")
        self.assertEqual(replay.stats()["calls"], calls + 3)

    def test_litellms_ttl_and_age_hold(self):
        larder, _ = self.start("litellm")
        self.assertEqual(larder.chat(cache={"ttl": 0}).cache, "miss")
        self.assertEqual(larder.chat(cache={"ttl": 1}).cache, "miss", "0 keeps nothing")
        self.assertEqual(larder.chat().cache, "hit")
        wait_until(lambda: int(larder.chat(cache={"s-maxage": 1000}).headers.get("age", 0)) >= 1
                   or larder.chat().cache == "miss", "the entry ends after its second")

    def test_litellms_age_is_an_upper_bound(self):
        larder, _ = self.start("litellm")
        larder.chat()
        self.assertEqual(larder.chat(cache={"s-maxage": 600}).cache, "hit")
        wait_until(lambda: int(larder.chat().headers["age"]) >= 1, "the entry is a second old")
        self.assertEqual(larder.chat(cache={"s-maxage": 0}).cache, "miss")

    def test_wrong_types_of_litellms_field_are_400_with_the_member(self):
        larder, replay = self.start("litellm")
        for cache, field in (("on", "cache"), ([], "cache"), ({"ttl": "5"}, "cache.ttl"), ({"ttl": -1}, "cache.ttl"),
                             ({"s-maxage": 1.5}, "cache.s-maxage"), ({"no-cache": 1}, "cache.no-cache"),
                             ({"no-store": "true"}, "cache.no-store"), ({"namespace": 5}, "cache.namespace"),
                             ({"namespace": ""}, "cache.namespace"), ({"no_cache": True}, "cache.no_cache")):
            with self.subTest(cache=cache):
                self.assertEqual(self.assert_error(larder.generate(cache=cache), 400)["field"], field)
                reply = larder.chat(cache=cache)
                self.assertEqual((reply.status, reply.json()["error"]["param"]), (400, field))
                reply = larder.messages(cache=cache)
                self.assertEqual((reply.status, reply.json()["error"]["type"]), (400, "invalid_request_error"))
        self.assertEqual(replay.stats()["calls"], 0)

    def test_portkeys_switches(self):
        larder, _ = self.start("portkey")
        self.assertEqual(self.outcomes(larder, {}, {"x-portkey-cache-force-refresh": "true"},
                                       {"x-portkey-cache-force-refresh": "false"},
                                       {"x-portkey-cache-namespace": "a"}, {"x-portkey-cache-namespace": "a"},
                                       {"x-portkey-cache-namespace": "b"}, {}),
                         ["miss", "miss", "hit", "miss", "hit", "miss", "hit"])
        statuses = [larder.chat("status", headers=headers).headers["x-portkey-cache-status"] for headers in (
            {}, {}, {"x-portkey-cache-force-refresh": "true"}, {"cache-control": "no-store"})]
        self.assertEqual(statuses, ["MISS", "HIT", "REFRESH", "DISABLED"])
        streamed = [larder.chat("streamed", stream=True).headers["x-portkey-cache-status"] for _ in range(2)]
        self.assertEqual(streamed, ["MISS", "HIT"])

    def test_helicones_switches(self):
        larder, _ = self.start("helicone")
        self.assertEqual(self.outcomes(larder, {"helicone-cache-enabled": "true"}, {}, {"helicone-cache-enabled": "false"},
                                       {"helicone-cache-seed": "a"}, {"helicone-cache-seed": "a"},
                                       {"helicone-cache-seed": "b"}),
                         ["miss", "hit", "bypass", "miss", "hit", "miss"])
        self.assertEqual([larder.chat("status").headers["helicone-cache"] for _ in range(2)], ["MISS", "HIT"])

    def test_helicones_buckets_hold_so_many_answers_and_no_more(self):
        larder, replay = self.start("helicone")
        buckets = {"helicone-cache-bucket-max-size": "3"}
        wait_until(lambda: larder.chat(headers=buckets) and replay.stats()["calls"] == 3, "each bucket is full")
        for _ in range(30):
            self.assertEqual(larder.chat(headers=buckets).cache, "hit")
        self.assertEqual(larder.chat().cache, "hit", "the first bucket is the key's own")
        self.assertEqual(replay.stats()["calls"], 3)

    def test_cloudflares_switches(self):
        larder, _ = self.start("cloudflare", rest="cache: { ttl_max: 100s }")
        self.assertEqual(self.outcomes(larder, {}, {"cf-aig-skip-cache": "true"}, {"cf-aig-skip-cache": "false"},
                                       {"cf-aig-cache-ttl": "2592000"}, {"cf-aig-cache-key": "a"}),
                         ["miss", "miss", "hit", "hit", "hit"])
        self.assertEqual(self.outcomes(larder, {"cf-aig-cache-ttl": "0"}, {}, {}, prompt="brief"),
                         ["miss", "miss", "hit"])
        self.assertEqual([larder.chat("status").headers["cf-aig-cache-status"] for _ in range(2)], ["MISS", "HIT"])

    def test_malformed_headers_are_400_in_the_callers_shape(self):
        larder, replay = self.start("portkey", "helicone", "cloudflare")
        for name, value in (("x-portkey-cache-force-refresh", "1"), ("x-portkey-cache-namespace", ""),
                            ("helicone-cache-enabled", "on"), ("helicone-cache-bucket-max-size", "21"),
                            ("helicone-cache-seed", "s" * 257), ("cf-aig-skip-cache", ""), ("cf-aig-cache-ttl", "1h")):
            with self.subTest(name=name):
                headers = {name: value}
                self.assertEqual(self.assert_error(larder.generate(headers=headers), 400)["field"], name)
                reply = larder.chat(headers=headers)
                self.assertEqual(reply.status, 400)
                self.assertIn(name, reply.json()["error"]["message"])
                reply = larder.messages(headers=headers)
                self.assertEqual((reply.status, reply.json()["error"]["type"]), (400, "invalid_request_error"))
                self.assertIn(name, reply.json()["error"]["message"])
        self.assertEqual(replay.stats()["calls"], 0)

    def test_the_stricter_of_two_holds(self):
        larder, _ = self.start("litellm", "helicone", "cloudflare")
        larder.chat()
        self.assertEqual(larder.chat(headers={"cache-control": "no-store", "helicone-cache-enabled": "true"}).cache,
                         "bypass")
        self.assertEqual(larder.chat(headers={"cf-aig-skip-cache": "false", "cache-control": "no-cache"}).cache, "miss")
        self.assertEqual(larder.chat(cache={"no-store": True}, headers={"cf-aig-skip-cache": "true"}).cache, "bypass")

    def test_other_gateways_headers_never_go_up(self):
        larder, replay = self.start("portkey", "helicone", "cloudflare")
        larder.chat(headers={"x-portkey-cache-namespace": "MARK-1", "helicone-cache-seed": "MARK-2",
                             "cf-aig-cache-ttl": "61"})
        self.assertNotIn("MARK-", json.dumps(replay.last()))


if __name__ == "__main__":
    unittest.main()
