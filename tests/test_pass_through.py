"""What passes through under /v1, the counting of tokens, and the lists of models."""
import hashlib
import http.client
import json
import pathlib
import random
import time
import unittest

from harness import (ANTHROPIC_KEY, DEADLINE, LarderTest, OPENAI_KEY, configuration, raw, split_address, wait_until)
from pass_provider import PassProvider

JSON = {"content-type": "application/json"}
ANTHROPIC = {"anthropic-version": "2023-06-01"}


def answer_with(status=200, body=b"{}", **headers):
    fields = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return lambda asked, handler: (status, fields, body)


class PassTest(LarderTest):
    def start(self, answer=answer_with(), **options):
        self.provider = self.enterContext(PassProvider(answer)) if hasattr(self, "enterContext") else PassProvider(answer)
        if not hasattr(self, "enterContext"):
            self.addCleanup(self.provider.__exit__)
        self.larder = self.start_larder(configuration(self.provider.address, **options))
        return self.larder

    def memory(self):
        """The program's resident bytes."""
        pages = pathlib.Path(f"/proc/{self.larder.process.pid}/statm").read_text().split()[1]
        return int(pages) * 4096


class Requests(PassTest):
    def test_every_method_and_path_reaches_its_provider(self):
        larder = self.start()
        for method, path, body, headers, wanted in (
                ("GET", "/v1/files?limit=2&after=a%2Fb", None, {}, "/openai/v1/files?limit=2&after=a%2Fb"),
                ("HEAD", "/v1/files/f-1", None, {}, "/openai/v1/files/f-1"),
                ("POST", "/v1/images/generations", b'{"model": "dall-e-3"}', JSON, "/openai/v1/images/generations"),
                ("PUT", "/v1/x/y", b"bytes", {"content-type": "text/plain"}, "/openai/v1/x/y"),
                ("PATCH", "/v1/x/y", b"", {}, "/openai/v1/x/y"),
                ("DELETE", "/v1/files/f-1", None, {}, "/openai/v1/files/f-1"),
                ("POST", "/v1/messages/batches", b"{}", JSON, "/anthropic/v1/messages/batches"),
                ("GET", "/v1/files/f-1/content", None, ANTHROPIC, "/anthropic/v1/files/f-1/content")):
            reply = larder.request(method, path, body, headers)
            self.assertEqual((reply.status, reply.cache), (200, "bypass"), (method, path))
            asked = self.provider.last
            self.assertEqual((asked.method, asked.path, asked.body), (method, wanted, body or b""))
            self.assertEqual(reply.body, b"" if method == "HEAD" else b"{}")
        self.assertEqual(len(self.provider.asked), 8)

    def test_a_form_with_a_file_arrives_byte_by_byte(self):
        larder = self.start()
        form = b"--x\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n" + random.randbytes(2_000_000) + b"\r\n--x--\r\n"
        content_type = 'multipart/form-data; boundary="x"'
        reply = larder.request("POST", "/v1/audio/transcriptions", form, {"content-type": content_type})
        self.assertEqual(reply.status, 200)
        asked = self.provider.last
        self.assertEqual(hashlib.sha256(asked.body).hexdigest(), hashlib.sha256(form).hexdigest())
        self.assertEqual(asked.headers["content-type"], content_type)

    def test_no_key_and_no_cookie_of_the_client_goes_up(self):
        larder = self.start()
        secrets = {"authorization": "Bearer client-secret", "x-api-key": "client-secret", "cookie": "s=client-secret",
                   "proxy-authorization": "client-secret", "x-other": "client-secret", "x-larder-provider": "openai",
                   "openai-beta": "assistants=v2", "accept": "audio/mpeg"}
        larder.request("POST", "/v1/audio/speech", b"{}", {**JSON, **secrets})
        asked = self.provider.last
        self.assertNotIn("client-secret", repr(asked))
        self.assertEqual(asked.headers["authorization"], f"Bearer {OPENAI_KEY}")
        self.assertEqual(asked.headers["openai-beta"], "assistants=v2")
        self.assertEqual(asked.headers["accept"], "audio/mpeg")
        self.assertNotIn("x-larder-provider", asked.headers)
        larder.request("GET", "/v1/organizations/me", headers={**secrets, "x-larder-provider": "anthropic"})
        asked = self.provider.last
        self.assertEqual((asked.headers["x-api-key"], asked.headers["anthropic-version"]), (ANTHROPIC_KEY, "2023-06-01"))
        self.assertFalse({"authorization", "openai-beta"} & asked.headers.keys())

    def test_a_key_of_idempotency_goes_up_unless_it_is_of_the_connection(self):
        larder = self.start()
        larder.request("POST", "/v1/files", b"{}", {**JSON, "idempotency-key": "once"})
        self.assertEqual(self.provider.last.headers["idempotency-key"], "once")
        larder.request("POST", "/v1/files", b"{}", {**JSON, "idempotency-key": "once", "range": "bytes=0-1",
                                                    "connection": "keep-alive, Idempotency-Key"})
        self.assertNotIn("idempotency-key", self.provider.last.headers)
        self.assertEqual(self.provider.last.headers["range"], "bytes=0-1")

    def test_litellms_field_stays_here_where_the_file_says_so(self):
        body = b'{ "cache": {"no-cache": true}, "model": "claude-sonnet-4-5", "messages": [] }'
        for path in ("/v1/messages/count_tokens", "/v1/images/generations"):
            self.start().request("POST", path, body, JSON)
            self.assertEqual(self.provider.last.body, body)
            self.start(rest="compat: [litellm]").request("POST", path, body, JSON)
            self.assertEqual(self.provider.last.body, body.replace(b' "cache": {"no-cache": true},', b' ', 1))
        reply = self.larder.request("POST", "/v1/images/generations", b'{"cache": 7}', JSON)
        self.assertEqual((reply.status, reply.json()["error"]["param"]), (400, "cache"))

    def test_an_alias_is_replaced_in_place(self):
        larder = self.start(rest="models: { picture: { provider: openai, model: gpt-image-1 } }")
        larder.request("POST", "/v1/images/generations", b'{ "n" : 1.0, "model":"picture" }', JSON)
        self.assertEqual(self.provider.last.body, b'{ "n" : 1.0, "model":"gpt-image-1" }')

    def test_paths_that_climb_are_refused_and_reach_nobody(self):
        larder = self.start()
        for target in ("/v1/../admin", "/v1/%2e%2e/admin", "/v1/files%2F..%2F..%2Fx", "/v1//evil.test/x", "/v1/x/..;/y",
                       "/v1/%252e%252e/x", "/v1/x/", "/v1/models/..%2F..%2Fx", "/v1/@evil.test%5Cx",
                       "http://evil.test/v1/files", "/v1/files/%00"):
            head = f"GET {target} HTTP/1.1\r\nHost: {larder.address}\r\nConnection: close\r\n\r\n"
            reply = raw(larder.address, head.encode())
            self.assertEqual(reply.split(b" ")[1], b"400", (target, reply))
            self.assertIn(b'"error"', reply)
        self.assertEqual(self.provider.asked, [])

    def test_a_provider_that_is_not_there(self):
        larder = self.start()
        reply = larder.request("GET", "/v1/files", headers={"x-larder-provider": "other"})
        self.assertEqual(reply.status, 400)
        self.assertIn("openai, anthropic", reply.json()["error"]["message"])
        self.assertEqual(self.provider.asked, [])

    def test_without_a_provider_of_the_api_it_is_a_404_in_its_shape(self):
        self.provider = PassProvider()
        self.addCleanup(self.provider.__exit__)
        larder = self.start_larder(f"""
server: {{ listen: 127.0.0.1:0 }}
providers: {{ local: {{ api: openai, base_url: "http://{self.provider.address}/v1" }} }}
store: {{ kind: memory }}
""")
        reply = larder.request("POST", "/v1/messages/batches", b"{}", JSON)
        self.assertEqual((reply.status, reply.json()["error"]["type"]), (404, "not_found_error"))
        self.assertIn("local", reply.json()["error"]["message"])
        self.assertEqual(larder.get("/v1/files").status, 200)


class Replies(PassTest):
    def test_fields_come_through_by_a_list(self):
        larder = self.start(answer_with(
            201, b"ID3\0\xff", content_type="audio/mpeg", content_disposition='attachment; filename="a.mp3"',
            set_cookie="a=b", x_request_id="req-up", openai_processing_ms="7", server="nginx", retry_after="3"))
        reply = larder.request("POST", "/v1/audio/speech", b"{}", JSON)
        self.assertEqual((reply.status, reply.body), (201, b"ID3\0\xff"))
        self.assertEqual(reply.headers["content-type"], "audio/mpeg")
        self.assertEqual(reply.headers["content-disposition"], 'attachment; filename="a.mp3"')
        self.assertEqual(reply.headers["content-length"], "5")
        self.assertEqual((reply.headers["x-request-id"], reply.headers["openai-processing-ms"]), ("req-up", "7"))
        self.assertTrue(reply.headers["x-larder-request-id"])
        self.assertFalse({"set-cookie", "server"} & reply.headers.keys())

    def test_what_is_compressed_stays_so(self):
        larder = self.start(answer_with(200, b"\x1f\x8b-not-really", content_encoding="gzip"))
        reply = larder.get("/v1/files/f/content")
        self.assertEqual((reply.headers["content-encoding"], reply.body), ("gzip", b"\x1f\x8b-not-really"))
        self.assertEqual(self.provider.last.headers["accept-encoding"], "identity")

    def test_head_and_no_content(self):
        larder = self.start(lambda asked, handler: (200, {"content-length": "12345"}, b"")
                            if asked.method == "HEAD" else (204, {}, b""))
        self.assertEqual(larder.request("HEAD", "/v1/files/f/content").headers["content-length"], "12345")
        reply = larder.request("DELETE", "/v1/files/f")
        self.assertEqual((reply.status, reply.body), (204, b""))
        self.assertNotIn("transfer-encoding", reply.headers)

    def test_errors_are_masked_and_keep_their_shape(self):
        said = {"error": {"message": f"Incorrect API key provided: {OPENAI_KEY}", "type": "invalid_request_error"}}
        larder = self.start(answer_with(401, json.dumps(said).encode(), retry_after="9", x_request_id="req-1"))
        reply = larder.get("/v1/files")
        self.assertEqual((reply.status, reply.headers["retry-after"], reply.headers["x-request-id"]), (401, "9", "req-1"))
        self.assertNotIn(OPENAI_KEY.encode(), reply.body)
        self.assertEqual(reply.json()["error"]["type"], "invalid_request_error")
        self.assertNotIn(OPENAI_KEY, larder.text())

    def test_a_redirect_is_neither_followed_nor_shown(self):
        larder = self.start(answer_with(302, b"", location="http://evil.test/"))
        reply = larder.get("/v1/files")
        self.assertEqual((reply.status, reply.json()["error"]["code"]), (502, "provider_unreadable"))
        self.assertNotIn("location", reply.headers)
        self.assertEqual(len(self.provider.asked), 1)

    def test_events_come_as_they_are_sent(self):
        got = []

        def answer(asked, handler):
            handler.begin_chunks("text/event-stream")
            handler.send_chunk(b"data: one\n\n")
            wait_until(lambda: got, "the client has the first event")
            handler.send_chunk(b"data: t")
            handler.send_chunk(b"wo\n\n")
            handler.wfile.write(b"0\r\n\r\n")

        larder = self.start(answer)
        connection = http.client.HTTPConnection(*split_address(larder.address), timeout=DEADLINE)
        self.addCleanup(connection.close)
        connection.request("POST", "/v1/threads/runs", b'{"stream":true}', JSON)
        response = connection.getresponse()
        got.append(response.read1())
        self.assertEqual(got[0], b"data: one\n\n")
        self.assertEqual(response.read(), b"data: two\n\n")
        self.assertEqual(response.headers["content-type"], "text/event-stream")

    def test_an_event_that_tells_an_error_is_masked(self):
        said = json.dumps({"error": {"message": f"Incorrect API key provided: {OPENAI_KEY}"}}).encode()
        first = b'id: 1\r\ndata: {"text": "an error, \\u0061"}\r\n\r\n: comment\n\n'
        stream = first + b"data: " + said + b"\n\nevent: error\ndata: " + OPENAI_KEY.encode() + b"\n\ndata: [DONE]"

        def answer(asked, handler):
            if "whole" in asked.path:
                return 200, {"content-type": "text/event-stream; charset=utf-8"}, stream
            handler.begin_chunks("text/event-stream")
            for at in range(0, len(stream), 7):
                handler.send_chunk(stream[at:at + 7])
            handler.wfile.write(b"0\r\n\r\n")

        larder = self.start(answer)
        for path in ("/v1/whole", "/v1/pieces"):
            body = larder.request("POST", path, b"{}", JSON).body
            self.assertNotIn(OPENAI_KEY.encode(), body)
            self.assertTrue(body.startswith(first), body)
            self.assertTrue(body.endswith(b"\n\ndata: [DONE]"), body)
            self.assertIn(b"Incorrect API key provided: ", body)
        self.assertNotIn(OPENAI_KEY, larder.text())

    def test_an_event_larger_than_what_is_held_comes_as_it_is(self):
        large = b"data: " + b"error" * (1 << 20) + b"\n\n"

        def answer(asked, handler):
            handler.begin_chunks("text/event-stream")
            handler.send_chunk(large)
            handler.send_chunk(b'data: {"error": "%s"}\n\n' % OPENAI_KEY.encode())
            handler.wfile.write(b"0\r\n\r\n")

        body = self.start(answer).request("POST", "/v1/images/edits", b"{}", JSON).body
        self.assertEqual(body[:len(large)], large)
        self.assertNotIn(OPENAI_KEY.encode(), body)
        self.assertIn("larder_bytes_in_flight 0", self.larder.get("/metrics").body.decode())

    def test_a_part_and_what_has_not_changed(self):
        def answer(asked, handler):
            fields = {"content-type": "application/octet-stream", "etag": '"v1"', "accept-ranges": "bytes",
                      "last-modified": "Tue, 07 Jul 2026 07:07:07 GMT"}
            if "if-none-match" in asked.headers:
                return 304, {**fields, "content-length": "0"}, b""
            return 206, {**fields, "content-range": "bytes 2-4/9"}, b"cde"

        larder = self.start(answer)
        part = larder.get("/v1/files/f/content", range="bytes=2-4", if_range='"v1"')
        self.assertEqual((part.status, part.body, part.headers["content-range"]), (206, b"cde", "bytes 2-4/9"))
        asked = self.provider.last.headers
        self.assertEqual((asked["range"], asked["if-range"]), ("bytes=2-4", '"v1"'))
        same = larder.get("/v1/files/f/content", if_none_match='"v1"', if_modified_since="Tue, 07 Jul 2026 07:07:07 GMT")
        self.assertEqual((same.status, same.body, same.cache), (304, b"", "bypass"))
        self.assertEqual(self.provider.last.headers["if-modified-since"], "Tue, 07 Jul 2026 07:07:07 GMT")
        for reply in (part, same):
            self.assertEqual((reply.headers["etag"], reply.headers["accept-ranges"]), ('"v1"', "bytes"))
            self.assertEqual(reply.headers["last-modified"], "Tue, 07 Jul 2026 07:07:07 GMT")
        self.assertEqual(larder.get("/v1/files/f/content").status, 206, "the connection is still of use")

    def test_a_stream_that_breaks_between_events_ends_with_an_error_event(self):
        def answer(asked, handler):
            handler.begin_chunks("text/event-stream")
            handler.send_chunk(b"data: one\n\n" if "whole" in asked.path else b"data: on")
            handler.close_connection = True

        larder = self.start(answer)
        events = larder.request("POST", "/v1/whole", b"{}", JSON).events()
        self.assertEqual(events[0], ("", "one"))
        self.assertEqual(json.loads(events[1][1])["error"]["code"], "provider_unavailable")
        with self.assertRaises((http.client.IncompleteRead, ConnectionResetError)):
            larder.request("POST", "/v1/part", b"{}", JSON)

    def test_a_body_that_is_cut_is_seen_to_be_cut(self):
        def answer(asked, handler):
            handler.send_response(200)
            handler.send_header("content-type", "text/event-stream" if "events" in asked.path else "audio/mpeg")
            handler.send_header("content-length", "100")
            handler.end_headers()
            handler.wfile.write(b"data: one\n\n")
            handler.close_connection = True

        larder = self.start(answer)
        for path in ("/v1/files/f/content", "/v1/events", "/v1/files/f/content"):
            with self.assertRaises((http.client.IncompleteRead, ConnectionResetError)):
                larder.get(path)
        larder.check_alive()


class Streams(PassTest):
    PIECE = random.Random(4).randbytes(65536)
    PIECES = 1000  # more than all sockets on the way hold

    def big(self, chunked, pieces=PIECES):
        def answer(asked, handler):
            self.sent = 0
            if chunked:
                handler.begin_chunks("application/octet-stream")
            else:
                handler.send_response(200)
                handler.send_header("content-length", str(len(self.PIECE) * pieces))
                handler.end_headers()
            for _ in range(pieces):
                if chunked:
                    handler.send_chunk(self.PIECE)
                else:
                    handler.wfile.write(self.PIECE)
                self.sent += len(self.PIECE)
            if chunked:
                handler.wfile.write(b"0\r\n\r\n")

        return answer

    def wait_for_a_stop(self):
        """Until the provider has sent nothing more for a while."""
        seen = [(0, time.monotonic())]

        def stopped():
            if self.sent != seen[-1][0]:
                seen.append((self.sent, time.monotonic()))
            return self.sent > 0 and time.monotonic() - seen[-1][1] > 0.5

        wait_until(stopped, "the provider has to wait")

    def test_a_large_file_holds_memory_flat_with_a_slow_reader(self):
        for chunked in (False, True):
            larder = self.start(self.big(chunked))
            larder.get("/v1/files/f/content")
            before = self.memory()
            connection = http.client.HTTPConnection(*split_address(larder.address), timeout=DEADLINE)
            self.addCleanup(connection.close)
            connection.request("GET", "/v1/files/f/content")
            response = connection.getresponse()
            first = response.read(1)
            self.wait_for_a_stop()
            self.assertLess(self.sent, len(self.PIECE) * self.PIECES, "the reader does not slow the provider")
            self.assertLess(self.memory() - before, 3 << 20)
            whole = hashlib.sha256(first + response.read()).hexdigest()
            self.assertEqual(whole, hashlib.sha256(self.PIECE * self.PIECES).hexdigest())
            self.assertEqual(response.headers["content-length"], None if chunked else str(len(self.PIECE) * self.PIECES))

    def test_a_client_that_leaves_ends_the_call(self):
        left = []

        def answer(asked, handler):
            handler.begin_chunks("text/event-stream")
            handler.send_chunk(b"data: one\n\n")
            handler.connection.settimeout(DEADLINE)
            left.append((handler.connection.recv(1), time.monotonic()))  # nothing, once it is closed
            handler.close_connection = True

        larder = self.start(answer)
        connection = http.client.HTTPConnection(*split_address(larder.address), timeout=DEADLINE)
        connection.request("POST", "/v1/threads/runs", b"{}", JSON)
        response = connection.getresponse()
        self.assertEqual(response.read1(), b"data: one\n\n")
        response.close()
        connection.close()
        begin = time.monotonic()
        wait_until(lambda: left, "the provider sees that the call has ended")
        self.assertEqual(left[0][0], b"")
        self.assertLess(left[0][1] - begin, 1)

    def test_a_client_that_leaves_before_the_head_ends_the_call_too(self):
        left = []

        def answer(asked, handler):
            handler.connection.settimeout(DEADLINE)
            left.append(handler.connection.recv(1))
            handler.close_connection = True

        larder = self.start(answer)
        connection = http.client.HTTPConnection(*split_address(larder.address), timeout=DEADLINE)
        connection.request("POST", "/v1/images/generations", b"{}", JSON)
        wait_until(lambda: self.provider.asked, "the provider is asked")
        connection.close()
        wait_until(lambda: left, "the provider sees that the call has ended")
        self.assertEqual(left, [b""])


class Retries(PassTest):
    def calls(self, method, status, **headers):
        self.provider.asked.clear()
        self.provider.answer = answer_with(status, b'{"error":{"message":"no"}}', **headers)
        reply = self.larder.request(method, "/v1/images/generations", b"{}", JSON)
        self.assertEqual(reply.status, status)
        return len(self.provider.asked)

    def test_only_what_reads_or_surely_was_not_done_is_tried_again(self):
        self.start(provider_keys="retry_base: 1ms, breaker: { failures: 1000 }")
        self.assertEqual(self.calls("GET", 500), 3)
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            self.assertEqual(self.calls(method, 500), 1, method)
            self.assertEqual(self.calls(method, 429), 1, method)
        self.assertEqual(self.calls("POST", 429, retry_after_ms="1"), 3)
        self.assertEqual(self.calls("POST", 503, retry_after_ms="1"), 3)
        self.assertEqual(self.calls("POST", 500, retry_after_ms="1"), 1)

    def test_a_call_that_breaks_is_not_made_again(self):
        def hang_up(asked, handler):
            handler.close_connection = True

        self.start(hang_up, provider_keys="retry_base: 1ms, breaker: { failures: 1000 }")
        self.assertEqual(self.larder.request("POST", "/v1/images/generations", b"{}", JSON).status, 502)
        self.assertEqual(len(self.provider.asked), 1)
        self.assertEqual(self.larder.get("/v1/files").status, 502)
        self.assertEqual(len(self.provider.asked), 4)


class Rules(PassTest):
    def test_limits_count_it(self):
        larder = self.start(limits='  llm: { max: 3, window: 60s }\n  standard: { max: 2, window: 60s }\n'
                                   '  expensive: { max: 1, window: 60s, routes: ["POST /v1/images/*"] }')
        self.assertEqual(larder.get("/v1/files").headers["x-ratelimit-remaining"], "2")
        self.assertEqual(larder.request("POST", "/v1/audio/speech", b"{}", JSON).headers["x-ratelimit-remaining"], "1")
        self.assertEqual(larder.request("POST", "/v1/images/edits", b"{}", JSON).headers["x-ratelimit-limit"], "1")
        reply = larder.request("POST", "/v1/images/generations", b"{}", JSON)
        self.assertEqual((reply.status, reply.json()["error"]["code"]), (429, "rate_limit_exceeded"))
        self.assertIn("retry-after", reply.headers)
        self.assertEqual(larder.get("/v1/images/x").status, 200, "another method is not expensive")
        self.assertEqual(larder.get("/v1/files", **ANTHROPIC).json()["error"]["type"], "rate_limit_error")
        self.assertEqual(larder.get("/v1/models").headers["x-ratelimit-limit"], "2")

    def test_keys_are_asked_for(self):
        digest = hashlib.sha256(b"good-key").hexdigest()
        other = hashlib.sha256(b"other-key").hexdigest()
        larder = self.start(rest="auth: { mode: keys, keys: [\n"
                                 f'  {{ name: web, sha256: "{digest}", user: web, namespace: web, scopes: [llm] }},\n'
                                 f'  {{ name: ops, sha256: "{other}", user: ops, namespace: ops, scopes: [sessions] }}] }}')
        for path in ("/v1/files", "/v1/models", "/v1/models/gpt-4o"):
            self.assertEqual(larder.get(path).status, 401)
            self.assertEqual(larder.get(path, authorization="Bearer other-key").status, 403)
            self.assertEqual(larder.get(path, authorization="Bearer good-key").status, 200)
        self.assertEqual(larder.get("/v1/files", x_api_key="good-key", **ANTHROPIC).status, 200)
        self.assertNotIn("good-key", "".join(map(repr, self.provider.asked)))

    def test_statistics_and_metrics_stay_bounded(self):
        larder = self.start()
        for index in range(5):
            larder.get(f"/v1/files/{index}")
        stats = larder.get("/llm/cache/stats").json()
        self.assertEqual((stats["bypassed"], stats["providerCalls"]), (5, 5))
        metrics = larder.get("/metrics").body.decode()
        self.assertIn('larder_http_requests_total{route="/v1/*",status="2xx"} 5', metrics)
        self.assertNotIn("/v1/files", metrics)
        self.assertIn("larder_bytes_in_flight 0", metrics)

    def test_a_body_over_the_limit(self):
        larder = self.start(server="  max_body: 1KiB")
        self.assertEqual(larder.request("POST", "/v1/files", b"x" * 2000).status, 413)
        self.assertEqual(self.provider.asked, [])

    def test_other_methods_are_a_405_and_options_say_which(self):
        larder = self.start()
        reply = larder.request("OPTIONS", "/v1/files")
        self.assertEqual((reply.status, reply.headers["allow"]), (204, "DELETE, GET, HEAD, PATCH, POST, PUT, OPTIONS"))
        self.assertEqual(larder.request("TRACE", "/v1/files").status, 405)


class Counting(PassTest):
    def test_tokens_are_counted_at_anthropic(self):
        larder = self.start(answer_with(200, b'{"input_tokens": 14}'),
                            rest="models: { wise: { provider: anthropic, model: claude-sonnet-4-5 } }")
        body = b'{"model":"wise","messages":[{"role":"user","content":"Hi"}]}'
        reply = larder.request("POST", "/v1/messages/count_tokens", body, {**JSON, **ANTHROPIC})
        self.assertEqual((reply.status, reply.json()), (200, {"input_tokens": 14}))
        self.assertEqual(self.provider.last.path, "/anthropic/v1/messages/count_tokens")
        self.assertEqual(self.provider.last.body, body.replace(b"wise", b"claude-sonnet-4-5"))
        self.assertEqual(self.provider.last.headers["content-type"], "application/json")

    def test_elsewhere_none_are(self):
        larder = self.start()
        reply = larder.request("POST", "/v1/messages/count_tokens", {"model": "gpt-4o", "messages": []})
        self.assertEqual((reply.status, reply.json()["error"]["type"]), (400, "invalid_request_error"))
        self.assertIn("model", reply.json()["error"]["message"])
        self.assertEqual(self.provider.asked, [])


class Models(PassTest):
    def test_both_shapes(self):
        larder = self.start(rest="models: { fast: { provider: openai, model: gpt-4o-mini } }",
                            providers='  local: { api: openai, base_url: "http://127.0.0.1:9/v1", models: [llama3.2] }')
        models = larder.get("/v1/models").json()
        self.assertEqual(models["object"], "list")
        self.assertIn({"id": "fast", "object": "model", "created": 0, "owned_by": "openai"}, models["data"])
        self.assertIn({"id": "llama3.2", "object": "model", "created": 0, "owned_by": "local"}, models["data"])
        self.assertIn("text-embedding-3-small", [model["id"] for model in models["data"]])
        self.assertEqual([model["id"] for model in models["data"] if model["id"].startswith("ft:")], [])
        ids = []
        page = larder.get("/v1/models?limit=7", **ANTHROPIC).json()
        while True:
            ids += [model["id"] for model in page["data"]]
            self.assertEqual((page["first_id"], page["last_id"]), (page["data"][0]["id"], page["data"][-1]["id"]))
            if not page["has_more"]:
                break
            page = larder.get(f"/v1/models?limit=7&after_id={page['last_id']}", **ANTHROPIC).json()
        self.assertEqual(ids, [model["id"] for model in models["data"]])
        self.assertEqual(larder.get("/v1/models?limit=0", **ANTHROPIC).status, 400)
        self.assertEqual(self.provider.asked, [])

    def test_a_single_one(self):
        larder = self.start(rest="models: { fast: { provider: openai, model: gpt-4o-mini } }",
                            providers='  local: { api: openai, base_url: "http://127.0.0.1:9/v1", models: [llama3.2] }')
        self.assertEqual(larder.get("/v1/models/fast").json()["id"], "fast")
        self.assertEqual(larder.get("/v1/models/llama3.2", **ANTHROPIC).json()["type"], "model")
        self.assertEqual(self.provider.asked, [])
        self.assertEqual(larder.get("/v1/models/gpt-4o").status, 200)
        self.assertEqual(self.provider.last.path, "/openai/v1/models/gpt-4o")
        self.assertEqual(larder.get("/v1/models/openai%2Fgpt-4o").status, 200)
        self.assertEqual(self.provider.last.path, "/openai/v1/models/gpt-4o")
        self.assertEqual(larder.request("DELETE", "/v1/models/ft:gpt-4o:me").status, 200)
        self.assertEqual((self.provider.last.method, self.provider.last.path), ("DELETE", "/openai/v1/models/ft:gpt-4o:me"))


if __name__ == "__main__":
    unittest.main()
