"""All recorded exchanges through the official SDKs: what they show straight from the provider, on a miss, on a hit,
plain and streaming, is deeply equal. Skipped, with words, where the recordings are missing."""
import json
import unittest

import npm_clients
from harness import RECORDINGS, LarderTest
from recordings import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, is_sendable, load


def line_of(exchange):
    return json.dumps({
        "id": exchange.id, "api": exchange.api, "provider": exchange.provider, "stream": exchange.stream,
        "keepable": exchange.is_keepable(), "odd": exchange.status == 200 and exchange.is_odd(),
        "headers": exchange.headers, "beta": exchange.is_beta, "body": exchange.body})


def provider_entries(exchanges, address):
    """One provider of the configuration for each recorded provider and API."""
    for provider in sorted({exchange.provider for exchange in exchanges}):
        for api, name, path in (("openai", provider, "/v1"), ("anthropic", f"{provider}-messages", "")):
            yield (f'  {name}: {{ api: {api}, base_url: "http://{address}/{provider}{path}", '
                   'api_key: test-key-0123456789, retries: 0, breaker: { failures: 1000 } }')


@unittest.skipUnless(RECORDINGS.exists(), "the recordings are missing (../shared/data/recorded/exchanges.jsonl)")
class SdkRecordings(LarderTest):
    def ask(self, apis):
        """Gives the counts; fails with what differed."""
        exchanges = [exchange for exchange in load(apis) if is_sendable(exchange.body, exchange.api)]
        path = self.folder / "exchanges.jsonl"
        path.write_text("".join(line_of(exchange) + "\n" for exchange in exchanges))
        replay = self.start_replay(recordings=RECORDINGS)
        providers = "\n".join(provider_entries(exchanges, replay.address))
        larder = self.start_larder(f"""server: {{ listen: 127.0.0.1:0 }}
providers:
{providers}
limits: {{ llm: {{ max: 0 }}, standard: {{ max: 0 }} }}
cache: {{ max_entry: 8MiB }}
store: {{ kind: memory }}
""")
        output = npm_clients.run_script("recorded.mjs", json.dumps({
            "larder": f"http://{larder.address}", "provider": f"http://{replay.address}", "exchanges": str(path)}))
        result = json.loads(output.strip().splitlines()[-1])
        print(json.dumps(result["counts"], sort_keys=True), flush=True)
        self.assertEqual(result["failures"], [], f"{len(result['failures'])} failures")
        self.assertEqual(larder.stop(), 0)
        return result["counts"]

    def test_chat_and_messages(self):
        counts = self.ask((CHAT, MESSAGES))
        self.assertGreater(counts["openai.chat: the other form"] + counts["anthropic.messages: the other form"], 960)

    def test_responses(self):
        counts = self.ask((RESPONSES,))
        self.assertGreater(counts["openai.responses: the other form"], 270)

    def test_embeddings(self):
        counts = self.ask((EMBEDDINGS,))
        self.assertGreater(counts["openai.embeddings: miss and hit"], 42)


if __name__ == "__main__":
    unittest.main()
