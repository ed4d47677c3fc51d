"""What leaves Larder for a provider of the client's own protocol is the client's own bytes: every recorded request, by
its SHA-256. Skipped, with words, where the recordings are missing."""
import collections
import hashlib
import json
import unittest

from harness import RECORDINGS, LarderTest
from recordings import APIS, CHAT, MESSAGES, is_sendable, load

USAGE = '"stream_options":{"include_usage":true}'


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def spellings(exchange):
    """The body as the SDKs of Python and JavaScript write it."""
    yield json.dumps(exchange.body, ensure_ascii=False, separators=(",", ":"))
    yield json.dumps(exchange.body, indent=1)


@unittest.skipUnless(RECORDINGS.exists(), "the recordings are missing (../shared/data/recorded/exchanges.jsonl)")
class Bytes(LarderTest):
    """One gateway for each recorded provider and API, so that the model's name needs no change either."""

    apis = APIS

    def send_all(self, ask_usage):
        """Gives (exchange, sent, what the provider got) for each; nothing is kept."""
        replay = self.start_replay(recordings=RECORDINGS)
        groups = collections.defaultdict(list)
        for exchange in load(self.apis):
            if is_sendable(exchange.body, exchange.api):
                groups[exchange.provider, exchange.api == MESSAGES].append(exchange)
        for (provider, is_messages), exchanges in sorted(groups.items()):
            kind, base = ("anthropic", f"/{provider}") if is_messages else ("openai", f"/{provider}/v1")
            models = sorted({exchange.body["model"] for exchange in exchanges})
            larder = self.start_larder(f"""server: {{ listen: 127.0.0.1:0, threads: 1 }}
providers:
  it: {{ api: {kind}, base_url: "http://{replay.address}{base}", api_key: test-key-0123456789, retries: 0,
    breaker: {{ failures: 1000 }}, ask_usage: {json.dumps(ask_usage)}, models: {json.dumps(models)} }}
limits: {{ llm: {{ max: 0 }}, standard: {{ max: 0 }} }}
store: {{ kind: memory }}
""", name=f"larder-{provider}-{kind}")
            for number, exchange in enumerate(exchanges):
                body = list(spellings(exchange))[number % 2]
                replay.reset()
                reply = larder.request("POST", exchange.path, body, {**exchange.headers, "cache-control": "no-store"})
                yield exchange, body, replay.last(), reply
            self.assertEqual(larder.stop(), 0)

    def test_all_of_them_are_equal(self):
        count = 0
        for exchange, sent, got, reply in self.send_all(ask_usage=False):
            if not got:  # Larder has seen the fault itself
                self.assertEqual((reply.status, exchange.status), (400, 400), (exchange.id, reply))
                continue
            self.assertEqual(got["sha256"], digest(sent), exchange.id)
            count += 1
        self.assertGreater(count, 1400)

    def test_but_for_the_span_that_asks_for_usage(self):
        spans = 0
        for exchange, sent, got, reply in self.send_all(ask_usage=True):
            if not got:
                self.assertEqual((reply.status, exchange.status), (400, 400), (exchange.id, reply))
                continue
            if got["sha256"] == digest(sent):
                self.assertFalse(exchange.api == CHAT and exchange.stream and not exchange.asks_for_usage(),
                                 exchange.id)
                continue
            self.assertTrue(exchange.api == CHAT and exchange.stream, exchange.id)
            self.assertEqual({**json.loads(got["body"]), "stream_options": None},
                             {**exchange.body, "stream_options": None})
            if "stream_options" not in exchange.body:
                self.assertIn(digest(sent), (digest(got["body"].replace(USAGE, "", 1)),
                                             digest(got["body"].replace(f",{USAGE}", "", 1))), exchange.id)
            spans += 1
        self.assertGreater(spans, 30)


if __name__ == "__main__":
    unittest.main()
