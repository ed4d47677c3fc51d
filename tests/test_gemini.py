"""Google Gemini as a provider: asked by clients of /llm, of OpenAI's chat and of Anthropic's messages, on a miss and on a hit."""
import json
import unittest

from gemini import CALL, KEY, SIGNATURE, GeminiProvider
from harness import LarderTest, configuration

MODEL = "gemini-2.5-flash"
TEXT = "Café 🥐 and\n```js\nx\n```"
WEATHER = {"type": "object", "properties": {"unit": {"type": "string"}, "city": {"type": "string"}}}


def data_of(reply):
    return [json.loads(data) for _, data in reply.events() if data != "[DONE]"]


class Gemini(LarderTest):
    def setUp(self):
        super().setUp()
        self.provider = self.enterContext(GeminiProvider())
        line = f'  gemini: {{ base_url: "http://{self.provider.address}/v1beta", api_key: "{KEY}", retries: 0 }}'
        self.larder = self.start_larder(configuration("127.0.0.1:9", providers=line))

    def twice(self, ask):
        """The reply on a miss and on a hit, with one call in all."""
        before = len(self.provider.requests)
        first = ask()
        self.assertEqual((first.status, first.cache), (200, "miss"), first)
        second = ask()
        self.assertEqual((second.status, second.cache), (200, "hit"), second)
        self.assertEqual(len(self.provider.requests) - before, 1)
        return first, second

    def test_generate_is_answered_plain_and_as_a_stream(self):
        first, second = self.twice(lambda: self.larder.generate("Hello", model=MODEL, system="Be brief", maxTokens=50))
        path, headers, body = self.provider.requests[0]
        self.assertEqual(path, f"/v1beta/models/{MODEL}:generateContent")
        self.assertEqual(headers["x-goog-api-key"], KEY)
        self.assertNotIn("authorization", headers)
        self.assertEqual(body, {"systemInstruction": {"parts": [{"text": "Be brief"}]},
                                "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
                                "generationConfig": {"maxOutputTokens": 50}})
        self.assertEqual((first.json()["text"], first.json()["code"]), (TEXT, "x"))
        metadata = first.json()["metadata"]
        self.assertEqual((metadata["model"], metadata["provider"]), (MODEL, "gemini"))
        self.assertEqual(metadata["usage"]["outputTokens"], 12)
        self.assertEqual(metadata["usage"]["reasoningTokens"], 7)
        self.assertEqual(second.json()["text"], TEXT)
        stream = self.larder.generate("Hello", model=MODEL, system="Be brief", maxTokens=50, stream=True)
        self.assertEqual(stream.cache, "hit")
        self.assertEqual("".join(json.loads(data)["text"] for name, data in stream.events() if name == "delta"), TEXT)

    def test_generate_streams_a_miss_that_is_kept(self):
        first, second = self.twice(lambda: self.larder.generate("Hello", model=MODEL, stream=True))
        self.assertEqual(self.provider.requests[0][0], f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse")
        for reply in (first, second):
            deltas = [json.loads(data)["text"] for name, data in reply.events() if name == "delta"]
            self.assertEqual("".join(deltas), TEXT)
            self.assertEqual(reply.events()[-1][0], "done")
            self.assertEqual(json.loads(reply.events()[-1][1])["text"], TEXT)
        self.assertEqual(self.larder.generate("Hello", model=MODEL).cache, "hit")

    def test_chat_is_answered_plain_and_as_a_stream(self):
        plain, again = self.twice(lambda: self.larder.chat("Hello", MODEL))
        self.assertEqual(plain.json(), again.json())
        choice = plain.json()["choices"][0]
        self.assertEqual((choice["message"]["content"], choice["finish_reason"]), (TEXT, "stop"))
        usage = plain.json()["usage"]
        self.assertEqual((usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]), (12, 12, 24))
        self.assertEqual(usage["completion_tokens_details"]["reasoning_tokens"], 7)
        first, second = self.twice(lambda: self.larder.chat("Hi", MODEL, stream=True, stream_options={"include_usage": True}))
        for reply in (first, second):
            chunks = data_of(reply)
            self.assertEqual("".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"]), TEXT)
            self.assertEqual([chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]][-1], "stop")
            self.assertEqual(chunks[-1]["usage"]["total_tokens"], 24)
            self.assertEqual(reply.events()[-1][1], "[DONE]")

    def test_messages_are_answered_plain_and_as_a_stream(self):
        plain, again = self.twice(lambda: self.larder.messages("Hello", MODEL))
        self.assertEqual(plain.json(), again.json())
        self.assertEqual(plain.json()["content"], [{"type": "text", "text": TEXT}])
        self.assertEqual(plain.json()["stop_reason"], "end_turn")
        self.assertEqual(plain.json()["usage"]["output_tokens"], 12)
        for reply in self.twice(lambda: self.larder.messages("Hi", MODEL, stream=True)):
            events = data_of(reply)
            self.assertEqual((events[0]["type"], events[-1]["type"]), ("message_start", "message_stop"))
            self.assertEqual("".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta"), TEXT)

    def test_thoughts_are_shown_where_they_were_asked_for(self):
        thinking = {"type": "enabled", "budget_tokens": 1024}
        for stream in (False, True):
            reply = self.larder.messages("Think", MODEL, max_tokens=2000, thinking=thinking, stream=stream)
            self.assertEqual(reply.status, 200, reply)
            text = reply.body.decode()
            self.assertIn("thinking", text)
            self.assertIn("Forty", text)
        config = self.provider.requests[0][2]["generationConfig"]
        self.assertEqual(config["thinkingConfig"], {"thinkingBudget": 1024, "includeThoughts": True})

    def test_clients_of_both_apis_share_an_entry(self):
        self.assertEqual(self.larder.chat("Hello", MODEL, max_tokens=200).cache, "miss")
        reply = self.larder.messages("Hello", MODEL)
        self.assertEqual(reply.cache, "hit")
        self.assertEqual(reply.json()["content"][0]["text"], TEXT)
        self.assertEqual(self.larder.generate("Hello", model=MODEL, maxTokens=200).cache, "hit")
        self.assertEqual(len(self.provider.requests), 1)

    def test_another_model_is_another_entry(self):
        self.assertEqual(self.larder.chat("Hello", MODEL).cache, "miss")
        self.assertEqual(self.larder.chat("Hello", "gemini/gemini-2.5-pro").cache, "miss")
        self.assertEqual(self.provider.requests[1][0], "/v1beta/models/gemini-2.5-pro:generateContent")

    def test_a_tool_is_called_and_its_result_comes_back_with_the_signature(self):
        tool = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}
        plain, again = self.twice(lambda: self.larder.chat("Weather", MODEL, tools=[tool]))
        message = plain.json()["choices"][0]["message"]
        call = message["tool_calls"][0]
        self.assertEqual(plain.json()["choices"][0]["finish_reason"], "tool_calls")
        self.assertEqual((call["function"]["name"], call["function"]["arguments"]), ("weather", '{"unit":"C","city":"Oslo"}'))
        self.assertEqual(again.json()["choices"][0]["message"]["tool_calls"][0], call)
        history = [{"role": "user", "content": "Weather"}, message,
                   {"role": "tool", "tool_call_id": call["id"], "content": "rain"}]
        reply = self.larder.request("POST", "/v1/chat/completions", {"model": MODEL, "messages": history, "tools": [tool]})
        self.assertEqual(reply.json()["choices"][0]["message"]["content"], "It rains.", reply)
        contents = self.provider.requests[-1][2]["contents"]
        sent = contents[1]["parts"][0]
        self.assertEqual(sent["thoughtSignature"], SIGNATURE)
        self.assertEqual(list(sent["functionCall"]["args"].items()), list(CALL["functionCall"]["args"].items()))
        result = contents[2]["parts"][0]["functionResponse"]
        self.assertEqual((result["name"], result["response"]), ("weather", {"output": "rain"}))
        self.assertEqual(result["id"], sent["functionCall"]["id"])

    def test_a_streamed_tool_call_has_the_id_of_its_plain_form(self):
        tool = {"name": "weather", "input_schema": WEATHER}
        stream = self.larder.messages("Weather", MODEL, tools=[tool], stream=True)
        self.assertEqual(stream.cache, "miss", stream)
        starts = [event["content_block"] for event in data_of(stream) if event["type"] == "content_block_start"]
        plain = self.larder.messages("Weather", MODEL, tools=[tool])
        self.assertEqual(plain.cache, "hit")
        block = plain.json()["content"][0]
        self.assertEqual((block["id"], block["name"]), (starts[0]["id"], "weather"))
        self.assertEqual(block["input"], {"unit": "C", "city": "Oslo"})
        self.assertEqual(plain.json()["stop_reason"], "tool_use")

    def test_what_is_no_whole_answer_is_not_kept(self):
        for prompt, finish in (("Cut", "length"), ("Unsafe", "content_filter")):
            for _ in range(2):
                reply = self.larder.chat(prompt, MODEL)
                self.assertEqual((reply.status, reply.cache), (200, "miss"), reply)
                self.assertEqual(reply.json()["choices"][0]["finish_reason"], finish)
        for _ in range(2):
            reply = self.larder.generate("Torn", model=MODEL, stream=True)
            self.assertEqual((reply.cache, reply.events()[-1][0]), ("miss", "error"))

    def test_what_cant_be_carried_is_refused_by_its_name(self):
        for members, field in (({"n": 2}, "n"), ({"logprobs": True}, "logprobs"), ({"logit_bias": {"1": 2}}, "logit_bias"),
                               ({"parallel_tool_calls": False}, "parallel_tool_calls")):
            reply = self.larder.chat("Hello", MODEL, **members)
            self.assertEqual((reply.status, reply.json()["error"].get("param")), (400, field), reply)
        error = self.assert_error(self.larder.generate("Hello", model=MODEL, n=2), 400)
        self.assertEqual(error["field"], "n")
        self.assertEqual(self.provider.requests, [])

    def test_the_providers_error_comes_in_the_clients_shape_without_the_key(self):
        for stream in (False, True):
            chat = self.larder.chat("Fail", MODEL, stream=stream)
            self.assertEqual(chat.status, 400, chat)
            self.assertIn("may not ask that", chat.json()["error"]["message"])
            messages = self.larder.messages("Fail", MODEL, stream=stream)
            self.assertEqual((messages.status, messages.json()["type"]), (400, "error"), messages)
            self.assertIn("may not ask that", messages.json()["error"]["message"])
            for reply in (chat, messages, self.larder.generate("Fail", model=MODEL, stream=stream)):
                self.assertNotIn(KEY, reply.body.decode())
        self.assertNotIn(KEY, self.larder.text())

    def test_it_is_listed_with_its_api(self):
        providers = {one["name"]: one for one in self.larder.get("/llm/providers").json()["providers"]}
        self.assertEqual(providers["gemini"]["api"], "gemini")


if __name__ == "__main__":
    unittest.main()
