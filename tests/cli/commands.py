"""Every command that talks to a broker, against a private Redis.

    commands.py CELERIAC
"""
import base64
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv.pop(1)
CLEAN = {k: v for k, v in os.environ.items()
         if not k.startswith(("CELERY", "CELERIAC")) and k not in ("BROKER_URL", "RESULT_BACKEND")}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.port = free_port()
        cls.url = f"redis://127.0.0.1:{cls.port}/0"
        cls.server = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(cls.port), "--save", "", "--dir", cls.folder.name],
            stdout=subprocess.PIPE, text=True)
        for line in cls.server.stdout:
            if "Ready to accept connections" in line:
                break

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        cls.server.communicate()
        cls.folder.cleanup()

    def setUp(self):
        self.redis("FLUSHALL")

    def redis(self, *command):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *command], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def run_it(self, *args, code=0, environment=None, stdin=""):
        done = subprocess.run([PROGRAM, *args], env={**CLEAN, **(environment or {})}, input=stdin, cwd=self.folder.name,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def test_call_writes_celerys_message(self):
        out = self.run_it("-b", self.url, "call", "t.add", "-a", "[1, 2]", "-k", '{"x": "\u00e9"}', "--queue", "q",
                          "--priority", "5", "--expires", "60", "--countdown", "30", "--task-id", "id-1").stdout
        self.assertEqual(out, "id-1\n")
        message = json.loads(self.redis("LPOP", "q\x06\x163"))
        self.assertEqual(list(message), ["body", "content-encoding", "content-type", "headers", "properties"])
        self.assertEqual(base64.b64decode(message["body"]).decode(),
                         '[[1, 2], {"x": "\\u00e9"}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]')
        headers, properties = message["headers"], message["properties"]
        self.assertEqual((headers["task"], headers["id"], headers["root_id"], headers["parent_id"]),
                         ("t.add", "id-1", "id-1", None))
        self.assertEqual((headers["argsrepr"], headers["kwargsrepr"]), ("(1, 2)", "{'x': '\u00e9'}"))
        self.assertTrue(headers["eta"].endswith("+00:00") and headers["expires"].endswith("+00:00"))
        self.assertEqual((properties["correlation_id"], properties["priority"], properties["delivery_mode"]),
                         ("id-1", 5, 2))
        self.assertEqual(properties["delivery_info"], {"exchange": "", "routing_key": "q"})
        self.assertTrue(59000 <= int(properties["expiration"]) <= 60000)

    def test_call_takes_the_broker_from_every_source(self):
        self.run_it("call", "a", environment={"CELERY_BROKER_URL": self.url})
        config = pathlib.Path(self.folder.name, "c.toml")
        config.write_text(f'broker_url = "{self.url}"\ntask_default_queue = "other"\n')
        self.run_it("--config", str(config), "call", "a")
        self.assertEqual((self.redis("LLEN", "celery"), self.redis("LLEN", "other")), ("1", "1"))

    def test_result_of_a_finished_and_a_failed_task(self):
        store = ["--result-backend", self.url, "result"]
        self.redis("SET", "celery-task-meta-ok", json.dumps(
            {"status": "SUCCESS", "result": {"a": 1}, "traceback": None, "children": [], "task_id": "ok"}))
        self.redis("SET", "celery-task-meta-bad", json.dumps(
            {"status": "FAILURE", "result": {"exc_type": "ValueError", "exc_message": ["boom"], "exc_module": "builtins"},
             "traceback": "Traceback\n", "children": [], "task_id": "bad"}))
        self.assertEqual(self.run_it(*store, "ok").stdout, '{"a": 1}\n')
        self.assertEqual(json.loads(self.run_it(*store, "ok", "--json").stdout)["status"], "SUCCESS")
        failed = self.run_it(*store, "bad", code=1)
        self.assertEqual((failed.stdout, failed.stderr), ("", "Traceback\nValueError: boom\n"))
        self.assertEqual(self.run_it(*store, "bad", "--traceback").stdout, "Traceback\n")
        self.run_it(*store, "never", "--timeout", "0.2", code=1)
        self.assertIn("no result store", self.run_it("result", "ok", code=2).stderr)

    def test_purge_counts_and_asks(self):
        for queue in "a", "a", "b":
            self.run_it("-b", self.url, "call", "t", "--queue", queue)
        self.run_it("-b", self.url, "call", "t", "--queue", "a", "--priority", "9")
        purge = ["-b", self.url, "purge", "-Q", "a,b"]
        self.assertIn("Aborted!", self.run_it(*purge, stdin="n\n", code=1).stderr)
        self.run_it(*purge, code=1)
        self.assertEqual(self.run_it(*purge, "-f").stdout, "Purged 4 messages from 2 known task queues.\n")
        self.assertEqual(self.run_it(*purge, "-f").stdout, "No messages purged from 2 queues.\n")
        self.run_it("-b", self.url, "call", "t", "--queue", "b")
        self.assertIn("Purged 1 message from 1 known task queue.",
                      self.run_it(*purge, "-X", "a", stdin="y\n").stdout)
        self.assertEqual(self.run_it("-b", self.url, "purge", "-f", "-Q", "a", "-X", "a").stdout, "")
        self.assertEqual(json.loads(self.run_it(*purge, "-f", "--json").stdout),
                         {"purged": 0, "queues": {"a": 0, "b": 0}})

    def test_queues_shows_depth_by_priority(self):
        for priority in "0", "0", "5":
            self.run_it("-b", self.url, "call", "t", "--queue", "q", "--priority", priority)
        rows = json.loads(self.run_it("-b", self.url, "queues", "-Q", "q", "--json").stdout)
        row = next(r for r in rows if r["name"] == "q")
        self.assertEqual((row["ready"], row["by_priority"]["0"], row["by_priority"]["3"]), (3, 2, 1))
        text = self.run_it("-b", self.url, "queues", "-Q", "q").stdout
        self.assertRegex(text, r"(?m)^q +3 +0:2 3:1 ")
        self.assertNotIn("\x1b", text)

    def test_mistakes_are_explained(self):
        says = lambda part, *args, code=2: self.assertIn(part, self.run_it(*args, code=code).stderr)
        says("did you mean purge?", "purg")
        says("write it before the command", "queues", "-b", self.url)
        says("write it before the command", "worker", "-b", self.url)
        says("--args is not JSON", "-b", self.url, "call", "t", "-a", "[")
        says("--kwargs must be a JSON object", "-b", self.url, "call", "t", "-k", "[]")
        says("no such option: --quue; did you mean --queue?", "call", "t", "--quue", "x")
        says("cannot connect to the message broker redis://:**@127.0.0.1:1/0", "-b", "redis://:pw@127.0.0.1:1/0", "queues",
             code=69)
        says("did you mean worker_concurrency?", "worker", "worker_concurency=3")
        self.assertRegex(self.run_it("--version").stdout, r"^celeriac \d+\.\d+\.\d+\n$")


if __name__ == "__main__":
    unittest.main()
