"""Real Redis servers for the tests: one alone, a Cluster of six, a master with replicas and Sentinels, Upstash in front.

Each has a free port of loopback and a temporary directory, and ends with the test program even when that is killed.
Standard library only; `redis-server` is Debian's.
"""
import asyncio
import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

PATIENCE = float(os.environ.get("LARDER_TEST_PATIENCE", "1"))
DEADLINE = 30 * PATIENCE
HERE = pathlib.Path(__file__).resolve().parent
SLOTS = 16384
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class RedisError(Exception):
    """What the server answered with a minus sign."""


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, what, deadline=DEADLINE):
    """Polls until `condition()` is true and gives its value; a server that isn't there yet counts as false."""
    end = time.monotonic() + deadline
    while True:
        with contextlib.suppress(OSError, RedisError, EOFError):
            value = condition()
            if value:
                return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline:.0f} s: {what}")
        time.sleep(0.02)


def encode(arguments):
    parts = [one if isinstance(one, bytes) else str(one).encode() for one in arguments]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(one), one) for one in parts)


class Client:
    """One connection, one command at a time, RESP2. Text comes back as str where it is UTF-8."""

    def __init__(self, port, password=None, timeout=DEADLINE):
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.connection.makefile("rb")
        if password:
            self.call("AUTH", password)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.connection.close()

    def call(self, *arguments):
        self.connection.sendall(encode(arguments))
        return self.read()

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.text(self.file.read(int(rest) + 2)[:-2])
        if kind == b"*":
            return None if rest == b"-1" else [self.element() for _ in range(int(rest))]
        return rest.decode()

    def element(self):
        """An error within an array is a value there."""
        try:
            return self.read()
        except RedisError as error:
            return error

    @staticmethod
    def text(data):
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data


class RedisServer:
    """One `redis-server`. A restart empties it unless it is `persistent`: then each write is on disk before its answer."""

    def __init__(self, *options, persistent=False, password=None, port=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="larder-redis-"))
        self.options = [str(option) for option in options]
        self.persistent = persistent
        self.password = password
        self.port = port
        self.process = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"redis://{':' + self.password + '@' if self.password else ''}{self.address}"

    def arguments(self):
        persistence = ["--appendonly", "yes", "--appendfsync", "always"] if self.persistent else ["--appendonly", "no"]
        password = ["--requirepass", self.password, "--masterauth", self.password] if self.password else []
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--protected-mode", "no", "--save", "",
                "--dir", str(self.directory), "--daemonize", "no", "--enable-debug-command", "yes",
                *persistence, *password, *self.options]

    def spawn(self, arguments):
        with open(self.directory / "output.log", "ab") as output:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            cwd=self.directory, preexec_fn=die_with_parent)

    def start(self, *more, wait=True):
        """On its port of before, or on a free one the first time (another one when it was taken meanwhile)."""
        fixed = self.port is not None
        for _ in range(1 if fixed else 5):
            self.port = self.port if fixed else free_port()
            self.spawn([*self.arguments(), *(str(option) for option in more)])
            if not wait:
                return
            with contextlib.suppress(AssertionError):
                wait_for(self.is_up, f"redis-server at {self.port}")
                return
        raise AssertionError(f"redis-server does not start: {self.output()}")

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"redis-server ended with {self.process.returncode}: {self.output()}")
        return self.call("PING") == "PONG"

    def output(self):
        path = self.directory / "output.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def client(self, timeout=DEADLINE):
        return Client(self.port, self.password, timeout)

    def call(self, *arguments):
        """One command on a connection of its own."""
        with self.client() as client:
            return client.call(*arguments)

    def info(self, section, field):
        for line in self.call("INFO", section).splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return value
        return None

    def keys(self, pattern="*"):
        return sorted(self.call("KEYS", pattern), key=str)

    def kill(self):
        """As a crash: SIGKILL."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def pause(self):
        """Accepts (the kernel does) and never answers."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def restart(self, *more, wait=True):
        """Killed and started again at the same port; empty unless it is persistent."""
        self.kill()
        self.start(*more, wait=wait)

    def close(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class RedisCluster:
    """Three masters and three replicas; a master that dies is replaced within some `timeout_ms`."""

    def __init__(self, *options, timeout_ms=1000, persistent=False):
        self.nodes = []
        try:
            for _ in range(6):
                self.nodes.append(RedisServer(
                    "--cluster-enabled", "yes", "--cluster-port", free_port(), "--cluster-node-timeout", timeout_ms,
                    "--cluster-replica-validity-factor", "0", "--repl-ping-replica-period", "1",
                    "--repl-diskless-sync-delay", "0", *options, persistent=persistent))
            self.join()
        except BaseException:
            self.close()
            raise

    def join(self):
        masters, replicas = self.nodes[:3], self.nodes[3:]
        for index, node in enumerate(self.nodes):
            node.call("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for index, master in enumerate(masters):
            master.call("CLUSTER", "ADDSLOTSRANGE", SLOTS * index // 3, SLOTS * (index + 1) // 3 - 1)
        for node in self.nodes[1:]:
            bus = node.options[node.options.index("--cluster-port") + 1]
            self.nodes[0].call("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        everybody = {node.call("CLUSTER", "MYID") for node in self.nodes}
        wait_for(lambda: all(self.known(node) == everybody for node in self.nodes), "the nodes know each other")
        for master, replica in zip(masters, replicas):
            replica.call("CLUSTER", "REPLICATE", master.call("CLUSTER", "MYID"))
        wait_for(lambda: all(replica.info("replication", "master_link_status") == "up" for replica in replicas),
                 "the replicas follow")
        wait_for(self.is_whole, "the cluster is whole")

    @staticmethod
    def known(node):
        return {line.split()[0] for line in node.call("CLUSTER", "NODES").splitlines() if "handshake" not in line}

    def is_whole(self):
        """Every live node says that all slots are served."""
        live = [node for node in self.nodes if node.process.poll() is None]
        return all("cluster_state:ok" in node.call("CLUSTER", "INFO") for node in live)

    def masters(self):
        return [node for node in self.nodes if node.process.poll() is None
                and node.call("ROLE")[0] == "master"]

    def node_of(self, key):
        """The master that serves the key."""
        slot = self.nodes[0].call("CLUSTER", "KEYSLOT", key)
        live = next(node for node in self.nodes if node.process.poll() is None)
        for first, last, owner, *_ in live.call("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == owner[1])
        raise AssertionError(f"nobody serves slot {slot}")

    def keys(self, pattern="*"):
        return sorted((key for node in self.masters() for key in node.keys(pattern)), key=str)

    @property
    def url(self):
        return "redis+cluster://" + ",".join(node.address for node in self.nodes)

    def close(self):
        for node in self.nodes:
            node.close()


class Sentinel(RedisServer):
    """One `redis-server --sentinel`, with its file, which it writes itself."""

    def __init__(self, name, master_port, down_after_ms):
        self.text = (f"sentinel monitor {name} 127.0.0.1 {master_port} 2\n"
                     f"sentinel down-after-milliseconds {name} {down_after_ms}\n"
                     f"sentinel failover-timeout {name} 4000\nsentinel parallel-syncs {name} 2\n")
        super().__init__()

    def arguments(self):
        path = self.directory / "sentinel.conf"
        if not path.exists():
            path.write_text(f"port {self.port}\nbind 127.0.0.1\nprotected-mode no\ndir {self.directory}\n{self.text}")
        else:
            lines = path.read_text().splitlines()
            path.write_text("\n".join([f"port {self.port}" if line.startswith("port ") else line for line in lines])
                            + "\n")
        return ["redis-server", str(path), "--sentinel"]


class RedisSentinel:
    """A master, two replicas and three Sentinels that fail over quickly."""

    NAME = "larder"

    def __init__(self, *options, down_after_ms=700, persistent=False):
        self.servers, self.sentinels = [], []
        try:
            fast = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
            master = RedisServer(*fast, *options, persistent=persistent)
            self.servers.append(master)
            for _ in range(2):
                self.servers.append(RedisServer(*fast, "--replicaof", f"127.0.0.1 {master.port}", *options,
                                                persistent=persistent))
            wait_for(lambda: all(one.info("replication", "master_link_status") == "up" for one in self.servers[1:]),
                     "the replicas follow")
            for _ in range(3):
                self.sentinels.append(Sentinel(self.NAME, master.port, down_after_ms))
            wait_for(self.is_ready, "the Sentinels know everybody")
        except BaseException:
            self.close()
            raise

    def is_ready(self):
        for one in self.sentinels:
            fields = one.call("SENTINEL", "MASTER", self.NAME)
            state = dict(zip(fields[::2], fields[1::2]))
            if int(state["num-slaves"]) < 2 or int(state["num-other-sentinels"]) < 2:
                return False
        return True

    def master(self):
        """The one that the Sentinels name, once all of them name the same."""

        def agreed():
            ports = {one.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.NAME)[1] for one in self.sentinels
                     if one.process.poll() is None}
            return len(ports) == 1 and next(one for one in self.servers if str(one.port) in ports)

        return wait_for(agreed, "the Sentinels agree on a master")

    def wait_for_fail_over(self, old):
        """Until another one is the master and takes writes; gives it."""

        def over():
            master = self.master()
            return master is not old and master.call("ROLE")[0] == "master" and master

        return wait_for(over, "the fail-over")

    @property
    def url(self):
        return f"redis+sentinel://{','.join(one.address for one in self.sentinels)}/{self.NAME}"

    def close(self):
        for one in self.sentinels + self.servers:
            one.close()


class UpstashServer:
    """`upstash_server.py` in front of a RedisServer; a Redis of its own where none is given."""

    def __init__(self, redis=None, token="upstash-test-token"):
        self.token = token
        arguments = [sys.executable, "-B", str(HERE / "upstash_server.py"), "--port", "0", "--token", token]
        if redis is not None:
            arguments += ["--redis", redis.address]
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=die_with_parent)
        line = self.process.stdout.readline()
        if "listening on " not in line:
            self.close()
            raise AssertionError(f"the Upstash server does not start: {line!r}")
        self.url = line.split("listening on ", 1)[1].strip()

    def control(self, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(f"{self.url}{path}", data=data), timeout=DEADLINE) as reply:
            return json.loads(reply.read() or b"null")

    def fault(self, mode, **more):
        """What befalls the next requests: upstash_server.py lists the modes."""
        self.control("/-/fault", {"mode": mode, **more})

    def mend(self):
        self.fault("none")

    def stats(self):
        return self.control("/-/stats")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Proxy:
    """In front of a port: each piece of an answer comes `delay` seconds late, in order; `cut()` drops all connections."""

    def __init__(self, target_port, delay=0.0):
        self.target_port, self.delay = target_port, delay
        self.writers = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self.run(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(DEADLINE)

    async def serve(self, reader, writer):
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.close()
            return
        self.writers |= {writer, back}
        with contextlib.suppress(asyncio.CancelledError):  # by close()
            await asyncio.gather(self.copy(reader, back, False), self.copy(there, writer, True))
        self.writers -= {writer, back}

    async def copy(self, reader, writer, delayed):
        pieces = asyncio.Queue()

        async def write():
            while (entry := await pieces.get()) is not None:
                due, piece = entry
                await asyncio.sleep(max(0.0, due - self.loop.time()))
                writer.write(piece)
                await writer.drain()

        writing = asyncio.ensure_future(write())
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                pieces.put_nowait((self.loop.time() + (self.delay if delayed else 0.0), piece))
        pieces.put_nowait(None)
        with contextlib.suppress(OSError):
            await writing
        writer.close()

    def cut(self):
        async def drop():
            for writer in list(self.writers):
                writer.transport.abort()

        self.run(drop())

    def close(self):
        async def end():
            self.server.close()
            for writer in list(self.writers):
                writer.transport.abort()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(DEADLINE)
        self.loop.close()
