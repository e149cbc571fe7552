"""The HTTP front end from outside: a real worker behind it, PostgreSQL, Redis, and clients that misbehave.

    front.py --worker INTEROP_WORKER --celeriac CELERIAC --documents FOLDER [--screenshots FOLDER]
"""
import base64
import concurrent.futures
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse
import uuid

from front_stage import ADMIN, ARGUMENTS, CLEAN, ME, OTHER, FrontCase, b64, free_port, token, wait_for

FORM = re.compile(r'name="form" value="([0-9a-f]{64})"')
LETTER = re.compile(r'name=letter value="([^"]+)"')
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
        said = self.problem(self.ask("POST", PROCESS, {"args": [], "unique_for": "soon", "dedupe_key": "", "on_conflict": "dance"}), 422, "body-does-not-fit")
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
        self.problem(self.ask("POST", PROCESS, "{", Content_Type="application/json"), 400, "not-json")
        self.problem(self.ask("POST", PROCESS, "x=1", Content_Type="text/plain"), 415, "unsupported-type")
        said = self.problem(self.ask("POST", PROCESS, {"args": {}, "kwargs": {"nope": 1}, "priority": "x", "eta": "soon", "more": 1}), 422,
                            "body-does-not-fit")
        self.assertEqual({e["pointer"] for e in said["errors"]}, {"#/args", "#/kwargs/nope", "#/priority", "#/eta", "#/more"})
        self.problem(self.ask("POST", PROCESS, "[" * 500, Content_Type="application/json"), 400, "not-json")
        self.problem(self.ask("POST", PROCESS, {"args": ["a" * (2 << 20)]}), 413, "too-large")
        self.problem(self.ask("PUT", PROCESS, {}), 405, "method-not-allowed")
        self.problem(self.ask("GET", "/nothing"), 404, "not-found")
        self.problem(self.ask("GET", "/%zz"), 400, "bad-request")
        with socket.create_connection(("127.0.0.1", self.port), 10) as s:
            s.sendall(b"nonsense\r\n\r\n")
            self.assertIn(b"400", s.recv(100))
        self.assertEqual(self.ask("GET", "/health").status, 200)

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

    # ---- who may ----

    def test_callers_are_proven(self):
        path = "/api/v1/tasks"
        self.assertEqual(self.ask("GET", path).status, 200)
        for bad in (None, "Bearer nonsense", "Bearer " + token(exp=1), "Bearer " + token(key="x" * 40), "Bearer " + token(alg="none"),
                    "Bearer " + token(sub="me"), "Bearer " + token(exp=None), "Bearer " + token(nbf=int(time.time()) + 900)):
            answer = self.ask("GET", path, who=None, **({"Authorization": bad} if bad else {}))
            self.problem(answer, 401, "not-authenticated")
        self.assertEqual(self.ask("GET", path, who=None, Authorization="Bearer " + token(tasks=None)).json["tasks"], [])
        only = "Bearer " + token(tasks=["validation.validate_invoice"])
        self.assertEqual([t["name"] for t in self.ask("GET", path, who=None, Authorization=only).json["tasks"]], ["validation.validate_invoice"])
        self.problem(self.ask("POST", PROCESS, {"args": ["x"]}, who=None, Authorization=only), 404, "unknown-task")

    def test_rs256_is_not_fooled_by_its_public_key(self):
        private, public = (os.path.join(self.stage.dir, n) for n in ("rs.pem", "rs.pub"))
        subprocess.run(["openssl", "genrsa", "-out", private, "2048"], check=True, capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
        port = free_port()
        self.serve("rsa", port, CELERY_HTTP_JWT_ALGORITHM="RS256", CELERY_HTTP_JWT_KEY=public)
        text = token(alg="RS256").rpartition(".")[0]
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", private], input=text.encode(), check=True, capture_output=True).stdout
        self.assertEqual(self.ask("GET", "/api/v1/tasks", port=port, who=None, Authorization="Bearer %s.%s" % (text, b64(signed))).status, 200)
        for bad in (token(key=pathlib.Path(public).read_text()), token(), text + "." + b64(b"x" * 256), text + "."):
            self.problem(self.ask("GET", "/api/v1/tasks", port=port, who=None, Authorization="Bearer " + bad), 401, "not-authenticated")

    def test_api_keys_are_known_by_their_digest(self):
        self.sql("INSERT INTO users (id, email) VALUES ('%s', 'key@example.com') ON CONFLICT DO NOTHING" % OTHER)
        self.sql("UPDATE users SET is_active = true, status = 'active' WHERE id = '%s'" % OTHER)
        self.sql("INSERT INTO api_keys (id, user_id, name, key_prefix, key_hash) VALUES (gen_random_uuid(), '%s', 'k', 'ck', '%s')"
                 % (OTHER, hashlib.sha256(b"ck-real").hexdigest()))
        self.assertEqual(self.ask("GET", "/api/v1/tasks", who=None, X_API_Key="ck-real").status, 200)
        self.problem(self.ask("GET", "/api/v1/tasks", who=None, X_API_Key="ck-wrong"), 401, "not-authenticated")
        self.sql("UPDATE api_keys SET is_active = false")
        self.problem(self.ask("GET", "/api/v1/tasks", who=None, X_API_Key="ck-real"), 401, "not-authenticated")

    def test_keys_are_made_and_ended_on_the_command_line(self):
        def run(*a, code=0):
            done = subprocess.run([ARGUMENTS.celeriac, "api-key", *a], env=self.environment, capture_output=True, text=True, timeout=30)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            return done
        made = json.loads(run("create", "ci", "--email", "ci@example.com", "--task", "*", "--rate-limit", "3", "--json").stdout)
        seen = [self.ask("GET", "/api/v1/tasks", who=None, X_API_Key=made["key"]) for _ in range(4)]
        self.assertEqual([a.status for a in seen], [200, 200, 200, 429])
        self.assertTrue(seen[0].json["tasks"])
        listed = {k["id"]: k for k in json.loads(run("ls", "--json").stdout)}[made["id"]]
        self.assertEqual((listed["name"], listed["user"], listed["active"], listed["tasks"]), ("ci", "ci@example.com", True, ["*"]))
        self.assertIsNotNone(listed["last_used"])
        self.assertNotIn(made["key"], run("ls").stdout)
        admin = run("create", "boss", "--email", "boss@example.com", "--role", "admin").stdout.strip()
        self.assertEqual(self.ask("GET", "/api/v1/audit-log", who=None, X_API_Key=admin).status, 200)
        self.assertIn("is no admin", run("create", "x", "--email", "ci@example.com", "--role", "admin", code=1).stderr)
        elsewhere = run("create", "far", "--email", "ci@example.com", "--address", "10.1.0.0/16").stdout.strip()
        self.problem(self.ask("GET", "/api/v1/tasks", who=None, X_API_Key=elsewhere), 401, "not-authenticated")
        near = run("create", "near", "--email", "ci@example.com", "--address", "10.1.0.0/16", "--address", "127.0.0.0/8").stdout.strip()
        self.assertEqual(self.ask("GET", "/api/v1/tasks", who=None, X_API_Key=near).status, 200)
        over = run("create", "over", "--email", "ci@example.com", "--expires", "2020-01-01").stdout.strip()
        self.problem(self.ask("GET", "/api/v1/tasks", who=None, X_API_Key=over), 401, "not-authenticated")
        run("create", "bad", "--email", "ci@example.com", "--expires", "soon", code=1)
        run("create", "bad", "--email", "ci@example.com", "--address", "nowhere", code=1)
        run("revoke", near[:11])
        self.problem(self.ask("GET", "/api/v1/tasks", who=None, X_API_Key=near), 401, "not-authenticated")
        self.assertIn("no active key", run("revoke", near[:11], code=1).stderr)

    def test_a_limit_holds_for_all_front_ends_together(self):
        ports = [free_port(), free_port()]
        for n, port in enumerate(ports):
            self.serve("together%d" % n, port, CELERY_HTTP_RATE_LIMIT="4")
        statuses = [self.ask("GET", "/api/v1/tasks", port=ports[n % 2]).status for n in range(6)]
        self.assertEqual(statuses, [200] * 4 + [429] * 2)

    def test_limits_hosts_origins_and_headers(self):
        port = free_port()
        self.serve("limited", port, CELERY_HTTP_RATE_LIMIT="3")
        seen = [self.ask("GET", "/api/v1/tasks", port=port) for _ in range(4)]
        self.assertEqual([a.status for a in seen], [200, 200, 200, 429])
        self.assertRegex(seen[0].headers["RateLimit"], r'^"default";r=2;t=\d+$')
        self.assertEqual(seen[0].headers["RateLimit-Policy"], '"default";q=3;w=3600')
        self.assertGreater(int(seen[3].headers["Retry-After"]), 3000)
        self.assertEqual(self.ask("GET", "/api/v1/tasks", port=port, who=OTHER).status, 200)
        self.problem(self.ask("GET", "/health", Host="evil.example"), 421, "unknown-host")
        answer = self.ask("GET", "/health", Origin="https://app.example", X_Request_Id="abc-1")
        self.assertEqual((answer.headers["Access-Control-Allow-Origin"], answer.headers["X-Request-Id"]), ("https://app.example", "abc-1"))
        self.assertIsNone(self.ask("GET", "/health", Origin="https://evil.example").headers["Access-Control-Allow-Origin"])
        for name in ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Strict-Transport-Security", "Content-Security-Policy"):
            self.assertTrue(answer.headers[name], name)
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        flight = self.ask("OPTIONS", PROCESS, who=None, Origin="https://app.example", Access_Control_Request_Method="POST")
        self.assertEqual((flight.status, flight.headers["Access-Control-Allow-Origin"]), (204, "https://app.example"))

    # ---- documents ----

    def correct(self, invoice):
        path = "/api/v1/invoices/" + invoice
        changed = self.ask("PUT", path, {"invoice": {"po_number": "PO-77", "total_amount": 12345.10, "due_date": "2026-02-03"},
                                         "line_items": [{"line_number": 1, "description": "Corrected", "quantity": "2.5"}]})
        self.assertEqual(changed.status, 200, changed.body)
        self.assertEqual((changed.json["success"], changed.json["invoice"]["po_number"], changed.json["invoice"]["due_date"]),
                         (True, "PO-77", "2026-02-03"))
        self.assertEqual(changed.json["line_items"][0]["description"], "Corrected")
        tag = self.ask("GET", path).headers["ETag"]
        self.assertEqual(changed.headers["ETag"], tag)
        self.problem(self.ask("PUT", path, {"invoice": {"po_number": "PO-79"}}, If_Match='"old"'), 412, "changed-meanwhile")
        self.assertEqual(self.ask("PUT", path, {"invoice": {"po_number": "PO-77"}}, If_Match=tag).status, 200)
        said = self.problem(self.ask("PUT", path, {"invoice": {"po_number": "PO-78", "status": "DONE", "total_amount": "much"},
                                                   "line_items": [{"line_number": 999, "quantity": 1}, {}]}), 422, "body-does-not-fit")
        self.assertEqual({e["pointer"] for e in said["errors"]},
                         {"#/invoice/status", "#/invoice/total_amount", "#/line_items/0", "#/line_items/1/line_number"})
        self.assertEqual(self.ask("GET", path).json["invoice"]["po_number"], "PO-77")  # nothing of it
        self.problem(self.ask("PUT", path, {"invoice": {"po_number": "x"}}, who=OTHER), 404, "unknown-id")
        self.problem(self.ask("GET", "/api/v1/audit-log"), 403, "not-allowed")
        logs = self.ask("GET", "/api/v1/audit-log?status=update&per_page=100", who=ADMIN).json["logs"]
        mine = [l for l in logs if l["record_id"] == invoice and l["changed_by"] == ME]
        self.assertIn("po_number", mine[0]["changed_fields"])

    def read_again(self, job, invoice):
        url = self.sql("SELECT source FROM processing_jobs WHERE id = '%s'" % job["job_id"])
        for id in (job["job_id"], job["task_id"], invoice):
            again = self.ask("POST", "/api/v1/invoices/%s/process" % id, {})
            self.assertEqual(again.status, 202, again.body)
            self.assertEqual(self.sql("SELECT source FROM processing_jobs WHERE id = '%s'" % again.json["job_id"]), url)
        self.problem(self.ask("POST", "/api/v1/invoices/%s/process" % invoice, {}, who=OTHER), 404, "unknown-id")
        batch = self.ask("POST", "/api/v1/invoices/process-batch", {"files": [{"blob_url": url, "filename": "a.pdf"}] * 2})
        self.assertEqual((batch.status, len(batch.json["task_ids"])), (202, 2), batch.body)
        for bad in ("file:///etc/passwd", "storage://no/such", ""):
            self.problem(self.ask("POST", "/api/v1/invoices/process-batch", {"files": [{"blob_url": bad}]}), 422, "body-does-not-fit")
        self.problem(self.ask("POST", "/api/v1/invoices/process-batch", {"files": [{"blob_url": url}]}, who=OTHER), 422, "body-does-not-fit")

    def test_exceptions_are_resolved_by_their_owner(self):
        invoice, mine = str(uuid.uuid4()), str(uuid.uuid4())
        self.sql("INSERT INTO users (id, is_active, status) VALUES ('%s', false, 'inactive') ON CONFLICT DO NOTHING" % ME)
        self.sql("INSERT INTO invoices (id, uploaded_by_user_id, status) VALUES ('%s', '%s', 'EXCEPTION')" % (invoice, ME))
        self.sql("INSERT INTO exceptions (id, invoice_id, reason_code, category, severity, details_json) VALUES "
                 "('%s', '%s', 'TOTAL_MISMATCH', 'MATH', 'error', '{}')" % (mine, invoice))
        self.assertEqual([e["id"] for e in self.ask("GET", "/api/v1/exceptions?status=open").json["exceptions"] if e["invoice_id"] == invoice], [mine])
        path = "/api/v1/exceptions/" + mine
        self.assertEqual(self.ask("GET", path).json["reason_code"], "TOTAL_MISMATCH")
        self.problem(self.ask("GET", path, who=OTHER), 404, "unknown-id")
        self.problem(self.ask("POST", path + "/resolve", {"action": "ESCALATE"}, who=OTHER), 404, "unknown-id")
        self.problem(self.ask("POST", path + "/resolve", {}), 422, "body-does-not-fit")
        self.problem(self.ask("POST", path + "/resolve", {"action": "DANCE"}), 409, "refused")
        done = self.ask("POST", path + "/resolve", {"action": "MANUAL_ADJUST", "data": {"amount": "1.00"}, "notes": "checked", "approve_invoice": True})
        self.assertEqual((done.status, done.json.get("status")), (200, "RESOLVED"), done.body)
        self.assertEqual(self.sql("SELECT resolved_by FROM exceptions WHERE id = '%s'" % mine), ME)

    def test_approvals_are_decided_by_administrators(self):
        request, invoice = str(uuid.uuid4()), str(uuid.uuid4())
        self.sql("INSERT INTO invoices (id, status) VALUES ('%s', 'VALIDATED')" % invoice)
        self.sql("INSERT INTO approval_requests (id, workflow_id, entity_type, entity_id, title, requested_by, expires_at) VALUES "
                 "('%s', 'a0000000-0000-4000-8000-000000000001', 'invoice', '%s', 'Export', 'system', now() + interval '1 day')" % (request, invoice))
        self.problem(self.ask("GET", "/api/v1/approvals"), 403, "not-allowed")
        self.assertIn(request, [a["id"] for a in self.ask("GET", "/api/v1/approvals?status=pending", who=ADMIN).json["approvals"]])
        path = "/api/v1/approvals/%s/decide" % request
        self.problem(self.ask("POST", path, {"decision": "DANCE"}, who=ADMIN), 422, "body-does-not-fit")
        self.problem(self.ask("POST", "/api/v1/approvals/%s/decide" % invoice, {"decision": "APPROVE"}, who=ADMIN), 404, "unknown-id")
        done = self.ask("POST", path, {"decision": "APPROVE", "comments": "fine"}, who=ADMIN)
        self.assertEqual((done.status, done.json.get("status")), (200, "APPROVED"), done.body)

    def test_exports_run_and_are_downloaded(self):
        self.problem(self.ask("POST", "/api/v1/exports/jobs", {"format": "csv"}), 403, "not-allowed")
        said = self.problem(self.ask("POST", "/api/v1/exports/jobs", {"format": 7, "more": 1}, who=ADMIN), 422, "body-does-not-fit")
        self.assertEqual({e["pointer"] for e in said["errors"]}, {"#/format", "#/more"})
        self.problem(self.ask("POST", "/api/v1/exports/jobs", {"format": "papyrus"}, who=ADMIN), 422, "body-does-not-fit")
        answer = self.ask("POST", "/api/v1/exports/jobs", {"format": "csv", "name": "all"}, who=ADMIN)
        self.assertEqual(answer.status, 202, answer.body)
        links = answer.json["links"]
        self.problem(self.ask("GET", links["download"], who=ADMIN), 404, "unknown-id")
        worker = self.stage.run("exporter", [ARGUMENTS.celeriac, "worker", "-Q", "export", "-c", "1", "-l", "INFO"], env=self.environment)
        try:
            wait_for(lambda: self.ask("GET", links["self"], who=ADMIN).json["status"] == "COMPLETED", 60, "the export")
        finally:
            worker.terminate()
            worker.wait(60)
        file = self.ask("GET", links["download"], who=ADMIN)
        self.assertEqual((file.status, file.headers["Content-Type"]), (200, "application/octet-stream"))
        self.assertIn(b"invoice", file.body.lower())

    def test_an_uploaded_document_is_read_by_the_worker(self):
        data = self.document()
        answer = self.upload(data)
        self.assertEqual(answer.status, 202, answer.body)
        job = answer.json
        self.assertEqual((job["status"], job["sha256"]), ("pending", hashlib.sha256(data).hexdigest()))
        self.assertEqual(self.ask("GET", job["links"]["status"]).json["status"], "pending")
        self.problem(self.ask("GET", job["links"]["status"], who=OTHER), 404, "unknown-id")
        worker = self.stage.run("worker", [ARGUMENTS.celeriac, "worker", "-Q", "invoice_processing,validation", "-c", "1", "-l", "INFO"],
                                env=self.environment)
        try:
            state = wait_for(lambda: (lambda s: s if s["status"] in ("completed", "failed") else None)(
                self.ask("GET", job["links"]["status"]).json), 90, "the document to be read")
        finally:
            worker.terminate()
            worker.wait(60)
        self.assertEqual((state["status"], state["progress"]), ("completed", 100), state)
        self.assertEqual(self.ask("GET", "/api/v1/jobs/my-jobs/unread-count").json, {"unread_count": 1})
        detail = self.ask("GET", "/api/v1/jobs/my-jobs/" + job["job_id"]).json
        self.assertEqual(detail["file_info"]["sha256"], job["sha256"])
        self.assertEqual(detail["file_info"]["file_name"], "invoice.pdf")
        invoice = self.ask("GET", "/api/v1/invoices/" + state["invoice_id"]).json
        self.assertTrue(invoice["line_items"])
        self.assertEqual(self.ask("GET", "/api/v1/invoices").json["invoices"][0]["id"], state["invoice_id"])
        self.assertEqual(self.ask("GET", "/api/v1/invoices", who=OTHER).json["invoices"], [])
        self.assertEqual([l["event"] for l in detail["logs"]], ["accepted", "started", "completed"])
        self.correct(state["invoice_id"])
        self.read_again(job, state["invoice_id"])
        mine = self.ask("GET", "/api/v1/jobs/my-jobs?status=completed&per_page=10").json
        self.assertEqual(mine["statistics"]["status_breakdown"].get("completed"), 1)
        self.assertEqual(mine["pagination"]["per_page"], 10)
        self.assertEqual(self.ask("POST", "/api/v1/jobs/my-jobs/mark-as-read", {"job_id": job["job_id"]}).json, {"success": True, "count": 1})
        self.assertEqual(self.ask("GET", "/api/v1/jobs/my-jobs/unread-count").json, {"unread_count": 0})

    def test_uploads_that_are_refused(self):
        self.problem(self.upload(b"<html>no</html>", name="invoice.pdf"), 415, "unsupported-type")
        self.problem(self.upload(b"%PDF-1.7", field="other"), 422, "no-file")
        self.problem(self.upload(b""), 422, "no-file")
        self.problem(self.ask("POST", "/api/v1/invoices/upload", b"%PDF-1.7", Content_Type="application/pdf"), 422, "no-file")
        self.problem(self.upload(b"\r\n--x" * 20000), 422, "no-file")
        self.problem(self.upload(b"%PDF-1.7", who=None), 401, "not-authenticated")
        self.problem(self.upload(b"%PDF-1.7", who=None, Authorization="Bearer nonsense"), 401, "not-authenticated")
        port = free_port()
        self.serve("small", port, CELERY_HTTP_MAX_UPLOAD="100000")
        self.problem(self.upload(b"%PDF-1.7" + b"x" * 200000, port=port), 413, "too-large")
        before = self.sql("SELECT count(*) FROM processing_jobs")
        answer = None
        try:
            answer = self.upload(b"%PDF-1.7" + b"x" * 3000000, port=port)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused while it was still being sent
        if answer:
            self.problem(answer, 413, "too-large")
        self.assertEqual(self.sql("SELECT count(*) FROM processing_jobs"), before)

    # ---- pages ----

    def test_the_dashboard(self):
        port = free_port()
        self.serve("pages", port, CELERY_LEDGER_URL=self.database)
        password = token(ADMIN, role="admin")
        basic = {"who": None, "Authorization": "Basic " + base64.b64encode(("me:" + password).encode()).decode(), "port": port}
        bare = self.ask("GET", "/", who=None, port=port)
        self.problem(bare, 401, "not-authenticated")
        self.assertIn("Basic", bare.headers["WWW-Authenticate"])
        for bad in ("Basic", "Basic !!!", "Basic " + base64.b64encode(b"me:" + b"x" * 9000).decode(), "Basic bWU="):
            self.problem(self.ask("GET", "/", who=None, port=port, Authorization=bad), 401, "not-authenticated")
        self.problem(self.ask("GET", "/tasks", port=port), 403, "not-allowed")  # no administrator
        self.problem(self.ask("GET", "/api/v1/tasks", **basic), 401, "not-authenticated")  # browsers send it unasked
        worker = self.stage.worker(ARGUMENTS.worker, self.redis.url(), self.redis.url(), name="paged", queues="export", pool="threads",
                                   extra=["ledger_url=" + self.database])
        from celery import Celery
        app = Celery("c", broker=self.redis.url(), backend=self.redis.url())
        failed = app.send_task("interop.fail", ["ValueError", ["<script>alert(1)</script> & more"]], queue="export")
        with self.assertRaises(Exception):
            failed.get(timeout=20)
        page = wait_for(lambda: (lambda a: a.body.decode() if failed.id in a.body.decode() else None)(self.ask("GET", "/", **basic)), 30, "the failure")
        self.assertIn("&lt;script&gt;alert(1)", page)
        self.assertNotIn("<script>alert", page)
        wait_for(lambda: b"paged@interop" in self.ask("GET", "/workers", **basic).body, 30, "the worker's heartbeat")
        wait_for(lambda: b"1 celeriac" in self.ask("GET", "/", **basic).body, 60, "the queues that the worker takes from")
        found = self.ask("GET", "/tasks?state=FAILURE&words=ValueError+more", **basic)
        self.assertIn(failed.id.encode(), found.body)
        self.assertNotIn(failed.id.encode(), self.ask("GET", "/tasks?state=SUCCESS&words=more", **basic).body)
        self.assertIn(b"Ended after", self.ask("GET", "/tasks?since=yesterday", **basic).body)
        self.assertIn("default-src 'none'", found.headers["Content-Security-Policy"])
        self.assertIn(b"Traceback", self.ask("GET", "/tasks/" + failed.id, **basic).body)
        self.assertEqual(self.ask("GET", "/tasks/nothing", **basic).status, 404)
        self.assertIn(b"There are none", self.ask("GET", "/dead", **basic).body)

        # Forms act, but only ours.
        form = FORM.search(page := self.ask("GET", "/tasks/" + failed.id, **basic).body.decode())[1]
        retry = "/tasks/%s/retry" % failed.id
        for wrong, more in (("", {}), ("form=" + "0" * 64, {}), ("form=" + form, {"Sec-Fetch-Site": "cross-site"}),
                            ("form=" + form, {"Origin": "https://evil.example"}), ("form=%zz", {})):
            self.problem(self.post(retry, wrong, basic, **more), 403, "foreign-form")
        self.problem(self.post(retry, "form=" + form, {**basic, "Authorization": "Bearer " + token()}), 403, "not-allowed")
        again = self.post(retry, "form=" + form, basic)
        self.assertEqual((again.status, again.headers["Location"]), (303, "/tasks/%s?done=retried" % failed.id))
        wait_for(lambda: self.ask("GET", "/tasks/" + failed.id, **basic).body.count(b"<h2>Attempt") == 2, 30, "the second run")
        cancelled = self.post("/tasks/%s/cancel" % failed.id, "form=" + form, basic)
        self.assertEqual(cancelled.headers["Location"], "/tasks/%s?done=cancelled" % failed.id)
        wait_for(lambda: failed.id in subprocess.run([ARGUMENTS.celeriac, "-b", self.redis.url(), "inspect", "--json", "revoked"],
                                                     capture_output=True, text=True, env=CLEAN).stdout, 20, "the worker to remember it")
        self.assertEqual(self.post("/tasks/nothing/retry", "form=" + form, basic).status, 404)
        self.queue_page(app, basic, form)
        self.dead_page(app, basic, form)
        self.browse(port, password, {"overview": "/", "search": "/tasks?state=FAILURE", "detail": "/tasks/" + failed.id, "workers": "/workers",
                                     "dead": "/dead", "queue": "/queue?name=export", "upload": "/upload"}, failed.id)
        worker.terminate()
        worker.wait(30)

    def post(self, path, body, basic, **more):
        return self.ask("POST", path, body, **{**basic, "Content-Type": "application/x-www-form-urlencoded", **more})

    def queue_page(self, app, basic, form):
        name = "odd & <name>"
        path = "/queue?name=" + urllib.parse.quote(name)
        named = "form=%s&name=%s" % (form, urllib.parse.quote_plus(name))
        sent = [app.send_task("interop.add", [n, 2], {"password": "hidden-%d" % n}, queue=name).id for n in range(3)]
        page = self.ask("GET", path, **basic).body.decode()
        self.assertIn(sent[0], page)
        self.assertNotIn("hidden-0", page)
        self.assertNotIn("<name>", page)
        said = self.post("/queue/pause", named + "&note=lunch+%26+rest", basic)
        self.assertEqual(said.status, 303)
        self.assertIn("lunch &amp; rest", self.ask("GET", path, **basic).body.decode())
        self.assertIn(name, subprocess.run([ARGUMENTS.celeriac, "-b", self.redis.url(), "queues", "--json", "-Q", name], capture_output=True, text=True, env=CLEAN).stdout)
        self.assertEqual(self.post("/queue/resume", named, basic).status, 303)
        self.assertNotIn("lunch &amp; rest", self.ask("GET", path, **basic).body.decode())
        asked = self.ask("GET", "/queue/purge?name=" + urllib.parse.quote(name), **basic).body.decode()
        self.assertIn("3 waiting messages", asked)
        self.assertEqual(self.redis.client.llen(name), 3)  # asked, not done
        purged = self.post("/queue/purge", named, basic)
        self.assertTrue(purged.headers["Location"].endswith("&done=purged&count=3"), purged.headers["Location"])
        self.assertEqual(self.redis.client.llen(name), 0)
        self.assertIn(b"3 messages were dropped", self.ask("GET", purged.headers["Location"], **basic).body)
        self.assertEqual(self.post("/queue/purge", "form=" + form, basic).status, 422)
        self.assertEqual(self.ask("GET", "/queue", **basic).status, 404)

    def dead_page(self, app, basic, form):
        for _ in range(2):
            app.send_task("nobody.knows", ["<b>bold</b>"], queue="export")
        letters = lambda: LETTER.findall(self.ask("GET", "/dead?queue=export", **basic).body.decode())
        first, second = wait_for(lambda: (lambda l: l if len(l) == 2 else None)(letters()), 30, "the dead letters")
        self.assertNotIn("<b>bold", self.ask("GET", "/dead", **basic).body.decode())
        asked = self.post("/dead", "form=%s&do=discard&letter=%s" % (form, first), basic)
        self.assertIn("1 dead letter</strong> will be deleted for good", asked.body.decode())
        self.assertEqual(len(letters()), 2)
        gone = self.post("/dead", "form=%s&do=discard&sure=yes&letter=%s" % (form, first), basic)
        self.assertEqual(gone.headers["Location"], "/dead?done=discard&count=1")
        self.assertEqual(letters(), [second])
        self.assertEqual(self.post("/dead", "form=%s&do=discard&sure=yes&letter=%s" % (form, first), basic).status, 409)
        self.assertIn(b"1 dead letter", self.post("/dead", "form=%s&do=requeue-all&queue=export" % form, basic).body)
        self.assertEqual(self.post("/dead", "form=%s&do=requeue&letter=%s" % (form, second), basic).headers["Location"], "/dead?done=requeue&count=1")
        wait_for(lambda: letters() not in ([], [second]), 30, "the worker to refuse it again")
        self.assertEqual(self.post("/dead", "form=%s&do=dance" % form, basic).status, 422)

    def test_a_document_is_uploaded_from_a_page(self):
        basic = {"who": None, "Authorization": "Basic " + base64.b64encode(("me:" + token()).encode()).decode()}
        page = self.ask("GET", "/upload", **basic).body.decode()
        action = re.search(r'action="(/upload\?form=[0-9a-f]{64})"', page)[1]
        self.problem(self.upload(self.document(), who=None, path="/upload", Authorization=basic["Authorization"]), 403, "foreign-form")
        self.assertEqual(self.upload(b"<html>no</html>", who=None, path=action, Authorization=basic["Authorization"]).status, 415)
        taken = self.upload(self.document(), who=None, path=action, Authorization=basic["Authorization"])
        self.assertEqual(taken.status, 303, taken.body)
        document = taken.headers["Location"]
        shown = self.ask("GET", document, **basic).body.decode()
        self.assertIn('data-events="%s/events"' % document, shown)
        self.assertIn("<noscript><meta http-equiv=refresh", shown)
        other = {"who": None, "Authorization": "Basic " + base64.b64encode(("me:" + token(OTHER)).encode()).decode()}
        self.assertEqual(self.ask("GET", document, **other).status, 404)
        self.problem(self.ask("GET", document + "/events", **other), 404, "unknown-id")
        self.assertEqual(self.ask("GET", "/documents/nothing", **basic).status, 404)

    def browse(self, port, password, pages, failed):
        chromium = shutil.which("chromium")
        if not chromium:
            return
        run = lambda *a: subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + os.path.join(self.stage.dir, "chromium"),
                                         "--window-size=1200,800", *a], check=True, capture_output=True, text=True, timeout=120).stdout
        for name, path in pages.items():
            url = "http://me:%s@127.0.0.1:%d%s" % (password, port, path)
            dom = run("--dump-dom", url)
            self.assertIn("Pause updates", dom)  # the script ran under the page's own policy
            if name in ("overview", "search", "detail"):
                self.assertIn(failed, dom)
            if ARGUMENTS.screenshots:
                run("--screenshot=" + os.path.join(ARGUMENTS.screenshots, name + ".png"), url)

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
    unittest.main(argv=sys.argv[:1])
