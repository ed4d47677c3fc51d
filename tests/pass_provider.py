"""A provider for requests that pass through: keeps what it got, answers as a test says. Standard library only."""
import contextlib
import http.server
import threading


class Asked:
    """One request as it arrived. `headers` by lower-case name."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.body = method, path, body
        self.headers = {name.lower(): value for name, value in headers}

    def __repr__(self):
        return f"Asked({self.method} {self.path}, {self.headers}, {len(self.body)} bytes)"


class PassProvider(contextlib.AbstractContextManager):
    """Answers each request with `answer(asked, handler)`: a tuple of status, headers and body, or None where it
    has written the reply itself. `asked`: all requests so far. Any port, loopback."""

    def __init__(self, answer=lambda asked, handler: (200, {"content-type": "application/json"}, b"{}")):
        self.answer, self.asked = answer, []
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                asked = Asked(self.command, self.path, self.headers.items(), body)
                provider.asked.append(asked)
                reply = provider.answer(asked, self)
                if reply is None:
                    return
                status, headers, body = reply
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204 and "content-length" not in headers:
                    self.send_header("content-length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD" and status != 204:
                    self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve

            def send_chunk(self, data):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()

            def begin_chunks(self, content_type, **headers):
                self.send_response(200)
                self.send_header("content-type", content_type)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()

            def log_message(self, *_):
                """Says nothing: the tests' output is theirs."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def last(self):
        return self.asked[-1]

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
