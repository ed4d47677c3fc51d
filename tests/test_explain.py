"""Why was this a miss? What explains a key, and what it must not tell."""
import json
import socket
import unittest

from harness import LarderTest, configuration, request
from test_auth import KEYS

PATH = "/v1/chat/completions"


def chat_body(prompt="Hello", **members):
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}], **members}


def own_address():
    """An address of this machine that is not loopback; None where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else address


class Explain(LarderTest):
    def explain(self, larder, body, path=PATH, headers=None, key=None):
        question = body if "requests" in body else {"request": body, "path": path, "headers": headers or {}}
        reply = larder.request("POST", "/llm/cache/explain", question,
                               {"authorization": f"Bearer {key}"} if key else None)
        self.assertEqual(reply.status, 200, reply)
        return reply.json()

    def compare(self, larder, first, second, path=PATH):
        answer = self.explain(larder, {"requests": [{"request": one, "path": path} for one in (first, second)]})
        return answer["sameKey"], [(row["path"], row["kind"]) for row in answer["differences"]]

    def test_an_entry_is_absent_before_the_call_and_present_after(self):
        larder, replay = self.start_both()
        before = self.explain(larder, chat_body())
        self.assertEqual((before["entry"], before["outcome"], before["cacheable"]), ({"present": False}, "miss", True))
        stats = larder.get("/llm/cache/stats").json()
        self.assertEqual((stats["hits"], stats["misses"], replay.stats()["calls"]), (0, 0, 0))
        self.assertEqual(larder.chat().cache, "miss")
        after = self.explain(larder, chat_body())
        self.assertEqual(after["key"], before["key"])
        self.assertEqual(after["outcome"], "hit")
        entry = after["entry"]
        self.assertEqual((entry["present"], entry["where"], entry["state"], entry["kind"]),
                         (True, "memory", "fresh", "plain"))
        self.assertLessEqual(entry["ageSeconds"], 20)
        self.assertTrue(3000 < entry["expiresInSeconds"] <= 3600, entry)
        self.assertEqual(larder.get("/llm/cache/stats").json()["hits"], 0)
        self.assertEqual((after["sharedWith"], after["ttlSeconds"], after["form"], after["model"], after["provider"]),
                         ("namespace", 3600, "native.plain", "gpt-4o", "openai"))

    def test_the_parts_are_all_that_goes_into_the_key(self):
        larder, _ = self.start_both()
        body = chat_body(temperature=0.5, stream=True, user="u-1", x_unknown=1)
        body["messages"].insert(0, {"role": "system", "content": "Be brief."})
        answer = self.explain(larder, body, headers={"openai-beta": "b=1", "x-larder-variant": "v", "accept": "a"})
        rows = {row["name"]: row for row in answer["parts"]}
        self.assertEqual(set(rows), {"prefix", "namespace", "upstream", "method", "path", "openai-beta", "variant",
                                     "dialect", "model", "messages[0]", "messages[1]", "temperature", "x_unknown"})
        self.assertEqual(sorted(answer["ignored"]), ["stream", "user"])
        self.assertEqual({name: row["value"] for name, row in rows.items() if "value" in row},
                         {"upstream": "openai", "method": "POST", "path": "/chat/completions",
                          "dialect": "openai.chat", "model": "gpt-4o"})
        for row in rows.values():
            self.assertRegex(row["hash"], "^[0-9a-f]{16}$")
        self.assertEqual(rows["temperature"]["bytes"], 3)
        self.assertEqual(answer["form"], "native.stream")

    def test_the_default_path_is_the_application_api(self):
        larder, _ = self.start_both()
        larder.generate("Hello")
        reply = larder.request("POST", "/llm/cache/explain", {"request": {"prompt": "Hello"}})
        self.assertTrue(reply.json()["entry"]["present"], reply)

    def test_responses_list_each_item_of_their_input(self):
        larder, _ = self.start_both()
        body = {"model": "gpt-4o", "input": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}
        names = [row["name"] for row in self.explain(larder, body, "/v1/responses")["parts"] if row["in"] == "body"]
        self.assertEqual(names, ["input[0]", "input[1]", "model"])
        changed = {**body, "input": [body["input"][0], {"role": "user", "content": "c"}]}
        self.assertEqual(self.compare(larder, body, changed, "/v1/responses"), (False, [("input[1].content", "value")]))

    def test_another_spelling_is_the_same_key(self):
        larder, _ = self.start_both()
        first = '{"model":"gpt-4o","temperature":0.50,"messages":[{"role":"user","content":"H\\u0065llo"}],"stream":true}'
        second = '{ "messages" : [ {"content":"Hello", "role":"user"} ], "temperature": 5e-1, "model":"gpt-4o" }'
        reply = larder.request("POST", "/llm/cache/explain",
                               f'{{"requests":[{{"request":{first},"path":"{PATH}"}},{{"path":"{PATH}","request":{second}}}]}}')
        answer = reply.json()
        self.assertEqual((answer["sameKey"], answer["differences"]), (True, []), reply)
        self.assertEqual(answer["requests"][0]["key"], answer["requests"][1]["key"])

    def test_differences_name_the_member_and_its_path(self):
        larder, _ = self.start_both()
        base = chat_body(temperature=0.5)
        self.assertEqual(self.compare(larder, base, {**base, "temperature": 0.6}), (False, [("temperature", "value")]))
        self.assertEqual(self.compare(larder, base, chat_body()), (False, [("temperature", "missing")]))
        deep = [{"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": text}]}
                for text in ("two", "three")]
        first, second = ({"model": "gpt-4o", "messages": [{"role": "system", "content": "s"}, one]} for one in deep)
        self.assertEqual(self.compare(larder, first, second), (False, [("messages[1].content[1].text", "value")]))
        longer = {**first, "messages": first["messages"] + [{"role": "user", "content": "more"}]}
        self.assertEqual(self.compare(larder, first, longer), (False, [("messages[2]", "missing")]))
        self.assertEqual(self.compare(larder, base, {**base, "model": "gpt-4o-mini"}), (False, [("model", "value")]))

    def test_order_counts_where_the_model_sees_it(self):
        larder, _ = self.start_both()

        def tool(*names):
            return chat_body(tools=[{"type": "function", "function": {"name": "f", "parameters": {
                "type": "object", "properties": {name: {"type": "string"} for name in names}}}}])

        same, rows = self.compare(larder, tool("a", "b"), tool("b", "a"))
        self.assertEqual((same, rows), (False, [("tools[0].function.parameters.properties", "order")]))

    def test_headers_and_paths_are_compared_too(self):
        larder, _ = self.start_both()
        answer = self.explain(larder, {"requests": [
            {"request": chat_body(), "path": PATH, "headers": {"OpenAI-Beta": "a"}},
            {"request": chat_body(), "path": PATH + "?v=2", "headers": {"x-larder-variant": "v"}}]})
        rows = {row["path"]: (row["kind"], row["in"], row["first"] is None, row["second"] is None)
                for row in answer["differences"]}
        self.assertEqual(rows, {"path": ("value", "envelope", False, False),
                                "openai-beta": ("missing", "envelope", False, True),
                                "variant": ("missing", "envelope", True, False)})
        self.assertNotIn("v=2", json.dumps(answer))

    def test_at_most_fifty_differences_are_listed(self):
        larder, _ = self.start_both()
        first, second = (chat_body(**{f"x{i}": i + shift for i in range(80)}) for shift in (0, 1))
        answer = self.explain(larder, {"requests": [{"request": one, "path": PATH} for one in (first, second)]})
        self.assertEqual((len(answer["differences"]), answer["moreDifferences"]), (50, True))

    def test_a_bypass_says_why(self):
        larder, _ = self.start_both(rest="cache: { rules: [ { model: gpt-4o-mini, mode: off } ] }")
        for body, headers, reason in ((chat_body(), {"cache-control": "no-store"}, "no-store"),
                                      (chat_body(web_search_options={}), {}, "web_search"),
                                      (chat_body(model="gpt-4o-mini"), {}, "cache.rules"),
                                      (chat_body(), {"x-larder-ttl": "0"}, "ttl")):
            answer = self.explain(larder, body, headers=headers)
            self.assertEqual((answer["cacheable"], answer["bypass"]), (False, reason))
            self.assertEqual(answer.get("rule"), "cache.rules[0]" if reason == "cache.rules" else None)

    def test_directives_decide_the_outcome(self):
        larder, _ = self.start_both()
        larder.chat()
        for headers, outcome in (({}, "hit"), ({"cache-control": "no-cache"}, "miss"),
                                 ({"cache-control": "no-store"}, "bypass")):
            self.assertEqual(self.explain(larder, chat_body(), headers=headers)["outcome"], outcome)

    def test_what_stands_in_the_store_only_is_said_so(self):
        replay = self.start_replay()
        options = {"replay": replay, "store": f"store: {{ kind: sqlite, sqlite: {{ path: {self.folder}/l.db }} }}"}
        larder, _ = self.start_both(**options)
        larder.chat()
        self.assertEqual(larder.stop(), 0)
        larder, _ = self.start_both(**options)
        for _ in range(2):
            self.assertEqual(self.explain(larder, chat_body())["entry"]["where"], "store", "and it stays there")
        self.assertEqual(larder.chat().cache, "hit")
        self.assertEqual(self.explain(larder, chat_body())["entry"]["where"], "memory")

    def test_nothing_that_was_asked_is_told_again(self):
        larder, _ = self.start_both()
        secret = "MARK-prompt-5a1"
        first, second = (chat_body(secret + end, x_extra=secret, metadata={"a": secret}, seed=9) for end in "ab")
        reply = larder.request("POST", "/llm/cache/explain", {"requests": [
            {"request": one, "path": PATH, "headers": {"x-larder-variant": secret, "openai-beta": secret}}
            for one in (first, second)]})
        self.assertEqual(reply.status, 200)
        self.assertNotIn(secret, reply.body.decode())
        self.assert_error(larder.request("POST", "/llm/cache/explain", {"request": chat_body(secret, temperature=secret),
                                                                        "path": PATH}), 400)
        self.assertNotIn(secret, larder.text())

    def test_hashes_are_of_one_process(self):
        replay = self.start_replay()
        keys = [self.explain(self.start_both(replay=replay)[0], chat_body())["key"] for _ in range(2)]
        self.assertNotEqual(*keys)

    def test_users_and_namespaces_see_their_own_entries_only(self):
        larder, _ = self.start_both(rest=KEYS)
        larder.chat(headers={"authorization": "Bearer key-web"})
        seen = {key: self.explain(larder, chat_body(), key=key) for key in ("key-web", "key-other", "key-twin")}
        self.assertEqual([seen[key]["entry"]["present"] for key in seen], [True, False, True])
        for key, answer in seen.items():
            self.assertNotIn("web" if key == "key-other" else "other", json.dumps(answer))
        larder, _ = self.start_both(rest=KEYS.replace("user: web", "user: twin") + "cache: { scope: user }")
        larder.chat(headers={"authorization": "Bearer key-web"})
        seen = [self.explain(larder, chat_body(), key=key) for key in ("key-web", "key-twin")]
        self.assertEqual([answer["entry"]["present"] for answer in seen], [True, False])
        self.assertEqual(seen[0]["sharedWith"], "user")

    def test_it_needs_the_scope_llm_and_counts_as_standard(self):
        larder, _ = self.start_both(rest=KEYS, limits="  llm: { max: 1, window: 60s }\n  standard: { max: 2, window: 60s }")
        question = {"request": chat_body(), "path": PATH}

        def ask(key):
            headers = {"authorization": f"Bearer {key}"} if key else None
            return larder.request("POST", "/llm/cache/explain", question, headers)

        self.assert_error(ask(None), 401)
        self.assert_error(ask("key-stats"), 403)
        self.assertEqual([ask("key-web").status for _ in range(3)], [200, 200, 429])

    def test_in_open_mode_it_is_for_the_loopback_interface_only(self):
        address = own_address()
        if address is None:
            self.skipTest("this machine has no address but loopback")
        replay = self.start_replay()
        larder = self.start_larder(configuration(replay.address).replace("127.0.0.1:0", "0.0.0.0:0", 1))
        question = {"request": chat_body(), "path": PATH}
        self.assertEqual(larder.request("POST", "/llm/cache/explain", question).status, 200)
        port = larder.address.rpartition(":")[2]
        error = self.assert_error(request(f"{address}:{port}", "POST", "/llm/cache/explain", question), 403)
        self.assertIn("auth.mode", error["error"])
        self.assert_error(larder.request("POST", "/llm/cache/explain", question, {"host": "evil.example"}), 403)
        self.assertEqual(request(f"{address}:{port}", "GET", "/llm/models").status, 200)

    def test_mistakes_are_400_with_their_place(self):
        larder, replay = self.start_both()
        good = {"request": chat_body(), "path": PATH}
        for question, field in (
                ({}, "request"), ({"request": []}, "request"), ({"request": {}}, "request.prompt"),
                ({**good, "extra": 1}, "extra"), ({**good, "path": "/v1/nothing"}, "path"), ({**good, "path": 5}, "path"),
                ({**good, "path": "/llm/cache/explain"}, "path"), ({**good, "headers": []}, "headers"),
                ({**good, "headers": {"a": 1}}, "headers.a"), ({**good, "headers": {"a": "b\nc"}}, "headers.a"),
                ({**good, "headers": {"x-larder-ttl": "soon"}}, "headers.x-larder-ttl"),
                ({**good, "headers": {str(i): "" for i in range(33)}}, "headers"),
                ({"request": chat_body(temperature="hot"), "path": PATH}, "request.temperature"),
                ({"requests": []}, "requests"), ({"requests": [good] * 3}, "requests"), ({"requests": good}, "requests"),
                ({"requests": [good], "path": PATH}, "requests"), ({"requests": [good, 5]}, "requests[1]"),
                ({"requests": [good, {"path": PATH}]}, "requests[1].request"),
                ({"requests": [good, {**good, "headers": {"x-larder-variant": ""}}]},
                 "requests[1].headers.x-larder-variant"),
                ({"requests": [good, {"request": {"model": "gpt-4o", "messages": [{"content": "a"}]}, "path": PATH}]},
                 "requests[1].request.messages[0].role")):
            with self.subTest(question=question):
                error = self.assert_error(larder.request("POST", "/llm/cache/explain", question), 400)
                self.assertEqual(error.get("field"), field)
        self.assert_error(larder.request("POST", "/llm/cache/explain", "{"), 400)
        self.assert_error(larder.request("POST", "/llm/cache/explain", "[]"), 400)
        self.assertEqual(larder.get("/llm/cache/explain").status, 405)
        self.assertEqual(replay.stats()["calls"], 0)

    def test_switches_of_other_gateways_are_explained(self):
        larder, _ = self.start_both(rest="compat: [litellm, portkey, helicone]")
        larder.chat()
        answer = self.explain(larder, chat_body(cache={"ttl": 5}))
        self.assertEqual((answer["ttlSeconds"], answer["outcome"]), (5, "hit"))
        answer = self.explain(larder, chat_body(cache={"namespace": "a"}),
                              headers={"x-portkey-cache-namespace": "b", "helicone-cache-bucket-max-size": "4"})
        names = [row["name"] for row in answer["parts"]]
        self.assertIn("litellm-cache-namespace", names)
        self.assertIn("x-portkey-cache-namespace", names)
        self.assertEqual((answer["outcome"], answer["buckets"]), ("miss", 4))


if __name__ == "__main__":
    unittest.main()
