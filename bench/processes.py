"""Starts and stops what is measured: Larder, nginx and the upstream.

Each is on a free port of loopback and has a directory inside the run's. Everything that was started
is stopped by Run.close(), also after an error or Ctrl-C.
"""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIMIT_OF_NOTHING = 1_000_000_000  # the limiter runs, and never refuses
SQLITE = "{ kind: sqlite, sqlite: { path: larder.db } }"
SHM_BYTES_MIN = 2_000_000_000
OPEN_FILES = "open_file_cache max=10000 inactive=1h; open_file_cache_valid 1h;"


class BenchError(Exception):
    """Something that the row can't be measured without."""


ALL_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = {ALL_CORES[0]}   # the server under test
CLIENT_CORE = {ALL_CORES[-1]}  # everything else: the driver, the clients, the upstream


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def post(port, body, path="/llm/generate", timeout=10):
    """One POST on a connection of its own: (status, headers in lower case, body)."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body,
                                     headers={"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as reply:
            return reply.status, {k.lower(): v for k, v in reply.headers.items()}, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()
    except OSError as error:
        raise BenchError(f"no answer on port {port}: {error}") from error


def key_entries(keys):
    """The configuration's entries of users with these API keys."""
    return ", ".join(
        f'{{ name: k{number}, user: u{number}, scopes: [llm, sessions], '
        f'sha256: "{hashlib.sha256(key.encode()).hexdigest()}" }}'
        for number, key in enumerate(keys))


class Process:
    """A child with its output in a file; pinned to a set of cores from its first instruction."""

    def __init__(self, run, name, directory, arguments, cores):
        self.name = name
        self.directory = directory
        self.log = directory / "output.log"
        directory.mkdir(parents=True, exist_ok=True)
        clean = {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}  # no key or port of the caller's
        before = os.sched_getaffinity(0)
        with open(self.log, "ab") as output:
            os.sched_setaffinity(0, cores)
            try:
                self.started_at = time.perf_counter()
                self.child = subprocess.Popen(
                    arguments, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                    cwd=directory, env=clean)
            finally:
                os.sched_setaffinity(0, before)
        run.processes.append(self)

    def wait_for_port(self, port, timeout=10):
        end = time.perf_counter() + timeout
        while time.perf_counter() < end:
            if self.child.poll() is not None:
                status = self.child.returncode
                raise BenchError(f"{self.name} ended with {status}: {self.last_output()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.002)
        raise BenchError(f"{self.name} doesn't listen after {timeout} s: {self.last_output()}")

    def last_output(self):
        return self.log.read_text(errors="replace")[-400:].strip()

    def pid(self):
        return self.child.pid

    def trim_logs(self):
        """The logs of a long run would fill the memory that they stand in."""
        for log in self.directory.glob("*.log"):
            os.truncate(log, 0)

    def stop(self, patience=10):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(patience)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        return self.child.returncode


class Upstream(Process):
    def __init__(self, run, body_bytes=1024, delay_ms=0, cores=CLIENT_CORE):
        self.port = free_port()
        command = [str(run.program("larder-bench-upstream")), "--port", str(self.port),
                   "--body-bytes", str(body_bytes), "--delay-ms", str(delay_ms)]
        super().__init__(run, "upstream", run.new_directory("upstream"), command, cores)
        self.wait_for_port(self.port)

    def calls(self):
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"http://127.0.0.1:{self.port}/stats", timeout=5) as reply:
            return json.load(reply)["calls"]


class Nginx(Process):
    """`kind` is the name of a file in bench/peers."""

    hit_header = ("x-cache", "HIT")

    def __init__(self, run, kind, upstream_port=9, body=b"", open_files=False):
        self.port = free_port()
        directory = run.new_directory(f"nginx-{kind}")
        directory.mkdir(parents=True)
        text = (HERE / "peers/common.conf").read_text()
        text = text.replace("@server@", (HERE / f"peers/{kind}.conf").read_text())
        values = {
            "user": "user root;" if os.geteuid() == 0 else "",
            "directory": str(directory),
            "port": str(self.port),
            "upstream_port": str(upstream_port),
            "body": body.decode(),
            "open_files": OPEN_FILES if open_files else "",
        }
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        configuration = directory / "nginx.conf"
        configuration.write_text(text)
        command = [run.tool("nginx"), "-e", "stderr", "-p", str(directory),
                   "-c", str(configuration), "-g", "daemon off;"]
        super().__init__(run, "nginx", directory, command, SERVER_CORE)
        self.wait_for_port(self.port)

    def pid(self):
        """The worker's: the master and the cache's manager serve nothing."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == self.child.pid and command.startswith(b"nginx: worker process"):
                return int(entry.name)
        raise BenchError("nginx has no worker")


class Larder(Process):
    """Log and limits on; `cache`, `threads`, the limit and the API keys as the row needs them.

    `limit` 0 switches the tiers off; `store` and `memory` are texts of the configuration, `providers` and `rest`
    lines to be added to it.
    """

    hit_header = ("x-larder-cache", "hit")

    def __init__(self, run, upstream_port, cache=True, threads=1, limit=LIMIT_OF_NOTHING, keys="",
                 store=SQLITE, memory="256MiB", directory=None, cores=SERVER_CORE, providers="", rest=""):
        self.port = free_port()
        directory = directory or run.new_directory("larder")
        directory.mkdir(parents=True, exist_ok=True)
        configuration = directory / "larder.yaml"
        configuration.write_text(
            f"server: {{ threads: {threads} }}\n"
            + (f"auth: {{ mode: keys, keys: [{keys}] }}\n" if keys else "")
            + "providers:\n"
            "  openai: { api: openai, api_key: bench, "
            f"base_url: \"http://127.0.0.1:{upstream_port}/v1\" }}\n" + providers + rest +
            f"cache: {{ enabled: {'true' if cache else 'false'}, memory: {memory} }}\n"
            f"store: {store}\n"
            "limits:\n"
            f"  llm: {{ max: {limit}, window: 60s }}\n"
            f"  standard: {{ max: {LIMIT_OF_NOTHING if limit else 0}, window: 60s }}\n"
            "log: { level: info, format: json }\n")
        command = [str(run.program("larder")), "serve", "--config", str(configuration),
                   "--listen", f"127.0.0.1:{self.port}"]
        super().__init__(run, "larder", directory, command, cores)

    def wait(self):
        self.wait_for_port(self.port)
        return self

    def wait_until_ready(self, timeout=10):
        """Until it says that it reaches its store."""
        end = time.perf_counter() + timeout
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.perf_counter() < end:
            with opener.open(f"http://127.0.0.1:{self.port}/ready", timeout=5) as reply:
                state = json.load(reply)
            if state["status"] == "ready":
                return
            time.sleep(0.01)
        raise BenchError(f"larder is not ready: {state}")


class Redis(Process):
    """redis-server with nothing to do but answer: no snapshots, no append-only file."""

    def __init__(self, run, cores):
        self.port = free_port()
        command = [run.tool("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1",
                   "--save", "", "--appendonly", "no", "--daemonize", "no"]
        super().__init__(run, "redis-server", run.new_directory("redis"), command, cores)
        self.wait_for_port(self.port)
        self.store = f"{{ kind: redis, redis: {{ url: \"redis://127.0.0.1:{self.port}\" }} }}"

    def ask(self, *arguments):
        """What redis-cli prints for one command."""
        command = [shutil.which("redis-cli"), "-p", str(self.port), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        if done.returncode != 0:
            raise BenchError(f"redis-cli: {done.stdout[-200:]}{done.stderr[-200:]}")
        return done.stdout.strip()


class Upstash(Process):
    """The tests' Upstash server in front of `redis`."""

    def __init__(self, run, redis, cores):
        self.port = free_port()
        program = HERE.parent / "tests/upstash_server.py"
        command = [sys.executable, "-B", str(program), "--port", str(self.port), "--token", "bench",
                   "--redis", f"127.0.0.1:{redis.port}"]
        super().__init__(run, "upstash-server", run.new_directory("upstash"), command, cores)
        self.wait_for_port(self.port)
        self.store = (f"{{ kind: upstash, upstash: {{ url: \"http://127.0.0.1:{self.port}\", "
                      "token: bench } }")


class Run:
    """Owns the directory and every process; the programs come from one build directory."""

    def __init__(self, build, calibrate=False, profile=False):
        self.build = Path(build).resolve()
        self.calibrate = calibrate
        self.profile = profile
        self.scratch = HERE / "results/tmp"
        self.saturated_rate = None  # Larder's hits a second, once they are measured
        shm = Path("/dev/shm")
        writable = shm.is_dir() and os.access(shm, os.W_OK)
        roomy = writable and shutil.disk_usage(shm).free >= SHM_BYTES_MIN
        self.directory = Path(tempfile.mkdtemp(prefix="larder-bench-", dir=shm if roomy else None))
        self.in_memory = roomy
        self.processes = []
        self.count = 0
        self.next_unique = 1

    def program(self, name):
        path = self.build / name
        if not os.access(path, os.X_OK):
            raise BenchError(f"{name} isn't built")
        return path

    def tool(self, name):
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if path is None:
            raise BenchError(f"{name} isn't installed")
        return path

    def new_directory(self, name):
        self.count += 1
        return self.directory / f"{self.count:02}-{name}"

    def unique(self, count=10_000_000):
        """The start of numbers that no earlier request of this run used."""
        self.next_unique += count
        return self.next_unique - count

    def larder(self, upstream_port, **options):
        """Larder, ready; when calibrating, nginx in its place."""
        if self.calibrate:
            return Nginx(self, "cache" if options.get("cache", True) else "pass", upstream_port)
        return Larder(self, upstream_port, **options).wait()

    def stop(self, *processes):
        for process in processes:
            process.stop()
            if process in self.processes:
                self.processes.remove(process)

    def close(self):
        self.stop(*reversed(self.processes))
        shutil.rmtree(self.directory, ignore_errors=True)


def version_of(program, argument="-v"):
    try:
        done = subprocess.run([program, argument], capture_output=True, text=True, timeout=5)
    except OSError:
        return "not installed"
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
    return found.group(0) if found else "unknown"
