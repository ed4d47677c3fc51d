"""/sessions: the endpoints on every store, namespaces and scopes, races, restarts, and what the log never shows."""
import calendar
import hashlib
import http.client
import random
import time
import unittest

import redis_servers
from harness import LarderTest, configuration, in_parallel, request, split_address, wait_until

DAY_MS = 86_400_000


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def key(name, scopes="[sessions]", more=""):
    return f'    - {{ name: {name}, sha256: "{sha256("key-" + name)}", scopes: {scopes}{more} }}\n'


KEYS = "auth:\n  mode: keys\n  keys:\n" + key("web") + key("twin", more=", namespace: web") + key("other") + key(
    "chat", "[llm, stats, admin]")


def milliseconds(text):
    """Of an RFC 3339 time with milliseconds in UTC; anything else is a failure."""
    seconds, fraction = text[:-1].split(".")
    if not text.endswith("Z") or len(fraction) != 3:
        raise AssertionError(f"no RFC 3339 time with milliseconds: {text}")
    return calendar.timegm(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")) * 1000 + int(fraction)


class SessionTest(LarderTest):
    def start(self, name="larder", environment=None, **options):
        """A Larder that calls no provider."""
        return self.start_larder(configuration("127.0.0.1:9", **options), name=name, environment=environment)

    def create(self, larder, user="ann", data=None, headers=None):
        body = {"userId": user} if data is None else {"userId": user, "data": data}
        reply = larder.request("POST", "/sessions", body, headers)
        self.assertEqual(reply.status, 201, reply)
        return reply.json()

    def sessions_of(self, larder, user="ann", headers=None):
        reply = larder.request("GET", f"/sessions?userId={user}", headers=headers)
        self.assertEqual(reply.status, 200, reply)
        return reply.json()["sessions"]


class Contract:
    """On each store: `larder` and, where it is Redis, `redis`."""

    redis = None

    def test_a_session_lives_and_ends(self):
        reply = self.larder.request("POST", "/sessions", {"userId": "Zoë", "data": {"cart": [1, 2.50]}})
        self.assertEqual(reply.status, 201)
        session = reply.json()
        path = f"/sessions/{session['id']}"
        self.assertEqual((reply.headers["location"], reply.headers["etag"], reply.headers["cache-control"]),
                         (path, '"1"', "no-store"))
        self.assertEqual(set(session), {"id", "userId", "data", "createdAt", "lastAccessedAt", "expiresAt", "version"})
        self.assertEqual((session["userId"], session["data"], session["version"]), ("Zoë", {"cart": [1, 2.50]}, 1))
        self.assertRegex(session["id"], r"^[A-Za-z0-9_-]{59}$")
        self.assertEqual(milliseconds(session["expiresAt"]), milliseconds(session["createdAt"]) + DAY_MS)

        reply = wait_until(lambda: (lambda got: got.json()["expiresAt"] > session["expiresAt"] and got)(
            self.larder.get(path)), "a read moves the end")
        self.assertEqual((reply.status, reply.headers["etag"], reply.headers["cache-control"]),
                         (200, '"1"', "no-store"))
        read = reply.json()
        self.assertEqual(milliseconds(read["expiresAt"]), milliseconds(read["lastAccessedAt"]) + DAY_MS)
        self.assertEqual(read["createdAt"], session["createdAt"])

        reply = self.larder.request("PATCH", path, {"data": {"cart": None, "user": {"name": "Zoë"}}})
        self.assertEqual((reply.status, reply.json()["data"]), (200, {"user": {"name": "Zoë"}}))
        reply = self.larder.request("PUT", path, {"data": {"step": 2}}, {"if-match": reply.headers["etag"]})
        self.assertEqual((reply.status, reply.json()["data"], reply.headers["etag"]), (200, {"step": 2}, '"3"'))
        self.assert_error(self.larder.request("PUT", path, {"data": {}}, {"if-match": '"2"'}), 412)

        reply = self.larder.request("POST", f"{path}/rotate")
        self.assertEqual((reply.status, reply.json()["data"]), (200, {"step": 2}))
        self.assert_error(self.larder.get(path), 404)
        path = reply.headers["location"]
        self.assertEqual(self.larder.get(path).json()["id"], path.removeprefix("/sessions/"))
        reply = self.larder.request("DELETE", path)
        self.assertEqual((reply.status, reply.body), (204, b""))
        for method, body in (("GET", None), ("PATCH", {"data": {}}), ("PUT", {"data": {}}), ("DELETE", None)):
            self.assert_error(self.larder.request(method, path, body), 404)
        self.assert_nothing_left()

    def test_all_of_a_user(self):
        mine = {self.create(self.larder)["id"] for _ in range(3)}
        self.create(self.larder, "bob")
        self.assertEqual({session["id"] for session in self.sessions_of(self.larder)}, mine)
        self.assertEqual(self.larder.request("DELETE", "/sessions?userId=ann").json(), {"ended": 3})
        self.assertEqual(self.sessions_of(self.larder), [])
        self.assertEqual(len(self.sessions_of(self.larder, "bob")), 1)
        self.assertEqual(self.larder.request("DELETE", "/sessions?userId=bob").json(), {"ended": 1})
        self.assert_nothing_left()

    def test_patches_at_the_same_time_lose_nothing(self):
        path = f"/sessions/{self.create(self.larder)['id']}"

        def patch(index):
            # Eight rounds are the most that one call does; who was always late is told to come again.
            for _ in range(100):
                reply = self.larder.request("PATCH", path, {"data": {f"from{index}": index}})
                if reply.status != 503:
                    return reply.status
            return None

        self.assertEqual(in_parallel(12, patch), [200] * 12)
        session = self.larder.get(path).json()
        self.assertEqual(session["data"], {f"from{index}": index for index in range(12)})
        self.assertEqual(session["version"], 13)

    def test_one_of_many_conditional_updates_wins(self):
        path = f"/sessions/{self.create(self.larder)['id']}"
        for method in ("PUT", "PATCH"):
            tag = self.larder.get(path).headers["etag"]
            replies = in_parallel(8, lambda index, method=method, tag=tag: self.larder.request(
                method, path, {"data": {"by": index}}, {"if-match": tag}).status)
            self.assertEqual(sorted(replies), [200] + [412] * 7)

    def test_an_update_under_way_never_brings_back_what_was_ended(self):
        seed = random.randrange(1 << 30)
        print(f"seed {seed}")
        chance = random.Random(seed)
        for _ in range(25):
            path = f"/sessions/{self.create(self.larder)['id']}"
            calls = [("PATCH", path, {"data": {"late": 1}}), ("PUT", path, {"data": {"late": 2}}), ("GET", path, None),
                     ("DELETE", path, None)]
            chance.shuffle(calls)
            replies = in_parallel(len(calls), lambda index, calls=calls: self.larder.request(*calls[index]).status)
            self.assertTrue(set(replies) <= {200, 204, 404}, replies)
            self.assertEqual(replies.count(204), 1)
            self.assert_error(self.larder.get(path), 404)
        self.assertEqual(self.sessions_of(self.larder), [])
        self.assert_nothing_left()

    def assert_nothing_left(self):
        if self.redis is not None:
            self.assertEqual(self.redis.keys("session:*"), [])


class OnMemory(Contract, SessionTest):
    def setUp(self):
        super().setUp()
        self.larder = self.start()


class OnSqlite(Contract, SessionTest):
    def setUp(self):
        super().setUp()
        self.store = f"store: {{ kind: sqlite, sqlite: {{ path: {self.folder / 'larder.db'} }} }}"
        self.larder = self.start(store=self.store)

    def test_sessions_survive_a_kill_and_are_shared_by_programs(self):
        path = f"/sessions/{self.create(self.larder, data={'a': 1})['id']}"
        self.larder.kill()
        first = self.start("first", store=self.store)
        second = self.start("second", store=self.store)
        self.assertEqual(first.get(path).json()["data"], {"a": 1})
        self.assertEqual(first.request("DELETE", path).status, 204)
        self.assert_error(second.get(path), 404)


class OnRedis(Contract, SessionTest):
    def setUp(self):
        super().setUp()
        self.redis = redis_servers.RedisServer()
        self.addCleanup(self.redis.close)
        self.store = f"store: {{ kind: redis, redis: {{ url: '{self.redis.url}', timeout: 2s }} }}"
        self.larder = self.start(store=self.store)

    def test_every_key_has_an_end_and_no_key_names_a_secret(self):
        session = self.create(self.larder, "ann@example.com", {"password": "hidden"})
        self.larder.get(f"/sessions/{session['id']}")
        keys = self.redis.keys("session:*")
        self.assertEqual(len(keys), 2)
        for name in keys:
            self.assertTrue(0 < self.redis.call("PTTL", name) <= DAY_MS, name)
            self.assertNotIn(session["id"][:43], str(name))
            self.assertNotIn("ann", str(name))

    def test_any_larder_serves_any_user(self):
        other = self.start("other", store=self.store)
        path = f"/sessions/{self.create(self.larder)['id']}"
        self.assertEqual(other.request("PATCH", path, {"data": {"b": 2}}).json()["version"], 2)
        self.assertEqual(self.larder.get(path).json()["data"], {"b": 2})
        self.assertEqual(other.request("DELETE", "/sessions?userId=ann").json(), {"ended": 1})
        self.assert_error(self.larder.get(path), 404)

    def test_a_store_that_does_not_answer_is_a_503_and_heals(self):
        session = self.create(self.larder)
        self.redis.pause()
        reply = self.larder.get(f"/sessions/{session['id']}")
        self.assert_error(reply, 503, "store_unavailable")
        self.assertEqual(reply.headers["retry-after"], "1")
        self.redis.resume()
        wait_until(lambda: self.larder.get(f"/sessions/{session['id']}").status == 200, "the store is back")


class Refusals(SessionTest):
    def test_requests_that_are_wrong_say_where(self):
        larder = self.start()
        path = f"/sessions/{self.create(larder)['id']}"
        for method, target, body, field in (
                ("POST", "/sessions", {}, "userId"), ("POST", "/sessions", {"userId": ""}, "userId"),
                ("POST", "/sessions", {"userId": 5}, "userId"), ("POST", "/sessions", {"userId": "x" * 257}, "userId"),
                ("POST", "/sessions", {"userId": "a", "data": []}, "data"),
                ("POST", "/sessions", {"userId": "a", "id": "b"}, "id"), ("PUT", path, {}, "data"),
                ("PATCH", path, {"data": "x"}, "data"), ("PATCH", path, {"data": {}, "version": 1}, "version"),
                ("GET", "/sessions", None, "userId"), ("DELETE", "/sessions", None, "userId"),
                ("DELETE", "/sessions?userId=a&userId=b", None, "userId"), ("GET", "/sessions?userId=%FF", None, "userId")):
            with self.subTest(method=method, target=target, body=str(body)[:80]):
                self.assertEqual(self.assert_error(larder.request(method, target, body), 400)["field"], field)
        self.assertIn("position", self.assert_error(larder.request("POST", "/sessions", '{"userId":"a",}'), 400))
        self.assert_error(larder.request("PUT", path, {"data": {}}, {"if-match": "1"}), 400)

    def test_data_is_bounded(self):
        larder = self.start()
        path = f"/sessions/{self.create(larder)['id']}"
        fits = {"data": {"a": "x" * 60_000}}
        over = {"data": {"a": "x" * 65_600}}
        self.assertEqual(larder.request("PUT", path, fits).status, 200)
        for method, target, body in (("POST", "/sessions", {"userId": "a", **over}), ("PUT", path, over),
                                     ("PATCH", path, over), ("PATCH", path, {"data": {"b": "x" * 60_000}}),
                                     ("POST", "/sessions", b" " * 1_000_000)):
            self.assert_error(larder.request(method, target, body), 413)
        self.assertEqual(larder.get(path).json()["data"], fits["data"])
        deep = '{"userId":"a","data":{"d":' + "[" * 500 + "]" * 500 + "}}"
        self.assertIn(larder.request("POST", "/sessions", deep).status, (400, 413))

    def test_ids_of_another_form_are_not_found(self):
        larder = self.start()
        real = self.create(larder)["id"]
        for unknown in ("x", "A" * 59, real[:-1], real + "A", "%41" + real[1:], real.swapcase(), "." * 59, "{id}"):
            for method in ("GET", "DELETE"):
                self.assert_error(larder.request(method, f"/sessions/{unknown}"), 404)
        reply = larder.request("POST", f"/sessions/{real}")
        self.assert_error(reply, 405)
        self.assertEqual(reply.headers["allow"], "GET, HEAD, PUT, PATCH, DELETE, OPTIONS")
        self.assertEqual(larder.get(f"/sessions/{real}").status, 200)

    def test_head_shows_no_body(self):
        larder = self.start()
        path = f"/sessions/{self.create(larder)['id']}"
        reply = larder.request("HEAD", path)
        self.assertEqual((reply.status, reply.body, reply.headers["etag"]), (200, b"", '"1"'))


class Lifetimes(SessionTest):
    def test_the_configuration_says_how_long(self):
        larder = self.start(rest="sessions: { ttl: 2s, max_age: 3s }")
        session = self.create(larder)
        created = milliseconds(session["createdAt"])
        self.assertEqual(milliseconds(session["expiresAt"]) - created, 2000)
        path = f"/sessions/{session['id']}"
        last = session
        reply = larder.get(path)
        while reply.status == 200:  # it is asked all the time, and ends all the same
            last = reply.json()
            self.assertLessEqual(milliseconds(last["expiresAt"]) - created, 3000)
            reply = larder.get(path)
        self.assert_error(reply, 404)
        self.assertEqual(milliseconds(last["expiresAt"]) - created, 3000)
        self.assertEqual(self.sessions_of(larder), [])


class Callers(SessionTest):
    def of(self, name):
        return {"authorization": f"Bearer key-{name}"}

    def test_a_key_needs_the_scope(self):
        larder = self.start(rest=KEYS)
        self.assert_error(larder.request("POST", "/sessions", {"userId": "a"}), 401)
        self.assert_error(larder.request("POST", "/sessions", {"userId": "a"}, self.of("chat")), 403)
        path = f"/sessions/{self.create(larder, headers=self.of('web'))['id']}"
        for headers, status in ((None, 401), (self.of("chat"), 403)):
            self.assert_error(larder.request("GET", path, headers=headers), status)
            self.assert_error(larder.request("DELETE", "/sessions?userId=ann", headers=headers), status)

    def test_a_session_belongs_to_its_namespace(self):
        larder = self.start(rest=KEYS)
        path = f"/sessions/{self.create(larder, headers=self.of('web'))['id']}"
        self.create(larder, headers=self.of("other"))
        for method, target, body in (("GET", path, None), ("PUT", path, {"data": {}}), ("PATCH", path, {"data": {}}),
                                     ("POST", f"{path}/rotate", None), ("DELETE", path, None)):
            self.assert_error(larder.request(method, target, body, self.of("other")), 404)
        self.assertEqual(len(self.sessions_of(larder, headers=self.of("other"))), 1)
        ended = larder.request("DELETE", "/sessions?userId=ann", headers=self.of("other"))
        self.assertEqual(ended.json(), {"ended": 1})
        self.assertEqual(larder.request("GET", path, headers=self.of("twin")).status, 200)

    def test_in_open_mode_other_pages_and_other_names_are_refused(self):
        larder = self.start()
        self.assert_error(larder.request("POST", "/sessions", {"userId": "a"}, {"origin": "https://evil.example"}), 403)
        self.assert_error(larder.request("POST", "/sessions", {"userId": "a"}, {"host": "evil.example"}), 403)

    def test_sessions_are_counted_by_the_standard_limit(self):
        larder = self.start(limits="  standard: { max: 3, window: 60s }")
        session = self.create(larder)
        path = f"/sessions/{session['id']}"
        self.assertEqual([larder.get(path).status for _ in range(3)], [200, 200, 429])

    def test_pages_may_use_every_method(self):
        larder = self.start(server='  cors: { origins: ["https://app.example"] }')
        reply = larder.request("OPTIONS", "/sessions/x", headers={
            "origin": "https://app.example", "access-control-request-method": "PATCH",
            "access-control-request-headers": "if-match, content-type"})
        self.assertEqual(reply.status, 204)
        for method in ("PUT", "PATCH", "DELETE"):
            self.assertIn(method, reply.headers["access-control-allow-methods"])
        self.assertIn("if-match", reply.headers["access-control-allow-headers"])


class Secrets(SessionTest):
    def test_no_log_metric_or_readiness_shows_an_id_a_user_or_data(self):
        larder = self.start(rest="log: { level: debug }")
        session = self.create(larder, "user-whom-nobody-names", {"secret": "data-that-nobody-shows"})
        path = f"/sessions/{session['id']}"
        larder.get(path)
        larder.request("PATCH", path, {"data": {"more": "data-that-nobody-shows"}})
        larder.request("PUT", path, {"data": {}}, {"if-match": '"77"'})
        rotated = larder.request("POST", f"{path}/rotate").json()["id"]
        larder.get(path)
        larder.request("POST", path)
        self.sessions_of(larder, "user-whom-nobody-names")
        shown = larder.get("/metrics").body.decode() + larder.get("/ready").body.decode()
        larder.request("DELETE", f"/sessions/{rotated}")
        self.assertEqual(larder.stop(), 0)
        shown += larder.text()
        self.assertIn("/sessions/{id}/rotate", shown)
        for secret in (session["id"], session["id"][:43], rotated, "user-whom-nobody-names", "data-that-nobody-shows"):
            self.assertNotIn(secret, shown)

    def test_many_requests_on_one_connection(self):
        larder = self.start()
        connection = http.client.HTTPConnection(*split_address(larder.address))
        self.addCleanup(connection.close)
        for number in range(50):
            connection.request("POST", "/sessions", f'{{"userId":"u{number % 3}"}}', {"content-type": "application/json"})
            reply = connection.getresponse()
            reply.read()
            self.assertEqual(reply.status, 201)
        self.assertEqual(len(request(larder.address, "GET", "/sessions?userId=u0").json()["sessions"]), 17)


if __name__ == "__main__":
    unittest.main()
