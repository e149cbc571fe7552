"""The HTTP front end from outside: tasks in, what became of them, and what holds when something dies.

    front.py --worker INTEROP_WORKER --celeriac CELERIAC --documents FOLDER
"""
import base64
import concurrent.futures
import http.client
import json
import signal
import subprocess
import threading
import time
import unittest
import uuid

from front_stage import ADMIN, ARGUMENTS, CLEAN, OTHER, FrontCase, free_port, wait_for

PROCESS = "/api/v1/tasks/invoice_processing.process_document"


class Front(FrontCase):
    # ---- tasks ----

    def test_a_task_is_accepted_and_reaches_the_queue_as_celerys_message(self):
        answer = self.ask("POST", PROCESS, {"args": ["file:///x.pdf"], "kwargs": {"options": None}, "priority": 3})
        self.assertEqual(answer.status, 202, answer.body)
        task = answer.json
        self.assertEqual((answer.headers["Location"], answer.headers["Retry-After"]), ("/api/v1/tasks/" + task["id"], "1"))
        self.assertEqual((task["state"], task["queue"]), ("QUEUED", "invoice_processing"))
        wait_for(lambda: self.redis.client.llen("invoice_processing\x06\x163") == 1, 10, "the message")
        message = json.loads(self.redis.client.lindex("invoice_processing\x06\x163", 0))
        self.assertEqual((message["headers"]["id"], message["headers"]["argsrepr"]), (task["id"], "('file:///x.pdf',)"))
        self.assertEqual(json.loads(base64.b64decode(message["body"]))[:2], [["file:///x.pdf"], {"options": None}])
        wait_for(lambda: self.ask("GET", answer.headers["Location"]).json["state"] == "PENDING", 10, "the row to be settled")

    def test_what_became_of_it(self):
        answer = self.ask("POST", PROCESS, {"args": ["file:///nothing.pdf"]})
        path = answer.headers["Location"]
        self.assertFalse(self.ask("GET", path).json["final"])
        self.assertEqual(self.ask("GET", path + "/result").status, 202)
        self.redis.client.set("celery-task-meta-" + answer.json["id"], json.dumps(
            {"status": "SUCCESS", "result": {"total": 12345678901234567890}, "traceback": None, "children": [],
             "date_done": "2026-01-01T00:00:00+00:00", "task_id": answer.json["id"]}))
        state = self.ask("GET", path)
        self.assertEqual((state.json["state"], state.json["final"], state.json["result"]), ("SUCCESS", True, {"total": 12345678901234567890}))
        self.assertIsNone(state.headers["Retry-After"])
        self.assertEqual(self.ask("GET", path + "/result").json["result"], {"total": 12345678901234567890})
        self.problem(self.ask("DELETE", path), 409, "already-final")
        self.problem(self.ask("GET", path, who=OTHER), 404, "unknown-id")
        self.assertEqual(self.ask("GET", path, who=ADMIN).status, 200)
        self.problem(self.ask("GET", "/api/v1/tasks/" + str(uuid.uuid4())), 404, "unknown-id")

    def test_prefer_wait_answers_with_the_result(self):
        def ours():  # others' messages may still be on their way
            raw = self.redis.client.rpop("invoice_processing")
            headers = json.loads(raw)["headers"] if raw else {}
            return headers.get("id") if "waited for" in headers.get("argsrepr", "") else None

        def finish():
            task = wait_for(ours, 20, "the message")
            self.redis.client.set("celery-task-meta-" + task, json.dumps({"status": "SUCCESS", "result": 7, "traceback": None,
                                                                        "children": [], "task_id": task}))
            self.redis.client.publish("celery-task-meta-" + task, self.redis.client.get("celery-task-meta-" + task))
        with concurrent.futures.ThreadPoolExecutor() as threads:
            done = threads.submit(finish)
            answer = self.ask("POST", PROCESS, {"args": ["waited for"]}, Prefer="wait=20")
            done.result()
        self.assertEqual((answer.status, answer.json["result"], answer.headers["Preference-Applied"]), (200, 7, "wait"))
        self.assertEqual(self.ask("POST", PROCESS, {"args": ["x"]}, Prefer="wait=1").status, 202)

    def test_an_idempotency_key_makes_one_task_of_many_requests(self):
        key = '"%s"' % uuid.uuid4()
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: self.ask("POST", PROCESS, {"args": ["a"]}, Idempotency_Key=key), range(8)))
        self.assertEqual({a.status for a in answers}, {202})
        self.assertEqual(len({a.json["id"] for a in answers}), 1)
        self.assertEqual(sum(a.headers["Idempotency-Replayed"] == "true" for a in answers), 7)
        wait_for(lambda: self.redis.client.llen("invoice_processing") >= 1, 10, "the message")
        self.assertEqual(self.sql("SELECT count(*) FROM outbox WHERE id = '%s'" % answers[0].json["id"]), "1")
        self.problem(self.ask("POST", PROCESS, {"args": ["b"]}, Idempotency_Key=key), 422, "idempotency-key-reused")
        self.assertEqual(self.ask("POST", PROCESS, {"args": ["b"]}, Idempotency_Key=key, who=OTHER).status, 202)
        self.problem(self.ask("POST", PROCESS, {"args": ["b"]}, Idempotency_Key="x" * 200), 400, "bad-idempotency-key")

    def test_only_one_of_a_kind(self):
        body = {"args": ["same"], "unique_for": "10m"}
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: self.ask("POST", PROCESS, body), range(8)))
        self.assertEqual(sorted(a.status for a in answers), [202] + [409] * 7)
        first = [a for a in answers if a.status == 202][0].json["id"]
        refused = [a for a in answers if a.status == 409][0]
        self.problem(refused, 409, "not-unique")
        self.assertEqual((refused.headers["Location"], refused.json["detail"]), ("/api/v1/tasks/" + first, first))
        again = self.ask("POST", PROCESS, {**body, "on_conflict": "return"})
        self.assertEqual((again.status, again.json["id"]), (202, first))
        self.assertEqual(self.ask("POST", PROCESS, {**body, "args": ["other"]}).status, 202)
        self.assertEqual(self.ask("POST", PROCESS, {**body, "args": ["other"], "dedupe_key": "k"}).status, 202)
        self.assertEqual(self.ask("POST", PROCESS, {**body, "args": ["third"], "dedupe_key": "k"}).status, 409)
        # A key of a request that was refused is free again.
        self.assertEqual(self.ask("POST", PROCESS, body, Idempotency_Key='"u1"').status, 409)
        self.sql("UPDATE idempotency_records SET expires_at = now() WHERE idempotency_key LIKE 'unique:%'")
        self.assertEqual(self.ask("POST", PROCESS, body, Idempotency_Key='"u1"').status, 202)
        said = self.problem(self.ask("POST", PROCESS, {"args": ["x"], "unique_for": "soon", "dedupe_key": "", "on_conflict": "dance"}), 422, "body-does-not-fit")
        self.assertEqual({e["pointer"] for e in said["errors"]}, {"#/unique_for", "#/dedupe_key", "#/on_conflict"})

    def test_a_queue_may_be_named_in_the_path(self):
        answer = self.ask("POST", "/api/v1/queues/export/tasks", {"task": "invoice_processing.process_document", "args": ["x"]})
        self.assertEqual((answer.status, answer.json["queue"]), (202, "export"), answer.body)
        wait_for(lambda: self.redis.client.llen("export") == 1, 10, "the message")
        said = self.problem(self.ask("POST", "/api/v1/queues/exprt/tasks", {"task": "x"}), 404, "unknown-queue")
        self.assertIn("did you mean export?", said["detail"])
        self.problem(self.ask("POST", "/api/v1/queues/export/tasks", {"args": []}), 422, "body-does-not-fit")
        self.problem(self.ask("POST", "/api/v1/queues/export/tasks", {"task": "nope"}), 404, "unknown-task")
        self.problem(self.ask("POST", "/api/v1/queues/export/tasks", []), 422, "body-does-not-fit")

    def test_what_has_not_changed_is_not_sent_again(self):
        path = self.ask("POST", PROCESS, {"args": ["x"]}).headers["Location"]
        wait_for(lambda: self.ask("GET", path).json["state"] == "PENDING", 10, "the row to be settled")
        first = self.ask("GET", path)
        tag = first.headers["ETag"]
        same = self.ask("GET", path, If_None_Match='"other", ' + tag)
        self.assertEqual((same.status, same.body, same.headers["ETag"]), (304, b"", tag))
        self.assertEqual(self.ask("GET", path, If_None_Match='"other"').status, 200)
        self.assertEqual(self.ask("GET", "/api/v1/tasks", If_None_Match=tag).status, 200)

    def test_a_batch_tells_each_task_its_fate(self):
        tasks = [{"task": "invoice_processing.process_document", "args": ["a"]}, {"task": "nope"}, {"args": []},
                 {"task": "invoice_processing.process_document", "args": {}, "priority": 300}]
        answer = self.ask("POST", "/api/v1/tasks:batch", {"tasks": tasks}, Idempotency_Key='"b1"')
        self.assertEqual(answer.status, 207, answer.body)
        self.assertEqual([t["status"] for t in answer.json["tasks"]], [202, 404, 422, 422])
        self.assertEqual([e["pointer"] for e in answer.json["tasks"][3]["problem"]["errors"]], ["#/args", "#/priority"])
        again = self.ask("POST", "/api/v1/tasks:batch", {"tasks": tasks}, Idempotency_Key='"b1"')
        self.assertEqual((again.headers["Idempotency-Replayed"], again.json), ("true", answer.json))
        many = self.ask("POST", "/api/v1/tasks:batch", {"tasks": [tasks[0]] * 1000})
        self.assertEqual((many.status, many.json["accepted"]), (202, 1000))
        wait_for(lambda: self.redis.client.llen("invoice_processing") == 1001, 60, "the messages")
        self.problem(self.ask("POST", "/api/v1/tasks:batch", {"tasks": [tasks[0]] * 1001}), 422, "body-does-not-fit")
        self.assertEqual(self.ask("POST", "/api/v1/tasks:batch", {"tasks": [tasks[1]]}).status, 422)

    def test_events_tell_what_changes_and_end(self):
        task = self.ask("POST", PROCESS, {"args": ["x"]}).json
        seen = []
        for event in self.events(task["links"]["events"]):
            seen.append(event)
            if event[2]["state"] == "PENDING":
                self.redis.client.set("celery-task-meta-" + task["id"], json.dumps({"status": "SUCCESS", "result": 7, "task_id": task["id"]}))
        self.assertEqual([e[0] for e in seen], ["state"] * len(seen))
        self.assertEqual([e[2]["state"] for e in seen][-2:], ["PENDING", "SUCCESS"])
        self.assertEqual(seen[-1][2]["result"], 7)
        self.assertEqual(list(self.events(task["links"]["events"], **{"Last-Event-ID": seen[-1][1]})), [])
        self.assertEqual([e[2]["state"] for e in self.events(task["links"]["events"], **{"Last-Event-ID": seen[0][1]})], ["SUCCESS"])
        self.problem(self.ask("GET", "/api/v1/tasks/%s/events" % uuid.uuid4()), 404, "unknown-id")

    def test_a_shutdown_answers_who_waits(self):
        port = free_port()
        process = self.serve("leaving", port)
        task = self.ask("POST", PROCESS, {"args": ["x"]}, port=port).json
        stream = self.events(task["links"]["events"], port=port)
        next(stream)
        with concurrent.futures.ThreadPoolExecutor() as threads:
            waiting = threads.submit(self.ask, "POST", PROCESS, {"args": ["x"]}, port=port, Prefer="wait=50")
            wait_for(lambda: self.redis.client.llen("invoice_processing") == 2, 20, "the second message")
            process.terminate()
            self.assertEqual(waiting.result().status, 202)
        list(stream)  # ends
        self.assertEqual(process.wait(30), 0)

    def test_bad_requests_say_what_is_wrong(self):
        said = self.problem(self.ask("POST", PROCESS.replace("document", "documnt"), {}), 404, "unknown-task")
        self.assertIn("did you mean invoice_processing.process_document?", said["detail"])
        said = self.problem(self.ask("POST", PROCESS, {"args": {}, "kwargs": {"nope": 1}, "priority": "x", "eta": "soon", "more": 1}), 422,
                            "body-does-not-fit")
        self.assertEqual({e["pointer"] for e in said["errors"]}, {"#/args", "#/kwargs/nope", "#/priority", "#/eta", "#/more"})

    def test_a_cancelled_task_is_revoked_as_celery_does_it(self):
        worker = self.stage.worker(ARGUMENTS.worker, self.redis.url(), self.redis.url(), name="revoking", queues="other", pool="threads")
        task = self.ask("POST", PROCESS, {"args": ["x"]}).json["id"]
        self.assertEqual(self.ask("DELETE", "/api/v1/tasks/" + task).status, 202)
        wait_for(lambda: task in self.stage.log("revoking") or task in subprocess.run(
            [ARGUMENTS.celeriac, "-b", self.redis.url(), "inspect", "--json", "revoked"], capture_output=True, text=True, env=CLEAN).stdout,
            20, "the worker to remember it")
        worker.terminate()
        worker.wait(30)

    # ---- nothing is lost ----

    def test_what_was_accepted_is_sent_although_everything_dies(self):
        port = free_port()
        process = self.serve("dying", port)
        broker = self.redis
        broker.process.send_signal(signal.SIGSTOP)  # nothing can be published
        try:
            ids = [self.ask("POST", PROCESS, {"args": [str(n)]}, port=port).json["id"] for n in range(20)]
            process.kill()
            process.wait()
        finally:
            broker.process.send_signal(signal.SIGCONT)
        self.sql("UPDATE outbox SET available_at = now() WHERE state = 'waiting'")  # instead of a minute's wait for the dead one's claims

        def sent():
            return {json.loads(m)["headers"]["id"] for m in broker.client.lrange("invoice_processing", 0, -1)}
        wait_for(lambda: set(ids) <= sent(), 60, "every accepted task to be sent")

    def test_kill_9_under_load_loses_no_accepted_task(self):
        port, accepted, lock = free_port(), [], threading.Lock()
        process = self.serve("killed0", port)

        def client(n):
            for i in range(40):
                while True:  # until it is answered, under one key: so it is one task
                    try:
                        answer = self.ask("POST", PROCESS, {"args": ["%d.%d" % (n, i)]}, port=port, Idempotency_Key='"kill-%d-%d"' % (n, i))
                    except (OSError, http.client.HTTPException):
                        time.sleep(0.02)  # it is being started again
                        continue
                    self.assertEqual(answer.status, 202, answer.body)
                    with lock:
                        accepted.append(answer.json["id"])
                    break
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            clients = [threads.submit(client, n) for n in range(4)]
            for kill in (1, 2, 3):
                wait_for(lambda: len(accepted) >= kill * 40, 60, "accepted tasks")
                process.kill()
                process.wait()
                process = self.serve("killed%d" % kill, port)
            for done in clients:
                done.result()

        def sent():
            # Instead of a minute's wait for the claims of the killed.
            self.sql("UPDATE outbox SET available_at = now() WHERE state = 'waiting'")
            return {json.loads(m)["headers"]["id"] for m in self.redis.client.lrange("invoice_processing", 0, -1)}
        self.assertEqual(len(set(accepted)), 160)
        wait_for(lambda: set(accepted) <= sent(), 60, "every accepted task to be sent", every=0.5)
        process.terminate()
        self.assertEqual(process.wait(30), 0)

    def test_a_database_that_is_away_is_said_so(self):
        port = free_port()
        self.serve("lonely", port, CELERY_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
        answer = self.ask("POST", PROCESS, {"args": ["x"]}, port=port)
        self.problem(answer, 503, "database-away")
        self.assertEqual(answer.headers["Retry-After"], "5")
        self.assertEqual(self.ask("GET", "/api/v1/health/detailed", port=port).status, 503)
        self.assertEqual(self.ask("GET", "/livez", port=port).status, 200)

    # ---- health, description ----

    def test_health_metrics_and_description(self):
        for path in ("/health", "/api/health", "/api/v1/health/", "/livez"):
            self.assertEqual(self.ask("GET", path, who=None).status, 200, path)
        self.assertEqual(wait_for(lambda: (lambda a: a.json if a.status == 200 else None)(self.ask("GET", "/health/detailed", who=None)), 30,
                                  "the front end to be well")["checks"], {"database": True, "broker": True})
        metrics = self.ask("GET", "/metrics", who=None).body.decode()
        self.assertIn("http_request_duration_seconds_bucket", metrics)
        checked = subprocess.run(["promtool", "check", "metrics"], input=metrics, text=True, capture_output=True)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        api = self.ask("GET", "/api/v1/openapi.json", who=None).json
        self.assertEqual(api["openapi"], "3.1.0")
        self.assertIn("source", api["paths"][PROCESS]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]["kwargs"]["properties"])
        self.assertIn(PROCESS.encode(), self.ask("GET", "/docs", who=None).body)

    def test_wrong_settings_are_explained(self):
        def says(part, code, **more):
            done = subprocess.run([ARGUMENTS.celeriac, "http", "--port", "0"], env={**self.environment, **more}, capture_output=True, text=True, timeout=30)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(part, done.stderr)
        says("database_url", 2, CELERY_DATABASE_URL="")
        says("at least 32 bytes", 2, CELERY_HTTP_JWT_KEY="short")
        says("cannot read /nothing", 2, CELERY_HTTP_JWT_KEY="/nothing", CELERY_HTTP_JWT_ALGORITHM="RS256")
        says("is no address", 73, CELERY_HTTP_HOST="nowhere")


if __name__ == "__main__":
    unittest.main(argv=["front"])
