"""Exchanges written by hand for the tests of the official clients, plain and as a stream, in the form of the recorded
ones: tool calls, structured answers, thinking, several choices, odd characters. Found by model and last user text."""
import json

CHAT_MODEL = "gpt-4o"
CLAUDE = "claude-sonnet-5"
TEXT = "Crème brûlée 👩‍👩‍👧‍👦 🇨🇭 e\u0301 \u202eאבג\u202c 𝔘𝔫𝔦 \u0000 \"quoted\" \\ \t/ 你好\u2028."
RECORD = {"city": "Zürich", "people": 443037, "rivers": ["Limmat", "Sihl"]}
ARGUMENTS = {"city": "Zürich", "unit": "°C"}
PIECE = 5


def pieces(text):
    return [text[at:at + PIECE] for at in range(0, len(text), PIECE)]


def record(provider, api, body, stream, answer):
    return {"provider": provider, "api": api, "match": "loose", "stream": stream,
            "request": {"method": "POST", "path": "/", "headers": {}, "body": {**body, "stream": stream}},
            "response": {"status": 200, "headers": {}, "body": answer}}


def sse(events):
    texts = ((name, data if isinstance(data, str) else json.dumps(data)) for name, data in events)
    return "".join((f"event: {name}\n" if name else "") + f"data: {data}\n\n" for name, data in texts)


# ---- OpenAI's chat completions

CHAT_USAGE = {"prompt_tokens": 17, "completion_tokens": 9, "total_tokens": 26,
              "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}}


def chat_deltas(index, message, finish):
    def chunk(delta, finish_reason=None, **more):
        return {"index": index, "delta": delta, "finish_reason": finish_reason, **more}

    yield chunk({"role": "assistant", "content": "" if message.get("content") else None})
    for piece in pieces(message.get("reasoning_content") or ""):
        yield chunk({"reasoning_content": piece})
    for piece in pieces(message.get("content") or ""):
        yield chunk({"content": piece})
    for at, call in enumerate(message.get("tool_calls") or []):
        yield chunk({"tool_calls": [{"index": at, **call, "function": {**call["function"], "arguments": ""}}]})
        for piece in pieces(call["function"]["arguments"]):
            yield chunk({"tool_calls": [{"index": at, "function": {"arguments": piece}}]})
    yield chunk({}, finish)


def chat(prompt, messages, finish="stop"):
    body = {"model": CHAT_MODEL, "messages": [{"role": "user", "content": prompt}]}
    head = {"id": f"chatcmpl-{abs(len(prompt))}", "created": 1764000000, "model": "gpt-4o-2024-08-06",
            "service_tier": "default", "system_fingerprint": "fp_larder"}
    choices = [{"index": index, "message": {"role": "assistant", "refusal": None, **message}, "logprobs": None,
                "finish_reason": finish} for index, message in enumerate(messages)]
    yield record("openai", "openai.chat", body, False, json.dumps(
        {**head, "object": "chat.completion", "choices": choices, "usage": CHAT_USAGE}, ensure_ascii=False))
    head["object"] = "chat.completion.chunk"
    events = [("", {**head, "choices": [delta], "usage": None})
              for index, message in enumerate(messages) for delta in chat_deltas(index, message, finish)]
    events += [("", {**head, "choices": [], "usage": CHAT_USAGE}), ("", "[DONE]")]
    yield record("openai", "openai.chat", body, True, sse(events))


def call(number, name="weather", arguments=ARGUMENTS):
    return {"id": f"call_{number}", "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}}


# ---- Anthropic's messages

CLAUDE_USAGE = {"input_tokens": 21, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 5, "output_tokens": 11}


def block_events(index, block):
    start, deltas = dict(block), []
    if block["type"] == "text":
        start["text"] = ""
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
    elif block["type"] == "thinking":
        start.update(thinking="", signature="")
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    else:
        start["input"] = {}
        text = json.dumps(block["input"], ensure_ascii=False)
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces(text)]]
    yield "content_block_start", {"index": index, "content_block": start}
    for delta in deltas:
        yield "content_block_delta", {"index": index, "delta": delta}
    yield "content_block_stop", {"index": index}


def claude(prompt, blocks, stop_reason="end_turn"):
    body = {"model": CLAUDE, "max_tokens": 1000, "messages": [{"role": "user", "content": prompt}]}
    head = {"id": f"msg_{len(prompt)}", "type": "message", "role": "assistant", "model": "claude-sonnet-5-20260815"}
    yield record("anthropic", "anthropic.messages", body, False, json.dumps(
        {**head, "content": blocks, "stop_reason": stop_reason, "stop_sequence": None, "usage": CLAUDE_USAGE},
        ensure_ascii=False))
    events = [("message_start", {"message": {**head, "content": [], "stop_reason": None, "stop_sequence": None,
                                             "usage": {**CLAUDE_USAGE, "output_tokens": 1}}}), ("ping", {})]
    for index, block in enumerate(blocks):
        events += block_events(index, block)
    events += [("message_delta", {"delta": {"stop_reason": stop_reason, "stop_sequence": None},
                                  "usage": {"output_tokens": CLAUDE_USAGE["output_tokens"]}}), ("message_stop", {})]
    yield record("anthropic", "anthropic.messages", body, True,
                 sse((name, {"type": name, **data}) for name, data in events))


# ---- OpenAI's responses

RESPONSES_USAGE = {"input_tokens": 31, "input_tokens_details": {"cached_tokens": 7}, "output_tokens": 13,
                   "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 44}


def item_events(index, item):
    yield "response.output_item.added", {"output_index": index, "item": {
        **item, "status": "in_progress", **({"content": []} if item["type"] == "message" else {"arguments": ""})}}
    place = {"item_id": item["id"], "output_index": index}
    if item["type"] == "message":
        part = item["content"][0]
        place["content_index"] = 0
        yield "response.content_part.added", {**place, "part": {**part, "text": ""}}
        for piece in pieces(part["text"]):
            yield "response.output_text.delta", {**place, "delta": piece, "logprobs": []}
        yield "response.output_text.done", {**place, "text": part["text"], "logprobs": []}
        yield "response.content_part.done", {**place, "part": part}
    else:
        for piece in pieces(item["arguments"]):
            yield "response.function_call_arguments.delta", {**place, "delta": piece}
        yield "response.function_call_arguments.done", {**place, "arguments": item["arguments"], "name": item["name"]}
    yield "response.output_item.done", {"output_index": index, "item": item}


def responses(prompt, items):
    body = {"model": CHAT_MODEL, "input": prompt}
    whole = {"id": f"resp_{len(prompt)}", "object": "response", "created_at": 1764000000, "status": "completed",
             "error": None, "incomplete_details": None, "instructions": None, "model": "gpt-4o-2024-08-06",
             "output": items, "parallel_tool_calls": True, "previous_response_id": None, "store": True,
             "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0, "usage": RESPONSES_USAGE,
             "metadata": {}}
    yield record("openai", "openai.responses", body, False, json.dumps(whole, ensure_ascii=False))
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events = [("response.created", {"response": begun}), ("response.in_progress", {"response": begun})]
    for index, item in enumerate(items):
        events += item_events(index, item)
    events.append(("response.completed", {"response": whole}))
    yield record("openai", "openai.responses", body, True,
                 sse((name, {"type": name, "sequence_number": number, **data})
                     for number, (name, data) in enumerate(events)))


def text_item(text):
    return {"id": "msg_item", "type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}]}


def all_exchanges():
    structured = json.dumps(RECORD, ensure_ascii=False)
    yield from chat("characters", [{"content": TEXT}])
    yield from chat("tools", [{"content": None, "tool_calls": [call(1), call(2, "clock", {})]}], "tool_calls")
    yield from chat("structured", [{"content": structured}])
    yield from chat("choices", [{"content": "one of them"}, {"content": "the other, a longer one"}])
    yield from chat("reasoning", [{"reasoning_content": "First … then …", "content": "So it is."}])
    yield from claude("characters", [{"type": "text", "text": TEXT}])
    yield from claude("tools", [
        {"type": "text", "text": "I'll look."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": ARGUMENTS},
        {"type": "tool_use", "id": "toolu_2", "name": "clock", "input": {}}], "tool_use")
    yield from claude("structured", [{"type": "text", "text": structured}])
    yield from claude("thinking", [{"type": "thinking", "thinking": "First … then …", "signature": "c2lnbmF0dXJl"},
                                   {"type": "text", "text": "So it is."}])
    yield from responses("characters", [text_item(TEXT)])
    yield from responses("structured", [text_item(structured)])
    yield from responses("tools", [
        {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "weather",
         "arguments": json.dumps(ARGUMENTS, ensure_ascii=False)}])


def write(path):
    """Gives the path of a file that larder-replay reads."""
    path.write_text("".join(json.dumps(exchange) + "\n" for exchange in all_exchanges()))
    return path
