"""One fleet: several gateways on one Redis (alone, a Cluster, behind Sentinels, over REST) answer as one."""
import json
import signal
import threading
import time
import unittest

from crowd import Crowd, post, split_reply
from fleet import (AUTH, CLIENTS, KEY, NODES, ONLY_CACHED, FleetTest, ShareMixin, redis_store, text_of, upstash_store)
from harness import PATIENCE, parse_events, wait_until
from redis_servers import RedisCluster, RedisSentinel, RedisServer, UpstashServer
from scripted import ScriptedProvider

USER = {"authorization": f"Bearer {KEY}"}


class OnRedis(ShareMixin, FleetTest):
    """Four nodes and one Redis."""

    def setUp(self):
        super().setUp()
        self.redis = self.own(RedisServer())

    def store(self):
        return redis_store(self.redis.url)


class Flight(FleetTest):
    """One call for a whole fleet, whoever asks where, and whoever dies."""

    def setUp(self):
        super().setUp()
        self.redis = self.own(RedisServer())
        self.nodes = self.start_nodes(redis_store(self.redis.url))

    def check_one_call(self, body):
        crowds = self.crowds(self.nodes, body)
        self.replay.wait_for(active=1)
        self.replay.release()
        replies = [reply for crowd in crowds for reply in crowd.replies()]
        self.assertEqual(len(replies), NODES * CLIENTS)
        self.assertEqual(len({text_of(reply) for reply in replies}), 1)
        self.assertEqual(self.replay.stats()["calls"], 1)
        outcomes = [split_reply(reply)[1]["x-larder-cache"] for reply in replies]
        self.assertEqual(outcomes.count("miss"), 1)
        self.assertLessEqual(set(outcomes), {"miss", "coalesced", "hit"})

    def wait_for_flights(self, nodes):
        for node in nodes:
            wait_until(lambda one=node: self.metric(one, "larder_flights") == 1, "it asks, or waits for who does")
        time.sleep(0.5)  # longer than a look for the holder's news lasts

    def test_fifty_clients_at_each_of_four_nodes_are_one_call(self):
        self.check_one_call(self.gated("fleet"))

    def test_fifty_streams_at_each_of_four_nodes_are_one_call(self):
        self.check_one_call(self.gated("fleet", stream=True))

    def test_waiting_streams_on_other_nodes_see_the_first_token_before_the_provider_has_ended(self):
        first = self.open_stream(self.nodes[0], "first token")
        first.start()
        first.read_until("event: delta")
        others = [self.open_stream(node, "first token") for node in self.nodes[1:]]
        for stream in others:
            self.assertEqual(stream.start().status, 200)
            stream.read_until("event: delta")
        stats = self.replay.stats()
        self.assertEqual((stats["calls"], stats["active"]), (1, 1), "the provider still holds the other half back")
        self.replay.release()
        texts = set()
        for stream in [first, *others]:
            events = parse_events(stream.read_all())
            self.assertEqual(events[-1][0], "done")
            whole = json.loads(events[-1][1])["text"]
            self.assertEqual("".join(json.loads(data)["text"] for name, data in events if name == "delta"), whole)
            texts.add(whole)
        self.assertEqual((len(texts), self.replay.stats()["calls"]), (1, 1))

    def test_streams_that_wait_hear_that_they_are_not_forgotten(self):
        holder = self.open_stream(self.nodes[0], "comments", model="fault-gate")
        self.replay.wait_for(active=1)
        waiter = self.open_stream(self.nodes[1], "comments", model="fault-gate")
        waiter.start()
        waiter.read_until(":")  # an SSE comment, long before the first event
        self.assertNotIn(b"event:", waiter.received)
        self.replay.release()
        holder.start()
        for stream in (holder, waiter):
            self.assertEqual(parse_events(stream.read_all())[-1][0], "done")
        self.assertEqual(self.replay.stats()["calls"], 1)

    def test_a_holder_that_is_killed_is_replaced_and_everybody_elsewhere_is_answered(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                self.replay.reset()
                body = self.gated(f"killed {stream}", stream=stream)
                holder = self.start_node(redis_store(self.redis.url))
                lost = self.own(Crowd(holder.address, post("/llm/generate", body), 5))
                self.replay.wait_for(active=1)
                crowds = self.crowds(self.nodes, body, 10)
                holder.stop(signal.SIGKILL)
                self.replay.wait_for(calls=2, active=1)
                self.replay.release()
                replies = [reply for crowd in crowds for reply in crowd.replies()]
                self.assertEqual(len({text_of(reply) for reply in replies}), 1)
                self.assertEqual(self.replay.stats()["calls"], 2, "the lost one and one more")
                lost.close()

    def test_a_holder_that_dies_in_the_middle_of_its_stream_leaves_no_one_hanging(self):
        holder = self.start_node(redis_store(self.redis.url))
        first = self.open_stream(holder, "dies in the middle")
        first.start()
        first.read_until("event: delta")
        waiter = self.open_stream(self.nodes[0], "dies in the middle")
        waiter.start()
        waiter.read_until("event: delta")
        holder.stop(signal.SIGKILL)
        stop = threading.Event()
        self.addCleanup(stop.set)

        def keep_releasing():
            while not stop.wait(0.1):
                self.replay.release()

        threading.Thread(target=keep_releasing, daemon=True).start()
        events = parse_events(waiter.read_all())
        self.assertIn(events[-1][0], ("done", "error"))
        if events[-1][0] == "done":
            self.assertEqual("".join(json.loads(data)["text"] for name, data in events if name == "delta"),
                             json.loads(events[-1][1])["text"])
        # The next asker gets a whole answer.
        reply = self.nodes[1].request("POST", "/llm/generate", self.gated("dies in the middle", "fault-middle-gate"))
        self.assertEqual(reply.status, 200)

    def test_the_holders_provider_error_reaches_everybody(self):
        provider = self.enterContext(ScriptedProvider(400, {"error": {"message": "The jar is empty."}}, gated=True))
        nodes = [self.start_node(redis_store(self.redis.url), provider=provider.address) for _ in range(NODES)]
        crowds = self.crowds(nodes, {"prompt": "all fail"}, 20)
        wait_until(lambda: provider.calls == 1, "the provider is asked")
        self.wait_for_flights(nodes)
        provider.gate.set()
        replies = [split_reply(reply) for crowd in crowds for reply in crowd.replies()]
        self.assertEqual({status for status, _, _ in replies}, {400})
        self.assertEqual(provider.calls, 1, "it is everybody's")

    def test_answers_that_are_not_kept_are_one_call_too(self):
        cases = (("content_filter", ""), ("stop", 'cache: { rules: [{ model: "*", mode: coalesce-only }] }'))
        for finish, rest in cases:
            with self.subTest(finish=finish, rest=rest):
                answer = completion("not kept", finish)
                provider = self.enterContext(ScriptedProvider(200, answer, gated=True))
                nodes = [self.start_node(redis_store(self.redis.url), provider=provider.address, rest=rest)
                         for _ in range(NODES)]
                crowds = self.crowds(nodes, {"prompt": f"not kept {finish}"}, 20)
                wait_until(lambda one=provider: one.calls == 1, "the provider is asked")
                self.wait_for_flights(nodes)
                provider.gate.set()
                replies = [split_reply(reply) for crowd in crowds for reply in crowd.replies()]
                self.assertEqual({status for status, _, _ in replies}, {200})
                outcomes = [fields["x-larder-cache"] for _, fields, _ in replies]
                self.assertEqual((outcomes.count("miss"), outcomes.count("coalesced")), (1, len(replies) - 1))
                self.assertEqual(provider.calls, 1)

    def test_who_waits_for_another_node_accepts_nothing_older_than_it_said(self):
        provider = self.enterContext(ScriptedProvider(200, completion("old")))
        nodes = [self.start_node(redis_store(self.redis.url), provider=provider.address) for _ in range(2)]
        for node in nodes:
            wait_until(lambda one=node: one.generate("aged").json()["text"] == "old", "all have it")
        time.sleep(1.1)
        provider.body = completion("new")
        provider.gate.clear()
        young = {"cache_control": "max-age=1"}
        crowds = [self.own(Crowd(node.address, post("/llm/generate", {"prompt": "aged"}, **young), 5)) for node in nodes]
        wait_until(lambda: provider.calls == 2, "one node asks again")
        time.sleep(1)  # the other one looks into the store while it waits
        provider.gate.set()
        self.assertEqual({text_of(reply) for crowd in crowds for reply in crowd.replies()}, {"new"})
        self.assertEqual(provider.calls, 2)

    def test_the_holders_clients_may_all_leave(self):
        body = self.gated("holder's clients leave")
        holder = Crowd(self.nodes[0].address, post("/llm/generate", body), 3)
        self.replay.wait_for(active=1)
        crowds = self.crowds(self.nodes[1:], body, 5)
        holder.close()
        stop = threading.Event()
        self.addCleanup(stop.set)

        def keep_releasing():
            while not stop.wait(0.2):
                self.replay.release()

        threading.Thread(target=keep_releasing, daemon=True).start()
        self.assertEqual(len({text_of(reply) for crowd in crowds for reply in crowd.replies()}), 1)

    def test_the_provider_works_as_long_as_anybody_waits_and_no_longer(self):
        first = self.open_stream(self.nodes[0], "leaving")
        first.start()
        first.read_until("event: delta")
        other = self.open_stream(self.nodes[1], "leaving")
        other.start()
        other.read_until("event: delta")
        first.close()
        end = time.monotonic() + 5
        while time.monotonic() < end:  # longer than a node is believed to wait that says nothing
            self.assertEqual(self.replay.stats()["active"], 1, "another node still waits")
            time.sleep(0.2)
        other.close()
        wait_until(lambda: self.replay.stats()["active"] == 0, "the provider's work is cancelled", 2 * PATIENCE)


class Memory(FleetTest):
    """Two tiers: what one node knows better is soon known to the others' memory."""

    def setUp(self):
        super().setUp()
        self.redis = self.own(RedisServer())

    def test_an_overwritten_entry_is_replaced_in_the_other_nodes_memory(self):
        provider = self.enterContext(ScriptedProvider(200, completion("first")))
        nodes = [self.start_node(redis_store(self.redis.url), provider=provider.address) for _ in range(3)]
        nodes[0].generate("overwritten")
        for node in nodes:
            wait_until(lambda one=node: one.generate("overwritten").json()["text"] == "first", "all have it")
        provider.body = completion("second")
        refreshed = nodes[0].generate("overwritten", {"cache-control": "no-cache"})
        begin = time.monotonic()
        self.assertEqual((refreshed.cache, refreshed.json()["text"]), ("miss", "second"))
        for node in nodes:
            wait_until(lambda one=node: one.generate("overwritten").json()["text"] == "second", "all have the new one")
        self.assertLess(time.monotonic() - begin, PATIENCE)
        self.assertEqual(provider.calls, 2)

    def test_a_purge_of_one_model_leaves_the_others(self):
        nodes = self.start_nodes(redis_store(self.redis.url), 2)
        for model in ("gpt-4o", "gpt-4o-mini"):
            nodes[0].generate("by model", model=model)
            wait_until(lambda one=model: nodes[1].generate("by model", ONLY_CACHED, model=one).status == 200, "shared")
        self.assertEqual(nodes[1].request("DELETE", "/admin/cache?model=gpt-4o").status, 200)
        for node in nodes:
            wait_until(lambda one=node: one.generate("by model", ONLY_CACHED, model="gpt-4o").status == 504, "gone")
            self.assertEqual(node.generate("by model", ONLY_CACHED, model="gpt-4o-mini").status, 200)

    def test_a_purge_holds_for_a_node_that_comes_later(self):
        first = self.start_node(redis_store(self.redis.url))
        first.generate("before the purge")
        first.request("DELETE", "/admin/cache")
        later = self.start_node(redis_store(self.redis.url))
        self.assertEqual(later.generate("before the purge", ONLY_CACHED).status, 504)

    def test_a_lost_channel_makes_memory_ask_the_store(self):
        provider = self.enterContext(ScriptedProvider(200, completion("first")))
        nodes = [self.start_node(redis_store(self.redis.url), provider=provider.address) for _ in range(2)]
        nodes[0].generate("channel")
        wait_until(lambda: nodes[1].generate("channel", ONLY_CACHED).status == 200, "in both memories")
        provider.body = completion("second")
        stop = threading.Event()

        def cut():
            while not stop.wait(0.005):
                self.redis.call("CLIENT", "KILL", "TYPE", "pubsub")

        cutter = threading.Thread(target=cut, daemon=True)
        cutter.start()
        try:
            self.assertEqual(nodes[0].generate("channel", {"cache-control": "no-cache"}).json()["text"], "second")
            wait_until(lambda: nodes[1].generate("channel").json()["text"] == "second", "the other asks the store")
        finally:
            stop.set()
            cutter.join()

    def test_without_memory_redis_alone_answers(self):
        nodes = self.start_nodes(redis_store(self.redis.url), 2, rest="cache: { memory: 0 }")
        nodes[0].generate("no memory")
        for node in nodes:
            wait_until(lambda one=node: one.generate("no memory").cache == "hit", "a hit from Redis")
        self.assertEqual(self.replay.stats()["calls"], 1)

    def test_a_restarted_fleet_has_its_entries(self):
        nodes = self.start_nodes(redis_store(self.redis.url), 2)
        text = nodes[0].generate("kept").json()["text"]
        self.assertEqual([node.stop() for node in nodes], [0, 0])
        reply = self.start_node(redis_store(self.redis.url)).generate("kept")
        self.assertEqual((reply.cache, reply.json()["text"]), ("hit", text))

    def test_no_secret_and_no_text_of_a_user_is_in_a_key_and_every_key_ends(self):
        node = self.start_node(redis_store(self.redis.url), rest=AUTH, limits="  llm: { max: 5, window: 60s }")
        node.request("POST", "/llm/generate", {"prompt": "a very secret prompt"}, USER)
        made = node.request("POST", "/sessions", {"userId": "secret-ann", "data": {}}, USER).json()
        wait_until(lambda: any(key.startswith("llm:cache:{") for key in self.redis.keys()), "the entry is written")
        keys = self.redis.keys()
        for word in ("very secret", "secret-ann", KEY, "sk-proj"):
            self.assertFalse([key for key in keys if word in key], word)
        lasting = [key for key in keys if self.redis.call("TTL", key) == -1]
        self.assertLessEqual(set(lasting), {"{llm:cache}:purges", "{llm:cache}:totals"})
        self.assertEqual(node.request("DELETE", f"/sessions/{made['id']}", headers=USER).status, 204)
        self.assertEqual(self.redis.keys("session:*"), [], "an ended session leaves no key")


class Limits(FleetTest):
    """One count for all nodes."""

    def setUp(self):
        super().setUp()
        self.redis = self.own(RedisServer())
        self.limits = "  llm: { max: 20, window: 600s }"

    def crowd_of_own_prompts(self, node, model, count=CLIENTS):
        return self.own(Crowd(node.address, lambda index: post(
            "/llm/generate", self.gated(f"{node.name} {index}", model), authorization=f"Bearer {KEY}"), count))

    def test_one_user_gets_exactly_the_maximum_over_four_nodes(self):
        nodes = self.start_nodes(redis_store(self.redis.url), limits=self.limits, rest=AUTH)
        crowds = [self.crowd_of_own_prompts(node, "gpt-4o") for node in nodes]
        statuses = [split_reply(reply)[0] for crowd in crowds for reply in crowd.replies()]
        self.assertEqual((statuses.count(200), statuses.count(429)), (20, NODES * CLIENTS - 20))
        self.assertEqual(self.replay.stats()["calls"], 20)

    def test_a_node_that_is_killed_in_the_middle_frees_nothing(self):
        nodes = self.start_nodes(redis_store(self.redis.url), limits=self.limits, rest=AUTH)
        crowds = [self.crowd_of_own_prompts(node, "fault-gate") for node in nodes]
        self.replay.wait_for(calls=5)
        nodes[1].stop(signal.SIGKILL)
        more = [self.crowd_of_own_prompts(node, "fault-gate") for node in (nodes[0], nodes[2], nodes[3])]
        stop = threading.Event()
        self.addCleanup(stop.set)

        def keep_releasing():
            while not stop.wait(0.1):
                self.replay.release()

        threading.Thread(target=keep_releasing, daemon=True).start()
        del crowds[1]
        statuses = [reply and split_reply(reply)[0] for crowd in crowds + more for reply in crowd.replies()]
        self.assertLessEqual(set(statuses), {200, 429})
        self.assertLessEqual(statuses.count(200), 20)
        self.assertLessEqual(self.replay.stats()["calls"], 20, "every accepted request is one call")

    def test_the_headers_count_down_over_the_nodes(self):
        for algorithm in ("sliding", "fixed", "gcra"):
            with self.subTest(algorithm=algorithm):
                self.redis.call("FLUSHALL")
                nodes = self.start_nodes(redis_store(self.redis.url), 2, rest=AUTH,
                                         limits=f"  llm: {{ max: 4, window: 600s, algorithm: {algorithm} }}")
                replies = [node.generate("count down", USER) for node in nodes * 2]
                self.assertEqual([reply.headers["x-ratelimit-remaining"] for reply in replies], ["3", "2", "1", "0"])
                refused = nodes[0].generate("count down", USER)
                error = self.assert_error(refused, 429, "rate_limited")
                self.assertEqual(refused.headers["retry-after"], str(error["retryAfter"]))
                self.assertTrue(1 <= error["retryAfter"] <= 611, error)
                for node in nodes:
                    node.stop()

    def test_it_opens_again_when_the_window_has_passed(self):
        nodes = self.start_nodes(redis_store(self.redis.url), 2, rest=AUTH, limits="  llm: { max: 2, window: 2s }")
        self.assertEqual([node.generate("x", USER).status for node in nodes], [200, 200])
        self.assertEqual(nodes[0].generate("x", USER).status, 429)
        wait_until(lambda: nodes[1].generate("x", USER).status == 200, "refusals are not counted")

    def test_the_count_survives_all_nodes(self):
        nodes = self.start_nodes(redis_store(self.redis.url), 2, rest=AUTH, limits="  llm: { max: 3, window: 600s }")
        self.assertEqual([nodes[0].generate("x", USER).status for _ in range(3)], [200] * 3)
        for node in nodes:
            node.stop()
        node = self.start_node(redis_store(self.redis.url), rest=AUTH, limits="  llm: { max: 3, window: 600s }")
        self.assertEqual(node.generate("x", USER).status, 429)


class Statistics(FleetTest):
    def test_they_are_the_sum_of_the_fleet_and_survive_its_restart(self):
        redis = self.own(RedisServer())
        nodes = self.start_nodes(redis_store(redis.url))
        for index, node in enumerate(nodes):
            for turn in range(index + 1):
                node.generate(f"counted {index} {turn}")
        for node in nodes:
            node.generate("counted 0 0")

        def figures(node):
            stats = node.get("/llm/cache/stats").json()
            return stats["hits"], stats["misses"]

        for node in nodes:
            wait_until(lambda one=node: figures(one) == (4, 10), f"each says the same: {figures(node)}")
        savings = nodes[0].get("/llm/cache/stats").json()["estimatedSavings"]
        self.assertEqual([node.stop() for node in nodes], [0] * NODES)
        node = self.start_node(redis_store(redis.url))
        wait_until(lambda: figures(node) == (4, 10), f"after the restart: {figures(node)}")
        self.assertEqual(node.get("/llm/cache/stats").json()["estimatedSavings"], savings)
        node.generate("counted 0 0")
        wait_until(lambda: figures(node) == (5, 10), "and goes on")

    def test_what_a_stopped_node_had_not_yet_written_is_written(self):
        redis = self.own(RedisServer())
        first, second = self.start_nodes(redis_store(redis.url), 2)
        first.generate("last words")
        self.assertEqual(first.stop(), 0)
        wait_until(lambda: second.get("/llm/cache/stats").json()["misses"] == 1, "the other one counts it")


class OnCluster(ShareMixin, FleetTest):
    def setUp(self):
        super().setUp()
        self.cluster = self.own(RedisCluster())

    def store(self):
        return redis_store(self.cluster.url)


class OnSentinel(ShareMixin, FleetTest):
    def setUp(self):
        super().setUp()
        self.sentinel = self.own(RedisSentinel())

    def store(self):
        return redis_store(self.sentinel.url)


class OnUpstash(ShareMixin, FleetTest):
    """Over REST single flight is bought with polling, so it is asked for."""

    REST = "cache: { fleet_flight: on }"
    PURGE_SECONDS = 3.0  # an entry stays in memory for one second at most

    def setUp(self):
        super().setUp()
        self.redis = self.own(RedisServer())
        self.upstash = self.own(UpstashServer(self.redis))

    def store(self):
        return upstash_store(self.upstash.url, self.upstash.token)

    def test_its_two_variables_are_enough(self):
        environment = {"UPSTASH_REDIS_REST_URL": self.upstash.url, "UPSTASH_REDIS_REST_TOKEN": self.upstash.token}
        nodes = [self.start_node("", environment=environment) for _ in range(2)]
        store = [one for one in nodes[0].get("/ready").json()["dependencies"] if one["name"] == "store"]
        self.assertEqual([(one["kind"], one["state"]) for one in store], [("upstash", "ok")])
        nodes[0].generate("by environment")
        wait_until(lambda: nodes[1].generate("by environment", ONLY_CACHED).status == 200, "shared")


class Choice(FleetTest):
    """Which store is taken."""

    def test_redis_url_is_enough(self):
        redis = self.own(RedisServer(password="a-password"))
        node = self.start_node("", environment={"REDIS_URL": redis.url})
        store = [one for one in node.get("/ready").json()["dependencies"] if one["name"] == "store"]
        self.assertEqual([(one["kind"], one["state"]) for one in store], [("redis", "ok")])
        node.generate("by environment")
        wait_until(lambda: any(key.startswith("llm:cache:{") for key in redis.keys()), "it is in Redis")

    def test_the_file_goes_before_the_environment(self):
        redis = self.own(RedisServer())
        node = self.start_node("store: { kind: memory }", environment={"REDIS_URL": redis.url})
        node.generate("in memory")
        self.assertEqual(redis.keys(), [])


def completion(text, finish="stop"):
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}


if __name__ == "__main__":
    unittest.main()
