"""Providers that behave as a test says, in both APIs, and configurations with routes over them. Standard library only."""
import contextlib
import http.server
import json
import socket
import threading

from harness import PATIENCE, LarderTest


# In a route: long enough for whoever is not silent.
BOUND = f"first_byte_timeout: {int(300 * PATIENCE)}ms"


class DeadProvider:
    """A port of loopback that refuses connections, and that nobody else is given meanwhile."""

    calls = 0

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]

    def close(self):
        self.socket.close()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_):
        """A client that has left is no failure of the test."""


def say(status=200, text=None, **fields):
    """A behaviour: an error of this status in the API's shape, or an answer."""
    fields = {name.replace("_", "-"): value for name, value in fields.items()}
    return lambda call: call.answer(text) if status == 200 else call.refuse(status, fields)


def hang(call):
    """Nothing, until the test is over or `gate` is set; then an answer."""
    call.provider.gate.wait()
    call.answer()


def end_at_once(call):
    """The head of a stream, and its end."""
    call.stream([])


def begin_with_error(call):
    call.stream([call.error_event()])


def only_comments(call):
    """A stream that is kept alive and says nothing, until the test is over."""
    call.handler.send_response(200)
    call.handler.send_header("content-type", "text/event-stream")
    call.handler.send_header("transfer-encoding", "chunked")
    call.handler.end_headers()
    comment = b": still here\n\n"
    with contextlib.suppress(OSError):
        while not call.provider.gate.wait(0.02):
            call.handler.wfile.write(b"%x\r\n%s\r\n" % (len(comment), comment))
            call.handler.wfile.flush()


def break_after(count):
    """A stream that tells `count` pieces and then an error."""
    return lambda call: call.stream(call.events()[:count + call.preamble] + [call.error_event()])


def cut_after(count):
    """A stream whose connection is gone after `count` pieces."""
    return lambda call: call.stream(call.events()[:count + call.preamble], whole=False)


def say_html(call):
    call.send(200, b"<html>Sign in to the network.</html>", {"content-type": "text/html"})


class Call:
    """One request that a provider got."""

    def __init__(self, provider, handler, body):
        self.provider, self.handler = provider, handler
        self.path, self.body = handler.path, json.loads(body)
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.is_anthropic = self.path.endswith("/messages")
        self.preamble = 1 if self.is_anthropic else 0  # events before the first piece of text

    @property
    def model(self):
        return self.body["model"]

    def send(self, status, data, fields):
        self.handler.send_response(status)
        for name, value in {"content-length": str(len(data)), **fields}.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.handler.wfile.write(data)

    def send_json(self, status, body, fields=None):
        self.send(status, json.dumps(body).encode(), {"content-type": "application/json", **(fields or {})})

    def stream(self, events, whole=True):
        self.handler.send_response(200)
        self.handler.send_header("content-type", "text/event-stream")
        self.handler.send_header("transfer-encoding", "chunked")
        self.handler.end_headers()
        for event in events:
            self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.handler.wfile.flush()
        if whole:
            self.handler.wfile.write(b"0\r\n\r\n")
        else:
            self.handler.close_connection = True
            self.handler.connection.shutdown(socket.SHUT_RDWR)

    def error(self, words):
        return {"type": "error", "error": {"type": "api_error", "code": "broken", "message": words}}

    def error_event(self):
        event = b"event: error\n" if self.is_anthropic else b""
        return event + b"data: " + json.dumps(self.error(f"{self.provider.name} is out of breath")).encode() + b"\n\n"

    def refuse(self, status, fields=None):
        self.send_json(status, self.error(f"{self.provider.name} says {status}"), fields)

    def events(self, text=None):
        """A whole stream, a word at a time."""
        words = (text or self.provider.text()).split(" ")
        words = [word if index == 0 else " " + word for index, word in enumerate(words)]
        if not self.is_anthropic:
            def chunk(delta, finish=None):
                return b"data: " + json.dumps({
                    "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": self.model,
                    "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode() + b"\n\n"

            return [*(chunk({"content": word}) for word in words), chunk({}, "stop"), b"data: [DONE]\n\n"]

        def event(name, **members):
            return f"event: {name}\ndata: {json.dumps({'type': name, **members})}\n\n".encode()

        usage = {"input_tokens": 3, "output_tokens": 1}
        start = event("message_start", message={"id": "m1", "type": "message", "role": "assistant", "content": [],
                                                "model": self.model, "stop_reason": None, "stop_sequence": None,
                                                "usage": usage})
        return [start + event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
                *(event("content_block_delta", index=0, delta={"type": "text_delta", "text": word}) for word in words),
                event("content_block_stop", index=0),
                event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=usage),
                event("message_stop")]

    def answer(self, text=None):
        if self.body.get("stream"):
            return self.stream(self.events(text))
        text = text or self.provider.text()
        if self.path.endswith("/embeddings"):
            inputs = self.body["input"] if isinstance(self.body["input"], list) else [self.body["input"]]
            vectors = [[float(self.provider.calls), float(len(each))] for each in inputs]
            return self.send_json(200, {
                "object": "list", "model": self.model, "usage": {"prompt_tokens": 3, "total_tokens": 3},
                "data": [{"object": "embedding", "index": index, "embedding": vector}
                         for index, vector in enumerate(vectors)]})
        if self.is_anthropic:
            return self.send_json(200, {
                "id": "m1", "type": "message", "role": "assistant", "model": self.model,
                "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": None,
                "usage": {"input_tokens": 3, "output_tokens": 4}})
        if self.path.endswith("/responses"):
            return self.send_json(200, {
                "id": "r1", "object": "response", "created_at": 1, "status": "completed", "model": self.model,
                "output": [{"id": "o1", "type": "message", "role": "assistant", "status": "completed",
                            "content": [{"type": "output_text", "text": text, "annotations": []}]}],
                "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}})
        return self.send_json(200, {
            "id": "c1", "object": "chat.completion", "created": 1, "model": self.model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}})


class RouteProvider(contextlib.AbstractContextManager):
    """Does with each call what `behave` says; `models` are those that were asked for. Any port, loopback."""

    def __init__(self, name, behave=None):
        self.name, self.behave = name, behave or say()
        self.lock = threading.Lock()
        self.asked = []
        self.gate = threading.Event()
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                call = Call(provider, self, self.rfile.read(int(self.headers.get("content-length", 0))))
                with provider.lock:
                    provider.asked.append(call)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    provider.behave(call)

            def log_message(self, *_):
                """Says nothing: the tests' output is theirs."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def calls(self):
        return len(self.asked)

    @property
    def models(self):
        return [call.model for call in self.asked]

    def text(self):
        """Differs from call to call: whoever gets the same one has got a kept one."""
        return f"{self.name} answers {len(self.asked)}"

    def __exit__(self, *_):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


KEY = "sk-route-test-key"


def provider_line(name, provider, keys=""):
    """A provider's line of the file. By its name: a… speaks Anthropic's API, any other one OpenAI's."""
    api, path = ("anthropic", "") if name.startswith("a") else ("openai", "/v1")
    more = ([] if "retries" in keys else ["retries: 0"]) + ([keys] if keys else [])
    rest = "".join(f", {key}" for key in more)
    return f'  {name}: {{ api: {api}, base_url: "http://{provider.address}{path}", api_key: {KEY}{rest} }}\n'


class RouteTest(LarderTest):
    """A larder whose routes are over providers that the test has scripted."""

    def provider(self, name, behave=None):
        return self.enterContext(RouteProvider(name, behave))

    def dead(self):
        dead = DeadProvider()
        self.addCleanup(dead.close)
        return dead

    def text(self, providers, routes, keys="", rest=""):
        """`providers` by name; `keys` are more keys of each, or of one by its name; `routes` by their names."""
        lines = "".join(provider_line(name, provider, keys.get(name, "") if isinstance(keys, dict) else keys)
                        for name, provider in providers.items())
        named = "".join(f"  {name}: {value}\n" for name, value in routes.items())
        return (f"server: {{ listen: 127.0.0.1:0 }}\nproviders:\n{lines}routes:\n{named}"
                "limits: { llm: { max: 0 }, standard: { max: 0 } }\nstore: { kind: memory }\n" + rest)

    def start(self, providers, routes, keys="", rest=""):
        return self.start_larder(self.text(providers, routes, keys, rest))

    def two(self, first=None, second=None, route="{ mode: fallback, targets: [one/m, two/m] }", keys="", rest=""):
        """A route `smart` over the providers `one` and `two`: (larder, one, two)."""
        one = first if isinstance(first, DeadProvider) else self.provider("one", first)
        two = self.provider("two", second)
        return self.start({"one": one, "two": two}, {"smart": route}, keys, rest), one, two

    def assert_tried(self, reply, tried, route="smart"):
        self.assertEqual((reply.headers.get("x-larder-route"), reply.headers.get("x-larder-route-tried")),
                         (route, tried), reply)


def metadata_of(reply):
    """Of a reply of the /llm dialect, plain or a stream's last event."""
    if "event-stream" in reply.headers["content-type"]:
        return json.loads(reply.events()[-1][1])["metadata"]
    return reply.json()["metadata"]


def text_of(reply):
    """The answer's text, of any dialect, plain or streamed."""
    if "event-stream" not in reply.headers["content-type"]:
        body = reply.json()
        if "choices" in body:
            return body["choices"][0]["message"]["content"]
        if "content" in body:
            return body["content"][0]["text"]
        if "output" in body:
            return body["output"][0]["content"][0]["text"]
        return body["text"]
    text = ""
    for name, data in reply.events():
        body = {} if data == "[DONE]" else json.loads(data)
        if name == "delta":
            text += body["text"]
        elif name == "content_block_delta":
            text += body["delta"]["text"]
        elif body.get("choices"):
            text += body["choices"][0]["delta"].get("content") or ""
    return text
