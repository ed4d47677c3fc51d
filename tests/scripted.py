"""A provider whose answers a test writes itself: for what the recorded one has no fault for. Standard library only."""
import contextlib
import http.server
import json
import threading


class ScriptedProvider(contextlib.AbstractContextManager):
    """Answers every POST with `status` and `body` (an object, sent as JSON, or a function that makes one of the
    request's bytes); counts its calls and keeps what was asked. Any port, loopback.

    `gated`: each answer waits until `gate` is set.
    """

    def __init__(self, status, body, gated=False):
        self.status, self.body, self.calls = status, body, 0
        self.asked = []
        self.gate = threading.Event()
        if not gated:
            self.gate.set()
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                asked = self.rfile.read(int(self.headers.get("content-length", 0)))
                provider.calls += 1
                provider.asked.append(asked)
                provider.gate.wait()
                body = provider.body(asked) if callable(provider.body) else provider.body
                data = json.dumps(body).encode()
                self.send_response(provider.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                """Says nothing: the tests' output is theirs."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def __exit__(self, *_):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
