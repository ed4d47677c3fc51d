"""What the whole-program tests stand on: the programs as processes, clients by hand, and waits with deadlines.

LARDER_BUILD_DIR names the folder with `larder` and `larder-replay`. Ports are 0 everywhere: no two tests collide.
Standard library only.
"""
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("LARDER_BUILD_DIR", ROOT / "build" / "release")).resolve()
RECORDINGS = pathlib.Path(
    os.environ.get("LARDER_RECORDINGS", ROOT.parent / "shared" / "data" / "recorded" / "exchanges.jsonl"))
# Sanitizer builds are several times slower: every deadline is multiplied.
PATIENCE = float(os.environ.get("LARDER_TEST_PATIENCE", "1"))
DEADLINE = 20 * PATIENCE


def wait_until(condition, what, deadline=DEADLINE):
    """Polls until `condition()` is true and gives its value; fails with `what` when the deadline passes."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline:.0f} s: {what}")
        time.sleep(0.01)


class Reply:
    """A whole HTTP reply. `headers` by lower-case name; several values joined by ", "."""

    def __init__(self, status, headers, body):
        self.status = status
        self.body = body
        self.headers = {}
        for name, value in headers:
            name = name.lower()
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value

    def json(self):
        return json.loads(self.body)

    def events(self):
        return parse_events(self.body)

    @property
    def cache(self):
        return self.headers.get("x-larder-cache")

    def __repr__(self):
        return f"Reply({self.status}, {self.headers}, {self.body[:300]!r})"


def parse_events(body):
    """Server-sent events as (name, data) pairs; lines end in LF, CRLF or CR."""
    events = []
    name, data = "", []
    text = body.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    for line in text.split("\n"):
        if line == "":
            if data:
                events.append((name, "\n".join(data)))
            name, data = "", []
            continue
        if line.startswith(":"):
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
    return events


def split_address(address):
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def request(address, method, path, body=None, headers=None, timeout=DEADLINE, tls=None):
    """One request on a connection of its own. `body`: bytes, text, or an object that is sent as JSON."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    if body is not None and not any(name.lower() == "content-type" for name in headers):
        headers["content-type"] = "application/json"
    host, port = split_address(address)
    if tls:
        connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=tls)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return Reply(response.status, response.getheaders(), response.read())


def raw(address, data, timeout=DEADLINE, half_close=False):
    """Sends bytes as they are and gives all that comes back until the server closes the connection."""
    with socket.create_connection(split_address(address), timeout=timeout) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        received = b""
        while True:
            try:
                piece = connection.recv(65536)
            except ConnectionResetError:
                return received
            if not piece:
                return received
            received += piece


class Stream:
    """A streamed reply that is read piece by piece. The body is given as it came, without its chunking."""

    def __init__(self, address, path, body, headers=None, timeout=DEADLINE):
        host, port = split_address(address)
        self.connection = http.client.HTTPConnection(host, port, timeout=timeout)
        self.connection.request("POST", path, body=json.dumps(body),
                                headers={"content-type": "application/json", **(headers or {})})
        self.received = b""
        self.response = None

    def start(self):
        """Waits for the head."""
        self.response = self.connection.getresponse()
        return self.response

    def read_until(self, text):
        while text.encode() not in self.received:
            piece = self.response.read1(65536)
            if not piece:
                raise AssertionError(f"the stream ended before {text!r}: {self.received[-300:]!r}")
            self.received += piece
        return self.received

    def read_all(self):
        self.received += self.response.read()
        return self.received

    def close(self):
        if self.response is not None:
            self.response.close()
        self.connection.close()


class Process:
    """A program with its output kept in a file of its own, stopped at the end whatever happens."""

    started = 0

    def __init__(self, arguments, folder, name, environment=None):
        self.name = name
        Process.started += 1
        self.output_path = pathlib.Path(folder) / f"{name}-{Process.started}.out"
        self.output = open(self.output_path, "ab")
        clean = {key: value for key, value in os.environ.items()
                 if key in ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
                 or key.endswith("SAN_OPTIONS")}
        self.process = subprocess.Popen([str(argument) for argument in arguments], stdin=subprocess.DEVNULL,
                                        stdout=self.output, stderr=subprocess.STDOUT, cwd=folder,
                                        env={**clean, **(environment or {})})

    def text(self):
        return self.output_path.read_text(errors="replace")

    def check_alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.text()[-4000:]}")

    def stop(self, signal_number=signal.SIGTERM, deadline=DEADLINE):
        """Gives the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            return self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not stop:\n{self.text()[-4000:]}") from None
        finally:
            self.output.close()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.output.close()


class Replay(Process):
    """The recorded provider."""

    def __init__(self, folder, recordings=None, first_token="0ms", tokens_per_second=0, name="replay"):
        port_file = pathlib.Path(folder) / f"{name}.port"
        port_file.unlink(missing_ok=True)
        arguments = [BUILD / "larder-replay", "--listen", "127.0.0.1:0", "--port-file", port_file,
                     "--first-token", first_token, "--tokens-per-second", tokens_per_second]
        if recordings:
            arguments += ["--recordings", recordings]
        super().__init__(arguments, folder, name)

        def started():
            self.check_alive()
            return port_file.exists() and port_file.read_text().strip()

        self.address = wait_until(started, f"{name} listens")

    def stats(self):
        return request(self.address, "GET", "/replay/stats").json()

    def last(self):
        return request(self.address, "GET", "/replay/last").json()

    def reset(self):
        request(self.address, "POST", "/replay/reset")

    def release(self):
        request(self.address, "POST", "/replay/release")

    def wait_for(self, **figures):
        """Until the counters have these values at least; fails at once when `calls` is passed."""

        def reached():
            stats = self.stats()
            return all(stats[name] >= value for name, value in figures.items()) and stats

        return wait_until(reached, f"the provider's counters reach {figures}: {self.stats()}")


class Larder(Process):
    """The gateway, with a configuration (text) of its own."""

    def __init__(self, folder, configuration, environment=None, name="larder", arguments=(), tls=None):
        self.folder = pathlib.Path(folder)
        self.tls = tls
        self.config_path = self.folder / f"{name}.yaml"
        self.config_path.write_text(configuration)
        super().__init__([BUILD / "larder", "serve", "--config", self.config_path, *arguments],
                         folder, name, environment)
        self.address = wait_until(self.find_address, f"{name} listens")

    def find_address(self):
        self.check_alive()
        for line in self.log():
            if line.get("msg") == "listening":
                return line["address"].replace("0.0.0.0", "127.0.0.1")
        return None

    def log(self):
        """The log's whole lines, as objects. A line that is no JSON is a failure of its own."""
        lines = []
        text = self.text()
        for line in text[:text.rfind("\n") + 1].splitlines():
            if line.strip():
                try:
                    lines.append(json.loads(line))
                except ValueError:
                    raise AssertionError(f"a log line that is no JSON: {line[:2000]}") from None
        return lines

    def request(self, method, path, body=None, headers=None, timeout=DEADLINE):
        return request(self.address, method, path, body, headers, timeout, self.tls)

    def get(self, path, **headers):
        return self.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def generate(self, prompt="Hello", headers=None, **members):
        return self.request("POST", "/llm/generate", {"prompt": prompt, **members}, headers)

    def chat(self, prompt="Hello", model="gpt-4o", headers=None, **members):
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], **members}
        return self.request("POST", "/v1/chat/completions", body, headers)

    def messages(self, prompt="Hello", model="claude-sonnet-4-5", headers=None, **members):
        body = {"model": model, "max_tokens": 200, "messages": [{"role": "user", "content": prompt}], **members}
        return self.request("POST", "/v1/messages", body, {"anthropic-version": "2023-06-01", **(headers or {})})


OPENAI_KEY = "sk-proj-test0123456789abcdefTESTKEYopenai"
ANTHROPIC_KEY = "sk-ant-api03-test0123456789TESTKEYanthropic"


def configuration(replay_address, server="", providers="", provider_keys="", limits=None, rest="", store=None):
    """A configuration with both APIs on the recorded provider and no limits, for tests that are not about limits."""
    limits = limits if limits is not None else "  llm: { max: 0 }\n  standard: { max: 0 }\n  expensive: { max: 0 }"
    store = store if store is not None else "store: { kind: memory }"
    extra = f", {provider_keys}" if provider_keys else ""
    return f"""server:
  listen: 127.0.0.1:0
{server}
providers:
  openai: {{ api: openai, base_url: "http://{replay_address}/openai/v1", api_key: "{OPENAI_KEY}"{extra} }}
  anthropic: {{ api: anthropic, base_url: "http://{replay_address}/anthropic", api_key: "{ANTHROPIC_KEY}"{extra} }}
{providers}
limits:
{limits}
{store}
{rest}
"""


class LarderTest(unittest.TestCase):
    """A test with a folder of its own; what it starts is ended after it."""

    maxDiff = 4000

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="larder-test-")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def start_replay(self, **options):
        replay = Replay(self.folder, **options)
        self.addCleanup(replay.kill)
        return replay

    def start_larder(self, text, **options):
        larder = Larder(self.folder, text, **options)
        self.addCleanup(larder.kill)
        return larder

    def start_both(self, environment=None, replay=None, **options):
        """Gives (larder, replay); `options` are those of `configuration`."""
        replay = replay or self.start_replay()
        return self.start_larder(configuration(replay.address, **options), environment=environment), replay

    def assert_error(self, reply, status, code=None):
        """An error of the /llm dialect: sentence, code, request id."""
        self.assertEqual(reply.status, status, reply)
        self.assertIn("application/json", reply.headers["content-type"])
        error = reply.json()
        self.assertIsInstance(error["error"], str, error)
        self.assertGreater(len(error["error"]), 5, error)
        self.assertIsInstance(error["code"], str)
        self.assertTrue(error["requestId"])
        if code:
            self.assertEqual(error["code"], code, error)
        return error


def in_parallel(count, work):
    """Runs work(index) on `count` threads at once and gives the results in order; the first exception is raised."""
    results = [None] * count
    errors = []

    def run(index):
        try:
            results[index] = work(index)
        except BaseException as error:  # carried over to the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE * 5)
        if thread.is_alive():
            raise AssertionError("a worker hangs")
    if errors:
        raise errors[0]
    return results


def insecure_tls():
    """Takes any certificate: for the self-signed one of a test."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
