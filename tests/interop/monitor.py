"""Probes, metrics, watchdog and the ledger of a running worker.

    monitor.py --worker INTEROP_WORKER --celeriac CELERIAC --docker FOLDER
"""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import unittest
import urllib.error
import urllib.request

import stage
from stage import Stage, free_port, wait_for

ARGUMENTS = stage.arguments(celeriac="", docker="")
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("CELERY", "CELERIAC"))}


class Monitor(unittest.TestCase):
    def setUp(self):
        self.stage = Stage().__enter__()
        self.addCleanup(self.stage.__exit__, None, None, None)
        self.redis = self.stage.redis()
        self.url = self.redis.url()

    def worker(self, *extra, env=None, pool="threads", name="w1", wait=True):
        return self.stage.worker(ARGUMENTS.worker, self.url, self.url, name=name, queues="q", pool=pool, extra=extra, wait=wait,
                                 env={"EFFECTS_PORT": str(self.redis.port), **(env or {})})

    def get(self, port, path):
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path), timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def app(self):
        from celery import Celery
        return Celery("c", broker=self.url, backend=self.url)

    def send(self, task, args, **options):
        return self.app().send_task(task, args, queue="q", **options)

    def metric(self, port, metric, **labels):
        for line in self.get(port, "/metrics")[1].splitlines():
            match = re.match(r"(\w+)(?:\{(.*)\})? (\S+)$", line)
            if not match or match[1] != metric:
                continue
            found = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            if all(found.get(k) == v for k, v in labels.items()):
                return float(match[3])
        return None

    def test_metrics_and_probes(self):
        port = free_port()
        worker = self.worker("--metrics-port", str(port), pool="prefork")
        wait_for(lambda: self.get(port, "/readyz")[0] == 200, 20, "the worker to be ready")
        self.assertEqual(self.get(port, "/livez"), (200, "alive\n"))
        self.assertEqual(self.get(port, "/startupz"), (200, "started\n"))
        self.assertEqual(self.get(port, "/nothing")[0], 404)
        self.assertEqual(self.send("interop.add", [1, 2]).get(timeout=20), 3)
        with self.assertRaises(Exception):
            self.send("interop.fail", ["ValueError", ["no"]]).get(timeout=20)
        self.send("interop.add", [1, 2], countdown=3600)
        labels = {"name": "interop.add", "queue_name": "q", "hostname": "w1@interop"}
        wait_for(lambda: self.metric(port, "celery_queue_delayed", queue_name="q") == 1, 20, "the delayed message to be counted")
        self.assertEqual(self.metric(port, "celery_task_succeeded_total", **labels), 1)
        self.assertEqual(self.metric(port, "celery_task_started_total", **labels), 1)
        self.assertEqual(self.metric(port, "celery_task_failed_total", name="interop.fail"), 1)
        self.assertEqual(self.metric(port, "celery_task_runtime_count", **labels), 1)
        self.assertEqual(self.metric(port, "celery_worker_slots", hostname="w1@interop"), 2)
        self.assertEqual(self.metric(port, "celery_queue_length", queue_name="q"), 0)
        self.assertGreater(self.metric(port, "celery_task_peak_memory_bytes", **labels), 1 << 20)
        self.assertGreater(self.metric(port, "process_resident_memory_bytes"), 1 << 20)
        promtool = subprocess.run(["promtool", "check", "metrics"], input=self.get(port, "/metrics")[1], text=True,
                                  capture_output=True)
        self.assertEqual(promtool.returncode, 0, promtool.stdout + promtool.stderr)
        worker.terminate()
        self.assertEqual(worker.wait(30), 0)

    def test_a_frozen_broker_makes_it_unready_and_it_recovers_by_itself(self):
        port = free_port()
        worker = self.worker("--metrics-port", str(port))
        wait_for(lambda: self.get(port, "/readyz")[0] == 200, 20, "the worker to be ready")
        self.redis.process.send_signal(signal.SIGSTOP)
        try:
            wait_for(lambda: self.get(port, "/readyz")[0] == 503, 30, "the worker to see that the broker is frozen")
            self.assertIn("not answered", self.get(port, "/readyz")[1])
            self.assertEqual(self.get(port, "/livez")[0], 200)
            self.assertEqual(self.metric(port, "celeriac_ready"), 0)
        finally:
            self.redis.process.send_signal(signal.SIGCONT)
        wait_for(lambda: self.get(port, "/readyz")[0] == 200, 60, "the worker to be ready again")
        self.assertEqual(self.send("interop.add", [2, 2]).get(timeout=20), 4)
        self.assertIsNone(worker.poll())

    def test_a_broker_that_is_away_makes_it_unready(self):
        port = free_port()
        worker = self.worker("--metrics-port", str(port))
        wait_for(lambda: self.get(port, "/readyz")[0] == 200, 20, "the worker to be ready")
        self.redis.process.kill()
        self.redis.process.wait()
        wait_for(lambda: "no connection" in self.get(port, "/readyz")[1], 30, "the worker to see that the broker is away")
        self.redis = self.stage.redis("again", port=self.redis.port)
        wait_for(lambda: self.get(port, "/readyz")[0] == 200, 60, "the worker to be ready again")
        self.assertIsNone(worker.poll())

    def test_a_paused_queue_is_no_stall(self):
        self.redis.client.hset("celeriac.paused", "q", "test")
        port = free_port()
        self.worker("--metrics-port", str(port))
        self.send("interop.add", [1, 1])
        wait_for(lambda: self.metric(port, "celery_queue_paused", queue_name="q") == 1, 20, "the pause to be told")
        self.assertEqual(self.metric(port, "celery_queue_length", queue_name="q"), 1)
        self.assertEqual(self.get(port, "/readyz")[0], 200)

    def test_an_address_that_is_taken_is_an_error(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            worker = self.worker("--metrics-port", str(taken.getsockname()[1]), wait=False)
            self.assertEqual(worker.wait(30), 2)
        self.assertIn("cannot listen on 127.0.0.1:", self.stage.log("w1"))

    def test_bad_requests_get_an_answer_and_do_no_harm(self):
        port = free_port()
        self.worker("--metrics-port", str(port))
        for bad, says in {b"nonsense\r\n\r\n": b"400", b"POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n": b"405",
                          b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n": b""}.items():
            with socket.create_connection(("127.0.0.1", port), 10) as s:
                s.sendall(bad)
                self.assertIn(says, s.recv(200))
        self.assertEqual(self.get(port, "/livez")[0], 200)

    def test_the_service_manager_is_kept_informed(self):
        path = os.path.join(self.stage.dir, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(30)
            worker = self.worker(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"})
            heard = [manager.recv(100) for _ in range(6)]
            self.assertIn(b"READY=1", heard)
            self.assertGreater(heard.count(b"WATCHDOG=1"), 3)
            self.redis.process.kill()  # a broker that is away is no reason to be restarted
            self.redis.process.wait()
            self.assertEqual([manager.recv(100) for _ in range(5)], [b"WATCHDOG=1"] * 5)
            worker.terminate()
            while manager.recv(100) != b"STOPPING=1":
                pass

    # ---- Prometheus ----

    def test_rules_and_dashboard_name_metrics_that_exist(self):
        folder = os.path.join(ARGUMENTS.docker, "prometheus")
        for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
            done = subprocess.run(["promtool", *command], cwd=folder, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        port = free_port()
        self.worker("--metrics-port", str(port))
        self.send("interop.add", [1, 2]).get(timeout=20)
        wait_for(lambda: self.metric(port, "celery_queue_length", queue_name="q") is not None, 20, "the queue's depth")
        told = set(re.findall(r"(?m)^(\w+)", self.get(port, "/metrics")[1]))
        with open(os.path.join(ARGUMENTS.docker, "grafana", "celeriac.json")) as f:
            panels = json.load(f)["panels"]
        used = {name for p in panels for t in p["targets"] for name in re.findall(r"\b((?:celery|celeriac|process)_\w+)\{?", t["expr"])}
        self.assertTrue(used)
        self.assertEqual(used - told, set())

    def test_a_real_prometheus_scrapes_it_and_loads_the_rules(self):
        port, web = free_port(), free_port()
        self.worker("--metrics-port", str(port))
        with open(os.path.join(ARGUMENTS.docker, "prometheus", "prometheus.yml")) as f:
            text = f.read()
        text, replaced = re.subn(r"dns_sd_configs:.*\n *- \{names: \[celeriac-worker\].*\}",
                                 'static_configs: [{targets: ["127.0.0.1:%d"]}]' % port, text)
        self.assertEqual(replaced, 1)
        config = os.path.join(self.stage.dir, "prometheus.yml")
        rules = os.path.abspath(os.path.join(ARGUMENTS.docker, "prometheus", "alerts.yml"))
        with open(config, "w") as f:
            f.write(text.replace("15s", "1s").replace("alerts.yml", rules))
        self.stage.run("prometheus", ["prometheus", "--config.file", config, "--storage.tsdb.path", os.path.join(self.stage.dir, "tsdb"),
                                      "--web.listen-address", "127.0.0.1:%d" % web])

        def query(path):
            try:
                return json.loads(self.get(web, path)[1])["data"]
            except (OSError, ValueError):
                return None
        self.send("interop.add", [1, 2]).get(timeout=20)
        wait_for(lambda: (query("/api/v1/query?query=sum(celery_task_succeeded_total)") or {}).get("result"), 60, "a scrape")
        self.assertEqual(query("/api/v1/query?query=sum(celery_task_succeeded_total)")["result"][0]["value"][1], "1")
        names = {r["name"] for g in query("/api/v1/rules")["groups"] for r in g["rules"]}
        self.assertIn("CeleryQueueBacklog", names)

    # ---- the ledger ----

    def ledger(self):
        return "postgresql://" + self.stage.postgres()

    def tasks(self, ledger, *args, code=0):
        done = subprocess.run([ARGUMENTS.celeriac, "-b", self.url, "tasks", *args, "--json"], capture_output=True, text=True,
                              env={**CLEAN, "CELERY_LEDGER_URL": ledger}, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout) if code == 0 else done.stderr

    def test_every_run_is_in_the_ledger(self):
        ledger = self.ledger()
        self.worker("ledger_url=" + ledger, pool="prefork")
        added = self.send("interop.add", [1, 2])
        failed = self.send("interop.fail", ["ValueError", ["password=hunter2 no"]])
        retried = self.send("interop.retry", ["x", 2])
        expired = self.send("interop.add", [1, 2], expires=-1)
        self.assertEqual(added.get(timeout=20), 3)
        self.assertEqual(retried.get(timeout=20), ["x", 2])
        wait_for(lambda: len(self.tasks(ledger, "ls")) == 6, 20, "six rows")
        (row,) = self.tasks(ledger, "show", added.id)
        self.assertEqual((row["state"], row["task"], row["queue"], row["attempt"], row["worker"], row["result"], row["args"]),
                         ("SUCCESS", "interop.add", "q", 1, "w1@interop", "3.0", "[1, 2]"))
        self.assertGreater(row["peak_rss_kib"], 1000)
        self.assertLessEqual(row["started"], row["ended"])
        (row,) = self.tasks(ledger, "show", failed.id)
        self.assertEqual(row["state"], "FAILURE")
        self.assertNotIn("hunter2", json.dumps(row))
        self.assertRegex(row["cause"], "^ValueError: ")
        self.assertEqual([r["state"] for r in self.tasks(ledger, "show", retried.id)], ["SUCCESS", "RETRY", "RETRY"])
        self.assertEqual([r["attempt"] for r in self.tasks(ledger, "show", retried.id)], [3, 2, 1])
        (row,) = self.tasks(ledger, "show", expired.id)
        self.assertEqual((row["state"], row["started"]), ("REVOKED", None))
        ids = lambda *a: [r["id"] for r in self.tasks(ledger, "ls", *a)]
        self.assertEqual(ids("--state", "FAILURE"), [failed.id])
        self.assertEqual(ids("--words", "valueerror password"), [failed.id])
        self.assertEqual(ids("--task", "interop.fail", "-Q", "q"), [failed.id])
        self.assertEqual(ids("-Q", "other"), [])
        newest = self.tasks(ledger, "ls", "--limit", "2")
        self.assertEqual(len(ids("--before", str(newest[-1]["run"]))), 4)
        self.assertIn("knows no run", self.tasks(ledger, "show", "nothing", code=1))
        odd = self.send("interop.fail", ["KeyError", ["nul \x00 surrogate \ud800 odd"]])  # no text of PostgreSQL's
        wait_for(lambda: ids("--words", "odd") == [odd.id], 20, "the odd row")
        again = self.send("interop.effect", [0])
        again.get(timeout=20)
        wait_for(lambda: ids("--task", "interop.effect"), 20, "the row")
        self.assertEqual(self.tasks(ledger, "retry", again.id, "--yes"), {"id": again.id, "queue": "q"})
        wait_for(lambda: self.redis.client.get("effect:" + again.id) == b"2", 20, "the second run")
        self.assertEqual(self.tasks(ledger, "cancel", again.id)["workers"], 1)

    def test_the_ledger_catches_up_after_its_server_was_away(self):
        ledger = self.ledger()
        worker = self.worker("ledger_url=" + ledger)
        self.send("interop.add", [1, 2]).get(timeout=20)
        wait_for(lambda: len(self.tasks(ledger, "ls")) == 1, 20, "the first row")
        postgres = next(p for p in self.stage.processes if "postgres" in " ".join(p.args))
        postgres.send_signal(signal.SIGQUIT)
        postgres.wait(30)
        for n in range(5):
            self.assertEqual(self.send("interop.add", [n, 2]).get(timeout=20), n + 2)
        self.stage.run("postgres", postgres.args)
        ready = ["pg_isready", "-q", "-d", ledger]
        wait_for(lambda: subprocess.run(ready).returncode == 0, 30, "postgres")
        wait_for(lambda: len(self.tasks(ledger, "ls")) == 6, 60, "the other rows")
        self.send("interop.add", [9, 9]).get(timeout=20)
        worker.terminate()
        self.assertEqual(worker.wait(30), 0)
        self.assertEqual(len(self.tasks(ledger, "ls")), 7)

    def test_a_worker_ends_although_the_ledgers_server_is_away(self):
        worker = self.worker("ledger_url=postgresql://nobody@127.0.0.1:1/none")
        self.assertEqual(self.send("interop.add", [1, 2]).get(timeout=20), 3)
        worker.terminate()
        self.assertEqual(worker.wait(30), 0)
        self.assertIn("could not be written", self.stage.log("w1"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
