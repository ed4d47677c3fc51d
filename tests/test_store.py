"""The embedded store: what survives a stop, a kill, a second program, and a file that is corrupt, locked or full."""
import pathlib
import sqlite3
import time
import unittest

from harness import LarderTest, configuration, wait_until

SQLITE = "store: { kind: sqlite, sqlite: { path: larder.db } }"


class Store(LarderTest):
    def setUp(self):
        super().setUp()
        self.replay = self.start_replay()

    def start(self, store=SQLITE, **options):
        return self.start_larder(configuration(self.replay.address, store=store, **options))

    def cache_rows(self):
        """Rows of every table in the cache file, by another program's eyes."""
        path = self.folder / "larder.db-cache"
        if not path.exists():
            return 0
        try:
            connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            rows = sum(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables)
            connection.close()
            return rows
        except sqlite3.OperationalError:
            return 0

    def test_a_restart_keeps_entries_and_statistics(self):
        larder = self.start()
        texts = [larder.generate(f"kept {index}").json()["text"] for index in range(20)]
        larder.generate("kept 0")
        stats = larder.get("/llm/cache/stats").json()
        self.assertEqual((stats["hits"], stats["misses"]), (1, 20))
        self.assertEqual(larder.stop(), 0)
        larder = self.start()
        again = larder.get("/llm/cache/stats").json()
        self.assertEqual((again["hits"], again["misses"], again["estimatedSavings"]),
                         (1, 20, stats["estimatedSavings"]))
        for index, text in enumerate(texts):
            reply = larder.generate(f"kept {index}")
            self.assertEqual((reply.cache, reply.json()["text"]), ("hit", text))
        self.assertEqual(larder.generate("kept 3", stream=True).cache, "hit")
        self.assertEqual(self.replay.stats()["calls"], 20)

    def test_a_purge_survives_a_restart_and_reaches_another_program(self):
        larder = self.start()
        texts = [f"purged {index}" for index in range(5)]
        for text in texts:
            larder.generate(text)
        self.assertEqual(larder.stop(), 0)
        larder, other = self.start(), self.start()
        self.assertEqual([one.generate("purged 0").cache for one in (larder, other)], ["hit", "hit"])
        self.assertEqual(larder.request("DELETE", "/admin/cache").status, 200)
        only_if_cached = {"cache-control": "only-if-cached"}
        self.assertEqual(larder.generate("purged 0", only_if_cached).status, 504)
        wait_until(lambda: other.generate("purged 0", only_if_cached).status == 504, "the other one sees it")
        self.assertEqual((larder.stop(), other.stop()), (0, 0))
        larder = self.start()
        self.assertEqual([larder.generate(text).cache for text in texts], ["miss"] * 5)
        self.assertEqual(larder.stop(), 0)
        larder = self.start()
        self.assertEqual([larder.generate(text).cache for text in texts], ["hit"] * 5, "what came after it stays")

    def test_native_entries_survive_in_both_forms(self):
        larder = self.start()
        plain = larder.chat("native").json()
        stream = larder.messages("native", stream=True).body
        larder.stop()
        larder = self.start()
        reply = larder.chat("native")
        self.assertEqual((reply.cache, reply.json()), ("hit", plain))
        reply = larder.messages("native", stream=True)
        self.assertEqual((reply.cache, reply.body), ("hit", stream))
        self.assertEqual(larder.messages("native").cache, "hit")

    def test_kill_9_loses_only_the_last_second(self):
        larder = self.start()
        before = self.cache_rows()
        text = larder.generate("killed").json()["text"]
        begin = time.monotonic()
        wait_until(lambda: self.cache_rows() > before, "the answer is on disk")
        self.assertLess(time.monotonic() - begin, 5)
        # The ledger has the same second.
        time.sleep(max(0.0, 1.2 - (time.monotonic() - begin)))
        larder.kill()
        larder = self.start()
        reply = larder.generate("killed")
        self.assertEqual((reply.cache, reply.json()["text"]), ("hit", text))
        self.assertEqual(larder.get("/llm/cache/stats").json()["misses"], 1)

    def test_the_cache_file_may_be_deleted_at_any_time(self):
        larder = self.start()
        larder.generate("deleted")
        larder.stop()
        for path in self.folder.glob("larder.db-cache*"):
            path.unlink()
        larder = self.start()
        self.assertEqual(larder.generate("deleted").cache, "miss")
        self.assertEqual(larder.get("/llm/cache/stats").json()["misses"], 2, "the figures are in the other file")

    def test_two_programs_may_use_one_file(self):
        first, second = self.start(), self.start()
        for index in range(10):
            (first if index % 2 else second).generate(f"shared {index}")
        before = self.replay.stats()["calls"]
        self.assertEqual(before, 10)

        def all_hits():
            return all(first.generate(f"shared {index}", {"cache-control": "only-if-cached"}).status == 200
                       and second.generate(f"shared {index}", {"cache-control": "only-if-cached"}).status == 200
                       for index in range(10))

        wait_until(all_hits, "each sees what the other has stored")
        self.assertEqual((first.stop(), second.stop()), (0, 0))

    def corrupt(self, name):
        larder = self.start()
        larder.generate("before")
        larder.stop()
        for path in self.folder.glob(f"{name}-*"):
            if path.name in (f"{name}-wal", f"{name}-shm"):
                path.unlink()
        path = self.folder / name
        data = bytearray(path.read_bytes())
        for index in range(0, len(data), 3):
            data[index] = 0x5A
        path.write_bytes(bytes(data))

    def test_a_corrupt_cache_file_is_begun_anew(self):
        self.corrupt("larder.db-cache")
        larder = self.start()
        self.assertEqual(larder.generate("before").cache, "miss")
        self.assertEqual(larder.generate("before").cache, "hit")
        wait_until(lambda: larder.get("/ready").json()["status"] == "ready", "the store works again")
        larder.stop()
        larder = self.start()
        self.assertEqual(larder.generate("before").cache, "hit")

    def test_with_a_corrupt_main_file_it_serves_on_and_says_so(self):
        self.corrupt("larder.db")
        larder = self.start()
        self.assertEqual(larder.generate("serve on").status, 200)
        self.assertEqual(larder.generate("serve on").cache, "hit")
        reply = larder.get("/ready")
        self.assertEqual((reply.status, reply.json()["status"]), (200, "degraded"), reply)
        bad = [one for one in reply.json()["dependencies"] if one["state"] != "ok"]
        self.assertTrue(bad and all(one["reason"] for one in bad))
        wait_until(lambda: any(line["level"] >= 40 for line in larder.log()), "the log says so")

    def test_a_locked_file_is_taken_up_again_when_it_works(self):
        larder = self.start()
        larder.generate("first")
        wait_until(lambda: self.cache_rows() > 0, "the file is there")
        blocker = sqlite3.connect(self.folder / "larder.db-cache", timeout=5, isolation_level=None)
        blocker.execute("BEGIN EXCLUSIVE")
        try:
            for index in range(30):
                self.assertEqual(larder.generate(f"locked {index}").status, 200)
                self.assertEqual(larder.generate(f"locked {index}").cache, "hit")
            wait_until(lambda: larder.get("/ready").json()["status"] == "degraded", "the lock is noticed")
            self.assertEqual(larder.get("/ready").status, 200)
        finally:
            blocker.execute("ROLLBACK")
            blocker.close()
        wait_until(lambda: larder.get("/ready").json()["status"] == "ready", "the file is taken up again")
        larder.generate("after")
        self.assertEqual(larder.stop(), 0)
        self.assertEqual(self.start().generate("after").cache, "hit")

    def test_a_folder_that_cannot_be_written_does_not_keep_it_from_serving(self):
        missing = self.folder / "file"
        missing.write_text("not a folder")
        larder = self.start("store: { kind: sqlite, sqlite: { path: file/larder.db } }")
        self.assertEqual(larder.generate("a").status, 200)
        self.assertEqual(larder.generate("a").cache, "hit")
        self.assertEqual(larder.get("/ready").json()["status"], "degraded")
        missing.unlink()
        (self.folder / "file").mkdir()
        wait_until(lambda: larder.get("/ready").json()["status"] == "ready", "it works as soon as it can")

    def test_a_full_disk(self):
        full = pathlib.Path("/dev/full")
        if not full.exists():
            self.skipTest("no /dev/full here")
        larder = self.start("store: { kind: sqlite, sqlite: { path: /dev/full/larder.db } }")
        self.assertEqual(larder.generate("a").status, 200)
        self.assertEqual(larder.get("/ready").json()["status"], "degraded")

    def test_without_memory_the_file_alone_answers(self):
        larder = self.start(rest="cache: { memory: 0 }")
        larder.generate("file only")
        wait_until(lambda: larder.generate("file only").cache == "hit", "a hit from the file")

    def test_a_switched_off_cache_keeps_nothing(self):
        larder = self.start(rest="cache: { enabled: false }")
        self.assertNotIn("hit", [larder.generate("off").cache for _ in range(3)])
        self.assertEqual(self.replay.stats()["calls"], 3)

    def test_the_memory_store_leaves_no_file(self):
        larder = self.start("store: { kind: memory }")
        larder.generate("a")
        larder.stop()
        self.assertEqual(list(self.folder.glob("*.db*")), [])


if __name__ == "__main__":
    unittest.main()
