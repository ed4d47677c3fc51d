"""Models that answer as a test says, by what they are asked, and a larder whose workflows ask them. Standard library only."""
import contextlib
import json
import socket
import threading
import time

from harness import DEADLINE, ROOT, Stream
from route_targets import RouteTest, provider_line

EXAMPLES = ROOT / "examples" / "workflows"
NO_LIMITS = "limits: { llm: { max: 0 }, standard: { max: 0 }, expensive: { max: 0 } }\n"


def text_in(content):
    """Of a message, as OpenAI's API or Anthropic's writes it."""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def prompt_of(call):
    """What the user said last."""
    return text_in(call.body["messages"][-1]["content"])


def system_of(call):
    if call.is_anthropic:
        return text_in(call.body.get("system", ""))
    return "".join(text_in(message["content"]) for message in call.body["messages"] if message["role"] == "system")


def said(call):
    """The whole conversation but the system's words: [(role, text), …]."""
    return [(message["role"], text_in(message["content"])) for message in call.body["messages"]
            if message["role"] != "system"]


def script(answers, otherwise=None):
    """A behaviour by the prompt: a text, or a behaviour of its own. A prompt that isn't there: `otherwise`, else itself,
    with an exclamation mark."""

    def behave(call):
        answer = answers.get(prompt_of(call), otherwise)
        if callable(answer):
            return answer(call)
        return call.answer(prompt_of(call) + "!" if answer is None else answer)

    return behave


def in_turn(*behaviours):
    """Each call has the next one; the last one stays. Texts are answers."""
    left, lock = list(behaviours), threading.Lock()

    def behave(call):
        with lock:
            now = left.pop(0) if len(left) > 1 else left[0]
        return now(call) if callable(now) else call.answer(now)

    return behave


class Gate:
    """A behaviour that holds its calls until the test lets them go, and knows how many there ever were at once."""

    def __init__(self, then=None):
        self.then = then or script({})
        self.passes = threading.Semaphore(0)
        self.lock = threading.Lock()
        self.held, self.most, self.seen, self.answered = 0, 0, [], []
        self.is_open = False

    def __call__(self, call):
        with self.lock:
            self.held += 1
            self.most = max(self.most, self.held)
            self.seen.append(prompt_of(call))
        if not self.is_open and not self.passes.acquire(timeout=DEADLINE):
            return call.refuse(500)
        with self.lock:
            self.held -= 1
            self.answered.append(prompt_of(call))
        return self.then(call)

    def let_go(self, count=1):
        self.passes.release(count)

    def open(self):
        self.is_open = True
        self.passes.release(1000)


class Leaving:
    """A behaviour that never answers, and sees its clients leave."""

    def __init__(self):
        self.left = []
        self.lock = threading.Lock()

    def __call__(self, call):
        call.handler.close_connection = True
        call.handler.connection.settimeout(DEADLINE)
        with contextlib.suppress(ConnectionResetError, socket.timeout):
            if call.handler.connection.recv(1):
                return
        with self.lock:
            self.left.append(time.monotonic())


class WorkflowTest(RouteTest):
    """A larder with the model `one/m` as its default."""

    def configure(self, providers, keys="", rest="", limits=NO_LIMITS, server=""):
        lines = "".join(provider_line(name, provider, keys) for name, provider in providers.items())
        return (f"server: {{ listen: 127.0.0.1:0{server} }}\nproviders:\n{lines}default_model: one/m\n{limits}"
                f"store: {{ kind: memory }}\n{rest}")

    def begin(self, behave=None, **options):
        """Sets `self.model` and `self.larder`; `behave` is the model's, or its answers by the prompt."""
        self.model = self.provider("one", behave if callable(behave) else script(behave or {}))
        self.larder = self.start_larder(self.configure({"one": self.model}, **options))

    def post(self, body, headers=None):
        return self.larder.request("POST", "/llm/execute-workflow", body, headers)

    def execute(self, steps, value=None, headers=None, body=None, **workflow):
        """`value` is the input; `body` more of the request, `workflow` more of the workflow."""
        return self.post({"workflow": {"steps": steps, **workflow}, "input": value or {}, **(body or {})}, headers)

    def done(self, steps, value=None, **more):
        """The reply of a workflow that must succeed."""
        reply = self.execute(steps, value, **more)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json()

    def stream(self, steps, value=None, headers=None, **workflow):
        stream = Stream(self.larder.address, "/llm/execute-workflow",
                        {"workflow": {"steps": steps, **workflow}, "input": value or {}, "stream": True}, headers)
        self.addCleanup(stream.close)
        return stream

    @property
    def prompts(self):
        return [prompt_of(call) for call in self.model.asked]


def step(name, prompt=None, **members):
    return {"id": name, "prompt": name if prompt is None else prompt, **members}


def states(reply):
    """The steps' states by their ids, of a reply or its body."""
    body = reply if isinstance(reply, dict) else reply.json()
    return {each["id"]: each["status"] for each in body["steps"]}


def of_step(body, name):
    return next(each for each in body["steps"] if each["id"] == name)


def example(name):
    """A worked example: (workflow, input)."""
    return tuple(json.loads((EXAMPLES / f"{name}{end}.json").read_text()) for end in ("", ".input"))
