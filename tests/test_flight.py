"""Single flight: any number of identical requests at once are one call, whoever comes late or leaves early."""
import json
import unittest

from crowd import Crowd, post, raise_file_limit, split_reply
from harness import LarderTest, Stream, parse_events, request, wait_until

CROWD = 1000


class Flight(LarderTest):
    def setUp(self):
        super().setUp()
        raise_file_limit()
        self.larder, self.replay = self.start_both()

    def crowd(self, path, body):
        """All replies of a crowd whose one call is answered only when all have asked."""
        crowd = Crowd(self.larder.address, post(path, body), CROWD)
        self.addCleanup(crowd.close)
        self.replay.wait_for(active=1)
        self.replay.release()
        return [split_reply(data) for data in crowd.replies()]

    def check(self, replies, comparable):
        self.assertEqual({status for status, _, _ in replies}, {200})
        self.assertEqual(len({comparable(body) for _, _, body in replies}), 1)
        outcomes = [fields["x-larder-cache"] for _, fields, _ in replies]
        self.assertEqual(outcomes.count("miss"), 1)
        self.assertLessEqual(set(outcomes), {"miss", "coalesced", "hit"})
        self.assertEqual(self.replay.stats()["calls"], 1)
        stats = request(self.larder.address, "GET", "/llm/cache/stats").json()
        self.assertEqual((stats["hits"], stats["misses"]), (CROWD - 1, 1))

    def test_a_thousand_plain_requests_are_one_call(self):
        replies = self.crowd("/llm/generate", {"prompt": "crowd", "provider": "openai", "model": "fault-gate"})
        self.check(replies, lambda body: json.loads(body)["text"])

    def test_a_thousand_streams_are_one_call(self):
        replies = self.crowd("/llm/generate", {"prompt": "crowd", "provider": "openai", "model": "fault-gate",
                                               "stream": True})
        self.check(replies, lambda body: "".join(json.loads(data)["text"] for name, data in parse_events(body)
                                                 if name == "delta"))
        for _, _, body in replies:
            self.assertEqual([name for name, _ in parse_events(body)].count("done"), 1)

    def test_a_thousand_native_requests_are_one_call(self):
        replies = self.crowd("/v1/chat/completions", {"model": "openai/fault-gate",
                                                      "messages": [{"role": "user", "content": "crowd"}]})
        self.check(replies, lambda body: body)

    def test_plain_and_streaming_askers_share_one_call(self):
        body = {"prompt": "mixed", "provider": "openai", "model": "fault-gate"}
        plain = Crowd(self.larder.address, post("/llm/generate", body), 20)
        streams = Crowd(self.larder.address, post("/llm/generate", {**body, "stream": True}), 20)
        self.replay.wait_for(active=1)
        self.replay.release()
        texts = {json.loads(split_reply(data)[2])["text"] for data in plain.replies()}
        texts |= {json.loads(parse_events(split_reply(data)[2])[-1][1])["text"] for data in streams.replies()}
        self.assertEqual(len(texts), 1)
        self.assertEqual(self.replay.stats()["calls"], 1)

    def open_stream(self, prompt):
        stream = Stream(self.larder.address, "/llm/generate", {
            "prompt": prompt, "provider": "openai", "model": "fault-middle-gate", "stream": True})
        self.addCleanup(stream.close)
        return stream

    def test_late_comers_get_what_has_come_at_once_and_then_the_rest_live(self):
        first = self.open_stream("late")
        first.start()
        early = first.read_until("event: delta")
        late = self.open_stream("late")
        self.assertEqual(late.start().getheader("x-larder-cache"), "coalesced")
        late.read_until("event: delta")  # while the provider still holds the second half back
        self.assertNotIn(b"event: done", early)
        self.assertEqual(self.replay.stats()["active"], 1)
        self.replay.release()
        self.assertEqual([name for name, _ in parse_events(first.read_all())][-1], "done")

        def text(stream):
            return "".join(json.loads(data)["text"] for name, data in parse_events(stream.received)
                           if name == "delta")

        late.read_all()
        self.assertEqual(text(first), text(late))
        self.assertEqual(self.replay.stats()["calls"], 1)

    def test_the_first_asker_leaves_and_the_others_keep_their_answer(self):
        first = self.open_stream("leaver")
        first.start()
        first.read_until("event: delta")
        second = self.open_stream("leaver")
        second.start()
        second.read_until("event: delta")
        first.close()
        self.replay.release()
        self.assertEqual(parse_events(second.read_all())[-1][0], "done")
        stats = self.replay.stats()
        self.assertEqual((stats["calls"], stats["cancelled"]), (1, 0))

    def test_when_all_have_left_the_providers_work_is_cancelled(self):
        streams = [self.open_stream("all leave") for _ in range(3)]
        for stream in streams:
            stream.start()
            stream.read_until("event: delta")
        for stream in streams:
            stream.close()
        stats = self.replay.wait_for(cancelled=1)
        self.assertEqual((stats["calls"], stats["active"]), (1, 0))
        # Nothing of it was kept.
        reply = self.larder.generate("all leave", {"cache-control": "only-if-cached"}, provider="openai",
                                     model="fault-middle-gate")
        self.assertEqual(reply.status, 504)

    def test_a_plain_asker_who_leaves_cancels_too(self):
        crowd = Crowd(self.larder.address, post("/llm/generate", {
            "prompt": "gone", "provider": "openai", "model": "fault-hang"}), 2)
        self.replay.wait_for(active=1)
        crowd.close()
        self.replay.wait_for(cancelled=1)

    def test_no_store_never_joins_nor_leads(self):
        body = {"prompt": "apart", "provider": "openai", "model": "fault-gate"}
        data = post("/llm/generate", body)
        apart = post("/llm/generate", body, cache_control="no-store")
        crowds = [Crowd(self.larder.address, apart, 2), Crowd(self.larder.address, data, 2)]
        self.replay.wait_for(calls=3)
        self.replay.release()
        for crowd in crowds:
            for reply in crowd.replies():
                self.assertEqual(split_reply(reply)[0], 200)
        self.assertEqual(self.replay.stats()["calls"], 3)

    def test_a_providers_error_goes_to_all_who_wait(self):
        crowd = Crowd(self.larder.address, post("/llm/generate", {
            "prompt": "all fail", "provider": "openai", "model": "fault-400"}), 20)
        self.assertEqual({split_reply(data)[0] for data in crowd.replies()}, {400})


class OnDisconnect(LarderTest):
    def test_finish_keeps_the_answer_that_nobody_waits_for(self):
        larder, replay = self.start_both(rest="cache: { on_disconnect: finish }")
        body = {"prompt": "kept", "provider": "openai", "model": "fault-gate"}
        crowd = Crowd(larder.address, post("/llm/generate", body), 1)
        replay.wait_for(active=1)
        crowd.close()
        replay.release()

        def kept():
            return larder.request("POST", "/llm/generate", body, {"cache-control": "only-if-cached"}).cache == "hit"

        wait_until(kept, "the answer is kept")
        self.assertEqual(replay.stats()["cancelled"], 0)


if __name__ == "__main__":
    unittest.main()
