"""Bad input: a clear error in JSON, the right status, and nothing stored or lost."""
import http.client
import json
import unittest

from harness import LarderTest, parse_events, raw


class BadRequests(LarderTest):
    def setUp(self):
        super().setUp()
        self.larder, self.replay = self.start_both(server="  max_body: 64KiB")

    def tearDown(self):
        self.assertEqual(self.replay.stats()["calls"], 0, "a bad request reached the provider")
        self.assertEqual(self.larder.get("/health").status, 200)

    def post(self, body, headers=None):
        return self.larder.request("POST", "/llm/generate", body, headers)

    def test_malformed_json_says_where(self):
        for text, position in (('{"prompt": "a",}', 15), ('{"prompt": }', 11), ('{"prompt": "a"} x', 16),
                               ("", 0), ("{", 1), ('{"prompt": "\\x"}', None), ("[1,2", None), ("nul", None),
                               ('{"prompt": "a", "n": 01}', None), ('{"prompt": "\\ud800"}', None)):
            with self.subTest(text=text):
                error = self.assert_error(self.post(text), 400, "invalid_request")
                self.assertIn("position", error)
                if position is not None:
                    self.assertAlmostEqual(error["position"], position, delta=1)

    def test_bytes_that_are_no_utf8(self):
        self.assert_error(self.post(b'{"prompt": "\xff\xfe"}'), 400, "invalid_request")
        self.assert_error(self.post(b'\xef\xbb\xbf{"prompt": "a"}'), 400, "invalid_request")

    def test_too_deep(self):
        self.assert_error(self.post('{"prompt":"a","x":' + "[" * 10000 + "]" * 10000 + "}"), 400)

    def test_a_wrong_type_names_the_field(self):
        for body, field in (({"prompt": 5}, "prompt"), ({"prompt": None}, "prompt"),
                            ({"prompt": "a", "temperature": "hot"}, "temperature"),
                            ({"prompt": "a", "temperature": -1}, "temperature"),
                            ({"prompt": "a", "maxTokens": 1.5}, "maxTokens"),
                            ({"prompt": "a", "maxTokens": -5}, "maxTokens"),
                            ({"prompt": "a", "stream": "yes"}, "stream"),
                            ({"prompt": "a", "model": 7}, "model"),
                            ({"prompt": "a", "provider": []}, "provider"),
                            ({"prompt": "a", "system": 1}, "system"),
                            ({"messages": "a"}, "messages"),
                            ({"messages": []}, "messages")):
            with self.subTest(body=body):
                error = self.assert_error(self.post(body), 400, "invalid_request")
                self.assertIn(field, error["field"])

    def test_no_object_and_no_prompt(self):
        for body in ("[]", '"text"', "1", "null", "{}"):
            with self.subTest(body=body):
                self.assert_error(self.post(body), 400, "invalid_request")

    def test_an_empty_prompt(self):
        for prompt in ("", "   ", "\n\t"):
            error = self.assert_error(self.post({"prompt": prompt}), 400, "invalid_request")
            self.assertEqual(error["field"], "prompt")

    def test_an_unknown_model_or_provider_says_which_are_known(self):
        error = self.assert_error(self.post({"prompt": "a", "model": "no-such-model"}), 404, "model_not_found")
        self.assertIn("openai", error["error"])
        self.assertIn("anthropic", error["error"])
        error = self.assert_error(self.post({"prompt": "a", "provider": "nobody"}), 400)
        self.assertIn("openai", error["error"])
        self.assertIn("anthropic", error["error"])

    def test_a_body_over_the_limit(self):
        self.assert_error(self.post({"prompt": "x" * 70_000}), 413)
        chunks = b"".join(b"1000\r\n" + b"x" * 4096 + b"\r\n" for _ in range(20)) + b"0\r\n\r\n"
        reply = raw(self.larder.address, b"POST /llm/generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                                         b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        self.assertTrue(reply.startswith(b"HTTP/1.1 413 "), reply[:200])

    def test_a_header_over_the_limit(self):
        reply = self.larder.request("GET", "/health", headers={"x-long": "x" * 40_000})
        self.assertEqual(reply.status, 431)
        reply = self.larder.request("GET", "/health", headers={f"x-{index}": "1" for index in range(120)})
        self.assertEqual(reply.status, 431)
        self.assertIn("application/json", reply.headers["content-type"])

    def test_a_member_given_twice(self):
        for text in ('{"prompt":"a","prompt":"b"}', '{"prompt":"a","pr\\u006fmpt":"b"}',
                     '{"prompt":"a","metadata":{"x":1,"x":1}}'):
            error = self.assert_error(self.post(text), 400, "invalid_request")
            self.assertIn(error["field"].split(".")[-1], ("prompt", "x"))

    def test_a_content_encoding(self):
        self.assert_error(self.post({"prompt": "a"}, {"content-encoding": "gzip"}), 415)

    def test_an_unknown_path_or_method(self):
        self.assert_error(self.larder.get("/llm/nothing"), 404)
        reply = self.larder.get("/nothing")
        self.assertEqual(reply.status, 404)
        self.assertIn("error", reply.json())
        reply = self.larder.get("/llm/generate")
        self.assert_error(reply, 405)
        self.assertIn("POST", reply.headers["allow"])
        reply = self.larder.request("DELETE", "/health")
        self.assertEqual(reply.status, 405)
        self.assertIn("GET", reply.headers["allow"])


class BadProviders(LarderTest):
    """What a provider does wrong reaches the client as one clear error, and nothing of it is kept."""

    def setUp(self):
        super().setUp()
        self.larder, self.replay = self.start_both(
            provider_keys="retries: 0, first_byte_timeout: 500ms, idle_timeout: 700ms, total_timeout: 30s")

    def fault(self, name, **members):
        return self.larder.generate(f"fault {name}", provider="openai", model=f"fault-{name}", **members)

    def assert_not_kept(self, name):
        reply = self.larder.generate(f"fault {name}", {"cache-control": "only-if-cached"}, provider="openai",
                                     model=f"fault-{name}")
        self.assertEqual(reply.status, 504, f"fault-{name} was kept")

    def test_what_cannot_be_read_is_a_502_before_the_first_byte(self):
        for name in ("garbage", "half-json", "content-type", "cut-head", "cut-body"):
            with self.subTest(name=name):
                self.assert_error(self.fault(name), 502)
                self.assert_not_kept(name)

    def test_a_slow_provider_is_a_504(self):
        for name in ("hang", "slow-first-byte-5000"):
            with self.subTest(name=name):
                self.assert_error(self.fault(name), 504)
                self.assert_not_kept(name)
        self.replay.wait_for(cancelled=2)

    def test_half_a_stream_ends_with_one_error_event_and_never_done(self):
        for name in ("cut-stream", "end-stream", "error-event", "stall"):
            with self.subTest(name=name):
                reply = self.fault(name, stream=True)
                self.assertEqual(reply.status, 200)
                events = [event for event, _ in reply.events()]
                self.assertIn("delta", events)
                self.assertEqual(events[-1], "error")
                self.assertEqual(events.count("error"), 1)
                self.assertNotIn("done", events)
                error = json.loads(reply.events()[-1][1])
                self.assertTrue(error["error"] and error["code"] and error["requestId"])
                self.assert_not_kept(name)

    def test_what_breaks_before_the_first_byte_of_a_stream_is_a_plain_error(self):
        for name, status in (("garbage", 502), ("content-type", 502), ("cut-head", 502), ("hang", 504)):
            with self.subTest(name=name):
                self.assert_error(self.fault(name, stream=True), status)

    def test_half_a_native_stream_is_cut_or_says_error_and_has_no_end(self):
        for name in ("cut-stream", "end-stream"):
            with self.subTest(name=name):
                try:
                    reply = self.larder.chat("native", model=f"openai/fault-{name}", stream=True)
                except (http.client.IncompleteRead, ConnectionError):
                    continue
                self.assertNotIn(b"[DONE]", reply.body)
                self.assertIn("error", parse_events(reply.body)[-1][1])

    def test_a_provider_that_is_down_is_a_502_or_503(self):
        self.replay.stop()
        reply = self.larder.generate("down")
        self.assertIn(reply.status, (502, 503))
        self.assert_error(reply, reply.status)

    def test_a_huge_answer_passes_but_is_not_kept(self):
        for _ in range(2):
            reply = self.fault("huge-3000000")
            self.assertEqual((reply.status, len(reply.json()["text"]), reply.cache), (200, 3_000_000, "miss"))

    def test_an_answer_that_comes_byte_by_byte_is_an_answer(self):
        for stream in (False, True):
            reply = self.fault("trickle", stream=stream)
            self.assertEqual(reply.status, 200)
        self.assertEqual(reply.events()[-1][0], "done")

    def test_a_missing_variable_is_a_503_that_names_it(self):
        larder = self.start_larder("""server: { listen: 127.0.0.1:0 }
providers:
  openai: { api: openai, base_url: "http://127.0.0.1:9/v1", api_key: "${NO_SUCH_VARIABLE_HERE}" }
store: { kind: memory }
""", name="keyless")
        error = self.assert_error(larder.generate("a"), 503)
        self.assertIn("NO_SUCH_VARIABLE_HERE", error["error"])


if __name__ == "__main__":
    unittest.main()
