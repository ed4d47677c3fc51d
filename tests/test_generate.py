"""POST /llm/generate: the shape of its replies, its stream, its cache, and how a request asks for more or less of it."""
import json
import time
import unittest

from harness import LarderTest, parse_events

METADATA = ("model", "provider", "cached", "estimatedTokens", "estimatedCost")


class Generate(LarderTest):
    def setUp(self):
        super().setUp()
        self.larder, self.replay = self.start_both()

    def test_a_reply_has_every_promised_field(self):
        reply = self.larder.generate("Write a React component for a counter button", model="gpt-4o")
        self.assertEqual(reply.status, 200, reply)
        body = reply.json()
        self.assertIn("CounterButton", body["text"])
        self.assertTrue(body["code"].startswith("import { useState }"), body["code"])
        self.assertNotIn("```", body["code"])
        metadata = body["metadata"]
        for name in METADATA:
            self.assertIn(name, metadata)
        self.assertEqual((metadata["model"], metadata["provider"], metadata["cached"]), ("gpt-4o", "openai", False))
        self.assertTrue(metadata["usage"]["exact"])
        self.assertGreater(metadata["estimatedTokens"], 0)
        self.assertGreater(metadata["estimatedCost"], 0)
        self.assertEqual(reply.cache, "miss")
        self.assertEqual(reply.headers["age"], "0")
        self.assertIn("date", reply.headers)

    def test_the_second_time_it_is_a_hit_with_the_same_answer_and_figures(self):
        first = self.larder.generate("Count to three").json()
        reply = self.larder.generate("Count to three")
        second = reply.json()
        self.assertEqual(reply.cache, "hit")
        self.assertGreaterEqual(int(reply.headers["age"]), 0)
        self.assertTrue(second["metadata"]["cached"])
        self.assertEqual((first["text"], first["code"]), (second["text"], second["code"]))
        for name in ("model", "provider", "estimatedTokens", "estimatedCost"):
            self.assertEqual(first["metadata"][name], second["metadata"][name], name)
        self.assertEqual(self.replay.stats()["calls"], 1)

    def test_several_fenced_blocks_are_joined_and_none_gives_the_whole_text(self):
        two = self.larder.generate("Write a Dockerfile and a health check script for a Node service",
                                   model="gpt-4.1-mini").json()
        self.assertIn("FROM node:22-slim", two["code"])
        self.assertIn("\n\nfetch(", two["code"])
        none = self.larder.generate("Suggest five names for a small bakery", model="gpt-4o-mini",
                                    temperature=0.7).json()
        self.assertEqual(none["code"], none["text"])

    def test_a_stream_gives_deltas_and_one_done_and_so_does_a_hit(self):
        plain = None
        for expected in ("miss", "hit"):
            reply = self.larder.generate("Name three cheeses", stream=True)
            self.assertEqual(reply.status, 200, reply)
            self.assertTrue(reply.headers["content-type"].startswith("text/event-stream"))
            self.assertEqual(reply.cache, expected)
            events = reply.events()
            self.assertEqual(events[-1][0], "done")
            self.assertEqual({name for name, _ in events[:-1]}, {"delta"})
            text = "".join(json.loads(data)["text"] for _, data in events[:-1])
            done = json.loads(events[-1][1])
            self.assertEqual(text, done["text"])
            self.assertEqual(done["metadata"]["cached"], expected == "hit")
            self.assertEqual(plain or text, text)
            plain = text
        # The plain form is the same entry.
        reply = self.larder.generate("Name three cheeses")
        self.assertEqual((reply.cache, reply.json()["text"]), ("hit", plain))
        self.assertEqual(self.replay.stats()["calls"], 1)

    def test_a_plain_entry_is_given_as_a_stream(self):
        text = self.larder.generate("Name a fruit").json()["text"]
        reply = self.larder.generate("Name a fruit", stream=True)
        self.assertEqual(reply.cache, "hit")
        self.assertEqual("".join(json.loads(data)["text"] for name, data in reply.events() if name == "delta"), text)

    def test_messages_may_stand_in_the_place_of_the_prompt_but_not_beside_it(self):
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
        reply = self.larder.request("POST", "/llm/generate", {"messages": messages})
        self.assertEqual(reply.status, 200, reply)
        both = self.larder.request("POST", "/llm/generate", {"prompt": "Hello", "messages": messages})
        self.assert_error(both, 400)

    def test_spelling_does_not_matter_but_meaning_does(self):
        def ask(text):
            return self.larder.request("POST", "/llm/generate", text).cache

        self.assertEqual(ask('{"prompt":"Spell é","temperature":0.5,"maxTokens":100}'), "miss")
        for same in ('{ "maxTokens" : 1e2, "temperature":5e-1,"prompt":"Spell \\u00e9" }',
                     '{"temperature":0.50,"prompt":"Sp\\u0065ll é","maxTokens":100.0}'):
            self.assertEqual(ask(same), "hit", same)
        for other in ('{"prompt":"Spell é ","temperature":0.5,"maxTokens":100}',
                      '{"prompt":"Spell e\\u0301","temperature":0.5,"maxTokens":100}',
                      '{"prompt":"Spell é","temperature":0.6,"maxTokens":100}',
                      '{"prompt":"Spell é","temperature":0.5,"maxTokens":101}',
                      '{"prompt":"Spell é","temperature":0.5,"maxTokens":100,"system":"s"}',
                      '{"prompt":"Spell é","temperature":0.5,"maxTokens":100,"seed":1}',
                      '{"prompt":"Spell é","temperature":0.5,"maxTokens":100,"seed":9007199254740993}',
                      '{"prompt":"Spell é","temperature":0.5,"maxTokens":100,"seed":9007199254740992}',
                      '{"prompt":"Spell é","temperature":0.5,"maxTokens":100,"brand_new_field":true}',
                      '{"prompt":"Spell é","temperature":0.5,"maxTokens":100,"model":"gpt-4o-mini"}'):
            self.assertEqual(ask(other), "miss", other)

    def test_cache_control_in_every_meaning(self):
        ask = self.larder.generate
        self.assertEqual(ask("cc", {"cache-control": "only-if-cached"}).status, 504)
        self.assertEqual(ask("cc", {"cache-control": "no-store"}).cache, "bypass")
        self.assertEqual(ask("cc").cache, "miss")
        self.assertEqual(ask("cc").cache, "hit")
        self.assertEqual(ask("cc", {"cache-control": "only-if-cached"}).cache, "hit")
        self.assertEqual(ask("cc", {"cache-control": "no-store"}).cache, "bypass")
        self.assertEqual(ask("cc", {"cache-control": "no-cache"}).cache, "miss")
        self.assertEqual(ask("cc").cache, "hit")
        self.assertEqual(ask("cc", {"cache-control": "max-age=1000"}).cache, "hit")
        self.assertEqual(ask("cc", {"cache-control": "max-age=0"}).cache, "miss")
        self.assertEqual(ask("cc", {"cache-control": "min-fresh=5, something-new"}).cache, "hit")
        self.assertEqual(ask("cc", {"Cache-Control": "ONLY-IF-CACHED"}).cache, "hit")

    def test_only_if_cached_says_how_it_went_when_there_is_nothing(self):
        for stream in (False, True):
            for ask in (self.larder.generate, self.larder.chat, self.larder.messages):
                for control, outcome in (("only-if-cached", "miss"), ("only-if-cached, no-store", "bypass")):
                    with self.subTest(ask=ask.__name__, control=control, stream=stream):
                        reply = ask("nothing", headers={"cache-control": control},
                                    **({"stream": True} if stream else {}))
                        self.assertEqual((reply.status, reply.cache, reply.headers.get("age")), (504, outcome, "0"))
        self.assertEqual(self.replay.stats()["calls"], 0)

    def test_a_variant_is_an_entry_of_its_own(self):
        self.assertEqual(self.larder.generate("v").cache, "miss")
        self.assertEqual(self.larder.generate("v", {"x-larder-variant": "a"}).cache, "miss")
        self.assertEqual(self.larder.generate("v", {"x-larder-variant": "a"}).cache, "hit")
        self.assertEqual(self.larder.generate("v", {"x-larder-variant": "b"}).cache, "miss")

    def test_a_time_to_live_of_its_own_ends(self):
        self.assertEqual(self.larder.generate("t", {"x-larder-ttl": "1"}).cache, "miss")
        end = time.monotonic() + 20
        while self.larder.generate("t", {"cache-control": "only-if-cached"}).status != 504:
            self.assertLess(time.monotonic(), end, "the entry never ends")
            time.sleep(0.1)

    def test_our_own_headers_are_refused_when_malformed(self):
        for value in ("abc", "-1", "1.5", "", "1s", "99999999999999999999"):
            with self.subTest(value=value):
                self.assert_error(self.larder.generate("x", {"x-larder-ttl": value}), 400)
        self.assert_error(self.larder.generate("x", {"x-larder-ttl": str(8 * 86400)}), 400)
        self.assert_error(self.larder.generate("x", {"x-larder-variant": "v" * 5000}), 400)

    def test_what_was_not_whole_is_not_kept(self):
        kept = {"stop": True, "tool_calls": True, "content_filter": False, "brand_new": False, "length": False}
        for finish, keeps in kept.items():
            for stream in (False, True):
                with self.subTest(finish=finish, stream=stream):
                    model = f"fault-finish-{finish}"
                    outcomes = [self.larder.generate(f"finish {stream}", provider="openai", model=model,
                                                     stream=stream).cache for _ in range(2)]
                    self.assertEqual(outcomes, ["miss", "hit" if keeps else "miss"])
        outcomes = [self.larder.generate("bounded", provider="openai", model="fault-finish-length",
                                         maxTokens=5).cache for _ in range(2)]
        self.assertEqual(outcomes, ["miss", "hit"], "a bound of the request's own makes `length` whole")
        outcomes = [self.larder.generate("empty", provider="openai", model="fault-empty").cache for _ in range(2)]
        self.assertEqual(outcomes, ["miss", "miss"])

    def test_without_usage_the_figures_are_estimates_and_say_so(self):
        for stream in (False, True):
            reply = self.larder.generate(f"no usage {stream}", provider="openai", model="fault-no-usage", stream=stream)
            body = json.loads(reply.events()[-1][1]) if stream else reply.json()
            self.assertFalse(body["metadata"]["usage"]["exact"], body)
            self.assertGreater(body["metadata"]["estimatedTokens"], 0)
            self.assertIs(body["metadata"]["priced"], False)
            self.assertEqual(body["metadata"]["estimatedCost"], 0)

    def test_statistics_add_up(self):
        self.assertEqual(self.larder.get("/llm/cache/stats").json()["status"], "ok")
        for prompt in "abab":
            self.larder.generate(prompt)
        self.larder.generate("c", {"cache-control": "no-store"})
        self.larder.generate("")
        stats = self.larder.get("/llm/cache/stats").json()
        self.assertEqual((stats["hits"], stats["misses"], stats["hitRate"]), (2, 2, 50), stats)
        self.assertRegex(stats["estimatedSavings"], r"^\$\d+\.\d\d$")
        for _ in range(6):
            self.larder.generate("a")
        stats = self.larder.get("/llm/cache/stats").json()
        self.assertEqual((stats["hits"], stats["misses"], stats["hitRate"], stats["status"]), (8, 2, 80, "good"))

    def test_models_and_providers_are_listed_without_keys(self):
        models = self.larder.get("/llm/models")
        self.assertEqual(models.status, 200)
        self.assertIn("gpt-4o", models.body.decode())
        providers = self.larder.get("/llm/providers")
        self.assertEqual(providers.status, 200)
        for name in ("openai", "anthropic"):
            self.assertIn(name, providers.body.decode())
        self.assertNotIn("sk-", models.body.decode() + providers.body.decode())

    def test_the_prompt_goes_out_as_one_user_message_with_the_key_of_the_provider(self):
        self.larder.generate("As one message", {"authorization": "Bearer client-key", "cookie": "a=b"}, temperature=0.25)
        last = self.replay.last()
        body = json.loads(last["body"])
        self.assertEqual(body["messages"], [{"role": "user", "content": "As one message"}])
        self.assertEqual((body["model"], body["temperature"]), ("gpt-4o", 0.25))
        headers = {name.lower(): value for name, value in last["headers"]}
        self.assertTrue(headers["authorization"].startswith("Bearer sk-proj-test"))
        self.assertNotIn("cookie", headers)
        self.assertNotIn("client-key", json.dumps(last["headers"]))


class NativeDialects(LarderTest):
    def setUp(self):
        super().setUp()
        self.larder, self.replay = self.start_both()

    def test_a_request_of_the_same_protocol_leaves_as_the_clients_own_bytes(self):
        odd = '{ "messages":[{"content":"odd  \\u0041 spacing","role":"user"}],\n"model":"gpt-4o","temperature":1.0}'
        self.larder.request("POST", "/v1/chat/completions", odd)
        self.assertEqual(self.replay.last()["body"], odd)
        odd = '{"max_tokens":10, "messages":[{"content":"odd","role":"user"}] ,"model":"claude-sonnet-4-5"}'
        self.larder.request("POST", "/v1/messages", odd, {"anthropic-version": "2023-06-01"})
        self.assertEqual(self.replay.last()["body"], odd)
        headers = {name.lower(): value for name, value in self.replay.last()["headers"]}
        self.assertEqual(headers["anthropic-version"], "2023-06-01")
        self.assertTrue(headers["x-api-key"].startswith("sk-ant-"))

    def test_openai_streams_show_usage_only_to_those_who_asked(self):
        reply = self.larder.chat("usage", stream=True)
        self.assertNotIn(b'"choices":[],', reply.body)
        self.assertTrue(reply.body.endswith(b"data: [DONE]\n\n"))
        self.assertTrue(json.loads(self.replay.last()["body"])["stream_options"]["include_usage"])
        reply = self.larder.chat("usage", stream=True, stream_options={"include_usage": True})
        self.assertEqual(reply.cache, "hit")
        usage = json.loads(parse_events(reply.body)[-2][1])
        self.assertEqual(usage["choices"], [])
        self.assertGreater(usage["usage"]["total_tokens"], 0)

    def test_plain_and_stream_are_one_entry_in_both_dialects(self):
        chat = self.larder.chat("both forms").json()["choices"][0]["message"]["content"]
        reply = self.larder.chat("both forms", stream=True)
        self.assertEqual(reply.cache, "hit")
        pieces = [json.loads(data) for _, data in reply.events()[:-1]]
        self.assertEqual("".join(piece["choices"][0]["delta"].get("content") or "" for piece in pieces), chat)
        reply = self.larder.messages("both forms", stream=True)
        self.assertEqual(reply.cache, "miss")
        text = "".join(json.loads(data)["delta"]["text"] for name, data in reply.events()
                       if name == "content_block_delta")
        reply = self.larder.messages("both forms")
        self.assertEqual((reply.cache, reply.json()["content"][0]["text"]), ("hit", text))

    def test_errors_have_the_shape_of_the_api(self):
        reply = self.larder.request("POST", "/v1/chat/completions", "{")
        self.assertEqual(reply.status, 400)
        self.assertIn("message", reply.json()["error"])
        reply = self.larder.request("POST", "/v1/messages", "{")
        self.assertEqual(reply.status, 400)
        self.assertEqual(reply.json()["type"], "error")
        self.assertEqual(reply.json()["error"]["type"], "invalid_request_error")


if __name__ == "__main__":
    unittest.main()
