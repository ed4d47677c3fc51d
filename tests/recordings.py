"""The recorded exchanges: which there are, what they mean, and answers brought into one comparable form."""
import json
import re

from harness import RECORDINGS, parse_events

CHAT = "openai.chat"
MESSAGES = "anthropic.messages"
RESPONSES = "openai.responses"
EMBEDDINGS = "openai.embeddings"
APIS = (CHAT, MESSAGES, RESPONSES, EMBEDDINGS)
PATHS = {CHAT: "/v1/chat/completions", MESSAGES: "/v1/messages", RESPONSES: "/v1/responses",
         EMBEDDINGS: "/v1/embeddings"}
# Anthropic's tools that the client runs by itself.
CLIENT_TOOLS = ("bash_", "text_editor_", "computer_", "memory_")
WHOLE = {"completed", "stop", "end_turn", "stop_sequence", "tool_calls", "tool_use", "function_call"}
BOUNDED = {"length", "max_tokens", "incomplete:max_output_tokens"}
BOUNDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
# What makes an answer depend on more than its request.
STATE = ("background", "conversation", "previous_response_id", "prompt", "mcp_servers", "web_search_options",
         "plugins", "container")


def slug(provider):
    return re.sub(r"[^a-z0-9]+", "-", provider.lower()).strip("-")


class Exchange:
    def __init__(self, record):
        self.id = record["id"]
        self.api = record["api"]
        self.provider = slug(record["provider"])
        self.body = record["request"]["body"]
        self.headers = {name: value for name, value in record["request"]["headers"].items()
                        if name in ("anthropic-version", "anthropic-beta")}
        self.stream = self.body.get("stream") is True
        self.status = record["response"]["status"]
        self.answer = record["response"]["body"].encode()
        self.content_type = record["response"]["headers"].get("content-type", "")
        self.expect = record["expect"] or {}
        self.tags = set(record["tags"])
        self.path = PATHS[self.api]
        self.is_beta = "beta=true" in record["request"]["path"]

    def is_keepable(self):
        """Our own reading of the contract's rule, from the README's second opinion and the tags."""
        if self.api == EMBEDDINGS:
            return self.status == 200
        if any(self.body.get(name) is not None for name in STATE) or self.has_hosted_tool():
            return False
        if len(re.findall(rb'"finish_reason": ?"', self.answer)) < self.expect.get("choices", 1) and self.api == CHAT:
            return False
        if self.is_odd() or "server_tool" in self.tags:
            return False
        if self.api == RESPONSES and re.search(r'"(file_id|item_reference)"', json.dumps(self.body)):
            return False
        says_something = self.expect.get("text_len") or self.expect.get("tools") or b'"custom_tool_call"' in self.answer
        if not says_something:
            return False
        finish = self.expect.get("finish")
        return finish in WHOLE or (finish in BOUNDED and any(name in self.body for name in BOUNDS))

    def has_hosted_tool(self):
        kinds = [tool.get("type") for tool in self.body.get("tools") or []]
        return any(kind not in (None, "function", "custom") and not kind.startswith(CLIENT_TOOLS) for kind in kinds)

    def is_odd(self):
        """An error, or a 200 that is no whole answer of its API: half a stream, an error in it, a wrong type."""
        if self.status != 200 or self.tags & {"stream_no_terminator", "error_in_stream", "resp_not_json"}:
            return True
        if self.stream and (b'"error":{"code"' in self.answer or "json" in self.content_type):
            return True
        return False

    def asks_for_usage(self):
        return bool((self.body.get("stream_options") or {}).get("include_usage"))


def is_sendable(body, api):
    """Whether it is a request at all: some recordings show how a provider refuses one that isn't."""
    if not isinstance(body.get("model"), str) or not body["model"]:
        return False
    if api in (RESPONSES, EMBEDDINGS):
        return bool(body.get("input"))
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        return False
    return api == CHAT or isinstance(body.get("max_tokens"), int)


def load(apis=(CHAT, MESSAGES)):
    """The exchanges of these APIs, of equal requests the one that the recorded provider gives to Larder."""
    seen = {}
    with open(RECORDINGS, encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record["api"] not in apis or not isinstance(record["request"]["body"], dict):
                continue
            exchange = Exchange(record)
            form = {**exchange.body, "stream": exchange.stream}
            form.pop("user", None)
            form.pop("stream_options", None)
            key = (exchange.provider, exchange.api, json.dumps(form, sort_keys=True))
            # Larder always asks for usage, and so finds the recording that has it.
            if key not in seen or (exchange.asks_for_usage() and not seen[key].asks_for_usage()):
                seen[key] = exchange
    return list(seen.values())


def events_of(body, include_usage):
    """A stream's events as objects, in order; without what only says "I am alive", and without the usage chunk
    for those who did not ask for it."""
    events = []
    for name, data in parse_events(body):
        if data == "[DONE]":
            events.append((name, data))
            continue
        value = json.loads(data)
        if not include_usage and value.get("choices") == [] and value.get("usage"):
            continue
        if value.get("type") != "ping":
            events.append((name, value))
    return events


def merge_tool_calls(calls, pieces):
    for piece in pieces or []:
        index = piece.get("index", len(calls) - 1)
        while len(calls) <= index:
            calls.append({"name": "", "arguments": ""})
        function = piece.get("function") or {}
        calls[index]["name"] += function.get("name") or ""
        calls[index]["arguments"] += function.get("arguments") or ""


def text_of(content):
    """A message's text: a string, or (Mistral) a list of parts."""
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content)
    return content or ""


def summary_of_chat(body, stream):
    """Text, refusal, tool calls and finish of the first choice, from either form."""
    text, calls, finish = "", [], None
    if stream:
        for _, value in events_of(body, True):
            for choice in value["choices"] if isinstance(value, dict) and value.get("choices") else []:
                if choice.get("index", 0) != 0:
                    continue
                delta = choice.get("delta") or {}
                text += text_of(delta.get("content"))
                merge_tool_calls(calls, delta.get("tool_calls"))
                finish = choice.get("finish_reason") or finish
    else:
        choice = json.loads(body)["choices"][0]
        message = choice["message"]
        text, finish = text_of(message.get("content")), choice.get("finish_reason")
        for call in message.get("tool_calls") or []:
            calls.append({"name": call["function"]["name"], "arguments": call["function"]["arguments"] or ""})
    return {"text": text, "calls": calls, "finish": finish}


def summary_of_messages(body, stream):
    """Content blocks and stop reason, from either form."""
    if not stream:
        value = json.loads(body)
        blocks = [block_of(block) for block in value["content"]]
        return {"blocks": blocks, "finish": value["stop_reason"]}
    blocks, inputs, finish = {}, {}, None
    for _, value in events_of(body, True):
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "content_block_start":
            blocks[value["index"]] = dict(value["content_block"])
            inputs[value["index"]] = ""
        elif kind == "content_block_delta":
            delta, block = value["delta"], blocks[value["index"]]
            if delta["type"] == "input_json_delta":
                inputs[value["index"]] += delta["partial_json"]
            for name in ("text", "thinking"):
                if name in delta:
                    block[name] = block.get(name, "") + delta[name]
        elif kind == "message_delta":
            finish = value["delta"]["stop_reason"]
    for index, text in inputs.items():
        if text:
            blocks[index]["input"] = json.loads(text)
    return {"blocks": [block_of(blocks[index]) for index in sorted(blocks)], "finish": finish}


def block_of(block):
    return {name: block.get(name) for name in ("type", "text", "thinking", "name", "input") if block.get(name)}


def summary(api, body, stream):
    return (summary_of_chat if api == CHAT else summary_of_messages)(body, stream)
