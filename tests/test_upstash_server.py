"""The Upstash server of the tests, proved with Upstash's own clients, and by hand where they say nothing."""
import pathlib
import socket
import tempfile
import unittest

import harness
import npm_clients

TOKEN = "proof-token"
READ_ONLY = "proof-read-only"
SERVER = pathlib.Path(__file__).resolve().parent / "upstash_server.py"


class UpstashServer(harness.Process):
    """tests/upstash_server.py with a redis-server of its own."""

    def __init__(self, folder, *arguments):
        super().__init__(["python3", "-B", SERVER, "--token", TOKEN, "--read-only-token", READ_ONLY, *arguments], folder,
                         "upstash")

        def started():
            self.check_alive()
            words = self.text().split()
            return words if "redis" in words and self.text().endswith("\n") else None

        words = harness.wait_until(started, "the Upstash server listens")
        self.url, self.redis_port = words[2], int(words[5])
        self.address = self.url.partition("://")[2]

    def post(self, path, body, token=TOKEN, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return harness.request(self.address, "POST", path, body, {"authorization": f"Bearer {token}", **named})

    def fault(self, mode, **settings):
        self.post("/-/fault", {"mode": mode, **settings})

    def stats(self):
        return harness.request(self.address, "GET", "/-/stats").json()


class UpstashTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory(prefix="larder-test-")
        cls.addClassCleanup(holder.cleanup)
        cls.server = UpstashServer(holder.name)
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        self.server.fault("none")
        self.server.post("/", ["FLUSHALL"])
        self.server.post("/", ["SCRIPT", "FLUSH"])
        self.server.post("/-/reset", None)


class OfficialClients(UpstashTest):
    """Each check of clients/upstash_proof.mjs."""

    def prove(self, check):
        self.assertEqual(npm_clients.run_script("upstash_proof.mjs", check, environment={
            "UPSTASH_REDIS_REST_URL": self.server.url, "UPSTASH_REDIS_REST_TOKEN": TOKEN,
            "READ_ONLY_TOKEN": READ_ONLY, "UPSTASH_DISABLE_TELEMETRY": "1"}).strip(), "fine")
        return self.server.stats()

    def test_values(self):
        self.prove("values")

    def test_texts_of_any_kind(self):
        self.prove("texts")

    def test_pipelines(self):
        self.prove("pipeline")

    def test_transactions(self):
        self.prove("multi")

    def test_errors(self):
        self.prove("errors")

    def test_scripts(self):
        self.prove("scripts")

    def test_sync_tokens_come_back_newest_first_of_all(self):
        seen = self.prove("sync")["sync"]
        self.assertEqual(seen, {"empty": 1, "newest": 19})

    def test_subscription(self):
        self.prove("subscribe")

    def test_fixed_window(self):
        counts = self.prove("fixedWindow")["by_command"]
        self.assertEqual((counts["evalsha"], counts["eval"]), (10, 1), "NOSCRIPT once, then by hash")

    def test_sliding_window(self):
        self.prove("slidingWindow")

    def test_token_bucket(self):
        self.prove("tokenBucket")

    def test_a_crowd_at_a_limit(self):
        self.prove("crowd")

    def test_every_check_has_a_test(self):
        checks = npm_clients.run_script("upstash_proof.mjs", "--list").split()
        source = pathlib.Path(__file__).read_text()
        self.assertEqual([check for check in checks if f'prove("{check}")' not in source], [])


class Wire(UpstashTest):
    """What the documents say and no client shows."""

    def test_paths_bodies_and_queries_make_commands(self):
        def ask(method, path, body=None):
            return harness.request(self.server.address, method, path, body, {"authorization": f"Bearer {TOKEN}"})

        self.assertEqual(ask("GET", "/set/a%2Fb%20c/v+w/EX/60").json(), {"result": "OK"})
        self.assertEqual(self.server.post("/", ["get", "a/b c"]).json(), {"result": "v+w"})
        self.assertEqual(ask("POST", "/set/raw?EX=60", b"\x00\xff\xfe").json(), {"result": "OK"})
        self.assertEqual(ask("PUT", "/set/raw?NX", b"other").json(), {"result": None})
        self.assertEqual(self.server.post("/get/raw", b"", upstash_encoding="base64").json(), {"result": "AP/+"})
        self.assertEqual(ask("GET", "/get/raw").json(), {"result": "\x00\ufffd\ufffd"})
        self.assertEqual(ask("HEAD", "/get/raw").body, b"")
        self.assertEqual(ask("DELETE", "/get/raw").status, 405)
        self.assertEqual(harness.request(self.server.address, "GET", f"/ttl/raw?_token={TOKEN}").json(), {"result": 60})
        self.assertEqual(harness.request(self.server.address, "GET", "/ttl/raw?_token=x").status, 401)

    def test_encodings_of_answers(self):
        self.server.post("/", ["SET", "k", "OK"])
        self.server.post("/", ["RPUSH", "l", "é", "", 3])
        based = self.server.post("/pipeline", [["SET", "x", 1], ["GET", "k"], ["LRANGE", "l", 0, -1], ["GET", "no"],
                                               ["NOSUCH"]], upstash_encoding="base64").json()
        self.assertEqual(based[:4], [{"result": "OK"}, {"result": "T0s="}, {"result": ["w6k=", "", "Mw=="]},
                                     {"result": None}])
        self.assertTrue(based[4]["error"].startswith("ERR unknown command"))
        resp2 = {"upstash_response_format": "resp2"}
        reply = self.server.post("/", ["LRANGE", "l", 0, -1], **resp2)
        self.assertEqual((reply.headers["content-type"], reply.body),
                         ("application/octet-stream", "*3\r\n$2\r\né\r\n$0\r\n\r\n$1\r\n3\r\n".encode()))
        self.assertEqual(self.server.post("/pipeline", [["SET", "x", 1], ["GET", "no"]], **resp2).body,
                         b"+OK\r\n$-1\r\n")
        self.assertEqual(self.server.post("/", ["GET", "l"], **resp2).status, 400)
        for path, headers in (("/multi-exec", resp2), ("/", {**resp2, "upstash_encoding": "base64"}),
                              ("/", {"upstash_response_format": "xml"})):
            self.assertEqual(self.server.post(path, [["PING"]], **headers).status, 400)

    def test_what_is_no_command_is_refused(self):
        for path, body in (("/", b"{"), ("/", []), ("/", {"a": 1}), ("/", ["SET", None, "x"]), ("/", ["SET", ["k"], "x"]),
                           ("/", b"\xff"), ("/pipeline", []), ("/pipeline", ["GET", "k"]), ("/pipeline", {}),
                           ("/multi-exec", [["SET", "k", "1"], ["NOSUCH"]]), ("/multi-exec", [["BLPOP", "k", 1]])):
            reply = self.server.post(path, body)
            self.assertEqual((reply.status, list(reply.json())), (400, ["error"]), (path, body))
            self.assertIn("upstash-sync-token", reply.headers)
        self.assertEqual(self.server.post("/get/k", b"").json(), {"result": None})
        digits = "9223372036854775807"
        self.assertEqual(self.server.post("/", f'["INCRBY","n",{digits}]').body.decode(), f'{{"result":{digits}}}')

    def test_faults(self):
        increment = ["INCR", "n"]
        for mode, status in (("401", 401), ("429", 429), ("500", 500), ("503", 503), ("quota", 400), ("html502", 502),
                             ("garbage", 200)):
            self.server.fault(mode, count=1)
            reply = self.server.post("/", increment)
            self.assertEqual(reply.status, status, mode)
            self.assertNotIn(b"result", reply.body)
        self.assertEqual(self.server.post("/", increment).json(), {"result": 1}, "nothing of it was run")
        self.server.fault("drop", count=1)
        with self.assertRaises(ConnectionError):
            self.server.post("/", increment)
        self.server.fault("half", count=1)
        with self.assertRaises(harness.http.client.IncompleteRead):
            self.server.post("/", increment)
        self.assertEqual(self.server.post("/", increment).json(), {"result": 4}, "both were run")
        self.server.fault("hang", count=1)
        with self.assertRaises(socket.timeout):
            harness.request(self.server.address, "POST", "/", increment, {"authorization": f"Bearer {TOKEN}"}, timeout=0.2)
        self.assertEqual(self.server.post("/", increment).json(), {"result": 5})
        stats = self.server.stats()
        self.assertEqual((stats["faults"], stats["fault"]), (10, "none"))

    def test_a_lost_connection_to_the_database_heals(self):
        with socket.create_connection(("127.0.0.1", self.server.redis_port)) as other:
            other.sendall(b"CLIENT KILL TYPE normal SKIPME yes\r\n")
            self.assertEqual(other.recv(100)[:1], b":")
        harness.wait_until(lambda: self.server.post("/", ["PING"]).status == 200, "it has connected anew")


if __name__ == "__main__":
    unittest.main()
