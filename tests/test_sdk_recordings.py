"""All recorded exchanges through the official SDKs: what they show straight from the provider, on a miss, on a hit,
plain and streaming, is deeply equal; what may not be kept is asked for twice, and what passes through is as it was.
Skipped, with words, where the recordings are missing."""
import collections
import json
import unittest

import npm_clients
from harness import RECORDINGS, LarderTest
from pass_provider import PassProvider
from recordings import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, is_sendable, load, slug

# What Larder passes on: the path at the provider, below its name.
PASSED = {"openai.completions": "/v1/completions", "openai.moderations": "/v1/moderations",
          "anthropic.count_tokens": "/v1/messages/count_tokens"}


def line_of(exchange):
    return json.dumps({
        "id": exchange.id, "api": exchange.api, "provider": exchange.provider, "stream": exchange.stream,
        "keepable": exchange.is_keepable(), "odd": exchange.status == 200 and exchange.is_odd(),
        "headers": exchange.headers, "beta": exchange.is_beta, "body": exchange.body})


def number(text):
    """1 and 1.0 are one number, as JavaScript has it."""
    return int(float(text)) if float(text).is_integer() else float(text)


def canonical(text):
    return json.dumps(json.loads(text, parse_float=number), sort_keys=True)


class PassedRecordings:
    """A provider for what passes through: answers with what was recorded, of equal requests with the first. `lines` is
    what recorded.mjs reads of each exchange. A recorded list of models answers for each single one that it names."""

    def __init__(self):
        self.lines, self.answers, self.calls, self.unknown = [], {}, [], []
        with open(RECORDINGS, encoding="utf-8") as lines:
            for line in lines:
                self.add(json.loads(line))

    def add(self, record):
        request, response = record["request"], record["response"]
        if record["api"] in PASSED:
            kept = "/v1/prompts/" in request["path"]
            path = request["path"].removeprefix("/v1") if kept else ""
            self.add_answer(record, request["body"], f"/v1{path}" if kept else PASSED[record["api"]], response, path)
        elif record["api"] in ("openai.models", "anthropic.models") and response["status"] != 200:
            self.add_answer(record, {"model": "of-nobody"}, "/v1/models/of-nobody", response)
        elif record["api"] == "openai.models":
            for model in json.loads(response["body"])["data"]:
                if model["id"].startswith("/"):
                    continue  # a path with an empty segment, which Larder refuses
                self.add_answer(record, {"model": model["id"]}, f"/v1/models/{model['id']}",
                                {**response, "body": json.dumps(model)})

    def add_answer(self, record, body, path, response, own_path=""):
        provider = slug(record["provider"])
        key = (f"/{provider}{path}", canonical("null" if "/models/" in path else json.dumps(body)))
        if key in self.answers:
            return
        kind = "text/event-stream" if body.get("stream") and response["status"] == 200 else "application/json"
        self.answers[key] = (response["status"], {"content-type": kind, **response["headers"]}, response["body"].encode())
        headers = {name: value for name, value in record["request"]["headers"].items() if name.startswith("anthropic-")}
        self.lines.append(json.dumps({
            "id": record["id"], "api": record["api"], "provider": provider, "body": body, "headers": headers,
            "beta": "beta=true" in record["request"]["path"], "path": own_path, "passes": True}))

    def answer(self, asked, _):
        path = asked.path.split("?")[0]
        if path == "/replay/stats":
            return 200, {"content-type": "application/json"}, json.dumps({"calls": len(self.calls)}).encode()
        self.calls.append((asked.method, asked.path, asked.body))
        key = (path, canonical(asked.body or "null"))
        if key not in self.answers:
            self.unknown.append(key)
        return self.answers.get(key, (500, {"content-type": "application/json"}, b"{}"))


def provider_entries(providers, address):
    """One provider of the configuration for each recorded provider and API."""
    for provider in sorted(providers):
        for api, name, path in (("openai", provider, "/v1"), ("anthropic", f"{provider}-messages", "")):
            yield (f'  {name}: {{ api: {api}, base_url: "http://{address}/{provider}{path}", '
                   'api_key: test-key-0123456789, retries: 0, breaker: { failures: 1000 } }')


@unittest.skipUnless(RECORDINGS.exists(), "the recordings are missing (../shared/data/recorded/exchanges.jsonl)")
class SdkRecordings(LarderTest):
    def ask(self, apis):
        """Gives the counts; fails with what differed."""
        exchanges = [exchange for exchange in load(apis) if is_sendable(exchange.body, exchange.api)]
        replay = self.start_replay(recordings=RECORDINGS)
        return self.run_all([line_of(exchange) for exchange in exchanges], {exchange.provider for exchange in exchanges},
                            replay.address)

    def run_all(self, lines, providers, address):
        path = self.folder / "exchanges.jsonl"
        path.write_text("".join(line + "\n" for line in lines))
        entries = "\n".join(provider_entries(providers, address))
        larder = self.start_larder(f"""server: {{ listen: 127.0.0.1:0 }}
providers:
{entries}
limits: {{ llm: {{ max: 0 }}, standard: {{ max: 0 }} }}
cache: {{ max_entry: 8MiB }}
store: {{ kind: memory }}
""")
        output = npm_clients.run_script("recorded.mjs", json.dumps({
            "larder": f"http://{larder.address}", "provider": f"http://{address}", "exchanges": str(path)}))
        result = json.loads(output.strip().splitlines()[-1])
        print(json.dumps(result["counts"], sort_keys=True), flush=True)
        self.assertEqual(result["failures"], [], f"{len(result['failures'])} failures")
        self.assertEqual(larder.stop(), 0)
        return result["counts"]

    def test_chat_and_messages(self):
        counts = self.ask((CHAT, MESSAGES))
        self.assertGreater(counts["openai.chat: the other form"] + counts["anthropic.messages: the other form"], 960)
        self.assertGreaterEqual(counts["openai.chat: odd"], 10)
        self.assertEqual(counts["openai.chat: unreadable"], 2)

    def test_responses(self):
        counts = self.ask((RESPONSES,))
        self.assertGreater(counts["openai.responses: the other form"], 270)

    def test_embeddings(self):
        counts = self.ask((EMBEDDINGS,))
        self.assertGreater(counts["openai.embeddings: miss and hit"], 42)

    def test_what_passes_through(self):
        recorded = PassedRecordings()
        with PassProvider(recorded.answer) as provider:
            counts = self.run_all(recorded.lines, {path.split("/")[1] for path, _ in recorded.answers}, provider.address)
        self.assertEqual(recorded.unknown, [])
        times = collections.Counter(recorded.calls)
        self.assertEqual({call: count for call, count in times.items() if count != 2}, {}, "straight and through, the same bytes")
        self.assertEqual(len(times), len(recorded.answers))
        for api, wanted in (("openai.completions", 26), ("openai.moderations", 2), ("anthropic.count_tokens", 5)):
            self.assertGreaterEqual(counts[f"{api}: passed on"], wanted)


if __name__ == "__main__":
    unittest.main()
