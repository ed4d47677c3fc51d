"""The official clients from npm against Larder and the recorded provider, with only their base URL changed."""
import hashlib
import json
import unittest

import made_exchanges
import npm_clients
from harness import PATIENCE, LarderTest, configuration

SECRET = "sk-proj0123456789abcdefghijklmnop"


def broken_exchanges():
    """Streams that their provider ends with an error of its own, one of them with a key in its words."""
    for prompt, kind, message in (("broken midway", "overloaded_error", "Later, please."),
                                  ("broken with a key", "authentication_error", f"Bad key {SECRET} of yours.")):
        for made, ending in (
                (made_exchanges.chat(prompt, [{"content": "Half of it"}]),
                 ("", {"error": {"message": message, "type": kind, "param": "n", "code": "own_code", "own_member": [1]}})),
                (made_exchanges.claude(prompt, [{"type": "text", "text": "Half of it"}]),
                 ("error", {"type": "error", "error": {"type": kind, "message": message, "own_member": [1]},
                            "request_id": "req_own"}))):
            yield cut_and_ended(list(made)[1], 3, ending)
    failing = list(made_exchanges.responses("failing", [made_exchanges.text_item("Half of it")]))[1]
    whole = {"id": "resp_failed", "object": "response", "created_at": 1764000000, "status": "failed", "output": [],
             "error": {"code": "server_error", "message": "Not today.", "own_member": 1}, "incomplete_details": None,
             "model": "gpt-4o-2024-08-06", "usage": None, "metadata": {}}
    yield cut_and_ended(failing, 5, ("response.failed", {"type": "response.failed", "sequence_number": 5, "response": whole}))


def cut_and_ended(exchange, events, ending):
    """The stream's first events, then the given one."""
    kept = exchange["response"]["body"].split("\n\n")[:events]
    exchange["response"]["body"] = "".join(f"{event}\n\n" for event in kept) + made_exchanges.sse([ending])
    return exchange


class SdkClients(LarderTest):
    def setUp(self):
        super().setUp()
        exchanges = made_exchanges.write(self.folder / "made.jsonl")
        with exchanges.open("a") as more:
            more.writelines(json.dumps(exchange) + "\n" for exchange in broken_exchanges())
        self.replay = self.start_replay(recordings=exchanges)
        self.larder = self.start_larder(configuration(
            self.replay.address, provider_keys="retries: 0, breaker: { failures: 1000 }"))

    def run_checks(self, script, larder=None, **settings):
        """Every check of the script must say ok; gives the names."""
        output = npm_clients.run_script(script, json.dumps({
            "larder": f"http://{(larder or self.larder).address}", "provider": f"http://{self.replay.address}",
            "patience": PATIENCE, "expected": {"TEXT": made_exchanges.TEXT, "RECORD": made_exchanges.RECORD,
                         "ARGUMENTS": made_exchanges.ARGUMENTS}, **settings}))
        names = [line.removeprefix("ok ") for line in output.splitlines() if line.startswith("ok ")]
        self.assertGreater(len(names), 0)
        self.assertEqual(self.larder.stop(), 0)
        return names

    def test_openai(self):
        self.run_checks("openai_checks.mjs")

    def test_anthropic(self):
        self.run_checks("anthropic_checks.mjs")

    def test_frameworks(self):
        self.run_checks("framework_checks.mjs")

    def test_errors(self):
        keys = {name: f"key-of-{name}-0123456789" for name in ("openai", "anthropic", "stats")}
        entries = ", ".join(f'{{ name: {name}, sha256: "{hashlib.sha256(key.encode()).hexdigest()}", '
                            f'scopes: [{"stats" if name == "stats" else "llm"}] }}' for name, key in keys.items())
        strict = self.start_larder(configuration(
            self.replay.address, server="  max_body: 64KiB", limits="  llm: { max: 6, window: 60s }",
            provider_keys="retries: 0, first_byte_timeout: 300ms, breaker: { failures: 1000 }",
            rest=f"auth: {{ mode: keys, keys: [{entries}] }}"), name="strict")
        self.run_checks("error_checks.mjs", strict=f"http://{strict.address}", keys=keys, statsKey=keys["stats"])


if __name__ == "__main__":
    unittest.main()
