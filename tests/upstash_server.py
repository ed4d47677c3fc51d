#!/usr/bin/env python3
"""A small Upstash: its REST protocol in front of a real redis-server, which it starts itself or is given.

    python3 tests/upstash_server.py [--redis HOST:PORT] [--port 0] [--token T] [--read-only-token R] [--tls-cert F --tls-key F]

prints `listening on http://127.0.0.1:PORT` and `redis on PORT`, and ends with SIGTERM or when its standard input does
(--until-stdin-ends). Beside Upstash's wire, without a token:
    POST /-/fault {"mode": M, "count": N, "ms": T}   what befalls the next N requests (without `count`: all)
        401 429 500 503 quota html502 garbage        answered so; nothing is run
        half drop                                    run, then half of the body or nothing, then the connection ends
        slow                                         T ms late;    hang: read and never answered;    none: no fault
    GET /-/stats                                     counts of requests, commands, connections, faults and sync tokens
    POST /-/reset                                    all counts to 0
Standard library only.
"""
import argparse
import asyncio
import base64
import collections
import contextlib
import hmac
import json
import os
import pathlib
import signal
import socket
import ssl
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from redis_servers import RedisServer, die_with_parent  # noqa: E402
from upstash_redis import Connection, Gone, RedisError, Scripts, Status, encode, read_reply  # noqa: E402

BODY_MAX = 10 << 20
METHODS = ("GET", "HEAD", "POST", "PUT")
# What a stateless request can't do; `PING` and `ECHO` can.
UNAVAILABLE = {name.encode() for name in (
    "auth hello select quit reset client subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe monitor "
    "watch unwatch multi exec discard blpop brpop blmove brpoplpush blmpop bzpopmin bzpopmax bzmpop wait waitaof "
    "config debug shutdown slaveof replicaof sync psync cluster failover save bgsave bgrewriteaof module").split()}
WRONGPASS = "WRONGPASS invalid or missing auth token"
QUOTA = ("ERR max requests limit exceeded. Limit: 500000, Usage: 500000. "
         "See https://upstash.com/docs/redis/troubleshooting/max_requests_limit for details")
HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
PHRASES = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
           429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}


class Refused(Exception):
    """The whole request fails with this status and error text."""

    def __init__(self, text, status=400):
        super().__init__(text)
        self.text, self.status = text, status


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.headers, self.body = method, headers, body
        path, _, query = target.partition("?")
        self.segments = [urllib.parse.unquote_to_bytes(part) for part in path.split("/")[1:]]
        self.query = [part.partition("=")[::2] for part in query.split("&") if part]

    def token(self):
        kind, _, value = self.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and value:
            return value.strip()
        return next((urllib.parse.unquote(value) for name, value in self.query if name == "_token"), "")


class Answer:
    def __init__(self, body, status=200, content_type="application/json", headers=()):
        self.body, self.status, self.content_type, self.headers = body, status, content_type, headers


def error_answer(text, status=400, headers=()):
    return Answer(json_bytes({"error": text}), status, headers=headers)


def json_bytes(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def as_argument(value):
    """Strings, numbers (by their digits) and booleans."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
    if isinstance(value, bool):
        return b"true" if value else b"false"
    raise Refused("ERR failed to parse command")


def parse_command(value):
    if not isinstance(value, list):
        raise Refused("ERR failed to parse command")
    if not value:
        raise Refused("ERR empty command")
    return [as_argument(one) for one in value]


def parse_body(body, what):
    try:
        return json.loads(body, parse_int=str, parse_float=str, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        raise Refused(f"ERR failed to parse {what}") from None


class Tokens:
    """The sync tokens that were given out, and how the ones that came back relate to them."""

    def __init__(self):
        self.count = 0
        self.seen = collections.Counter()

    def newest(self):
        return base64.b64encode(b"sync:%d" % self.count).decode()

    def next(self):
        self.count += 1
        return self.newest()

    def look_at(self, token):
        if not token:
            kind = "empty"
        elif token == self.newest():
            kind = "newest"
        else:
            with contextlib.suppress(ValueError):
                name, _, number = base64.b64decode(token, validate=True).partition(b":")
                if name == b"sync" and int(number) <= self.count:
                    self.seen["older"] += 1
                    return
            kind = "unknown"
        self.seen[kind] += 1


class Upstash:
    def __init__(self, redis_host, redis_port, token, read_only_token):
        self.redis_address = (redis_host, redis_port)
        self.redis = Connection(redis_host, redis_port)
        self.token, self.read_only_token = token, read_only_token
        self.scripts = None
        self.reads = set()
        self.fault = {"mode": "none"}
        self.tokens = Tokens()
        self.counts = collections.Counter()
        self.by_command = collections.Counter()

    async def learn(self):
        """What Redis says about its commands: which only read, and where their keys stand."""
        table = (await self.redis.run([[b"COMMAND"]]))[0]
        self.reads = {row[0].lower() for row in table if b"readonly" in row[2]} - {b"keys", b"scan"} | {b"ping", b"echo"}
        self.scripts = Scripts({row[0].decode(): tuple(row[3:6]) for row in table if row[3] > 0})

    # Commands.

    def refusal(self, command, read_only):
        name = command[0].lower()
        blocks = name in (b"xread", b"xreadgroup") and any(part.lower() == b"block" for part in command)
        if name in UNAVAILABLE or blocks:
            return (f"ERR Command is not available: '{name.decode('utf-8', 'replace').upper()}'. "
                    "See https://docs.upstash.com/overall/rediscompatibility for details")
        if read_only and name not in self.reads:
            return (f"NOPERM this user has no permissions to run the '{name.decode('utf-8', 'replace')}' command "
                    "or its subcommand")
        return None

    def count(self, commands):
        self.counts["commands"] += len(commands)
        self.by_command.update(command[0].decode("utf-8", "replace").lower() for command in commands)

    async def run_all(self, commands, read_only):
        """A reply for each, refusals as RedisError."""
        self.count(commands)
        refusals = [self.refusal(command, read_only) for command in commands]
        sent = [command for command, refusal in zip(commands, refusals) if refusal is None]
        replies = iter(await self.redis.run([self.scripts.translate(command) for command in sent]) if sent else [])
        return [RedisError(refusal) if refusal else self.scripts.answer(command, next(replies))
                for command, refusal in zip(commands, refusals)]

    async def run_atomically(self, commands, read_only):
        self.count(commands)
        for command in commands:
            if refusal := self.refusal(command, read_only):
                raise Refused(refusal)
        translated = [self.scripts.translate(command) for command in commands]
        replies = await self.redis.run([[b"MULTI"], *translated, [b"EXEC"]])
        queued = next((str(reply) for reply in replies[1:-1] if isinstance(reply, RedisError)), None)
        if isinstance(replies[-1], RedisError):
            raise Refused(queued or str(replies[-1]))
        return [self.scripts.answer(*pair) for pair in zip(commands, replies[-1])]

    # Answers.

    def shape(self, reply, base64_wanted):
        if isinstance(reply, list):
            return [self.shape(item, base64_wanted) for item in reply]
        if isinstance(reply, RedisError):
            return str(reply)
        if isinstance(reply, bytes):
            if base64_wanted and not (isinstance(reply, Status) and reply == b"OK"):
                return base64.b64encode(reply).decode()
            return reply.decode("utf-8", "replace")
        return reply

    def item(self, reply, base64_wanted):
        if isinstance(reply, RedisError):
            return {"error": str(reply)}
        return {"result": self.shape(reply, base64_wanted)}

    @staticmethod
    def resp2(reply):
        if isinstance(reply, list):
            return b"*%d\r\n" % len(reply) + b"".join(Upstash.resp2(item) for item in reply)
        if isinstance(reply, RedisError):
            return b"-" + str(reply).encode() + b"\r\n"
        if isinstance(reply, Status):
            return b"+" + reply + b"\r\n"
        if isinstance(reply, bytes):
            return b"$%d\r\n%s\r\n" % (len(reply), reply)
        return b"$-1\r\n" if reply is None else b":%d\r\n" % reply

    def authorize(self, request):
        """Whether the token reads only."""
        token = request.token().encode()
        if hmac.compare_digest(token, self.token.encode()):
            return False
        if self.read_only_token and hmac.compare_digest(token, self.read_only_token.encode()):
            return True
        raise Refused(WRONGPASS, 401)

    async def answer(self, request):
        try:
            if request.method not in METHODS:
                raise Refused("ERR method not allowed", 405)
            read_only = self.authorize(request)
            encoding = request.headers.get("upstash-encoding", "").lower()
            form = request.headers.get("upstash-response-format", "json").lower()
            if form not in ("json", "resp2") or encoding not in ("", "base64"):
                raise Refused("ERR invalid response format")
            if form == "resp2" and encoding:
                raise Refused("ERR resp2 can't be encoded")
            self.tokens.look_at(request.headers.get("upstash-sync-token", ""))
            return await self.dispatch(request, read_only, form == "resp2", encoding == "base64")
        except Refused as refused:
            return error_answer(refused.text, refused.status)
        except Gone:
            return error_answer("ERR the database can't be reached", 500)

    async def dispatch(self, request, read_only, resp2, base64_wanted):
        path = b"/".join(request.segments)
        if path in (b"pipeline", b"multi-exec"):
            value = parse_body(request.body, "pipeline request")
            if not isinstance(value, list):
                raise Refused("ERR failed to parse pipeline request")
            if not value:
                raise Refused("ERR empty pipeline request")
            commands = [parse_command(one) for one in value]
            if path == b"multi-exec":
                if resp2:
                    raise Refused("ERR resp2 is not for transactions")
                replies = await self.run_atomically(commands, read_only)
            else:
                replies = await self.run_all(commands, read_only)
            if resp2:
                return Answer(b"".join(map(self.resp2, replies)), content_type="application/octet-stream")
            return Answer(json_bytes([self.item(reply, base64_wanted) for reply in replies]))
        reply = (await self.run_all([self.single(request, path)], read_only))[0]
        status = 400 if isinstance(reply, RedisError) else 200
        if resp2:
            return Answer(self.resp2(reply), status, "application/octet-stream")
        return Answer(json_bytes(self.item(reply, base64_wanted)), status)

    @staticmethod
    def single(request, path):
        if not path:
            return parse_command(parse_body(request.body, "command"))
        command = [segment for segment in request.segments if segment]
        if request.body:
            command.append(request.body)
        for name, value in request.query:
            if name != "_token":
                command.append(urllib.parse.unquote_to_bytes(name))
                if value:
                    command.append(urllib.parse.unquote_to_bytes(value))
        return command

    # The control path.

    def control(self, request):
        action = request.segments[1] if len(request.segments) > 1 else b""
        if action == b"fault" and request.method == "POST":
            self.fault = json.loads(request.body)
        elif action == b"reset" and request.method == "POST":
            self.counts.clear()
            self.by_command.clear()
            self.tokens.seen.clear()
        elif action != b"stats":
            return Answer(b"", 404)
        return Answer(json_bytes({**{name: self.counts[name] for name in ("requests", "commands", "connections", "faults")},
                                  "by_command": self.by_command, "sync": self.tokens.seen, "fault": self.fault["mode"]}))

    def next_fault(self):
        mode = str(self.fault.get("mode", "none"))
        if mode == "none":
            return mode
        if "count" in self.fault:
            if self.fault["count"] <= 0:
                self.fault = {"mode": "none"}
                return "none"
            self.fault["count"] -= 1
        self.counts["faults"] += 1
        return mode

    def faulty_answer(self, mode):
        """What is answered instead; None where the command is run."""
        later = [("Retry-After", str(self.fault["retry_after"]))] if "retry_after" in self.fault else []
        return {"401": error_answer(WRONGPASS, 401),
                "429": error_answer("ERR too many requests", 429, later),
                "500": error_answer("ERR internal error", 500),
                "503": error_answer("ERR unavailable", 503, later),
                "quota": error_answer(QUOTA, 400),
                "html502": Answer(HTML.encode(), 502, "text/html"),
                "garbage": Answer(b'{"status":"fine"}')}.get(mode)


class HttpConnection:
    """One client: requests one after the other until it or a fault ends it."""

    def __init__(self, upstash, reader, writer):
        self.upstash, self.reader, self.writer = upstash, reader, writer

    async def serve(self):
        self.upstash.counts["connections"] += 1
        self.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while await self.serve_one():
                pass
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            self.writer.close()

    async def read_request(self):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {}
        for line in head[1:-2]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if "chunked" in headers.get("transfer-encoding", "").lower():
            body = b""
            while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
                if len(body) + size > BODY_MAX:
                    raise ValueError
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readuntil(b"\r\n")
            return Request(method, target, headers, body)
        size = int(headers.get("content-length", "0"))
        if size > BODY_MAX:
            await self.send(error_answer("ERR max request size exceeded"), True, False)
            raise ValueError
        return Request(method, target, headers, await self.reader.readexactly(size))

    async def serve_one(self):
        """False when the connection ends."""
        request = await self.read_request()
        keep = request.headers.get("connection", "").lower() != "close"
        if request.segments[0] == b"-":
            await self.send(self.upstash.control(request), not keep, request.method == "HEAD", control=True)
            return keep
        self.upstash.counts["requests"] += 1
        mode = self.upstash.next_fault()
        if mode == "hang":
            await self.reader.read()
            return False
        if mode == "slow":
            await asyncio.sleep(self.upstash.fault.get("ms", 200) / 1000)
        if request.segments[0] in (b"subscribe", b"psubscribe") and len(request.segments) == 2:
            await self.stream(request)
            return False
        answer = self.upstash.faulty_answer(mode) or await self.upstash.answer(request)
        if mode == "drop":
            return False
        if mode == "half":
            whole = self.head(answer, True) + answer.body
            self.writer.write(whole[:len(whole) - max(1, len(answer.body) // 2)])
            await self.writer.drain()
            return False
        await self.send(answer, not keep, request.method == "HEAD")
        return keep

    def head(self, answer, close, length=True, control=False):
        lines = [f"HTTP/1.1 {answer.status} {PHRASES[answer.status]}", f"Content-Type: {answer.content_type}"]
        if not control:
            lines.append(f"upstash-sync-token: {self.upstash.tokens.next()}")
        lines += [f"{name}: {value}" for name, value in answer.headers]
        if length:
            lines.append(f"Content-Length: {len(answer.body)}")
        if close:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def send(self, answer, close, head_only, control=False):
        self.writer.write(self.head(answer, close, control=control) + (b"" if head_only else answer.body))
        await self.writer.drain()

    async def stream(self, request):
        """Server-sent events of one channel or pattern, until either side ends."""
        try:
            self.upstash.authorize(request)
        except Refused as refused:
            return await self.send(error_answer(refused.text, refused.status), True, False)
        reader, writer = await asyncio.open_connection(*self.upstash.redis_address)
        writer.write(encode(request.segments))
        self.writer.write(self.head(Answer(b"", content_type="text/event-stream"), True, length=False))
        gone = asyncio.create_task(self.reader.read())
        events = asyncio.create_task(self.forward(reader))
        await asyncio.wait((gone, events), return_when=asyncio.FIRST_COMPLETED)
        for task in (gone, events):
            task.cancel()
        writer.close()

    async def forward(self, reader):
        while True:
            parts = await read_reply(reader)
            text = b",".join(b"%d" % part if isinstance(part, int) else part for part in parts)
            self.writer.write(b"data: " + text + b"\n\n")
            await self.writer.drain()


async def serve(options, redis_host, redis_port):
    upstash = Upstash(redis_host, redis_port, options.token, options.read_only_token)
    await upstash.learn()
    tls = None
    if options.tls_cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.tls_cert, options.tls_key)
    server = await asyncio.start_server(lambda reader, writer: HttpConnection(upstash, reader, writer).serve(),
                                        "127.0.0.1", options.port, limit=1 << 20, ssl=tls)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if options.until_stdin_ends:
        loop.add_reader(0, lambda: os.read(0, 4096) or ended.set())
    print(f"listening on {'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    print(f"redis on {redis_port}", flush=True)
    await ended.wait()
    server.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--redis", metavar="HOST:PORT", help="a server that runs already; else one is started")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default="test-token")
    parser.add_argument("--read-only-token", default="")
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    parser.add_argument("--until-stdin-ends", action="store_true")
    parser.add_argument("--end-with-parent", action="store_true")
    options = parser.parse_args()
    if options.end_with_parent:
        die_with_parent()
    with contextlib.ExitStack() as stack:
        if options.redis:
            host, _, port = options.redis.rpartition(":")
        else:
            started = RedisServer()
            stack.callback(started.close)
            host, port = "127.0.0.1", started.port
        asyncio.run(serve(options, host, int(port)))


if __name__ == "__main__":
    main()
