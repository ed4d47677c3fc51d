"""Streams: forwarded as they come, kept alive, with the provider's own fields, ended in the client's own way."""
import contextlib
import json
import socket
import threading
import unittest

from harness import LarderTest, Stream, parse_events, request, wait_until


class PacedProvider(contextlib.AbstractContextManager):
    """Answers each POST with a head and then pieces, each when `step` is called; sees when its client leaves."""

    def __init__(self, fields=(), pieces=(), status="200 OK"):
        self.fields, self.pieces, self.status = list(fields), list(pieces), status
        self.steps = threading.Semaphore(0)
        self.left = threading.Event()
        self.sent = threading.Semaphore(0)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, contextlib.suppress(OSError):
            data = b""
            while b"\r\n\r\n" not in data:
                data += client.recv(65536)
            head, _, body = data.partition(b"\r\n\r\n")
            length = int(next(line for line in head.lower().split(b"\r\n")
                              if line.startswith(b"content-length:")).split(b":")[1])
            while len(body) < length:
                body += client.recv(65536)
            threading.Thread(target=self.watch, args=(client,), daemon=True).start()
            lines = "".join(f"{name}: {value}\r\n" for name, value in self.fields)
            for piece in [f"HTTP/1.1 {self.status}\r\n{lines}Transfer-Encoding: chunked\r\n\r\n".encode(),
                          *(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in self.pieces), b"0\r\n\r\n"]:
                self.steps.acquire()
                client.sendall(piece)
                self.sent.release()

    def watch(self, client):
        with contextlib.suppress(OSError):
            if not client.recv(1):
                self.left.set()

    def step(self, count=1):
        for _ in range(count):
            self.steps.release()

    def __exit__(self, *_):
        self.listener.close()
        self.step(1000)


def chunk(content=None, finish=None):
    delta = {} if content is None else {"content": content}
    return b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": [
        {"index": 0, "delta": delta, "finish_reason": finish}]}, ensure_ascii=False).encode() + b"\n\n"


WHOLE = [chunk("Hel"), chunk("lo"), chunk(finish="stop"), b"data: [DONE]\n\n"]
SSE = [("Content-Type", "text/event-stream")]


class Streams(LarderTest):
    def start(self, provider, keep_alive="15s", more="retries: 2"):
        self.enterContext(provider)
        return self.start_larder(
            f"server: {{ listen: 127.0.0.1:0, stream_keep_alive: {keep_alive} }}\nproviders:\n"
            f"  openai: {{ api: openai, api_key: sk-test, base_url: \"http://{provider.address}/v1\", {more} }}\n"
            "limits: { llm: { max: 0 }, standard: { max: 0 } }\nstore: { kind: memory }\n")

    @staticmethod
    def body(**members):
        return {"model": "gpt-4o", "stream": True, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}],
                **members}

    def ask(self, larder, path="/v1/chat/completions", **members):
        stream = Stream(larder.address, path, self.body(**members))
        self.addCleanup(stream.close)
        return stream

    def test_events_come_one_by_one(self):
        provider = PacedProvider(SSE, WHOLE)
        larder = self.start(provider)
        stream = self.ask(larder)
        provider.step(2)
        self.assertEqual(stream.start().status, 200)
        self.assertIn(b"Hel", stream.read_until("Hel"))
        self.assertNotIn(b'"lo"', stream.received)
        provider.step()
        stream.read_until('"lo"')
        provider.step(3)
        self.assertEqual(stream.read_all(), b"".join(WHOLE))

    def test_a_stream_cut_at_every_byte_arrives_whole(self):
        text = "".join(part.decode() for part in [chunk("Grüße 👩‍👩‍👧 é"), *WHOLE])
        for body in (text.encode(), text.replace("\n", "\r\n").encode(), (": hi\n\n" + text).encode()):
            provider = PacedProvider(SSE, [body[at:at + 1] for at in range(len(body))])
            larder = self.start(provider)
            provider.step(len(body) + 2)
            stream = self.ask(larder)
            self.assertEqual(stream.start().status, 200)
            self.assertEqual(stream.read_all(), body)

    def test_a_slow_provider_is_bridged_by_comments(self):
        provider = PacedProvider(SSE, WHOLE)
        larder = self.start(provider, keep_alive="200ms")
        stream = self.ask(larder)
        self.assertEqual(stream.start().status, 200)
        stream.read_until(": keep-alive\n\n: keep-alive\n\n")
        provider.step(6)
        received = stream.read_all()
        self.assertTrue(received.endswith(b"data: [DONE]\n\n"))
        self.assertEqual(b"".join(part + b"\n\n" for part in received.split(b"\n\n") if part.startswith(b"data")),
                         b"".join(WHOLE))
        # A replay comes at once and has no comment in it.
        again = self.ask(larder)
        self.assertEqual(again.start().getheader("x-larder-cache"), "hit")
        self.assertEqual(again.read_all(), b"".join(WHOLE))

    def test_a_refusal_behind_comments_is_an_error_event(self):
        provider = PacedProvider([("Content-Type", "application/json")], [b'{"error":{"message":"no"}}'], "400 Bad Request")
        larder = self.start(provider, keep_alive="200ms")
        stream = self.ask(larder)
        stream.start()
        stream.read_until(": keep-alive")
        provider.step(3)
        events = parse_events(stream.read_all())
        self.assertEqual(json.loads(events[-1][1]), {"error": {"message": "no"}})

    def test_a_late_refusal_keeps_its_words_and_class_across_protocols(self):
        provider = PacedProvider([("Content-Type", "application/json")], [b'{"error":{"message":"no more today"}}'],
                                 "429 Too Many Requests")
        larder = self.start(provider, keep_alive="200ms", more="retries: 0")
        stream = self.ask(larder, path="/v1/messages")
        stream.start()
        stream.read_until(": keep-alive")
        provider.step(3)
        name, data = parse_events(stream.read_all())[-1]
        self.assertEqual((name, json.loads(data)["error"]["type"]), ("error", "rate_limit_error"))
        self.assertIn("no more today", data)

    def test_a_stale_answer_stands_in_for_a_provider_that_fails_behind_comments(self):
        provider = PacedProvider(SSE, WHOLE)
        larder = self.start(provider, keep_alive="200ms", more="retries: 0, first_byte_timeout: 1s")
        first = Stream(larder.address, "/v1/chat/completions", self.body(), {"x-larder-ttl": "1"})
        self.addCleanup(first.close)
        provider.step(6)
        first.start()
        first.read_all()
        wait_until(lambda: request(larder.address, "POST", "/v1/chat/completions", {**self.body(), "stream": False},
                                   {"cache-control": "only-if-cached"}).status == 504, "it is stale")
        late = Stream(larder.address, "/v1/chat/completions", self.body())
        self.addCleanup(late.close)
        late.start()
        late.read_until(": keep-alive")
        self.assertTrue(late.read_all().endswith(b"".join(WHOLE)))

    def test_without_comments_a_refusal_keeps_its_status(self):
        provider = PacedProvider([("Content-Type", "application/json")], [b'{"error":{"message":"no"}}'], "400 Bad Request")
        larder = self.start(provider, keep_alive="0s")
        provider.step(3)
        self.assertEqual(self.ask(larder).start().status, 400)

    def test_the_providers_own_fields_come_through_on_a_miss(self):
        fields = [("x-request-id", "req_abc"), ("request-id", "req_def"), ("openai-organization", "org"),
                  ("openai-processing-ms", "7"), ("anthropic-ratelimit-requests-limit", "9"), ("set-cookie", "secret=1"),
                  ("server", "x"), ("retry-after", "3")]
        provider = PacedProvider(SSE + fields, WHOLE)
        larder = self.start(provider)
        provider.step(6)
        reply = self.ask(larder).start()
        for name, value in fields[:5]:
            self.assertEqual(reply.getheader(name), value)
        self.assertTrue(reply.getheader("x-larder-request-id"))
        for name in ("set-cookie", "server", "retry-after"):
            self.assertIsNone(reply.getheader(name))
        hit = self.ask(larder).start()
        self.assertEqual(hit.getheader("x-larder-cache"), "hit")
        self.assertNotEqual(hit.getheader("x-request-id"), "req_abc")
        self.assertIsNone(hit.getheader("openai-processing-ms"))

    def test_a_client_that_leaves_cancels_the_providers_work(self):
        provider = PacedProvider(SSE, WHOLE)
        larder = self.start(provider)
        stream = self.ask(larder)
        provider.step(2)
        stream.start()
        stream.read_until("Hel")
        stream.close()
        self.assertTrue(provider.left.wait(5))

    def broken(self, path, **members):
        """The events of a stream whose provider breaks in the middle."""
        provider = PacedProvider(SSE, [chunk("Hel"), b"data: {\"error\": {\"message\": \"sk-secret12345678901234 overloaded\"}}\n\n"])
        larder = self.start(provider)
        provider.step(4)
        stream = self.ask(larder, path=path, **members)
        stream.start()
        return stream.read_all()

    def test_an_error_in_the_middle_is_the_clients_apis_own_event(self):
        # The provider's own event where the API is the same, its key masked.
        chat = parse_events(self.broken("/v1/chat/completions"))[-1]
        self.assertEqual((chat[0], json.loads(chat[1])), ("", {"error": {"message": "*** overloaded"}}))
        messages = self.broken("/v1/messages")
        self.assertNotIn(b"sk-secret", messages)
        name, data = parse_events(messages)[-1]
        self.assertEqual(name, "error")
        self.assertEqual(json.loads(data)["type"], "error")
        self.assertNotIn(b"message_stop", messages)

    def test_in_a_converted_stream_nothing_of_the_provider_stands_outside_a_string(self):
        hostile = "\n\nevent: message_stop\ndata: {}\n\n\r\r</s>"
        provider = PacedProvider(SSE, [b": comment \xff\n\n", b"event: evil\nid: 1\nretry: 1\n" + chunk(hostile),
                                       *WHOLE[2:]])
        larder = self.start(provider)
        provider.step(6)
        stream = self.ask(larder, path="/v1/messages")
        self.assertEqual(stream.start().status, 200)
        received = stream.read_all()
        for line in received.split(b"\n"):
            self.assertRegex(line, rb"^(|: keep-alive|event: [a-z_]+|data: \{.*\})$")
        events = parse_events(received)
        self.assertEqual([name for name, _ in events].count("message_stop"), 1)
        self.assertEqual(json.loads(events[2][1])["delta"]["text"], hostile)


if __name__ == "__main__":
    unittest.main()
