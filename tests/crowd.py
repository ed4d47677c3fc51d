"""Many clients at once, by hand: raw sockets that have sent their bytes and wait. Standard library only."""
import contextlib
import json
import resource
import selectors
import socket
import time

from harness import DEADLINE, split_address


def raise_file_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(hard, 8192)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Crowd:
    """Many clients that have sent the same bytes, or each its own, and wait."""

    def __init__(self, address, data, count):
        self.connections = []
        for index in range(count):
            connection = socket.create_connection(split_address(address), timeout=DEADLINE)
            connection.sendall(data(index) if callable(data) else data)
            self.connections.append(connection)

    def replies(self):
        """What each got until its connection was closed, or reset by a server that was killed."""
        received = {connection: b"" for connection in self.connections}
        selector = selectors.DefaultSelector()
        for connection in self.connections:
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ)
        end = time.monotonic() + DEADLINE * 3
        left = len(self.connections)
        while left:
            if time.monotonic() > end:
                raise AssertionError(f"{left} clients still wait")
            for key, _ in selector.select(timeout=1):
                piece = b""
                with contextlib.suppress(ConnectionResetError):
                    piece = key.fileobj.recv(65536)
                if piece:
                    received[key.fileobj] += piece
                else:
                    selector.unregister(key.fileobj)
                    left -= 1
        return list(received.values())

    def close(self):
        for connection in self.connections:
            connection.close()


def post(path, body, **fields):
    """The bytes of a request; `fields` are header fields with _ for -."""
    body = json.dumps(body).encode()
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return (f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nConnection: close\r\n"
            f"{more}Content-Length: {len(body)}\r\n\r\n").encode() + body


def dechunk(body):
    out = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        size = int(size.split(b";")[0], 16)
        if size == 0:
            return out
        out, body = out + rest[:size], rest[size + 2:]
    raise AssertionError("the last chunk is missing")


def split_reply(data):
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    if fields.get("transfer-encoding") == "chunked":
        body = dechunk(body)
    return int(lines[0].split()[1]), fields, body
