"""Tests of the benchmark itself: its arithmetic, and that the generator hides no pause of a server.

python3 -m unittest discover bench; LARDER_BUILD names the directory of the programs.
"""

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading
import unittest

from fleet import monitored_arguments
from measure import interleave, load, make_body, median_of, ratio_of
from processes import HERE, BenchError, Run, Upstream
from report import table
from rows import Row

BUILD = os.environ.get("LARDER_BUILD", str(HERE.parent / "build/release"))
BUILT = os.access(os.path.join(BUILD, "larder-bench-load"), os.X_OK)


class Arithmetic(unittest.TestCase):
    def test_rounds_turn_their_order(self):
        seen = []
        servers = {"larder": "A", "nginx": "B"}
        results = interleave(3, servers, lambda name: seen.append(name) or name)
        self.assertEqual("".join(seen), "ABBAAB")
        self.assertEqual(results, {"larder": ["A"] * 3, "nginx": ["B"] * 3})

    def test_a_ratio_is_the_median_of_the_rounds_ratios(self):
        # The host was twice as slow in the second round, for both.
        results = {"larder": [{"us": 10}, {"us": 20}, {"us": 11}],
                   "nginx": [{"us": 10}, {"us": 20}, {"us": 10}]}
        self.assertEqual(ratio_of(results, "nginx", "us"), 1.0)
        self.assertEqual(median_of(results["larder"], "us"), 11)

    def test_a_peer_that_used_nothing_gives_no_ratio(self):
        with self.assertRaises(BenchError):
            ratio_of({"larder": [{"us": 1}], "nginx": [{"us": 0}]}, "nginx", "us")

    def test_verdicts(self):
        self.assertEqual(Row("", 0.8, 0.8, "").verdict(), "met")
        self.assertEqual(Row("", 0.8, 0.81, "").verdict(), "MISSED")
        self.assertEqual(Row("", 20, 19, "", exact=True).verdict(), "MISSED")
        self.assertEqual(Row("", 20, 20, "", exact=True).verdict(), "met")
        self.assertEqual(Row("", 0.5, 0.49, "", at_least=True).verdict(), "MISSED")
        self.assertEqual(Row("", 0.5, 0.5, "", at_least=True).verdict(), "met")

    def test_a_command_that_redis_shows_is_read_back(self):
        line = r'1.5 [0 127.0.0.1:1] "EVALSHA" "ab" "1" "limit:{a\"b}" "\x00\n\\"'
        self.assertEqual(monitored_arguments(line), [b"EVALSHA", b"ab", b"1", b'limit:{a"b}', b"\0\n\\"])

    def test_a_row_that_failed_stands_in_the_table(self):
        self.assertEqual(table([{"scenario": "hit", "error": "why"}])[1],
                         ("hit", "", "", "why", "NOT MEASURED"))


@unittest.skipUnless(BUILT, "the benchmark's programs aren't built")
class Programs(unittest.TestCase):
    def setUp(self):
        self.run_of_test = Run(BUILD)
        self.addCleanup(self.run_of_test.close)
        self.path, self.body = make_body(self.run_of_test, "body")

    def test_every_request_is_counted_on_both_sides(self):
        upstream = Upstream(self.run_of_test)
        result = load(self.run_of_test, upstream.port, self.path, requests=5000, unique=1)
        self.assertEqual(result["completed"], 5000)
        self.assertEqual(upstream.calls(), 5000)

    def numbers_sent(self, **options):
        """What stood in place of {{unique}}, of 12 requests one after the other that begin with 7."""
        numbers = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                numbers.append(int(re.search(rb"Number (\d{10})", body).group(1)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                """Says nothing."""

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            load(self.run_of_test, server.server_address[1], self.path, requests=12, connections=1,
                 unique=7, **options)
            server.shutdown()
        return numbers

    def test_numbers_grow_go_round_or_are_fresh_now_and_then(self):
        self.assertEqual(self.numbers_sent(), list(range(7, 19)))
        self.assertEqual(self.numbers_sent(cycle=3), [7, 8, 9] * 4)
        self.assertEqual(self.numbers_sent(**{"fresh-every": 4}), [7, 7, 7, 7, 8, 7, 7, 7, 9, 7, 7, 7])

    def test_streams_are_read_to_their_end(self):
        upstream = Upstream(self.run_of_test, delay_ms=50)
        path, _ = make_body(self.run_of_test, "stream", stream=True)
        result = load(self.run_of_test, upstream.port, path, requests=100, connections=100,
                      contains="[DONE]")
        self.assertEqual(result["containing"], 100)
        self.assertGreaterEqual(result["latencyUs"]["p50"], 45_000)

    def test_a_pause_of_the_server_counts_for_all_that_were_due_in_it(self):
        upstream = Upstream(self.run_of_test)
        pause = threading.Timer(0.5, lambda: os.kill(upstream.pid(), signal.SIGSTOP))
        resume = threading.Timer(1.0, lambda: os.kill(upstream.pid(), signal.SIGCONT))
        pause.start()
        resume.start()
        result = load(self.run_of_test, upstream.port, self.path, rate=1000, duration=2,
                      connections=4)
        self.assertEqual(result["completed"], 2000)
        # 500 of 2000 were due while it slept half a second: a closed loop would have seen four.
        self.assertGreater(result["latencyUs"]["p90"], 100_000)

    def test_pipelined_requests_are_answered_in_order(self):
        upstream = Upstream(self.run_of_test, delay_ms=20)
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(self.body)}\r\n\r\n"
        bytes_sent = (head.encode() + self.body) * 3
        bytes_sent += b"GET /stats HTTP/1.1\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", upstream.port)) as connection:
            for byte in range(0, len(bytes_sent), 7):
                connection.sendall(bytes_sent[byte:byte + 7])
            reply = b"".join(iter(lambda: connection.recv(65536), b""))
        self.assertEqual(reply.count(b"HTTP/1.1 200 OK"), 4)
        self.assertEqual(json.loads(reply.rsplit(b"\r\n\r\n", 1)[1]), {"calls": 3})

    def test_nothing_stays_behind(self):
        upstream = Upstream(self.run_of_test)
        self.run_of_test.close()
        self.assertIsNotNone(upstream.child.poll())
        self.assertFalse(self.run_of_test.directory.exists())

    def test_an_answer_that_is_no_200_is_an_error(self):
        upstream = Upstream(self.run_of_test)
        with self.assertRaises(BenchError):
            load(self.run_of_test, upstream.port, self.path, requests=1, method="PUT")

    def test_wrong_arguments_are_refused(self):
        program = self.run_of_test.program("larder-bench-load")
        done = subprocess.run([program, "--port", "1"], capture_output=True, check=False)
        self.assertEqual(done.returncode, 2)


if __name__ == "__main__":
    unittest.main()
