"""Embeddings: one entry an input, one call for what is missing, both encodings of one entry."""
import base64
import json
import struct
import unittest

from crowd import Crowd, post, split_reply
from harness import LarderTest, request, wait_until
from scripted import ScriptedProvider

MODEL = "openai/text-embedding-3-small"


def rounded(numbers):
    """As float32, however they were printed."""
    return list(struct.unpack(f"<{len(numbers)}f", struct.pack(f"<{len(numbers)}f", *numbers)))


def vector_of(element, dimensions):
    """A vector that tells what it was made of; its numbers are float32."""
    seed = sum(json.dumps(element).encode())
    return rounded([(seed + index) / 977 for index in range(dimensions)])


def answer(asked):
    """What a provider answers, its data in the reverse order."""
    body = json.loads(asked)
    elements = body["input"]
    if isinstance(elements, str) or isinstance(elements[0], int):
        elements = [elements]
    data = []
    for index, element in enumerate(elements):
        vector = vector_of(element, body.get("dimensions", 4))
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = 3 * len(elements)
    return {"object": "list", "data": data[::-1], "model": "embedder-1", "x_region": "north",
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def floats(datum):
    embedding = datum["embedding"]
    if isinstance(embedding, list):
        return rounded(embedding)
    data = base64.b64decode(embedding)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


class Embeddings(LarderTest):
    def setUp(self):
        super().setUp()
        self.provider = self.start_provider()
        self.larder = self.start()

    def start_provider(self, **options):
        provider = ScriptedProvider(200, answer, **options)
        self.addCleanup(provider.__exit__)
        return provider

    def start(self, store="store: { kind: memory }", rest="", name="larder"):
        return self.start_larder(f"""server: {{ listen: "127.0.0.1:0" }}
providers:
  openai: {{ api: openai, base_url: "http://{self.provider.address}/v1", api_key: sk-test, retries: 0 }}
  anthropic: {{ api: anthropic, base_url: "http://{self.provider.address}", api_key: sk-test }}
limits: {{ llm: {{ max: 0 }}, standard: {{ max: 0 }} }}
{store}
{rest}
""", name=name)

    def embed(self, elements, headers=None, larder=None, **members):
        return (larder or self.larder).request("POST", "/v1/embeddings",
                                               {"model": MODEL, "input": elements, **members}, headers)

    def asked(self, index=-1):
        return json.loads(self.provider.asked[index])

    def check(self, reply, elements, cache, hits, dimensions=4):
        """That it has the right vectors in the right order, and says where they are from."""
        self.assertEqual(reply.status, 200, reply)
        self.assertEqual((reply.cache, reply.headers["x-larder-cache-elements"]),
                         (cache, f"{hits}/{len(elements)}"))
        body = reply.json()
        data = sorted(body["data"], key=lambda datum: datum["index"])
        self.assertEqual([datum["index"] for datum in data], list(range(len(elements))))
        self.assertEqual([floats(datum) for datum in data], [vector_of(one, dimensions) for one in elements])
        self.assertEqual((body["object"], body["model"]), ("list", "embedder-1"))
        return body

    def test_a_miss_is_the_providers_own_bytes_and_a_hit_is_equal(self):
        first = self.embed(["a", "b"])
        self.check(first, ["a", "b"], "miss", 0)
        self.assertEqual(first.body, json.dumps(answer(self.provider.asked[0])).encode())
        self.assertEqual(self.asked(), {"model": "text-embedding-3-small", "input": ["a", "b"]})
        again = self.embed(["a", "b"])
        body = self.check(again, ["a", "b"], "hit", 2)
        expected = first.json()
        expected["data"].reverse()
        self.assertEqual(body, expected)
        self.assertEqual(self.provider.calls, 1)

    def test_a_batch_asks_for_what_is_missing_only(self):
        self.embed(["a", "b", "c"])
        elements = ["b", "new 1", "a", "new 2", "c"]
        body = self.check(self.embed(elements), elements, "miss", 3)
        self.assertEqual(self.asked()["input"], ["new 1", "new 2"])
        self.assertEqual(body["usage"], {"prompt_tokens": 15, "total_tokens": 15})
        self.check(self.embed(elements), elements, "hit", 5)
        self.assertEqual(self.provider.calls, 2)

    def test_one_input_shares_its_entry_with_a_batch(self):
        self.check(self.embed("a"), ["a"], "miss", 0)
        self.assertEqual(self.asked()["input"], "a")
        self.check(self.embed(["a"]), ["a"], "hit", 1)
        self.check(self.embed([1, 2]), [[1, 2]], "miss", 0)
        self.assertEqual(self.asked()["input"], [1, 2])
        self.check(self.embed([[3], [1, 2]]), [[3], [1, 2]], "miss", 1)
        self.assertEqual(self.asked()["input"], [[3]])

    def test_what_stands_twice_is_asked_for_once(self):
        elements = ["a", "b", "a", "a"]
        self.check(self.embed(elements), elements, "miss", 0)
        self.assertEqual(self.asked()["input"], ["a", "b"])
        self.check(self.embed(elements), elements, "hit", 4)

    def test_both_encodings_come_from_one_entry(self):
        for first, second in (("float", "base64"), ("base64", "float")):
            with self.subTest(first=first):
                elements = [f"{first} 1", f"{first} 2"]
                self.check(self.embed(elements, encoding_format=first), elements, "miss", 0)
                body = self.check(self.embed(elements, encoding_format=second), elements, "hit", 2)
                kind = list if second == "float" else str
                self.assertIsInstance(body["data"][0]["embedding"], kind)
        self.assertEqual(self.provider.calls, 2)

    def test_a_batch_of_both_encodings_is_all_in_the_one_that_was_asked_for(self):
        self.embed(["a"], encoding_format="base64")
        body = self.check(self.embed(["a", "b"]), ["a", "b"], "miss", 1)
        self.assertEqual([type(datum["embedding"]) for datum in body["data"]], [list, list])

    def test_base64_that_is_no_float32_is_kept_for_who_asks_for_base64_only(self):
        for text in ("AADAfw==", "AQID"):  # no number; three bytes
            with self.subTest(text=text):
                self.provider.body = answer
                self.embed([f"{text} 1"])
                self.provider.body = lambda asked, text=text: {**answer(asked), "data": [
                    {"object": "embedding", "index": 0, "embedding": text}]}
                for cache, elements in (("miss", "1/2"), ("hit", "2/2")):
                    reply = self.embed([f"{text} 1", f"{text} 2"], encoding_format="base64")
                    self.assertEqual((reply.status, reply.cache, reply.headers["x-larder-cache-elements"]),
                                     (200, cache, elements), reply)
                    self.assertEqual(reply.json()["data"][1]["embedding"], text)
                self.provider.body = answer
                self.check(self.embed([f"{text} 2"]), [f"{text} 2"], "miss", 0)

    def test_beside_a_member_that_is_not_known_each_encoding_has_its_own_entry(self):
        self.provider.body = lambda asked: {**answer(asked), "data": [
            {"object": "embedding", "index": 0,
             "embedding": "AQIDBA==" if "encoding_format" in json.loads(asked) else [1, 2, 3, 4]}]}
        for members, expected in (({"encoding_format": "base64"}, "AQIDBA=="), ({}, [1, 2, 3, 4])):
            for cache in ("miss", "hit"):
                reply = self.embed(["a"], output_dtype="int8", **members)
                self.assertEqual((reply.cache, reply.json()["data"][0]["embedding"]), (cache, expected), reply)
        self.assertEqual(self.provider.calls, 2)

    def test_other_dimensions_are_other_entries(self):
        self.check(self.embed(["a"]), ["a"], "miss", 0)
        self.check(self.embed(["a"], dimensions=2), ["a"], "miss", 0, dimensions=2)
        self.check(self.embed(["a"], dimensions=2, user="ann"), ["a"], "hit", 1, dimensions=2)

    def test_a_crowd_with_the_same_batch_is_one_call(self):
        self.provider = self.start_provider(gated=True)
        larder = self.start(name="gated")
        crowd = Crowd(larder.address, post("/v1/embeddings", {"model": MODEL, "input": ["a", "b"]}), 100)
        self.addCleanup(crowd.close)
        wait_until(lambda: self.provider.calls, "the provider is asked")
        self.provider.gate.set()
        replies = [split_reply(data) for data in crowd.replies()]
        self.assertEqual({status for status, _, _ in replies}, {200})
        vectors = {json.dumps(sorted(json.loads(body)["data"], key=lambda one: one["index"]))
                   for _, _, body in replies}
        self.assertEqual(len({json.dumps([floats(one) for one in json.loads(data)]) for data in vectors}), 1)
        self.assertEqual([fields["x-larder-cache"] for _, fields, _ in replies].count("miss"), 1)
        self.assertEqual(self.provider.calls, 1)
        stats = request(larder.address, "GET", "/llm/cache/stats").json()
        self.assertEqual((stats["hits"], stats["misses"]), (99, 1))

    def test_a_failure_keeps_nothing(self):
        self.embed(["a"])
        self.provider.status, self.provider.body = 500, {"error": {"message": "down", "type": "server_error"}}
        reply = self.embed(["a", "b"])
        self.assertEqual((reply.status, reply.json()["error"]["message"]), (500, "down"))
        self.provider.status, self.provider.body = 200, answer
        self.check(self.embed(["a", "b"]), ["a", "b"], "miss", 1)

    def test_stale_vectors_stand_in_for_a_provider_that_fails(self):
        self.embed(["a", "b"], {"x-larder-ttl": "1"})
        wait_until(lambda: self.embed(["a", "b"], {"cache-control": "only-if-cached"}).status == 504, "both are stale")
        self.provider.status, self.provider.body = 500, {"error": {"message": "down"}}
        self.check(self.embed(["b", "a"]), ["b", "a"], "stale", 2)
        self.assertEqual(self.embed(["b", "c"]).status, 500)

    def test_what_the_provider_sends_amiss_is_not_kept(self):
        self.provider.body = lambda asked: {**answer(asked), "data": answer(asked)["data"][:1]}
        reply = self.embed(["a", "b"])
        self.assertEqual((reply.status, len(reply.json()["data"])), (200, 1))
        self.provider.body = answer
        self.check(self.embed(["a", "b"]), ["a", "b"], "miss", 0)
        self.provider.body = {"object": "list", "data": []}
        reply = self.embed(["a", "c"])
        self.assertEqual(reply.status, 502, reply)
        self.assertIn("message", reply.json()["error"])

    def test_directives_hold_for_the_whole_batch(self):
        self.assertEqual(self.embed(["a"], {"cache-control": "only-if-cached"}).status, 504)
        self.assertEqual(self.embed(["a"], {"cache-control": "no-store"}).cache, "bypass")
        self.check(self.embed(["a"]), ["a"], "miss", 0)
        self.assertEqual(self.embed(["a", "b"], {"cache-control": "only-if-cached"}).status, 504)
        self.check(self.embed(["a"], {"cache-control": "only-if-cached"}), ["a"], "hit", 1)
        self.check(self.embed(["a"], {"cache-control": "no-cache"}), ["a"], "miss", 0)
        self.check(self.embed(["a"], {"x-larder-variant": "b"}), ["a"], "miss", 0)
        calls = self.provider.calls
        self.assertEqual(self.embed(["a", "a"], {"cache-control": "no-store"}).cache, "bypass")
        self.assertEqual((self.asked()["input"], self.provider.calls), (["a", "a"], calls + 1))

    def test_a_purge_ends_all_of_it(self):
        self.embed(["a", "b"])
        self.larder.request("DELETE", "/admin/cache?model=text-embedding-3-small")
        self.check(self.embed(["a", "b"]), ["a", "b"], "miss", 0)

    def test_a_restart_keeps_them(self):
        store = f"store: {{ kind: sqlite, sqlite: {{ path: {self.folder}/larder.db }} }}"
        larder = self.start(store, name="first")
        elements = [f"element {index}" for index in range(200)]
        self.check(self.embed(elements, larder=larder), elements, "miss", 0)
        self.assertEqual(larder.stop(), 0)
        larder = self.start(store, name="second")
        self.check(self.embed(elements[::-1], larder=larder), elements[::-1], "hit", 200)
        self.assertEqual(self.provider.calls, 1)

    def test_errors_have_openais_shape_and_name_the_element(self):
        for body, field in (({"model": MODEL}, "input"), ({"model": MODEL, "input": ["a", "b", "c", ""]}, "input[3]"),
                            ({"model": MODEL, "input": ["a", 7]}, "input[1]"), ({"input": "a"}, "model"),
                            ({"model": "anthropic/claude-sonnet-4-5", "input": "a"}, "model")):
            with self.subTest(body=body):
                reply = self.larder.request("POST", "/v1/embeddings", body)
                self.assertEqual(reply.status, 400, reply)
                error = reply.json()["error"]
                self.assertEqual((error["type"], error["param"]), ("invalid_request_error", field))
        self.assertEqual(self.provider.calls, 0)


if __name__ == "__main__":
    unittest.main()
