"""All recorded chat exchanges through Larder: miss, then hit, plain and streaming, compared with what was recorded.

Skipped, with words, where the recordings are missing. One gateway for each recorded provider and API.
"""
import collections
import json
import re
import unittest

from harness import RECORDINGS, LarderTest
from recordings import CHAT, MESSAGES, events_of, is_sendable, load, summary


@unittest.skipUnless(RECORDINGS.exists(), "the recordings are missing (../shared/data/recorded/exchanges.jsonl)")
class Recordings(LarderTest):
    def setUp(self):
        super().setUp()
        self.replay = self.start_replay(recordings=RECORDINGS)
        self.groups = collections.defaultdict(list)
        for exchange in load():
            if is_sendable(exchange.body, exchange.api):
                self.groups[exchange.provider, exchange.api].append(exchange)

    def start_for(self, provider, api, exchanges):
        models = sorted({exchange.body["model"] for exchange in exchanges})
        kind, base = ("openai", f"/{provider}/v1") if api == CHAT else ("anthropic", f"/{provider}")
        return self.start_larder(f"""server: {{ listen: 127.0.0.1:0, threads: 1 }}
providers:
  it:
    api: {kind}
    base_url: "http://{self.replay.address}{base}"
    api_key: test-key-0123456789
    retries: 0
    models: {json.dumps(models)}
limits: {{ llm: {{ max: 0 }}, standard: {{ max: 0 }} }}
cache: {{ max_entry: 8MiB }}
store: {{ kind: memory }}
""", name=f"larder-{provider}-{api}")

    def each(self):
        """Every exchange with a gateway for it; the gateway is stopped when its group is done."""
        for (provider, api), exchanges in sorted(self.groups.items()):
            larder = self.start_for(provider, api, exchanges)
            for exchange in exchanges:
                yield larder, exchange
            self.assertEqual(larder.stop(), 0, larder.text()[-3000:])

    def ask(self, larder, exchange, body=None, **headers):
        """Each exchange has entries of its own: many were recorded plain and as a stream, with other answers."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return larder.request("POST", exchange.path, body or exchange.body,
                              {**exchange.headers, "x-larder-variant": exchange.id, **headers})

    def assert_same(self, exchange, reply, what):
        """Field for field what was recorded."""
        self.assertEqual(reply.status, 200, (exchange.id, what, reply))
        if exchange.stream:
            usage = exchange.asks_for_usage()
            self.assertTrue(reply.headers["content-type"].startswith("text/event-stream"))
            self.assertEqual(events_of(reply.body, usage), events_of(exchange.answer, usage), (exchange.id, what))
        else:
            self.assertEqual(reply.json(), json.loads(exchange.answer), (exchange.id, what))

    def test_miss_then_hit_and_the_other_form(self):
        count = collections.Counter()
        for larder, exchange in self.each():
            if exchange.is_odd():
                continue
            with self.subTest(id=exchange.id, provider=exchange.provider, api=exchange.api):
                first = self.ask(larder, exchange)
                self.assert_same(exchange, first, "first")
                self.assertIn(first.cache, ("miss", "bypass"))
                if not exchange.is_keepable():
                    count["not to be kept"] += 1
                    continue
                second = self.ask(larder, exchange)
                self.assert_same(exchange, second, "second")
                if first.cache == "bypass":
                    self.assertEqual(second.cache, "bypass")
                    count["bypassed"] += 1
                    continue
                self.assertEqual(second.cache, "hit", exchange.id)
                other = self.ask(larder, exchange, {**exchange.body, "stream": not exchange.stream})
                self.assertEqual(other.cache, "hit", exchange.id)
                self.assertEqual(summary(exchange.api, other.body, not exchange.stream),
                                 summary(exchange.api, exchange.answer, exchange.stream), exchange.id)
                count["hit in both forms"] += 1
        print(dict(count), flush=True)
        self.assertGreater(count["hit in both forms"], 700)

    def test_what_may_not_be_kept_is_asked_again_each_time(self):
        count = 0
        for larder, exchange in self.each():
            # Several choices: the second opinion has read only the first.
            if exchange.is_odd() or exchange.is_keepable() or exchange.expect.get("choices", 1) != 1:
                continue
            with self.subTest(id=exchange.id, provider=exchange.provider):
                before = self.replay.stats()["calls"]
                for what in ("first", "second"):
                    reply = self.ask(larder, exchange)
                    self.assert_same(exchange, reply, what)
                    self.assertIn(reply.cache, ("miss", "bypass"), exchange.id)
                self.assertEqual(self.replay.stats()["calls"], before + 2, exchange.id)
                count += 1
        self.assertGreater(count, 20)

    def test_a_stream_that_was_cut_or_failed_is_never_kept(self):
        for larder, exchange in self.each():
            if exchange.status != 200 or not exchange.is_odd():
                continue
            # Some providers never send [DONE]: there the finish of every choice is the end.
            if exchange.tags & {"stream_no_terminator"} and exchange.expect.get("finish"):
                continue
            with self.subTest(id=exchange.id, provider=exchange.provider):
                try:
                    self.ask(larder, exchange)
                except OSError:
                    pass  # cut after its first bytes, as it must be
                reply = self.ask(larder, exchange, cache_control="only-if-cached")
                self.assertEqual(reply.status, 504, exchange.id)

    def test_errors_pass_through_with_status_and_body(self):
        count = 0
        for larder, exchange in self.each():
            if exchange.status < 400:
                continue
            with self.subTest(id=exchange.id, provider=exchange.provider, status=exchange.status):
                reply = self.ask(larder, exchange)
                self.assertEqual(reply.status, exchange.status, (exchange.id, reply))
                if reply.cache is None:
                    continue  # Larder has seen the fault itself, and said so with the same status
                self.assertNotIn(reply.cache, ("hit", "stale"))
                mask = re.compile(rb"[\w-]*(\*\*\*|REDACTED)[\w.*-]*")
                self.assertEqual(mask.sub(b"*", reply.body), mask.sub(b"*", exchange.answer), exchange.id)
                count += 1
        self.assertGreater(count, 50)

    def test_the_bytes_that_leave_are_the_clients_own(self):
        for larder, exchange in self.each():
            if exchange.status != 200 or (exchange.stream and exchange.api == CHAT):
                continue
            body = json.dumps(exchange.body, ensure_ascii=False)
            with self.subTest(id=exchange.id):
                self.ask(larder, exchange, body, cache_control="no-store")
                last = self.replay.last()
                self.assertEqual(last["body"], body, exchange.id)
                if exchange.api == MESSAGES:
                    sent = {name.lower(): value for name, value in last["headers"]}
                    for name, value in exchange.headers.items():
                        self.assertEqual(sent.get(name), value)


if __name__ == "__main__":
    unittest.main()
