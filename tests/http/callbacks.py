"""Callbacks: who asked for it is told that a task has ended; signed, until it is understood, whatever is killed.

    callbacks.py --worker INTEROP_WORKER --celeriac CELERIAC --documents FOLDER
"""
import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
import unittest
import uuid

from front_stage import ADMIN, FrontCase, free_port, wait_for

PROCESS = "/api/v1/tasks/invoice_processing.process_document"
KEY = "a key that is long enough for a callback"


class Receiver(http.server.ThreadingHTTPServer):
    """Answers as it is told to, first to last, the last again and again; keeps what came."""

    def __init__(self, *answers):
        super().__init__(("127.0.0.1", 0), Answering)
        self.answers, self.seen = list(answers), []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return "http://127.0.0.1:%d/told?by=celeriac" % self.server_port


class Answering(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((dict(self.headers), body))
        answers = self.server.answers
        status = answers.pop(0) if len(answers) > 1 else answers[0]
        if status is None:  # no answer: the connection ends
            return
        self.send_response(status)
        if status in (301, 302):
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Callbacks(FrontCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.environment.update(CELERY_HTTP_CALLBACK_HOSTS="127.0.0.1", CELERY_HTTP_CALLBACK_KEY=KEY)
        cls.process.terminate()
        cls.process.wait(30)
        cls.port = free_port()
        cls.process = cls.serve("calling", cls.port)

    def receiver(self, *answers):
        receiver = Receiver(*answers)
        self.addCleanup(receiver.server_close)
        self.addCleanup(receiver.shutdown)
        return receiver

    def send(self, receiver, **more):
        answer = self.ask("POST", PROCESS, {"args": ["x"], "callback_url": receiver.url, **more})
        self.assertEqual(answer.status, 202, answer.body)
        return answer.json["id"]

    def end(self, task, state="SUCCESS", result=7):
        self.redis.client.set("celery-task-meta-" + task, json.dumps({"status": state, "result": result, "task_id": task}))

    def row(self, task):
        return self.sql("SELECT state, attempts, last_error FROM outbox WHERE effect_key = 'callback:%s'" % task)

    def hurry(self, task):
        self.sql("UPDATE outbox SET available_at = now() WHERE state = 'waiting' AND effect_key = 'callback:%s'" % task)

    def told(self, receiver, task, count):
        def enough():
            self.hurry(task)  # instead of the pauses between attempts
            return len(receiver.seen) >= count
        wait_for(enough, 30, "%d requests" % count, every=0.2)

    def check_signature(self, headers, body):
        headers = {k.lower(): v for k, v in headers.items()}
        text = headers["webhook-id"].encode() + b"." + headers["webhook-timestamp"].encode() + b"." + body
        self.assertEqual(headers["webhook-signature"], "v1," + base64.b64encode(hmac.new(KEY.encode(), text, hashlib.sha256).digest()).decode())
        self.assertLess(abs(int(headers["webhook-timestamp"]) - time.time()), 60)
        return headers["webhook-id"]

    def test_the_end_of_a_task_is_told_until_it_is_understood(self):
        receiver = self.receiver(500, None, 302, 204)
        task = self.send(receiver)
        wait_for(lambda: self.ask("GET", "/api/v1/tasks/" + task).json["state"] == "PENDING", 20, "the task to be sent")
        self.assertEqual(receiver.seen, [])  # nothing has ended
        self.end(task, result={"total": 12345678901234567890})
        self.told(receiver, task, 4)
        wait_for(lambda: self.row(task).startswith("sent|"), 20, "the row to be settled")
        self.assertEqual(len({self.check_signature(*one) for one in receiver.seen}), 1)  # one callback
        bodies = {body for _, body in receiver.seen}
        self.assertEqual([json.loads(b)["result"] for b in bodies], [{"total": 12345678901234567890}])
        said = json.loads(receiver.seen[0][1])
        self.assertEqual((said["id"], said["state"], said["final"]), (task, "SUCCESS", True))
        self.assertEqual(said, self.ask("GET", "/api/v1/tasks/" + task).json)
        self.assertEqual(len(receiver.seen), 4)

    def test_a_failure_is_told_too(self):
        receiver = self.receiver(200)
        task = self.send(receiver)
        self.end(task, "FAILURE", {"exc_type": "ValueError", "exc_message": ["boom"], "exc_module": "builtins"})
        self.told(receiver, task, 1)
        self.assertEqual(json.loads(receiver.seen[0][1])["error"]["exc_type"], "ValueError")

    def test_a_result_that_cannot_be_read_is_asked_for_again_however_old(self):
        receiver = self.receiver(200)
        task = self.send(receiver)
        self.redis.client.rpush("celery-task-meta-" + task, "no string")
        self.sql("UPDATE outbox SET created_at = now() - interval '8 days' WHERE effect_key = 'callback:%s'" % task)

        def looked():
            self.hurry(task)
            return self.row(task).startswith("waiting|0|the result cannot be read: ")
        wait_for(looked, 30, "the failure to be kept with the callback", every=0.5)
        self.redis.client.delete("celery-task-meta-" + task)
        self.end(task)
        self.told(receiver, task, 1)
        wait_for(lambda: self.row(task).startswith("sent|"), 20, "the row to be settled")

    def test_who_is_gone_is_left_alone_until_somebody_says_so(self):
        receiver = self.receiver(410, 200)
        task = self.send(receiver)
        self.end(task)
        self.told(receiver, task, 1)
        wait_for(lambda: self.row(task).startswith("failed|"), 20, "the row to be settled")
        self.problem(self.ask("GET", "/api/v1/callbacks"), 403, "not-allowed")
        failed = self.ask("GET", "/api/v1/callbacks?status=failed", who=ADMIN).json["callbacks"]
        mine = [c for c in failed if c["task_id"] == task]
        self.assertEqual((mine[0]["last_error"], mine[0]["url"]), ("the receiver answered 410", receiver.url))
        again = "/api/v1/callbacks/%s/retry" % mine[0]["id"]
        self.problem(self.ask("POST", again), 403, "not-allowed")
        self.assertEqual(self.ask("POST", again, who=ADMIN).status, 202)
        self.told(receiver, task, 2)
        wait_for(lambda: self.row(task).startswith("sent|"), 20, "the row to be settled")
        self.problem(self.ask("POST", again, who=ADMIN), 404, "unknown-id")
        self.problem(self.ask("POST", "/api/v1/callbacks/%s/retry" % uuid.uuid4(), who=ADMIN), 404, "unknown-id")
        self.assertEqual(self.sql("SELECT state FROM operator_actions WHERE action = 'callback' ORDER BY asked_at LIMIT 2").splitlines(), ["done", "failed"])

    def test_another_process_tells_what_a_killed_one_did_not(self):
        receiver = self.receiver(200)
        port = free_port()
        doomed = self.serve("doomed", port)
        tasks = [self.ask("POST", PROCESS, {"args": ["x"], "callback_url": receiver.url}, port=port).json["id"] for _ in range(10)]
        for task in tasks:
            self.end(task)
        wait_for(lambda: receiver.seen, 20, "the first to be told")
        doomed.kill()
        doomed.wait()

        def all_told():
            self.sql("UPDATE outbox SET available_at = now() WHERE state = 'waiting' AND kind = 'webhook'")  # the claims of the killed
            return {json.loads(body)["id"] for _, body in receiver.seen} >= set(tasks)
        wait_for(all_told, 30, "every callback", every=0.3)

    def test_a_batch_and_a_repetition_tell_once(self):
        receiver = self.receiver(200)
        body = {"tasks": [{"task": "invoice_processing.process_document", "args": [str(n)], "callback_url": receiver.url} for n in range(3)]}
        answers = [self.ask("POST", "/api/v1/tasks:batch", body, Idempotency_Key='"batch"').json for _ in range(2)]
        self.assertEqual(answers[0], answers[1])
        tasks = [t["task"]["id"] for t in answers[0]["tasks"]]
        self.assertEqual(self.sql("SELECT count(*) FROM outbox WHERE kind = 'webhook' AND payload->>'task_id' IN ('%s')" % "','".join(tasks)), "3")

    def test_what_cannot_be_called_back_is_said(self):
        receiver = self.receiver(200)
        for url in ("http://localhost:%d/" % receiver.server_port, "http://169.254.169.254/", "file:///etc/passwd", "http://me:pw@127.0.0.1/", 7):
            said = self.problem(self.ask("POST", PROCESS, {"args": ["x"], "callback_url": url}), 422, "body-does-not-fit")
            self.assertEqual([e["pointer"] for e in said["errors"]], ["#/callback_url"])
        api = self.ask("GET", "/api/v1/openapi.json", who=None).json
        self.assertIn("{$request.body#/callback_url}", api["paths"][PROCESS]["post"]["callbacks"]["ended"])

    def test_a_result_that_is_not_kept_any_more_is_gone(self):
        task = self.ask("POST", PROCESS, {"args": ["x"]}).json["id"]
        path = "/api/v1/tasks/" + task
        wait_for(lambda: self.ask("GET", path).json["state"] == "PENDING", 20, "the task to be sent")
        self.sql("UPDATE outbox SET sent_at = now() - interval '25 hours' WHERE id = '%s'" % task)
        for where in (path, path + "/result"):
            self.problem(self.ask("GET", where), 410, "result-gone")
        # With a ledger: what it has not seen to end may still wait.
        port = free_port()
        self.serve("with-ledger", port, CELERY_LEDGER_URL=self.database)
        wait_for(lambda: self.sql("SELECT to_regclass('task_runs_open') IS NOT NULL") == "t", 20, "the ledger's tables")
        self.assertEqual(self.ask("GET", path, port=port).json["state"], "PENDING")
        self.sql("INSERT INTO task_runs (task_id, task, queue, state, worker, attempt, ended_at, runtime_ms, cpu_ms, peak_rss_kib) VALUES "
                 "('%s', 't', 'q', 'SUCCESS', 'w', 1, now(), 1, 1, 1)" % task)
        gone = wait_for(lambda: (lambda a: a if a.status != 200 else None)(self.ask("GET", path, port=port)), 20, "the ledger to be asked")
        self.assertIn("ended as SUCCESS", self.problem(gone, 410, "result-gone")["detail"])
        self.end(task)  # kept after all
        self.assertEqual(self.ask("GET", path).json["state"], "SUCCESS")


if __name__ == "__main__":
    unittest.main(argv=["callbacks"])
