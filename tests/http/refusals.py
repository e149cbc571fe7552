"""What is refused: one row for each bad request, with its status, its problem, and nothing stored.

    refusals.py --worker INTEROP_WORKER --celeriac CELERIAC --documents FOLDER
"""
import base64
import concurrent.futures
import hashlib
import json
import os
import pathlib
import socket
import subprocess
import time
import unittest
import uuid

from front_stage import ADMIN, ARGUMENTS, ME, OTHER, FrontCase, b64, free_port, token, wait_for

PROCESS = "/api/v1/tasks/invoice_processing.process_document"
UPLOAD = "/api/v1/invoices/upload"
LIMIT = 100000  # bytes of an upload
# Everything that a request may leave behind.
TABLES = ("outbox", "processing_jobs", "file_storage", "idempotency_records", "invoices", "exceptions", "export_jobs", "audit_log", "users", "api_keys")


class Answered:
    """An answer that was read from a bare connection."""

    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if raw else None
        self.headers = {k.title(): v for k, _, v in (line.partition(": ") for line in lines[1:])}

    @property
    def json(self):
        return json.loads(self.body)


class Refusals(FrontCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.files = os.path.join(cls.stage.dir, "uploads")
        os.makedirs(cls.files)
        cls.port = free_port()
        cls.serve("refusing", cls.port, CELERY_HTTP_MAX_UPLOAD=str(LIMIT), TMPDIR=cls.files)
        private, public = (os.path.join(cls.stage.dir, n) for n in ("rs.pem", "rs.pub"))
        subprocess.run(["openssl", "genrsa", "-out", private, "2048"], check=True, capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
        cls.public = pathlib.Path(public).read_text()
        text = token(alg="RS256").rpartition(".")[0]
        cls.rs_token = text + "." + b64(subprocess.run(["openssl", "dgst", "-sha256", "-sign", private], input=text.encode(), check=True,
                                                       capture_output=True).stdout)
        cls.rsa_port = free_port()
        cls.serve("rsa", cls.rsa_port, CELERY_HTTP_JWT_ALGORITHM="RS256", CELERY_HTTP_JWT_KEY=public)

    def stored(self):
        counts = self.sql("SELECT " + ", ".join("(SELECT count(*) FROM %s)" % t for t in TABLES))
        rows = self.sql("SELECT md5(coalesce(string_agg(i::text, ',' ORDER BY id), '')) FROM invoices i")
        kept = [f for root in (self.files, self.environment["CELERY_STORAGE_ROOT"]) for _, _, names in os.walk(root) for f in names]
        sent = [k for k in self.redis.client.keys() if not k.startswith((b"celeriac.rate.", b"_kombu.binding."))]
        return counts, rows, sorted(kept), sorted(sent)

    def refuse(self, rows):
        """Rows (what, request, status, problem): each is refused so, and leaves nothing behind."""
        wait_for(lambda: self.sql("SELECT count(*) FROM outbox WHERE state = 'waiting'") == "0", 90, "what was accepted to be sent")
        self.redis.client.flushdb()
        for what, request, status, problem in rows:
            with self.subTest(what):
                before = self.stored()
                self.problem(request(), status, problem)
                self.assertEqual(self.stored(), before, "nothing is stored")
        self.assertEqual(self.ask("GET", "/livez", who=None).status, 200)

    def raw(self, *pieces, port=None, pause=None, patience=60):
        """Sends pieces, `pause` seconds apart and the last again and again, until there is an answer or the end."""
        answer = b""
        with socket.create_connection(("127.0.0.1", port or self.port), 10) as s:
            begun = time.monotonic()
            s.settimeout(pause or 20)
            for piece in pieces:
                s.sendall(piece)
            while time.monotonic() - begun < patience:
                try:
                    if not (got := s.recv(65536)):
                        break
                    answer += got
                except TimeoutError:
                    if pause and not answer:
                        s.sendall(pieces[-1])
                except ConnectionResetError:
                    break
        return Answered(answer)

    def header(self, method, path, *lines):
        return ("\r\n".join(["%s %s HTTP/1.1" % (method, path), "Host: localhost", "Authorization: Bearer " + token(), *lines]) + "\r\n").encode()

    def with_token(self, text, port=None, method="POST", path=PROCESS, body={"args": ["x"]}):  # noqa: B006
        return self.ask(method, path, body, port=port, who=None, **({"Authorization": "Bearer " + text} if text else {}))

    # ---- one table each ----

    def test_slow(self):
        """Whoever sends too slowly is told so; a connection that says nothing is closed."""
        form = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n%PDF-1.7"
        slow = {
            "a header, byte by byte": (self.header("GET", "/health"), b"X-A: b\r\n"),
            "a body, byte by byte": (self.header("POST", PROCESS, "Content-Type: application/json", "Content-Length: 1000") + b"\r\n", b" "),
            "a body that never comes": (self.header("POST", PROCESS, "Content-Type: application/json", "Content-Length: 1000") + b"\r\n", b""),
            "chunks, byte by byte": (self.header("POST", PROCESS, "Content-Type: application/json", "Transfer-Encoding: chunked") + b"\r\n", b"1\r\n \r\n"),
        }
        with concurrent.futures.ThreadPoolExecutor(len(slow) + 2) as threads:
            before = self.stored()
            begun = {what: threads.submit(self.raw, *pieces, pause=1) for what, pieces in slow.items()}
            silent = threads.submit(self.raw, b"")
            # Others are served meanwhile.
            self.assertEqual(self.ask("GET", "/api/v1/tasks").status, 200)
            for what, answer in begun.items():
                with self.subTest(what):
                    self.problem(answer.result(), 408, "too-slow")
            self.assertIsNone(silent.result().status)
        # An upload has minutes; who goes away in the middle leaves nothing.
        with socket.create_connection(("127.0.0.1", self.port), 10) as s:
            s.sendall(self.header("POST", UPLOAD, "Content-Type: multipart/form-data; boundary=edge", "Content-Length: 90000") + b"\r\n" + form.encode())
        self.assertEqual(self.ask("GET", "/api/v1/tasks").status, 200)
        self.assertEqual(self.stored(), before)

    def test_oversized(self):
        def sent(size, path=UPLOAD):
            try:
                return self.upload(b"%PDF-1.7" + b"x" * size, path=path)
            except (BrokenPipeError, ConnectionResetError):  # refused while it was still being sent
                return self.raw(self.header("POST", path, "Content-Type: multipart/form-data; boundary=edge", "Content-Length: %d" % size) + b"\r\n")
        one = {"task": "invoice_processing.process_document", "args": ["x"]}
        self.refuse([
            ("a document over the limit", lambda: sent(2 * LIMIT), 413, "too-large"),
            ("an upload that says it is huge", lambda: sent(1 << 26), 413, "too-large"),
            ("a body of 2 MiB", lambda: self.ask("POST", PROCESS, {"args": ["a" * (2 << 20)]}), 413, "too-large"),
            ("a body that only says so", lambda: self.raw(self.header("POST", PROCESS, "Content-Length: 99999999999") + b"\r\n"), 413, "too-large"),
            ("chunks without an end", lambda: self.raw(self.header("POST", PROCESS, "Transfer-Encoding: chunked") + b"\r\n" + b"10000\r\n" + b"a" * 65536 + b"\r\n",
                                                       *[b"10000\r\n" + b"a" * 65536 + b"\r\n"] * 17), 413, "too-large"),
            ("a header of 20 KB", lambda: self.ask("GET", "/health", X_More="a" * 20000), 431, "header-too-large"),
            ("a token of 9 KB", lambda: self.with_token("x" * 9000), 401, "not-authenticated"),
            ("a key of 300 bytes", lambda: self.ask("POST", PROCESS, {}, who=None, X_API_Key="k" * 300), 401, "not-authenticated"),
            ("an Idempotency-Key of 200 bytes", lambda: self.ask("POST", PROCESS, {"args": ["x"]}, Idempotency_Key="k" * 200), 400, "bad-idempotency-key"),
            ("1001 tasks", lambda: self.ask("POST", "/api/v1/tasks:batch", {"tasks": [one] * 1001}), 422, "body-does-not-fit"),
            ("101 documents", lambda: self.ask("POST", "/api/v1/invoices/process-batch", {"files": [{"blob_url": "storage://x"}] * 101}), 422, "body-does-not-fit"),
            ("a queue of 300 bytes", lambda: self.ask("POST", PROCESS, {"args": ["x"], "queue": "q" * 300}), 422, "body-does-not-fit"),
        ])

    def test_malformed(self):
        def text(body, kind="application/json", path=PROCESS):
            return lambda: self.ask("POST", path, body, Content_Type=kind)
        form = "multipart/form-data; boundary=edge"
        self.refuse([
            ("no HTTP", lambda: self.raw(b"nonsense\r\n\r\n"), 400, "bad-request"),
            ("a path of half an escape", lambda: self.ask("GET", "/%zz"), 400, "bad-request"),
            ("a NUL in the path", lambda: self.ask("GET", "/api/v1/tasks/%00"), 400, "bad-request"),
            ("two lengths", lambda: self.raw(self.header("POST", PROCESS, "Content-Length: 2", "Content-Length: 5") + b"\r\n{}"), 400, "bad-request"),
            ("a length and chunks", lambda: self.raw(self.header("POST", PROCESS, "Content-Length: 2", "Transfer-Encoding: chunked") + b"\r\n{}"), 400, "bad-request"),
            ("no chunk", lambda: self.raw(self.header("POST", PROCESS, "Transfer-Encoding: chunked") + b"\r\nzz\r\n"), 400, "bad-request"),
            ("half of JSON", text("{"), 400, "not-json"),
            ("deep JSON", text("[" * 500), 400, "not-json"),
            ("bytes that are no UTF-8", text(b'{"args": ["\xff"]}'), 400, "not-json"),
            ("no JSON", text("x=1", "text/plain"), 415, "unsupported-type"),
            ("JSON of another shape", text("[]"), 422, "body-does-not-fit"),
            ("arguments of another shape", text('{"args": {}}'), 422, "body-does-not-fit"),
            ("an argument the task has not", text('{"kwargs": {"nope": 1}}'), 422, "body-does-not-fit"),
            ("an argument of another type", text('{"args": [7]}'), 422, "body-does-not-fit"),
            ("an argument that is missing", text("{}"), 422, "body-does-not-fit"),
            ("an argument that is given twice", text('{"args": ["x"], "kwargs": {"source": "y"}}'), 422, "body-does-not-fit"),
            ("a callback to a host that is not named", text('{"args": ["x"], "callback_url": "http://169.254.169.254/"}'), 422, "body-does-not-fit"),
            ("a time that is none", text('{"args": ["x"], "eta": "soon"}'), 422, "body-does-not-fit"),
            ("a priority that is none", text('{"args": ["x"], "priority": 1.5}'), 422, "body-does-not-fit"),
            ("a task that is none", text("{}", path="/api/v1/tasks/nope"), 404, "unknown-task"),
            ("a method that is none", lambda: self.ask("PUT", PROCESS, {}), 405, "method-not-allowed"),
            ("an upload without a form", lambda: self.ask("POST", UPLOAD, b"%PDF-1.7", Content_Type="application/pdf"), 422, "no-file"),
            ("a form that ends too early", lambda: self.ask("POST", UPLOAD, b"--edge\r\nContent-Disp", Content_Type=form), 422, "no-file"),
            ("a form without its field", lambda: self.upload(b"%PDF-1.7", field="other"), 422, "no-file"),
            ("a form of many edges", lambda: self.upload(b"\r\n--x" * 20000), 422, "no-file"),
            ("an empty document", lambda: self.upload(b""), 422, "no-file"),
            ("HTML under a PDF's name", lambda: self.upload(b"<html>no</html>", name="invoice.pdf"), 415, "unsupported-type"),
            ("a program", lambda: self.upload(b"\x7fELF" + b"\0" * 100), 415, "unsupported-type"),
            ("an id that is none", lambda: self.ask("GET", "/api/v1/invoices/nope"), 404, "unknown-id"),
            ("SQL as an id", lambda: self.ask("GET", "/api/v1/invoices/'%3B%20DROP%20TABLE%20users%3B--"), 404, "unknown-id"),
        ])

    def test_traversal(self):
        def files(url):
            return lambda: self.ask("POST", "/api/v1/invoices/process-batch", {"files": [{"blob_url": url}]})
        self.refuse([
            ("a path upwards", lambda: self.ask("GET", "/../../etc/passwd"), 404, "not-found"),
            ("an escaped path upwards", lambda: self.ask("GET", "/%2e%2e/%2e%2e/etc/passwd"), 404, "not-found"),
            ("a task's id upwards", lambda: self.ask("GET", "/api/v1/tasks/..%2F..%2Fetc%2Fpasswd"), 404, "not-found"),
            ("a task's name upwards", lambda: self.ask("POST", "/api/v1/tasks/..%5C..%5Cetc", {}), 404, "unknown-task"),
            ("an export upwards", lambda: self.ask("GET", "/api/v1/exports/jobs/..%2f..%2f/download", who=ADMIN), 404, "not-found"),
            ("a document upwards", lambda: self.ask("GET", "/api/v1/invoices/..%2e"), 404, "unknown-id"),
            ("a file of the machine", files("file:///etc/passwd"), 422, "body-does-not-fit"),
            ("a stored file upwards", files("storage://../../etc/passwd"), 422, "body-does-not-fit"),
            ("a server within", files("http://169.254.169.254/latest/meta-data"), 422, "body-does-not-fit"),
        ])
        # A file's name is a label: whatever it is, the document lies under its own digest.
        for name in ("../../../etc/cron.d/evil.pdf", "..\\..\\evil.pdf", "/etc/evil.pdf"):
            taken = self.upload(self.document(), name=name)
            self.assertEqual(taken.status, 202, taken.body)
            source = self.sql("SELECT source FROM processing_jobs WHERE id = '%s'" % taken.json["job_id"])
            self.assertIn(hashlib.sha256(self.document()).hexdigest()[:16], source)
            self.assertNotIn("evil", source)
        self.assertFalse([f for _, _, names in os.walk(self.stage.dir) for f in names if "evil" in f])

    def test_wrong_algorithm(self):
        rsa = self.rsa_port
        self.assertEqual(self.with_token(self.rs_token, rsa, "GET", "/api/v1/tasks", None).status, 200)  # the one that is right
        head, body, sign = self.rs_token.split(".")
        forged = [b64(json.dumps({"alg": alg, "typ": "JWT"}).encode()) for alg in ("none", "None", "HS256", "HS384", "RS384", "PS256", "ES256", "")]
        self.refuse([
            ("none, unsigned", lambda: self.with_token(token(alg="none")), 401, "not-authenticated"),
            ("HS384", lambda: self.with_token(token(alg="HS384")), 401, "not-authenticated"),
            ("RS256 where HS256 is configured", lambda: self.with_token(self.rs_token), 401, "not-authenticated"),
            ("HS256 with RS256's public key", lambda: self.with_token(token(key=self.public), rsa), 401, "not-authenticated"),
            ("HS256 with its secret, where RS256 is configured", lambda: self.with_token(token(), rsa), 401, "not-authenticated"),
            ("RS256 without a signature", lambda: self.with_token(head + "." + body + ".", rsa), 401, "not-authenticated"),
            ("RS256 with another's signature", lambda: self.with_token(head + "." + body + "." + b64(b"x" * 256), rsa), 401, "not-authenticated"),
            *[("a true signature under header %d" % n, lambda f=f: self.with_token(f + "." + body + "." + sign, rsa), 401, "not-authenticated")
              for n, f in enumerate(forged)],
            ("another secret", lambda: self.with_token(token(key="x" * 40)), 401, "not-authenticated"),
            ("no token", lambda: self.with_token(None), 401, "not-authenticated"),
            ("a token that is none", lambda: self.with_token("nonsense"), 401, "not-authenticated"),
            ("an upload with a token that is none", lambda: self.upload(b"%PDF-1.7", who=None, Authorization="Bearer nonsense"), 401, "not-authenticated"),
            ("an upload without a token", lambda: self.upload(b"%PDF-1.7", who=None), 401, "not-authenticated"),
            ("a subject that is no user", lambda: self.with_token(token(sub="me")), 401, "not-authenticated"),
            ("a token for ever", lambda: self.with_token(token(exp=None)), 401, "not-authenticated"),
            ("a password for the API", lambda: self.ask("GET", "/api/v1/tasks", who=None, Authorization="Basic " + base64.b64encode(("me:" + token()).encode()).decode()),
             401, "not-authenticated"),
        ])

    def test_replayed(self):
        first = self.ask("POST", PROCESS, {"args": ["first"]}, Idempotency_Key='"one"')
        self.assertEqual(first.status, 202)
        unique = self.ask("POST", PROCESS, {"args": ["only"], "unique_for": 600})
        self.assertEqual(unique.status, 202)
        self.redis.client.set("celery-task-meta-" + unique.json["id"], json.dumps({"status": "SUCCESS", "result": 1, "task_id": unique.json["id"]}))
        form = base64.b64encode(("me:" + token(ADMIN, role="admin", exp=int(time.time()) + 900)).encode()).decode()
        page = {"who": None, "Authorization": "Basic " + base64.b64encode(("me:" + token(ADMIN, role="admin")).encode()).decode(),
                "Content-Type": "application/x-www-form-urlencoded"}
        seen = self.ask("GET", "/queue?name=export", who=None, Authorization="Basic " + form).body.decode().partition('name="form" value="')[2][:64]
        self.assertRegex(seen, "^[0-9a-f]{64}$")

        def again():
            self.redis.client.set("celery-task-meta-" + unique.json["id"], json.dumps({"status": "SUCCESS", "result": 1, "task_id": unique.json["id"]}))
            return self.ask("DELETE", "/api/v1/tasks/" + unique.json["id"])
        again()
        self.refuse([
            ("a token that has ended", lambda: self.with_token(token(exp=int(time.time()) - 1)), 401, "not-authenticated"),
            ("a token that has not begun", lambda: self.with_token(token(nbf=int(time.time()) + 900)), 401, "not-authenticated"),
            ("an Idempotency-Key with another request", lambda: self.ask("POST", PROCESS, {"args": ["second"]}, Idempotency_Key='"one"'), 422, "idempotency-key-reused"),
            ("an Idempotency-Key at another path", lambda: self.ask("POST", "/api/v1/queues/export/tasks", {"task": "invoice_processing.process_document", "args": ["first"]},
                                                                   Idempotency_Key='"one"'), 422, "idempotency-key-reused"),
            ("a task that is to be the only one", lambda: self.ask("POST", PROCESS, {"args": ["only"], "unique_for": 600}), 409, "not-unique"),
            ("the form of another session", lambda: self.ask("POST", "/queue/pause", "form=%s&name=export" % seen, **page), 403, "foreign-form"),
            ("a form without its mark", lambda: self.ask("POST", "/queue/pause", "name=export", **page), 403, "foreign-form"),
        ])
        # The same request is no other: its first answer, and one task.
        before = self.stored()[0]
        same = self.ask("POST", PROCESS, {"args": ["first"]}, Idempotency_Key='"one"')
        self.assertEqual((same.status, same.json["id"], same.headers["Idempotency-Replayed"]), (202, first.json["id"], "true"))
        self.assertEqual(self.stored()[0], before)
        self.problem(again(), 409, "already-final")

    def test_cross_user(self):
        """What is another's does not exist; what is for administrators is said so."""
        task = self.ask("POST", PROCESS, {"args": ["mine"]}).json["id"]
        job = self.upload(self.document()).json
        invoice, fault, nobody = (str(uuid.uuid4()) for _ in range(3))
        self.sql("INSERT INTO users (id, is_active, status) VALUES ('%s', false, 'inactive') ON CONFLICT DO NOTHING" % ME)
        self.sql("INSERT INTO invoices (id, uploaded_by_user_id, status) VALUES ('%s', '%s', 'EXCEPTION')" % (invoice, ME))
        self.sql("INSERT INTO exceptions (id, invoice_id, reason_code, category, severity, details_json) VALUES "
                 "('%s', '%s', 'TOTAL_MISMATCH', 'MATH', 'error', '{}')" % (fault, invoice))
        url = self.sql("SELECT source FROM processing_jobs WHERE id = '%s'" % job["job_id"])
        other = lambda method, path, body=None: lambda: self.ask(method, path, body, who=OTHER)
        rows = [("%s %s" % (method, path), other(method, path, body), 404, "unknown-id") for method, path, body in (
            ("GET", "/api/v1/tasks/" + task, None), ("GET", "/api/v1/tasks/%s/result" % task, None), ("GET", "/api/v1/tasks/%s/events" % task, None),
            ("DELETE", "/api/v1/tasks/" + task, None), ("GET", job["links"]["status"], None), ("GET", job["links"]["events"], None),
            ("GET", "/api/v1/jobs/my-jobs/" + job["job_id"], None), ("POST", "/api/v1/invoices/%s/process" % job["job_id"], {}),
            ("GET", "/api/v1/invoices/" + invoice, None), ("PUT", "/api/v1/invoices/" + invoice, {"invoice": {"po_number": "theirs"}}),
            ("GET", "/api/v1/exceptions/" + fault, None), ("POST", "/api/v1/exceptions/%s/resolve" % fault, {"action": "ESCALATE"}),
            ("GET", "/api/v1/invoices/" + nobody, None), ("GET", "/api/v1/tasks/" + nobody, None))]
        rows.append(("another's document in a batch", other("POST", "/api/v1/invoices/process-batch", {"files": [{"blob_url": url}]}), 422, "body-does-not-fit"))
        rows += [("%s %s" % (method, path), other(method, path, body), 403, "not-allowed") for method, path, body in (
            ("GET", "/api/v1/approvals", None), ("POST", "/api/v1/approvals/%s/decide" % nobody, {"decision": "APPROVE"}), ("GET", "/api/v1/audit-log", None),
            ("POST", "/api/v1/exports/jobs", {"format": "csv"}), ("GET", "/api/v1/exports/jobs", None), ("GET", "/tasks", None), ("GET", "/dead", None))]
        rows.append(("a task that the caller may not send", lambda: self.with_token(token(tasks=["validation.validate_invoice"])), 404, "unknown-task"))
        self.refuse(rows)
        for path, name in (("/api/v1/invoices", "invoices"), ("/api/v1/exceptions", "exceptions"), ("/api/v1/jobs/my-jobs", "jobs")):
            self.assertEqual(self.ask("GET", path, who=OTHER).json[name], [], path)


if __name__ == "__main__":
    unittest.main(argv=["refusals"])
