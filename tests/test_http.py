"""Strict HTTP/1.1 by raw sockets: what RFC 9110 and 9112 allow to refuse is refused and the connection closed."""
import json
import random
import socket
import unittest

from harness import DEADLINE, LarderTest, raw, split_address

# What an attacker wants to be taken as a request of its own.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b'{"prompt":"a"}'


def post(*fields, line=b"POST /llm/generate HTTP/1.1", host=b"Host: x"):
    head = [line, host, b"Content-Type: application/json", *fields]
    return b"\r\n".join(field for field in head if field) + b"\r\n\r\n"


REFUSED = {
    "a coding without a length": post(b"Transfer-Encoding: gzip") + SMUGGLED,
    "chunked that is not last": post(b"Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n" + SMUGGLED,
    "gzip before chunked": post(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n" + SMUGGLED,
    "xchunked": post(b"Transfer-Encoding: xchunked") + b"0\r\n\r\n" + SMUGGLED,
    "quoted chunked": post(b'Transfer-Encoding: "chunked"') + b"0\r\n\r\n" + SMUGGLED,
    "chunked twice": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED,
    "chunked and identity": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity") + b"0\r\n\r\n",
    "an empty coding": post(b"Transfer-Encoding:") + SMUGGLED,
    "chunked in HTTP/1.0": post(b"Transfer-Encoding: chunked", line=b"POST /llm/generate HTTP/1.0") + b"0\r\n\r\n",
    "a length beside chunked": post(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED,
    "chunked beside a length": post(b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n" + SMUGGLED,
    "two lengths": post(b"Content-Length: 14", b"Content-Length: 0") + BODY,
    "the same length twice": post(b"Content-Length: 14", b"Content-Length: 14") + BODY,
    "a list of lengths": post(b"Content-Length: 14, 14") + BODY,
    "a signed length": post(b"Content-Length: +14") + BODY,
    "a negative length": post(b"Content-Length: -1") + SMUGGLED,
    "a hexadecimal length": post(b"Content-Length: 0xe") + BODY,
    "a length with a space": post(b"Content-Length: 1 4") + BODY,
    "an endless length": post(b"Content-Length: 99999999999999999999999") + BODY,
    "an empty length": post(b"Content-Length:") + BODY,
    "no host": post(b"Content-Length: 0", host=b""),
    "two hosts": post(b"Content-Length: 0", b"Host: y"),
    "a host with a space": post(b"Content-Length: 0", host=b"Host: a b"),
    "a folded line": post(b"X-Fold: a\r\n b", b"Content-Length: 0"),
    "a folded first line": b"GET /health HTTP/1.1\r\n Host: x\r\n\r\n",
    "a space before the colon": post(b"Content-Length : 0"),
    "a tab before the colon": post(b"X-A\t: 0"),
    "a name that is no token": post(b"X(A): 0"),
    "an empty name": post(b": 0"),
    "a line without a colon": post(b"nonsense"),
    "a bare LF": b"GET /health HTTP/1.1\nHost: x\n\n",
    "a bare LF in a value": post(b"X-A: a\nX-B: b"),
    "a bare CR in a value": post(b"X-A: a\rX-B: b"),
    "a NUL in a value": post(b"X-A: a\x00b"),
    "a control character in a value": post(b"X-A: a\x01b"),
    "another version": b"GET /health HTTP/2.0\r\nHost: x\r\n\r\n",
    "a version of one digit": b"GET /health HTTP/1\r\nHost: x\r\n\r\n",
    "no version": b"GET /health\r\nHost: x\r\n\r\n",
    "two spaces in the request line": b"GET  /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space in the target": b"GET /hea lth HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target of no form": b"GET health HTTP/1.1\r\nHost: x\r\n\r\n",
    "a control character in the target": b"GET /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown expectation": post(b"Expect: the-unexpected", b"Content-Length: 0"),
    "TLS on a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 60 + b"\r\n\r\n",
    "a chunk size that is no number": post(b"Transfer-Encoding: chunked") + b"zz\r\nabc\r\n0\r\n\r\n",
    "a signed chunk size": post(b"Transfer-Encoding: chunked") + b"+3\r\nabc\r\n0\r\n\r\n",
    "an endless chunk size": post(b"Transfer-Encoding: chunked") + b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "an empty chunk size": post(b"Transfer-Encoding: chunked") + b"\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than its size": post(b"Transfer-Encoding: chunked") + b"2\r\nabc\r\n0\r\n\r\n",
    "a chunk ended by a bare LF": post(b"Transfer-Encoding: chunked") + b"3\nabc\n0\n\n",
}


class StrictHttp(LarderTest):
    @classmethod
    def setUpClass(cls):
        cls.holder = LarderTest()
        cls.holder.setUp()
        cls.larder, cls.replay = cls.holder.start_both(server="  max_body: 1MiB")
        cls.addClassCleanup(cls.holder.doCleanups)

    def connect(self):
        connection = socket.create_connection(split_address(self.larder.address), timeout=DEADLINE)
        self.addCleanup(connection.close)
        return connection

    def read_reply(self, connection, already=b""):
        """One reply with a Content-Length; gives (head, body, what came after it)."""
        data = already
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            self.assertTrue(piece, f"closed within a head: {data!r}")
            data += piece
        head, _, rest = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(rest) < length:
            piece = connection.recv(65536)
            self.assertTrue(piece, "closed within a body")
            rest += piece
        return head, rest[:length], rest[length:]

    def test_what_is_ambiguous_is_a_400_and_the_connection_is_closed(self):
        before = self.replay.stats()["calls"]
        for what, data in REFUSED.items():
            with self.subTest(what):
                reply = raw(self.larder.address, data)  # comes back only when the connection is closed
                self.assertEqual(reply.count(b"HTTP/1.1 "), 1, f"one reply, no more: {reply[:600]!r}")
                self.assertTrue(reply.startswith(b"HTTP/1.1 400 "), reply[:300])
                head, _, body = reply.partition(b"\r\n\r\n")
                self.assertIn(b"\r\ndate: ", head.lower())
                self.assertIn(b"\r\nconnection: close", head.lower())
                self.assertIn("error", json.loads(body))
        self.assertEqual(self.replay.stats()["calls"], before)

    def test_absolute_form_is_served_and_its_host_counts(self):
        for target in (b"http://x/health", b"HTTP://x:80/health", b"http://other/health?a=b"):
            reply = raw(self.larder.address, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            self.assertTrue(reply.startswith(b"HTTP/1.1 200 "), reply[:200])

    def test_empty_lines_before_a_request_are_passed_over(self):
        reply = raw(self.larder.address, b"\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertTrue(reply.startswith(b"HTTP/1.1 200 "), reply[:200])

    def test_http_1_0_is_answered_and_closed(self):
        reply = raw(self.larder.address, b"GET /health HTTP/1.0\r\n\r\n")
        self.assertRegex(reply[:20], rb"^HTTP/1\.[01] 200 ")
        stream = json.dumps({"prompt": "1.0", "stream": True}).encode()
        reply = raw(self.larder.address, b"POST /llm/generate HTTP/1.0\r\nContent-Type: application/json\r\n"
                                         b"Content-Length: %d\r\n\r\n" % len(stream) + stream)
        self.assertNotIn(b"transfer-encoding", reply.lower())
        self.assertIn(b"event: done", reply)

    def test_pipelined_requests_are_answered_in_order(self):
        bodies = [json.dumps({"prompt": f"pipelined {index}"}).encode() for index in range(5)]
        data = b"".join(post(b"Content-Length: %d" % len(body)) + body for body in bodies)
        connection = self.connect()
        connection.sendall(data + b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        rest, texts = b"", []
        for _ in bodies:
            head, body, rest = self.read_reply(connection, rest)
            self.assertTrue(head.startswith(b"HTTP/1.1 200 "))
            texts.append(json.loads(body)["text"])
        self.assertEqual(len(set(texts)), 5)
        head, _, _ = self.read_reply(connection, rest)
        self.assertTrue(head.startswith(b"HTTP/1.1 200 "))
        for body, text in zip(bodies, texts):
            reply = self.larder.request("POST", "/llm/generate", body)
            self.assertEqual((reply.cache, reply.json()["text"]), ("hit", text), "the order was kept")

    def test_a_chunked_body_at_every_cut(self):
        body = b'{"prompt":"chunked, cut anywhere"}'
        data = (post(b"Transfer-Encoding: chunked") + b"5;name=value\r\n" + body[:5] + b"\r\n%x\r\n" % len(body[5:]) +
                body[5:] + b"\r\n0\r\nTrailer: x\r\n\r\n")
        for cut in range(1, len(data), 7):
            connection = self.connect()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(data[:cut])
            connection.sendall(data[cut:])
            head, reply, _ = self.read_reply(connection)
            self.assertTrue(head.startswith(b"HTTP/1.1 200 "), (cut, head, reply))
            connection.close()
        self.assertEqual(self.larder.request("POST", "/llm/generate", body).cache, "hit")

    def test_expect_100_continue_is_answered_before_the_body(self):
        connection = self.connect()
        connection.sendall(post(b"Content-Length: %d" % len(BODY), b"Expect: 100-continue"))
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += connection.recv(1000)
        self.assertTrue(received.startswith(b"HTTP/1.1 100 "), received)
        connection.sendall(BODY)
        head, _, _ = self.read_reply(connection)
        self.assertTrue(head.startswith(b"HTTP/1.1 200 "))

    def test_a_body_that_will_be_refused_is_not_asked_for(self):
        reply = raw(self.larder.address, post(b"Content-Length: 9000000", b"Expect: 100-continue"))
        self.assertTrue(reply.startswith(b"HTTP/1.1 413 "), reply[:100])

    def test_a_body_that_is_cut_is_no_request(self):
        reply = raw(self.larder.address, post(b"Content-Length: 100") + BODY, half_close=True)
        self.assertNotIn(b"HTTP/1.1 200", reply)

    def test_a_connection_serves_again_after_a_refusal_of_the_application(self):
        connection = self.connect()
        rest = b""
        for body, status in ((b"{", b"400"), (BODY, b"200"), (b"{}", b"400"), (BODY, b"200")):
            connection.sendall(post(b"Content-Length: %d" % len(body)) + body)
            head, _, rest = self.read_reply(connection, rest)
            self.assertTrue(head.startswith(b"HTTP/1.1 " + status), head)

    def test_every_reply_has_a_date(self):
        for data in (b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                     b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                     b"PUT /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"\x00\r\n\r\n",
                     post(b"Connection: close", b"Content-Length: 14") + BODY):
            reply = raw(self.larder.address, data)
            head = reply.partition(b"\r\n\r\n")[0]
            self.assertRegex(head, rb"(?i)\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")

    def options(self, target, *fields):
        reply = raw(self.larder.address,
                    b"\r\n".join([b"OPTIONS " + target + b" HTTP/1.1", b"Host: x", b"Connection: close", *fields]) +
                    b"\r\n\r\n")
        head, _, body = reply.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        return int(head.split(b" ")[1]), fields, body

    def test_options_says_what_the_server_and_a_path_take(self):
        every = (b"get", b"post", b"put", b"patch", b"delete", b"head", b"options")
        for target, methods in ((b"*", every),
                                (b"/llm/generate", (b"post", b"options")),
                                (b"/llm/models", (b"get", b"head", b"options")),
                                (b"/health", (b"get", b"head", b"options")),
                                (b"http://x/llm/generate", (b"post", b"options")),
                                (b"http://x/v1/messages", every)):
            with self.subTest(target=target):
                status, fields, body = self.options(target)
                self.assertEqual((status, body), (204, b""))
                self.assertEqual(sorted(fields[b"allow"].split(b", ")), sorted(methods))
                self.assertIn(b"date", fields)
                self.assertNotIn(b"content-length", fields, "a 204 has none (RFC 9110, 8.6)")
        self.assertEqual(self.options(b"/nothing/here")[0], 404)

    def test_hostile_noise_does_no_harm(self):
        source = random.Random(7)
        for _ in range(60):
            noise = bytes(source.randrange(256) for _ in range(source.randrange(1, 400)))
            raw(self.larder.address, noise + b"\r\n\r\n", half_close=True)
        self.assertEqual(self.larder.get("/health").status, 200)


class Memory(LarderTest):
    def test_a_body_beyond_the_memory_in_flight_is_a_503_that_may_come_again(self):
        larder, replay = self.start_both(server="  memory: 1MiB\n  max_body: 16MiB")
        large = b'{"prompt":"' + b"x" * 1_500_000 + b'"}'
        chunked = b"".join(b"%x\r\n" % len(large[at:at + 65536]) + large[at:at + 65536] + b"\r\n"
                           for at in range(0, len(large), 65536)) + b"0\r\n\r\n"
        for what, data in (("a length", post(b"Content-Length: %d" % len(large), b"Connection: close") + large),
                           ("chunks", post(b"Transfer-Encoding: chunked", b"Connection: close") + chunked)):
            with self.subTest(what):
                received = raw(larder.address, data)
                self.assertTrue(received.startswith(b"HTTP/1.1 503 "), received[:200])
                head, _, body = received.partition(b"\r\n\r\n")
                self.assertRegex(head.lower(), rb"\r\nretry-after: [1-9]")
                self.assertEqual(set(json.loads(body)), {"error", "code", "requestId"})
        self.assertEqual(replay.stats()["calls"], 0)
        for index in range(20):
            self.assertEqual(larder.generate(f"{index} " + "y" * 100_000).status, 200, "what was taken is given back")


class SlowClients(LarderTest):
    def test_a_client_that_never_ends_its_head_is_dropped(self):
        larder, _ = self.start_both(server="  head_timeout: 500ms\n  body_timeout: 500ms")
        for data in (b"GET /health HT", post(b"Content-Length: 100") + b"{"):
            reply = raw(larder.address, data)  # comes back only when the connection is closed
            self.assertNotIn(b"HTTP/1.1 200", reply)
        self.assertEqual(larder.get("/health").status, 200)


if __name__ == "__main__":
    unittest.main()
