"""A front end with its servers, and a client of it: what the tests of http/ share."""
import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "interop"))
import stage  # noqa: E402
from stage import Stage, free_port, wait_for  # noqa: E402

ARGUMENTS = stage.arguments(celeriac="", documents="", screenshots="", most_p99_ms=0.0, every=1, part="1/1", listeners=5000)
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("CELERY", "CELERIAC"))}
SECRET = "a secret that is long enough for HS256"
ME, OTHER, ADMIN = (str(uuid.UUID(int=n)) for n in (1, 2, 3))


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(sub=ME, alg="HS256", key=SECRET, **claims):
    head = {"alg": alg, "typ": "JWT"}
    body = {"sub": sub, "exp": int(time.time()) + 600, "tasks": ["*"], **claims}
    text = b64(json.dumps(head).encode()) + "." + b64(json.dumps({k: v for k, v in body.items() if v is not None}).encode())
    sign = b64(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()) if alg != "none" else ""
    return text + "." + sign


class Answer:
    def __init__(self, reply):
        self.status, self.headers, self.body = reply.status, reply.headers, reply.read()

    @property
    def json(self):
        return json.loads(self.body)


class FrontCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage().__enter__()
        cls.addClassCleanup(cls.stage.__exit__, None, None, None)
        cls.redis = cls.stage.redis()
        cls.database = "postgresql://" + cls.stage.postgres()
        cls.environment = {**CLEAN, "CELERY_BROKER_URL": cls.redis.url(), "CELERY_RESULT_BACKEND": cls.redis.url(),
                           "CELERY_DATABASE_URL": cls.database, "CELERY_STORAGE_ROOT": os.path.join(cls.stage.dir, "storage"),
                           "CELERY_HTTP_JWT_KEY": SECRET, "CELERY_HTTP_CORS_ORIGINS": "https://app.example"}
        subprocess.run([ARGUMENTS.celeriac, "db", "migrate"], env=cls.environment, check=True, capture_output=True)
        cls.port = free_port()
        cls.process = cls.serve("front", cls.port)

    @classmethod
    def serve(cls, name, port, **more):
        process = cls.stage.run(name, [ARGUMENTS.celeriac, "http", "--port", str(port)], env={**cls.environment, **more})
        wait_for(lambda: "celeriac http on" in cls.stage.log(name), 30, "the front end")
        return process

    def setUp(self):
        # What the test before has accepted is sent before the broker is emptied; the claims of a killed process end after a minute.
        waiting = lambda: self.sql("SELECT count(*) FROM outbox WHERE kind = 'http' AND state = 'waiting'") != "0"
        if waiting():
            wait_for(lambda: not waiting(), 90, "what was accepted to be sent", every=0.1)
        self.redis.client.flushall()

    def sql(self, text):
        return subprocess.run(["psql", "-qAt", self.database, "-c", text], check=True, capture_output=True, text=True).stdout.strip()

    def ask(self, method, path, body=None, port=None, who=ME, timeout=30, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout)
        names = {k.replace("_", "-"): v for k, v in headers.items()}
        if who:
            names.setdefault("Authorization", "Bearer " + token(who, role="admin" if who == ADMIN else None))
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            names.setdefault("Content-Type", "application/json")
        connection.request(method, path, body, names)
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    def problem(self, answer, status, kind):
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (status, "application/problem+json"), answer.body)
        self.assertEqual((answer.json["type"], answer.json["status"]), ("urn:celeriac:problem:" + kind, status))
        return answer.json

    def upload(self, data, name="invoice.pdf", who=ME, field="file", port=None, path="/api/v1/invoices/upload", **headers):
        edge = "edge" + uuid.uuid4().hex
        body = (("--%s\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--%s\r\nContent-Disposition: form-data; name=\"%s\"; "
                 "filename=\"%s\"\r\nContent-Type: application/octet-stream\r\n\r\n") % (edge, edge, field, name)).encode() + data + (
                     "\r\n--%s--\r\n" % edge).encode()
        return self.ask("POST", path, body, who=who, port=port,
                        Content_Type="multipart/form-data; boundary=" + edge, **headers)

    def document(self, name="invoice.pdf"):
        return pathlib.Path(ARGUMENTS.documents, name).read_bytes()

    def events(self, path, port=None, **headers):
        """Yields (event, id, data) until the stream ends."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=60)
        self.addCleanup(connection.close)
        connection.request("GET", path, headers={"Authorization": "Bearer " + token(), **headers})
        reply = connection.getresponse()
        self.assertEqual((reply.status, reply.headers["Content-Type"]), (200, "text/event-stream"))
        event = {}
        while line := reply.readline():
            line = line.decode().rstrip("\n")
            if not line and event:
                yield event["event"], event["id"], json.loads(event["data"])
                event = {}
            elif line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = value
