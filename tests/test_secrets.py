"""Keys, prompts and answers are in no log at any level, nor in metrics, readiness, or the names in the store."""
import json
import unittest

from harness import ANTHROPIC_KEY, OPENAI_KEY, LarderTest

PROMPT = "the-very-secret-prompt-8f3a"
SYSTEM = "the-very-secret-system-77c1"
CLIENT_KEY = "client-key-that-nobody-may-see-0123456789"


class Secrets(LarderTest):
    def test_nothing_secret_is_in_any_output(self):
        larder, replay = self.start_both(
            store="store: { kind: sqlite, sqlite: { path: larder.db } }",
            rest="log: { level: debug, format: json }", provider_keys="first_byte_timeout: 500ms, retries: 1")
        headers = {"authorization": f"Bearer {CLIENT_KEY}", "x-api-key": CLIENT_KEY, "cookie": f"session={CLIENT_KEY}"}
        answers = []
        for stream in (False, True):
            reply = larder.generate(PROMPT, headers, system=SYSTEM, stream=stream)
            self.assertEqual(reply.status, 200)
            if not stream:
                answers.append(reply.json()["text"])
            answers.append(larder.chat(PROMPT, headers=headers, stream=stream).body.decode()[-80:])
            larder.messages(PROMPT, headers=headers, stream=stream)
            for fault in ("500", "400", "echo-key", "garbage", "half-json", "hang", "cut-stream", "error-event",
                          "content-type"):
                larder.generate(PROMPT, headers, provider="openai", model=f"fault-{fault}", stream=stream)
        larder.request("POST", "/llm/generate", f'{{"prompt": "{PROMPT}", "prompt": "{CLIENT_KEY}"}}', headers)
        larder.request("POST", "/llm/generate", f'{{"prompt": "{PROMPT}" ', headers)
        larder.request("POST", "/llm/generate", {"prompt": PROMPT, "temperature": SYSTEM}, headers)
        larder.request("GET", f"/nothing?api_key={CLIENT_KEY}", headers=headers)
        larder.request("GET", f"/llm/generate?key={CLIENT_KEY}", headers=headers)
        seen = {"metrics": larder.get("/metrics").body.decode(), "ready": larder.get("/ready").body.decode()}
        forwarded = json.dumps(replay.last()["headers"])
        self.assertEqual(larder.stop(), 0)
        seen["log"] = larder.text()
        secrets = [PROMPT, SYSTEM, CLIENT_KEY, OPENAI_KEY, ANTHROPIC_KEY, "TESTKEY", "The shelf fell down",
                   "The provider answers", "neither JSON nor an event", answers[0]]
        for where, text in seen.items():
            for secret in secrets:
                self.assertNotIn(secret, text, f"in the {where}")
        self.assertNotIn(CLIENT_KEY, forwarded, "a client's key never goes to a provider")
        for path in self.folder.glob("larder.db*"):
            data = path.read_bytes()
            for secret in (CLIENT_KEY, OPENAI_KEY, ANTHROPIC_KEY, PROMPT, SYSTEM):
                self.assertNotIn(secret.encode(), data, path.name)

    def test_every_log_line_has_pinos_members(self):
        larder, _ = self.start_both(rest="log: { level: debug, format: json }")
        larder.generate("a")
        larder.stop()
        for line in larder.log():
            for name in ("level", "time", "pid", "hostname", "msg"):
                self.assertIn(name, line)


if __name__ == "__main__":
    unittest.main()
