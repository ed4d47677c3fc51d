"""Operation: health, readiness, metrics, the log, signals, exit statuses, TLS, configuration errors."""
import json
import os
import re
import signal
import socket
import subprocess
import unittest

from harness import (BUILD, DEADLINE, Larder, LarderTest, Stream, configuration, in_parallel, insecure_tls,
                     parse_events, request, split_address, wait_until)


def run(*arguments, environment=None, folder=None):
    return subprocess.run([BUILD / "larder", *map(str, arguments)], capture_output=True, text=True, timeout=DEADLINE,
                          cwd=folder, stdin=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], **(environment or {})})


class CommandLine(LarderTest):
    def test_version(self):
        done = run("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"\d+\.\d+\.\d+")

    def test_wrong_usage_is_2(self):
        for arguments in ((), ("nonsense",), ("serve", "--nonsense"), ("serve", "--config"), ("serve", "extra"),
                          ("check", "--listen")):
            with self.subTest(arguments=arguments):
                done = run(*arguments, folder=self.folder)
                self.assertEqual(done.returncode, 2, done)
                self.assertTrue(done.stderr)

    def test_check_names_every_line_that_is_wrong(self):
        path = self.folder / "bad.yaml"
        path.write_text("server:\n  listen: 127.0.0.1:0\n  nonsense: 1\ncache:\n  ttl: soon\n")
        done = run("check", "--config", path)
        self.assertEqual(done.returncode, 1)
        output = done.stdout + done.stderr
        self.assertIn(":3:", output)
        self.assertIn("nonsense", output)
        self.assertIn(":5:", output)
        self.assertIn("ttl", output)
        path.write_text("server: { listen: 127.0.0.1:0 }\n")
        self.assertEqual(run("check", "--config", path).returncode, 0)

    def test_a_wrong_configuration_ends_serve_with_1(self):
        path = self.folder / "bad.yaml"
        for text in ("auth: { mode: jwt }", "cache: { ttl: 5 }", "nonsense: 1", "providers: { a: { api: smoke } }",
                     "server: [1", "server: { listen: nowhere }", "default_model: nobodys-model",
                     'limits: { expensive: { routes: ["DELETE /nope"] } }',
                     'cache: { rules: [{ model: "o3*", mode: off }, { model: o3-mini, mode: off }] }',
                     'providers: { a: { api: openai, base_url: "http://h", api_key: "a\\r\\nb: c" } }',
                     "auth: { mode: keys, keys: [{ name: a, sha256: abc, scopes: [everything] }] }"):
            with self.subTest(text=text):
                path.write_text(text + "\n")
                done = run("serve", "--config", path, folder=self.folder)
                self.assertEqual(done.returncode, 1, done)
                self.assertIn(":1", done.stdout + done.stderr)
        self.assertEqual(run("serve", "--config", self.folder / "missing.yaml", folder=self.folder).returncode, 1)

    def test_a_taken_port_ends_with_1_and_names_the_address(self):
        larder, replay = self.start_both()
        path = self.folder / "second.yaml"
        path.write_text(configuration(replay.address))
        done = run("serve", "--config", path, "--listen", larder.address, folder=self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn(larder.address, done.stdout + done.stderr)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            done = run("serve", "--config", path, "--listen", address, folder=self.folder)
            self.assertEqual(done.returncode, 1)
            self.assertIn(address, done.stdout + done.stderr)

    def test_the_demo_ends_by_itself_and_shows_its_table(self):
        done = run("demo", folder=self.folder)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("$", done.stdout)
        self.assertGreaterEqual(len(done.stdout.splitlines()), 12)
        self.assertEqual(sorted(os.listdir(self.folder)), [], "the demo leaves nothing behind")


class Endpoints(LarderTest):
    def test_health_and_readiness(self):
        larder, _ = self.start_both(store="store: { kind: sqlite, sqlite: { path: larder.db } }")
        self.assertEqual(larder.get("/health").status, 200)

        def is_ready():  # on a busy machine the file's two users may wait for each other at first
            reply = larder.get("/ready")
            self.assertEqual(reply.status, 200)
            return reply.json() if reply.json()["status"] == "ready" else None

        ready = wait_until(is_ready, "ready")
        store = [dependency for dependency in ready["dependencies"] if dependency["name"] == "store"]
        self.assertEqual([(one["kind"], one["state"]) for one in store], [("sqlite", "ok")])
        self.assertNotIn("reason", store[0])

    def test_metrics_are_prometheus_text_and_count(self):
        larder, _ = self.start_both()
        for _ in range(3):
            larder.generate("metrics")
        larder.get("/nothing/here/at/all")
        reply = larder.get("/metrics")
        self.assertTrue(reply.headers["content-type"].startswith("text/plain"))
        text = reply.body.decode()
        for line in text.splitlines():
            if line and not line.startswith("#"):
                self.assertRegex(line, r'^[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_]\w*="[^"\\]*",?)*\})? [-+0-9.eEInfNa]+$')
        self.assertIn("_bucket{", text)
        self.assertNotIn("/nothing/here", text, "labels come from the route table only")
        self.assertTrue(re.search(r'hit[^\n]* 2$', text, re.MULTILINE), "two hits are counted")

    def test_every_reply_has_a_request_id(self):
        larder, _ = self.start_both()
        ids = {larder.generate("id").headers["x-request-id"] for _ in range(3)}
        ids.add(larder.get("/health").headers["x-request-id"])
        self.assertEqual(len(ids), 4)
        reply = larder.generate("")
        self.assertEqual(reply.headers["x-request-id"], reply.json()["requestId"])


class Log(LarderTest):
    def test_it_is_one_json_line_a_request_in_pinos_form(self):
        larder, _ = self.start_both()
        reply = larder.generate("for the log")
        larder.generate("")

        def find():
            return [line for line in larder.log() if line.get("reqId") == reply.headers["x-request-id"]]

        line = wait_until(find, "the request's line")[0]
        self.assertEqual(len(find()), 1)
        for name, kind in (("level", int), ("time", int), ("pid", int), ("hostname", str), ("msg", str)):
            self.assertIsInstance(line[name], kind, line)
        self.assertEqual(line["level"], 30)


class Signals(LarderTest):
    def test_sigterm_and_sigint_end_with_0(self):
        replay = self.start_replay()
        for number in (signal.SIGTERM, signal.SIGINT):
            larder = self.start_larder(configuration(replay.address))
            larder.generate("before the end")
            self.assertEqual(larder.stop(number), 0, larder.text()[-3000:])

    def test_sigterm_lets_streams_under_way_finish_and_takes_no_new_work(self):
        larder, replay = self.start_both()
        stream = Stream(larder.address, "/llm/generate", {"prompt": "drain", "provider": "openai",
                                                          "model": "fault-middle-gate", "stream": True})
        self.addCleanup(stream.close)
        stream.start()
        stream.read_until("event: delta")
        larder.process.send_signal(signal.SIGTERM)

        def refuses():
            try:
                return request(larder.address, "GET", "/ready", timeout=2).status == 503
            except OSError:
                return True

        wait_until(refuses, "no new work is taken")
        self.assertIsNone(larder.process.poll(), "it waits for the stream")
        replay.release()
        self.assertEqual(parse_events(stream.read_all())[-1][0], "done")
        self.assertEqual(larder.stop(), 0)

    def test_the_drain_has_a_bound(self):
        larder, replay = self.start_both(server="  drain: 500ms")
        stream = Stream(larder.address, "/llm/generate", {"prompt": "stuck", "provider": "openai",
                                                          "model": "fault-middle-gate", "stream": True})
        self.addCleanup(stream.close)
        stream.start()
        stream.read_until("event: delta")
        self.assertEqual(larder.stop(), 0)
        replay.wait_for(cancelled=1)

    def test_sighup_takes_a_new_configuration_and_keeps_the_old_one_when_it_is_wrong(self):
        larder, replay = self.start_both()
        self.assertNotIn("later", larder.get("/llm/providers").body.decode())
        larder.config_path.write_text(configuration(
            replay.address,
            providers=f'  later: {{ api: openai, base_url: "http://{replay.address}/later/v1", models: [later-1] }}'))
        larder.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "later" in larder.get("/llm/providers").body.decode(), "the new provider is known")
        self.assertEqual(larder.generate("a", model="later-1").status, 200)
        larder.config_path.write_text("nonsense: 1\n")
        lines = len(larder.log())
        larder.process.send_signal(signal.SIGHUP)
        wait_until(lambda: any("nonsense" in json.dumps(line) for line in larder.log()[lines:]),
                   "the log says what is wrong")
        self.assertEqual(larder.generate("b", model="later-1").status, 200)

    def test_a_request_under_way_survives_a_reload(self):
        larder, replay = self.start_both()
        stream = Stream(larder.address, "/llm/generate", {"prompt": "reload", "provider": "openai",
                                                          "model": "fault-middle-gate", "stream": True})
        self.addCleanup(stream.close)
        stream.start()
        stream.read_until("event: delta")
        larder.process.send_signal(signal.SIGHUP)
        in_parallel(8, lambda index: larder.generate(f"meanwhile {index}"))
        replay.release()
        self.assertEqual(parse_events(stream.read_all())[-1][0], "done")


class Reload(LarderTest):
    SQLITE = "store: { kind: sqlite, sqlite: { path: larder.db } }"

    def setUp(self):
        super().setUp()
        self.replay = self.start_replay()

    def start(self, **options):
        return self.start_larder(configuration(self.replay.address, **options))

    def reload(self, larder, **options):
        larder.config_path.write_text(configuration(self.replay.address, **options))
        larder.process.send_signal(signal.SIGHUP)

    def test_the_cache_can_be_switched_on_and_off(self):
        larder = self.start(rest="cache: { enabled: false }", store=self.SQLITE)
        self.assertNotIn("hit", [larder.generate("switch").cache for _ in range(3)])
        self.reload(larder, rest="cache: { enabled: true }", store=self.SQLITE)
        wait_until(lambda: larder.generate("switch").cache == "hit", "answers are kept")
        self.reload(larder, rest="cache: { enabled: false }", store=self.SQLITE)
        wait_until(lambda: larder.generate("switch").cache != "hit", "and no longer")
        self.reload(larder, rest="cache: { enabled: true }", store=self.SQLITE)
        wait_until(lambda: larder.generate("switch", {"cache-control": "only-if-cached"}).status == 200,
                   "what was kept is there again")

    def test_another_prefix_is_another_cache(self):
        larder = self.start(rest="cache: { prefix: first }")
        text = larder.generate("prefix").json()["text"]
        only_if_cached = {"cache-control": "only-if-cached"}
        self.assertEqual(larder.generate("prefix", only_if_cached).status, 200)
        self.reload(larder, rest="cache: { prefix: second }")
        wait_until(lambda: larder.generate("prefix", only_if_cached).status == 504, "the new one is empty")
        self.reload(larder, rest="cache: { prefix: first }")
        wait_until(lambda: larder.generate("prefix", only_if_cached).status == 200, "the old one comes back")
        self.assertEqual(larder.generate("prefix").json()["text"], text)

    def test_the_largest_body_applies_at_once(self):
        larder = self.start(server="  max_body: 2KiB")
        self.assert_error(larder.generate("b" * 9000), 413)
        self.reload(larder, server="  max_body: 1MiB")
        wait_until(lambda: larder.generate("b" * 9000).status == 200, "a larger body is taken")
        self.reload(larder, server="  max_body: 4KiB")
        wait_until(lambda: larder.generate("b" * 9000).status == 413, "and refused again")

    def test_proxies_and_origins_apply_at_once(self):
        limits = "  llm: { max: 1, window: 300s }"
        larder = self.start(limits=limits)
        origin = {"origin": "https://app.example.com"}
        refused = larder.generate("a", origin)
        self.assertEqual(refused.status, 403, "in open mode a page of an origin that isn't listed may not ask")
        self.assertNotIn("access-control-allow-origin", refused.headers)
        self.assertEqual(larder.generate("a").status, 200)
        self.assertEqual(larder.generate("a", {"x-forwarded-for": "192.0.2.1"}).status, 429)
        self.reload(larder, limits=limits, server="  trusted_proxies: [127.0.0.1]\n"
                                                  "  cors: { origins: ['https://app.example.com'] }")
        wait_until(lambda: larder.generate("a", {"x-forwarded-for": "192.0.2.1"}).status == 200, "the proxy is believed")
        self.assertIn("access-control-allow-origin", larder.generate("a", origin).headers)

    def test_what_needs_a_restart_is_warned_of_and_stays(self):
        for before, after in ((self.SQLITE, "store: { kind: memory }"), ("store: { kind: memory }", self.SQLITE)):
            with self.subTest(before=before):
                larder = self.start(store=before)
                ready = larder.get("/ready").json()
                self.assertEqual([one["kind"] for one in ready["dependencies"] if one["name"] == "store"],
                                 ["sqlite"] if before == self.SQLITE else [])
                self.reload(larder, store=after, rest="cache: { memory: 8MiB }\nlog: { format: pretty }",
                            server="  threads: 1\n  memory: 64MiB\n  max_connections: 99\n  idle_timeout: 9s")

                def warnings():
                    return " ".join(json.dumps(line) for line in larder.log() if line["level"] == 40)

                for key in ("server.threads", "server.memory", "server.max_connections", "time", "cache.memory",
                            "store", "log.format"):
                    wait_until(lambda: key in warnings(), f"a warning names {key}: {warnings()}")
                self.assertEqual(larder.get("/ready").json(), ready)
                self.assertEqual([larder.generate("after").cache for _ in range(2)], ["miss", "hit"])
                self.assertEqual(larder.stop(), 0)
                for path in self.folder.glob("larder.db*"):
                    path.unlink()


class Environment(LarderTest):
    def test_the_variables_of_a_deployment_are_enough(self):
        replay = self.start_replay()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        larder = Larder(self.folder, "store: { kind: memory }\n", {
            "PORT": str(port), "OPENAI_API_KEY": "sk-from-environment-0123456789",
            "OPENAI_BASE_URL": f"http://{replay.address}/openai/v1",
            "ANTHROPIC_API_KEY": "sk-ant-from-environment-0123456789",
            "ANTHROPIC_BASE_URL": f"http://{replay.address}/anthropic",
            "REDIS_URL": "redis://127.0.0.1:1"})
        self.addCleanup(larder.kill)
        self.assertEqual(split_address(larder.address)[1], port)
        self.assertEqual(larder.generate("a").status, 200)
        self.assertEqual(larder.messages("a").status, 200)

    def test_what_is_not_supported_yet_is_warned_of_once(self):
        replay = self.start_replay()
        larder = self.start_larder(configuration(replay.address, store=""),
                                   environment={"DATABASE_URL": "postgres://a:secret-word@127.0.0.1:1/b"})
        warnings = [line for line in larder.log() if line["level"] == 40 and "DATABASE_URL" in json.dumps(line)]
        self.assertEqual(len(warnings), 1, larder.log())
        self.assertNotIn("secret-word", larder.text())
        self.assertEqual(larder.generate("a").status, 200)


class Tls(LarderTest):
    def test_it_serves_over_tls(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out",
                        "cert.pem", "-days", "2", "-subj", "/CN=localhost"], cwd=self.folder, check=True,
                       capture_output=True, timeout=DEADLINE)
        replay = self.start_replay()
        larder = self.start_larder(
            configuration(replay.address, server="  tls: { certificate: cert.pem, key: key.pem }"), tls=insecure_tls())
        self.assertEqual(larder.generate("over tls").cache, "miss")
        self.assertEqual(larder.generate("over tls").cache, "hit")
        self.assertEqual(larder.generate("over tls", stream=True).events()[-1][0], "done")
        reply = in_parallel(8, lambda index: larder.generate("x" * 200_000).status)
        self.assertEqual(set(reply), {200})
        self.assertEqual(larder.stop(), 0)

    def test_a_wrong_key_file_ends_with_1_and_is_named(self):
        def make(name):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-keyout", f"{name}-key.pem", "-out", f"{name}.pem", "-days", "2", "-subj", "/CN=localhost"],
                           cwd=self.folder, check=True, capture_output=True, timeout=DEADLINE)

        make("right")
        make("other")
        (self.folder / "noise-key.pem").write_text("this is no key\n")
        path = self.folder / "tls.yaml"
        for key in ("other-key.pem", "noise-key.pem", "right.pem", "missing-key.pem"):
            with self.subTest(key=key):
                path.write_text(f"server: {{ listen: 127.0.0.1:0, tls: {{ certificate: right.pem, key: {key} }} }}\n"
                                "store: { kind: memory }\n")
                done = run("serve", "--config", path, folder=self.folder)
                self.assertEqual(done.returncode, 1, done)
                self.assertIn(key, done.stdout + done.stderr)

    def test_a_missing_certificate_ends_with_1(self):
        path = self.folder / "tls.yaml"
        path.write_text("server: { listen: 127.0.0.1:0, tls: { certificate: no.pem, key: no.pem } }\n")
        done = run("serve", "--config", path, folder=self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no.pem", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
