"""What a store's faults must not do: each is brought about on a real server, under requests, and ended again.

In all of them hits from memory and requests to the provider go on, nobody waits longer than the store's deadline,
/ready says what is wrong, nothing is counted twice, what was acknowledged is there afterwards, and it heals by itself.
"""
import threading
import time
import unittest

from crowd import Crowd, post, split_reply
from fleet import AUTH, KEY, ONLY_CACHED, FleetTest, redis_store, text_of, upstash_store
from harness import PATIENCE, wait_until
from redis_servers import (Proxy, RedisCluster, RedisError, RedisSentinel, RedisServer, UpstashServer, free_port,
                           wait_for)

USER = {"authorization": f"Bearer {KEY}"}
DEADLINE_MS = 50   # of the store; what a request really waits is the benchmark's to say, here the bound is generous
LATEST = PATIENCE  # seconds
TIMEOUT = f"{int(DEADLINE_MS * PATIENCE)}ms"
REST_TIMEOUT = f"{int(400 * PATIENCE)}ms"
LIMITS = "  llm: { max: 100000, window: 600s }\n  standard: { max: 0 }\n  expensive: { max: 0 }"


class Load:
    """Requests without a pause on two threads, hits and misses in turn, until it is stopped."""

    def __init__(self, node):
        self.node, self.statuses, self.slowest = node, [], 0.0
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(2)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        turn = 0
        while not self.stopped.is_set():
            turn += 1
            for prompt in ("warm", f"load {number} {turn}"):
                began = time.monotonic()
                try:
                    status = self.node.generate(prompt).status
                except OSError as error:
                    status = str(error)
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.statuses.append(status)
            time.sleep(0.005)

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


class FaultTest(FleetTest):
    """Goes with one node through one fault."""

    LATEST = LATEST

    def setUp(self):
        super().setUp()
        self.asked = 0

    def begin(self, store, **options):
        """A node with one warm entry and one session; gives the node."""
        node = self.start_node(store, **{"limits": LIMITS, **options})
        self.wait_for_ready(node)
        node.generate("warm")
        wait_until(lambda: node.generate("warm").cache == "hit", "warm")

        def made():
            reply = node.request("POST", "/sessions", {"userId": "ann", "data": {"kept": True}})
            self.assertIn(reply.status, (201, 503), reply)  # 503: a busy machine, so short is the deadline
            return reply.status == 201 and reply

        self.session = f"/sessions/{wait_until(made, 'a session').json()['id']}"
        return node

    def timed(self, node, prompt):
        began = time.monotonic()
        reply = node.generate(prompt)
        self.assertLess(time.monotonic() - began, self.LATEST, f"{prompt}: {reply}")
        self.assertEqual(reply.status, 200, reply)
        return reply.cache

    def check_service(self, node, rounds=10):
        """Hits from memory and misses, each answered in time and each miss asked once."""
        calls = self.replay.stats()["calls"]
        for _ in range(rounds):
            self.asked += 1
            self.assertEqual(self.timed(node, "warm"), "hit")
            self.assertEqual(self.timed(node, f"asked {self.asked}"), "miss")
            self.assertEqual(self.timed(node, f"asked {self.asked}"), "hit")
        self.assertEqual(self.replay.stats()["calls"], calls + rounds)

    @staticmethod
    def store_of(node):
        return next(one for one in node.get("/ready").json()["dependencies"] if one["name"] == "store")

    def wait_until_degraded(self, node):
        """Requests go on until the fault is noticed; gives the reason."""

        def noticed():
            self.asked += 1
            self.timed(node, f"asked {self.asked}")
            reply = node.get("/ready")
            self.assertEqual(reply.status, 200)
            store = self.store_of(node)
            return store["state"] != "ok" and (reply.json()["status"], store)

        status, store = wait_until(noticed, "the fault is noticed")
        self.assertEqual(status, "degraded")
        self.assertIn(store["state"], ("degraded", "unavailable"))
        self.assertGreater(len(store["reason"]), 3)
        self.assertEqual(self.metric(node, "larder_store_up"), 0)
        return store["reason"]

    def wait_until_healed(self, node):
        def ready():
            self.asked += 1
            self.timed(node, f"asked {self.asked}")  # some states are known by the next write only
            return node.get("/ready").json()["status"] == "ready"

        wait_until(ready, f"healed: {node.get('/ready').body}")

        def shared():
            self.asked += 1
            node.generate(f"asked {self.asked}")
            return self.is_stored()

        wait_until(shared, "entries reach the store again")

    def is_stored(self):
        """Whether the last prompt asked is a hit for a node that begins only now."""
        other = self.start_node(self.store_text)
        try:
            self.wait_for_ready(other)
            return other.generate(f"asked {self.asked}", ONLY_CACHED).status == 200
        finally:
            other.stop()

    def check_session(self, node):
        def read():
            reply = node.get(self.session)
            self.assertIn(reply.status, (200, 503), reply)
            return reply.status == 200 and reply

        self.assertEqual(wait_until(read, "the session is read").json()["data"], {"kept": True})

    def check_counted(self, node):
        """Every miss stands in the statistics of the fleet, once."""
        calls = self.replay.stats()["calls"]

        def misses():
            return node.get("/llm/cache/stats").json()["misses"]

        wait_until(lambda: misses() >= calls, f"all misses are counted: {misses()} of {calls}")
        time.sleep(1.5)  # the next batch would add what came twice
        self.assertEqual(misses(), calls, "each once")

    def sessions_answer_in_time(self, node):
        """While the store is down: an answer or an honest error, soon."""
        began = time.monotonic()
        reply = node.get(self.session)
        self.assertLess(time.monotonic() - began, self.LATEST)
        self.assertIn(reply.status, (200, 503), reply)
        if reply.status == 503:
            self.assert_error(reply, 503)

    def go_through(self, store, break_it, mend_it, emptied=False, node=None):
        """The whole way; gives (node, the reason that /ready named)."""
        self.store_text = store
        node = node or self.begin(store)
        break_it()
        reason = self.wait_until_degraded(node)
        self.check_service(node)
        self.sessions_answer_in_time(node)
        wait_until(lambda: any(line["level"] >= 40 for line in node.log()), "the log says so")
        mend_it()
        self.wait_until_healed(node)
        self.check_service(node, rounds=3)
        if not emptied:
            self.check_session(node)
            self.check_counted(node)
        self.assertEqual(node.stop(), 0)
        return node, reason


class RedisFaults(FaultTest):
    def setUp(self):
        super().setUp()
        self.redis = self.own(RedisServer(persistent=True))
        self.store = redis_store(self.redis.url, TIMEOUT)

    def test_killed(self):
        self.go_through(self.store, self.redis.kill, self.redis.start)

    def test_stopped_it_accepts_and_never_answers(self):
        self.go_through(self.store, self.redis.pause, self.redis.resume)

    def test_restarted_empty(self):
        empty = self.own(RedisServer())
        self.go_through(redis_store(empty.url, TIMEOUT), empty.kill, empty.start, emptied=True)

    def test_a_purge_outlives_a_redis_that_lost_it(self):
        empty = self.own(RedisServer())
        nodes = [self.start_node(redis_store(empty.url)) for _ in range(2)]
        nodes[0].generate("purged")
        wait_until(lambda: nodes[1].generate("purged", ONLY_CACHED).status == 200, "in both memories")
        nodes[0].request("DELETE", "/admin/cache")
        wait_until(lambda: nodes[1].generate("purged", ONLY_CACHED).status == 504, "purged at both")
        empty.restart()
        for node in nodes:
            self.wait_for_ready(node)
        for node in nodes:
            self.assertEqual(node.generate("purged", ONLY_CACHED).status, 504)

    def test_slow(self):
        proxy = self.own(Proxy(self.redis.port))

        def slow():
            proxy.delay = 0.2 * PATIENCE

        def quick():
            proxy.delay = 0.0

        self.go_through(redis_store(proxy.url, TIMEOUT), slow, quick)

    def test_connections_that_break_again_and_again(self):
        proxy = self.own(Proxy(self.redis.port))
        self.store_text = redis_store(proxy.url, TIMEOUT)
        node = self.begin(self.store_text)
        for _ in range(5):
            proxy.cut()
            self.check_service(node, rounds=2)
        self.wait_until_healed(node)
        self.check_session(node)
        self.check_counted(node)

    def test_what_was_done_and_whose_answer_was_lost_is_not_done_again(self):
        proxy = self.own(Proxy(self.redis.port))
        node = self.begin(redis_store(proxy.url), limits="  llm: { max: 1000, window: 600s }")
        used = 1000 - int(node.generate("warm").headers["x-ratelimit-remaining"])
        proxy.delay = 0.05 * PATIENCE
        for turn in range(10):
            asking = threading.Thread(target=node.generate, args=(f"lost answer {turn}",))
            asking.start()
            time.sleep(0.025 * PATIENCE)  # Redis has counted it by now, and its answer is under way
            proxy.cut()
            asking.join()
        proxy.delay = 0.0
        self.wait_for_ready(node)
        left = int(node.generate("warm").headers["x-ratelimit-remaining"])
        self.assertGreaterEqual(left, 1000 - used - 11, "each request is counted once at most")
        self.check_counted(node)

    def test_full(self):
        self.go_through(self.store, lambda: self.redis.call("CONFIG", "SET", "maxmemory", "1"),
                        lambda: self.redis.call("CONFIG", "SET", "maxmemory", "0"))

    def test_read_only(self):
        self.go_through(self.store, lambda: self.redis.call("REPLICAOF", "127.0.0.1", free_port()),
                        lambda: self.redis.call("REPLICAOF", "NO", "ONE"))

    def test_loading(self):
        redis = self.own(RedisServer("--dbfilename", "dump.rdb"))
        node = self.begin(redis_store(redis.url, TIMEOUT))
        with redis.client() as client:
            for index in range(500):
                client.call("SET", f"ballast:{index}", "x" * 1000)

        def load_slowly():
            wait_until(lambda: redis.keys("llm:cache:{*}"), "the entry is written")
            redis.call("SAVE")
            redis.restart("--key-load-delay", 1_000_000, "--loading-process-events-interval-bytes", 1024, wait=False)

            def is_loading():
                try:
                    return redis.call("PING") == "it is there already"
                except RedisError as error:
                    return str(error).startswith("LOADING")

            wait_for(is_loading, "it loads")

        # What was counted between the last SAVE and the restart is lost, as Redis promises no more.
        self.go_through(redis_store(redis.url, TIMEOUT), load_slowly,
                        lambda: redis.call("CONFIG", "SET", "key-load-delay", 0), emptied=True, node=node)

    def test_forgotten_scripts_are_not_even_noticed(self):
        self.store_text = redis_store(self.redis.url)
        node = self.begin(self.store_text)
        for _ in range(5):
            self.redis.call("SCRIPT", "FLUSH")
            self.check_service(node, rounds=2)
            self.assertEqual(node.get(self.session).status, 200)
        self.assertEqual(node.get("/ready").json()["status"], "ready")

    def test_wrong_password(self):
        redis = self.own(RedisServer(password="the-first-password"))

        def change(password):
            with redis.client() as client:
                client.call("CONFIG", "SET", "requirepass", password)
                redis.password = password
                for kind in ("normal", "pubsub"):
                    client.call("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

        node, _ = self.go_through(redis_store(redis.url, TIMEOUT), lambda: change("another-password"),
                                  lambda: change("the-first-password"))
        self.assertNotIn("the-first-password", "".join(str(line) for line in node.log()), "a password is in no log")

    def test_it_starts_without_redis_and_says_so(self):
        port = free_port()
        self.store_text = redis_store(f"redis://127.0.0.1:{port}", TIMEOUT)
        node = self.start_node(self.store_text)
        store = self.store_of(node)
        self.assertNotEqual(store["state"], "ok")
        self.assertTrue(store["reason"])
        self.assertEqual(self.timed(node, "warm"), "miss")
        self.check_service(node)
        wait_until(lambda: any(line["level"] >= 40 for line in node.log()), "the log says so")
        self.own(RedisServer(port=port))
        self.wait_until_healed(node)

    def test_it_ends_in_order_while_redis_does_not_answer(self):
        node = self.begin(self.store)
        self.redis.pause()
        self.timed(node, "last words")
        self.assertEqual(node.stop(), 0)
        self.redis.resume()

    def test_the_holders_redis_dies_and_those_who_wait_elsewhere_are_answered(self):
        nodes = [self.start_node(self.store) for _ in range(2)]
        for node in nodes:
            self.wait_for_ready(node)
        body = self.gated("redis dies in a flight")
        crowds = [self.own(Crowd(nodes[0].address, post("/llm/generate", body), 5))]
        self.replay.wait_for(active=1)
        crowds += self.crowds(nodes[1:], body, 5)
        self.redis.kill()
        self.replay.wait_for(active=2)
        self.replay.release()
        self.assertEqual(len({text_of(reply) for crowd in crowds for reply in crowd.replies()}), 1)
        self.assertEqual(self.replay.stats()["calls"], 2)


    def test_a_redis_that_fills_up_in_a_flight_leaves_nobody_waiting(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                self.replay.reset()
                nodes = self.start_nodes(redis_store(self.redis.url), 2)
                body = self.gated(f"redis fills up {stream}", stream=stream)
                crowds = [self.own(Crowd(nodes[0].address, post("/llm/generate", body), 5))]
                self.replay.wait_for(active=1)
                crowds += self.crowds(nodes[1:], body, 5)
                self.redis.call("CONFIG", "SET", "maxmemory", "1")
                self.replay.wait_for(active=2)
                self.replay.release()
                self.assertEqual(len({text_of(reply) for crowd in crowds for reply in crowd.replies()}), 1)
                self.assertEqual(self.replay.stats()["calls"], 2)
                self.redis.call("CONFIG", "SET", "maxmemory", "0")


class OnStoreLoss(FaultTest):
    """Limits while the store is lost."""

    def setUp(self):
        super().setUp()
        self.redis = self.own(RedisServer())

    def start_limited(self, loss, count=2):
        nodes = [self.start_node(redis_store(self.redis.url), rest=AUTH,
                                 limits=f"  llm: {{ max: 20, window: 600s }}\n  on_store_loss: {loss}")
                 for _ in range(count)]
        for node in nodes:
            self.wait_for_ready(node)
            self.assertEqual(node.generate("seen", {**USER, "x-larder-variant": "seen"}).status, 200)
        wait_until(lambda: len(self.seen()) == count, "all nodes are there")
        since = max(self.seen())
        wait_until(lambda: min(self.seen()) > since, "each has looked again since the last one came")
        for node in nodes:
            self.assertEqual(node.generate("seen", USER).status, 200)
        return nodes  # each has let two requests of the user through

    def seen(self):
        """When each node last said that it is there, by Redis' clock."""
        return [float(score) for score in self.redis.call("ZRANGE", "limit:nodes", 0, -1, "WITHSCORES")[1::2]]

    def accepted(self, nodes, each=40):
        crowds = [self.own(Crowd(node.address, post("/llm/generate", {"prompt": "seen"}, authorization=f"Bearer {KEY}"),
                                 each)) for node in nodes]
        statuses = [split_reply(reply)[0] for crowd in crowds for reply in crowd.replies()]
        self.assertLessEqual(set(statuses), {200, 429, 503})
        return statuses.count(200), statuses

    def test_local_gives_each_node_its_part_and_never_more_than_the_maximum(self):
        nodes = self.start_limited("local")
        self.redis.kill()
        accepted, statuses = self.accepted(nodes)
        self.assertEqual(accepted, 16, "10 at each of two nodes, less the two before")
        self.assertEqual(statuses.count(429), 64)
        for node in nodes:
            self.assertEqual(node.get("/ready").json()["status"], "degraded")
        self.redis.start()
        for node in nodes:
            self.wait_for_ready(node)
        replies = [node.generate("seen", USER) for node in nodes]
        self.assertLessEqual({reply.status for reply in replies}, {200, 429})

    def test_open_lets_everybody_through(self):
        nodes = self.start_limited("open")
        self.redis.kill()
        self.assertEqual(self.accepted(nodes)[0], 80)

    def test_closed_lets_nobody_through(self):
        nodes = self.start_limited("closed")
        self.redis.kill()
        accepted, statuses = self.accepted(nodes)
        self.assertEqual(accepted, 0)
        self.assertEqual(set(statuses), {503})
        refused = nodes[0].generate("seen", USER)
        self.assert_error(refused, 503, "store_unavailable")
        limits = [refused.headers[name] for name in ("x-ratelimit-limit", "x-ratelimit-remaining", "retry-after")]
        self.assertEqual(limits, ["20", "0", "1"])
        self.redis.start()
        wait_until(lambda: nodes[0].generate("seen", USER).status == 200, "it ends with the fault")

    def test_a_stopped_redis_never_lets_more_through_than_the_maximum(self):
        nodes = self.start_limited("local")
        self.redis.pause()
        self.assertLessEqual(self.accepted(nodes)[0], 16)
        self.redis.resume()


class UnderLoad(FaultTest):
    """A fail-over while requests come without a pause."""

    def check_fail_over(self, url, fail_over):
        self.store_text = redis_store(url, TIMEOUT)
        node = self.begin(self.store_text)
        self.wait_until_healed(node)
        load = Load(node)
        try:
            wait_until(lambda: len(load.statuses) >= 20, "the load is on")
            fail_over()
            seen = len(load.statuses)
            wait_until(lambda: len(load.statuses) >= seen + 20, "it goes on")
        finally:
            load.stop()
        self.assertEqual(set(load.statuses), {200})
        self.assertLess(load.slowest, 2 * self.LATEST)
        self.wait_until_healed(node)
        self.check_session(node)
        self.check_service(node, rounds=3)

    def test_a_sentinel_fail_over(self):
        sentinel = self.own(RedisSentinel())

        def fail_over():
            master = sentinel.master()
            with master.client() as client:
                client.call("SET", "fence", "1")
                client.call("WAIT", 2, 5000)  # what was acknowledged has reached the replicas
            master.kill()
            sentinel.wait_for_fail_over(master)

        self.check_fail_over(sentinel.url, fail_over)

    def test_a_killed_master_of_a_cluster(self):
        cluster = self.own(RedisCluster())

        def fail_over():
            master = cluster.masters()[0]
            for one in cluster.masters():
                with one.client() as client:
                    key = next(f"fence{number}" for number in range(10000)
                               if cluster.node_of(f"fence{number}") is one)
                    client.call("SET", key, "1")
                    client.call("WAIT", 1, 5000)
            master.kill()
            wait_for(lambda: cluster.is_whole() and len(cluster.masters()) == 3, "a replica takes over")

        self.check_fail_over(cluster.url, fail_over)


class UpstashFaults(FaultTest):
    """Faults of a service that is reached over HTTP."""

    LATEST = 2 * LATEST

    def setUp(self):
        super().setUp()
        self.redis = self.own(RedisServer())
        self.upstash = self.own(UpstashServer(self.redis))
        self.store = upstash_store(self.upstash.url, self.upstash.token, REST_TIMEOUT)

    def test_every_refusal(self):
        for mode in ("401", "429", "500", "quota", "html502", "garbage"):
            with self.subTest(mode=mode):
                self.go_through(self.store, lambda one=mode: self.upstash.fault(one), self.upstash.mend)

    def test_half_a_body(self):
        self.go_through(self.store, lambda: self.upstash.fault("half"), self.upstash.mend)

    def test_dropped_connections(self):
        self.go_through(self.store, lambda: self.upstash.fault("drop"), self.upstash.mend)

    def test_what_was_done_and_whose_answer_was_lost_is_not_done_again(self):
        node = self.begin(upstash_store(self.upstash.url, self.upstash.token),
                          limits="  llm: { max: 1000, window: 600s }")
        used = 1000 - int(node.generate("warm").headers["x-ratelimit-remaining"])
        for turn in range(6):
            self.upstash.fault("drop", count=1)
            node.generate(f"lost answer {turn}")
        self.upstash.mend()
        self.wait_for_ready(node)
        left = int(node.generate("warm").headers["x-ratelimit-remaining"])
        self.assertGreaterEqual(left, 1000 - used - 7, "each request is counted once at most")
        self.check_counted(node)

    def test_slowness(self):
        self.go_through(self.store, lambda: self.upstash.fault("slow", ms=int(1500 * PATIENCE)), self.upstash.mend)

    def test_silence(self):
        self.go_through(self.store, lambda: self.upstash.fault("hang"), self.upstash.mend)

    def test_it_starts_without_the_service(self):
        self.store_text = upstash_store(f"http://127.0.0.1:{free_port()}", "token", REST_TIMEOUT)
        node = self.start_node(self.store_text)
        self.assertEqual(self.timed(node, "warm"), "miss")
        self.check_service(node)
        self.assertNotEqual(self.store_of(node)["state"], "ok")


if __name__ == "__main__":
    unittest.main()
