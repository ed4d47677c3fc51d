"""A provider that speaks Gemini's API, with an answer for each of a few prompts. Standard library only."""
import contextlib
import http.server
import json
import threading

KEY = "AIzaSyTest0123456789TESTKEYgeminiABCDE"
USAGE = {"promptTokenCount": 12, "candidatesTokenCount": 5, "thoughtsTokenCount": 7, "totalTokenCount": 24}
SIGNATURE = "EokDCoYDAQw51sfpp/5uYX8u6npl+A=="
CALL = {"functionCall": {"name": "weather", "args": {"unit": "C", "city": "Oslo"}}, "thoughtSignature": SIGNATURE}
ANSWERS = {
    "Weather": ([CALL], "STOP"),
    "Think": ([{"text": "Hm", "thought": True}, {"text": ", hm.", "thought": True}, {"text": "Forty"}, {"text": "-two"}],
              "STOP"),
    "Cut": ([{"text": "One, two"}], "MAX_TOKENS"),
    "Unsafe": ([], "SAFETY"),
}
DEFAULT = ([{"text": "Café "}, {"text": "🥐 and\n"}, {"text": "```js\nx\n```"}], "STOP")


def prompt_of(body):
    texts = [part["text"] for content in body["contents"] for part in content["parts"] if "text" in part]
    return texts[0] if texts else ""


def merged(parts):
    """Neighbouring texts of one kind as one part, as a plain answer has them."""
    out = []
    for part in parts:
        if out and "text" in part and "text" in out[-1] and part.get("thought") == out[-1].get("thought"):
            out[-1] = {**out[-1], "text": out[-1]["text"] + part["text"]}
        else:
            out.append(part)
    return out


def response(parts, number, finish=None, usage=None):
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    body = {"candidates": [candidate], "modelVersion": "gemini-2.5-flash", "responseId": f"resp-{number}"}
    return {**body, "usageMetadata": usage} if usage else body


class GeminiProvider(contextlib.AbstractContextManager):
    """`requests`: (path, headers, body) of each call so far."""

    def __init__(self):
        self.requests = []
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                provider.requests.append((self.path, headers, body))
                prompt = prompt_of(body)
                if prompt == "Fail":
                    error = {"error": {"code": 400, "status": "INVALID_ARGUMENT",
                                       "message": f"The key {KEY} may not ask that."}}
                    return self.give(400, "application/json; charset=UTF-8",
                                     json.dumps([error] if "stream" in self.path else error).encode())
                parts, finish = ANSWERS.get(prompt, DEFAULT)
                number = len(provider.requests)
                if "functionResponse" in json.dumps(body):
                    parts, finish = [{"text": "It rains."}], "STOP"
                if ":streamGenerateContent?alt=sse" in self.path:
                    return self.give_stream(prompt, parts, finish, number)
                return self.give(200, "application/json; charset=UTF-8",
                                 json.dumps(response(merged(parts), number, finish, USAGE), indent=2).encode())

            def give_stream(self, prompt, parts, finish, number):
                chunks = [response([part], number, usage={"promptTokenCount": 12}) for part in parts]
                chunks.append(response([{"text": ""}], number, finish, USAGE))
                if prompt == "Torn":
                    chunks = chunks[:-1]
                body = "".join(f"data: {json.dumps(chunk, ensure_ascii=False)}\r\n\r\n" for chunk in chunks)
                self.give(200, "text/event-stream", body.encode())

            def give(self, status, content_type, body):
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Says nothing: the tests' output is theirs."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
