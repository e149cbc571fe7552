"""Commands that look into queues and rearrange them, on queues that Python workers serve too.

    keeper.py --worker INTEROP_WORKER --celeriac CELERIAC
"""
import base64
import json
import os
import pathlib
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "interop"))
import stage  # noqa: E402
from stage import Stage, wait_for  # noqa: E402

ARGUMENTS = stage.arguments(celeriac="")
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("CELERY", "CELERIAC"))}

PYTHON_WORKER = """
import sys, time
from celery import Celery
app = Celery('w', broker=sys.argv[1], backend=sys.argv[1])
app.conf.update(task_default_queue='q', worker_prefetch_multiplier=1)
@app.task(name='interop.effect', bind=True)
def effect(self, seconds):
    import redis
    time.sleep(seconds)
    return redis.Redis.from_url(sys.argv[1]).incr('effect:' + self.request.id)
@app.task(name='python.effect', bind=True)  # no native worker knows it
def python_effect(self, seconds):
    import redis
    redis.Redis.from_url(sys.argv[1]).rpush('order', self.request.id)
    return redis.Redis.from_url(sys.argv[1]).incr('effect:' + self.request.id)
app.worker_main(['worker', '-P', 'solo', '-n', 'python@%h', '-Q', sys.argv[2], '--without-mingle', '--without-gossip'])
"""


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


class Keeper(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage().__enter__()
        cls.redis = cls.stage.redis()
        cls.url = cls.redis.url()

    @classmethod
    def tearDownClass(cls):
        cls.stage.__exit__(None, None, None)

    def setUp(self):
        self.redis.client.flushall()

    def run_it(self, *args, code=0, stdin=""):
        done = subprocess.run([ARGUMENTS.celeriac, "-b", self.url, "--result-backend", self.url, *args], env=CLEAN,
                              input=stdin, cwd=self.stage.dir, capture_output=True, text=True, timeout=120)
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def json(self, *args):
        return json.loads(self.run_it(*args, "--json").stdout)

    def app(self):
        from celery import Celery
        return Celery("c", broker=self.url, backend=self.url)

    def send(self, count, queue="q", task="interop.effect", **options):
        app = self.app()
        with app.connection_for_write() as connection:
            return [app.send_task(task, [0], queue=queue, connection=connection, **options).id for n in range(count)]

    def worker(self, queues, name):
        return self.stage.worker(ARGUMENTS.worker, self.url, self.url, name=name, queues=queues, pool="solo", concurrency=1,
                                 env={"EFFECTS_PORT": str(self.redis.port)})

    def stop(self, process):
        process.terminate()
        process.wait(20)

    # ---- looking ----

    def test_peek_shows_what_comes_next_and_takes_nothing(self):
        ids = self.send(5)
        first = self.send(1, priority=0)
        rows = self.json("peek", "q", "-n", "3")
        self.assertEqual([r["id"] for r in rows], ids[:3])
        self.assertEqual((rows[0]["task"], rows[0]["args"], rows[0]["priority"]), ("interop.effect", "[0]", 0))
        self.assertEqual(self.redis.client.llen("q"), 6)
        self.assertEqual(self.run_it("peek", "q", "-n", "1", "--raw").stdout.strip().encode(), self.redis.client.lindex("q", -1))
        self.assertEqual(self.json("peek", "q", "-n", "100")[-1]["id"], first[0])
        text = self.run_it("peek", "q").stdout
        self.assertIn("interop.effect(0)", text)
        self.assertIn("Nothing waits", self.run_it("peek", "empty").stderr)

    def test_peek_follows_the_order_of_priorities(self):
        low = self.send(2, priority=9)
        high = self.send(2, priority=0)
        self.assertEqual([r["id"] for r in self.json("peek", "q")], high + low)

    def test_secrets_are_not_shown(self):
        self.app().send_task("t.login", kwargs={"password": "hunter2", "user": "u"}, queue="q")
        self.assertNotIn("hunter2", self.run_it("peek", "q").stdout + self.run_it("peek", "q", "--json").stdout)

    def test_search_by_task_id_and_text(self):
        ids = self.send(3)
        other = self.app().send_task("mail.send", kwargs={"to": "ann@example.com"}, queue="q").id
        self.redis.client.lpush("q", b"no message at all")
        found = lambda *a: [r["id"] for r in self.json("search", "q", *a)]
        self.assertEqual(found("--task", "mail.*"), [other])
        self.assertEqual(found("--id", ids[1]), [ids[1]])
        self.assertEqual(found("--contains", "ann@"), [other])
        self.assertEqual(found("--limit", "2"), ids[:2])
        self.assertEqual([r["problem"] is not None for r in self.json("search", "q", "--contains", "no message")], [True])

    # ---- moving ----

    def test_move_keeps_order_priority_and_names_the_new_queue(self):
        ids = self.send(150) + self.send(2, priority=9)
        self.assertEqual(self.json("move", "q", "r", "--yes"), {"from": "q", "to": "r", "moved": 152})
        self.assertEqual([r["id"] for r in self.json("search", "r", "--limit", "1000")], ids)
        self.assertEqual((self.redis.client.llen("q"), self.redis.client.llen("r\x06\x169")), (0, 2))
        info = json.loads(self.redis.client.lindex("r", 0))["properties"]["delivery_info"]
        self.assertEqual(info, {"exchange": "", "routing_key": "r"})
        self.assertTrue(any(m.endswith(b"r") for m in self.redis.client.smembers("_kombu.binding.r")))

    def test_move_by_filter_asks_and_counts(self):
        self.send(3)
        mails = [self.app().send_task("mail.send", [n], queue="q").id for n in range(2)]
        self.assertIn("Would move 2", self.run_it("move", "q", "r", "--task", "mail.*", "--dry-run").stdout)
        self.assertIn("Move 2 message(s)", self.run_it("move", "q", "r", "--task", "mail.*", stdin="n\n", code=1).stdout)
        self.assertEqual(self.redis.client.llen("q"), 5)
        self.assertIn("Moved 2 messages", self.run_it("move", "q", "r", "--task", "mail.*", stdin="y\n").stdout)
        self.assertEqual([r["id"] for r in self.json("peek", "r")], mails)
        self.assertEqual(self.redis.client.llen("q"), 3)
        self.assertIn("both queues", self.run_it("move", "q", "q", code=2).stderr)

    def test_nothing_is_lost_or_doubled_when_a_python_worker_consumes_meanwhile(self):
        self.concurrent(lambda: self.python_worker("q,r"))

    def test_nothing_is_lost_or_doubled_when_a_native_worker_consumes_meanwhile(self):
        self.concurrent(lambda: self.worker("q,r", "native"))

    def concurrent(self, start):
        total = 600
        process = start()
        try:
            sender = threading.Thread(target=self.send, args=(total,))
            sender.start()
            turn = 0
            while sender.is_alive() or self.waiting() > 0:
                self.run_it("move", *(("q", "r") if turn % 2 == 0 else ("r", "q")), "--yes", "--count", "40")
                turn += 1
            sender.join()
            wait_for(lambda: self.ran() >= total, 60, "every task to have run")
        finally:
            self.stop(process)
        effects = self.redis.client.keys("effect:*")
        self.assertEqual(len(effects), total)
        self.assertEqual({int(n) for n in self.redis.client.mget(effects)}, {1})

    def python_worker(self, queues, name="python"):
        return self.stage.run(name, [sys.executable, "-c", PYTHON_WORKER, self.url, queues])

    def test_everything_at_once_while_python_and_native_workers_consume(self):
        """peek, move, pause and resume on queues that both serve; dead letters of the native one are requeued until the Python one takes them."""
        total, buried = 400, 40
        processes = [self.python_worker("q,r"), self.worker("q,r", "native")]
        try:
            sender = threading.Thread(target=lambda: (self.send(total), self.send(buried, task="python.effect")))
            sender.start()
            turn = 0
            while sender.is_alive() or self.ran() < total + buried:
                self.assertLess(turn, 400, "%d of %d have run" % (self.ran(), total + buried))
                source, target = ("q", "r") if turn % 2 == 0 else ("r", "q")
                seen = [m["id"] for m in self.json("peek", source, "-n", "30")]
                self.assertEqual(len(seen), len(set(seen)))
                self.run_it("pause" if turn % 2 == 0 else "resume", "q")
                self.json("move", source, target, "--yes", "--count", "25")
                if self.json("dead", "ls", "--limit", "1"):
                    self.run_it("dead", "requeue", "--all", "--to", target, "--yes", code=None)
                turn += 1
            sender.join()
            self.run_it("resume", "q")
        finally:
            for process in processes:
                self.stop(process)
        effects = self.redis.client.keys("effect:*")
        self.assertEqual(len(effects), total + buried)
        self.assertEqual({int(n) for n in self.redis.client.mget(effects)}, {1})
        self.assertEqual((self.waiting(), self.json("dead", "ls"), self.redis.client.hlen("unacked")), (0, [], 0))

    def test_order_is_kept_while_a_worker_consumes_what_is_moved(self):
        ids = self.send(200, task="python.effect")
        process = self.python_worker("r", "ordered")
        try:
            while self.redis.client.llen("q"):
                self.run_it("move", "q", "r", "--yes", "--count", "30")
                self.json("peek", "r", "-n", "10")
            wait_for(lambda: self.ran() == 200, 60, "every task to have run")
        finally:
            self.stop(process)
        self.assertEqual([i.decode() for i in self.redis.client.lrange("order", 0, -1)], ids)

    def ran(self):
        return len(self.redis.client.keys("effect:*"))

    def waiting(self):
        return sum(self.redis.client.llen(name) for name in ("q", "r"))

    def test_a_restored_message_goes_to_its_new_queue(self):
        self.send(1)
        self.run_it("move", "q", "r", "--yes")
        from kombu import Connection
        with Connection(self.url) as connection:
            queue = connection.SimpleQueue("r")
            queue.get(timeout=10).requeue()
            queue.close()
        self.assertEqual((self.redis.client.llen("q"), self.redis.client.llen("r")), (0, 1))

    # ---- pausing ----

    def test_a_pause_is_honoured_and_remembered(self):
        self.assertIn("q: paused", self.run_it("pause", "q", "--note", "vendor is down").stdout)
        self.assertIn("already", self.run_it("pause", "q").stdout)
        row = next(r for r in self.json("queues", "-Q", "q") if r["name"] == "q")
        self.assertIn("vendor is down", row["paused"])
        process = self.worker("q,r", "pausing")
        try:
            self.send(3)
            self.send(1, queue="r")
            wait_for(lambda: self.ran() == 1, 20, "the other queue's task")
            self.assertEqual(self.redis.client.llen("q"), 3)
            self.stop(process)
            process = self.worker("q,r", "pausing")
            self.send(1, queue="r")
            wait_for(lambda: self.ran() == 2, 20, "the other queue's task")
            self.assertEqual(self.redis.client.llen("q"), 3)
            self.assertIn("q: resumed", self.run_it("resume", "q").stdout)
            wait_for(lambda: self.ran() == 5, 20, "the tasks of the resumed queue")
            self.assertIn("was not paused", self.run_it("resume", "q").stdout)
        finally:
            self.stop(process)

    def test_a_due_message_of_a_paused_queue_waits(self):
        process = self.worker("q", "due")
        try:
            self.send(1, countdown=1.5)
            wait_for(lambda: self.redis.client.hlen("unacked") == 1, 20, "the message to be deferred")
            self.run_it("pause", "q")
            wait_for(lambda: self.redis.client.llen("q") == 1, 20, "the message to be back in its queue")
            self.assertEqual(self.ran(), 0)
            self.run_it("resume", "q")
            wait_for(lambda: self.ran() == 1, 20, "the task")
        finally:
            self.stop(process)

    # ---- files ----

    def test_export_and_import_keep_every_byte(self):
        self.send(130)
        self.send(1, priority=6)
        self.redis.client.lpush("q", b"\x00\xffbroken")
        before = {key: self.redis.client.lrange(key, 0, -1) for key in ("q", "q\x06\x166")}
        out = os.path.join(self.stage.dir, "q.jsonl")
        self.assertIn("Exported 132 messages", self.run_it("export", "q", "-o", out).stderr)
        self.assertEqual(self.redis.client.llen("q"), 131)
        self.assertEqual([k for k in self.redis.client.keys("*snapshot*")], [])
        rows = lines(open(out).read())
        self.assertEqual(base64.b64decode(rows[0]["message"]), before["q"][-1])
        self.redis.client.delete("q", "q\x06\x166")
        self.assertIn("Imported 132", self.run_it("import", out).stdout)
        self.assertEqual({key: self.redis.client.lrange(key, 0, -1) for key in before}, before)
        self.run_it("import", out, "--queue", "copy")
        self.assertEqual(self.redis.client.lrange("copy", 0, -1), before["q"])

    def test_a_broken_file_imports_nothing(self):
        self.send(1)
        good = self.run_it("export", "q").stdout
        path = os.path.join(self.stage.dir, "bad.jsonl")
        for bad, says in {"{": "line 2", '{"queue": "q"}': "message", '{"message": "%%", "queue": "q"}': "message",
                          '{"message": "YQ==", "queue": "q", "step": -1}': "step", '{"message": "YQ=="}': "queue"}.items():
            pathlib.Path(path).write_text(good + bad + "\n")
            self.assertIn(says, self.run_it("import", path, code=2).stderr)
        self.assertEqual(self.redis.client.llen("q"), 1)

    # ---- purge ----

    def test_purge_counts_first_and_agrees_with_celerys(self):
        self.send(3)
        self.send(2, priority=9)
        asked = self.run_it("purge", "-Q", "q", stdin="n\n", code=1)
        self.assertIn("5 waiting messages", asked.stdout)
        self.assertEqual(self.json("purge", "-Q", "q", "--yes")["purged"], 5)
        self.send(3)
        self.send(2, priority=9)
        self.assertEqual(self.app_purge("q"), 5)

    def app_purge(self, queue):
        done = subprocess.run([sys.executable, "-m", "celery", "-b", self.url, "purge", "-f", "-Q", queue], check=True,
                              capture_output=True, text=True, timeout=60)
        return int(next(w for w in done.stdout.split() if w.isdigit()))

    # ---- dead letters ----

    def test_dead_letters_are_listed_shown_requeued_and_discarded(self):
        process = self.worker("q", "burying")
        try:
            unknown = self.send(2, task="nobody.knows")
            wait_for(lambda: self.redis.client.zcard("celeriac.dead") == 2, 20, "two dead letters")
        finally:
            self.stop(process)
        rows = self.json("dead", "ls")
        self.assertEqual(sorted(r["message"]["id"] for r in rows), sorted(unknown))
        self.assertEqual({r["category"] for r in rows}, {"unknown_task"})
        self.assertEqual(self.json("dead", "ls", "-Q", "other"), [])
        one = rows[0]["letter"]
        self.assertIn("nobody.knows", self.run_it("dead", "show", one).stdout)
        raw = self.run_it("dead", "show", "--raw", one).stdout.rstrip("\n").encode()
        self.assertIn("no dead letter", self.run_it("dead", "show", "nothing", code=1).stderr)
        self.assertIn("say --all", self.run_it("dead", "requeue", code=2).stderr)
        self.run_it("dead", "requeue", one, stdin="n\n", code=1)
        self.assertEqual(self.json("dead", "requeue", one, "--yes"), {"requeued": 1})
        self.assertEqual(self.redis.client.lrange("q", 0, -1), [raw])
        self.assertIn("no dead letter", self.run_it("dead", "requeue", one, "--yes", code=1).stderr)
        self.assertEqual(self.json("dead", "discard", "--all", "--yes"), {"discarded": 1})
        self.assertEqual(self.redis.client.keys("celeriac.dead*"), [])
        app = self.app()
        app.task(name="nobody.knows")(lambda n: n)
        from kombu import Connection
        with Connection(self.url) as connection:
            message = connection.SimpleQueue("q").get(timeout=10)
            self.assertEqual(message.headers["task"], "nobody.knows")
            message.ack()

    # ---- messages with an ETA ----

    def test_delayed_messages_are_listed_run_and_cancelled(self):
        process = self.worker("q", "deferring")
        try:
            ids = self.send(3, countdown=3600)
            wait_for(lambda: self.redis.client.hlen("unacked") == 3, 20, "the messages to be deferred")
            rows = self.json("eta", "ls")
            self.assertEqual(sorted(r["id"] for r in rows), sorted(ids))
            self.assertEqual({r["held_by_python"] for r in rows}, {False})
            self.assertRegex(self.run_it("eta", "ls").stdout, r"59m \d+s +q ")
            self.assertEqual(self.json("eta", "run-now", ids[0], "--yes"), {"running": 1})
            wait_for(lambda: self.ran() == 1, 20, "the task")
            self.assertEqual(self.json("eta", "cancel", ids[1], "--yes"), {"cancelled": 1})
            self.assertEqual(self.app().AsyncResult(ids[1]).state, "REVOKED")
            self.assertEqual([r["id"] for r in self.json("eta", "ls")], [ids[2]])
            self.run_it("eta", "cancel", ids[1], "--yes", code=1)
        finally:
            self.stop(process)
        self.assertEqual(self.ran(), 1)

    def test_a_python_workers_delayed_messages_are_shown_and_left_alone(self):
        process = self.stage.run("eta-python", [sys.executable, "-c", PYTHON_WORKER, self.url, "q"])
        try:
            ids = self.send(1, countdown=3600)
            wait_for(lambda: self.redis.client.hlen("unacked") == 1, 30, "the message to be taken")
            rows = self.json("eta", "ls")
            self.assertEqual([(r["id"], r["held_by_python"]) for r in rows], [(ids[0], True)])
            self.assertIn("Python worker's memory", self.run_it("eta", "run-now", ids[0], "--yes", code=1).stderr)
            self.assertEqual(self.redis.client.hlen("unacked"), 1)
        finally:
            self.stop(process)

    def test_queues_watch_prints_again_and_again(self):
        process = subprocess.Popen([ARGUMENTS.celeriac, "-b", self.url, "queues", "-Q", "q", "--watch", "--interval", "0.2", "--json"],
                                   stdout=subprocess.PIPE, env=CLEAN, text=True)
        try:
            ready = lambda: next(r for r in json.loads(process.stdout.readline()) if r["name"] == "q")["ready"]
            self.assertEqual(ready(), 0)
            self.send(2)
            wait_for(lambda: ready() == 2, 20, "the new depth")
        finally:
            process.terminate()
            process.communicate()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
