#!/usr/bin/python3
"""Runs the conformance worker against a private Redis with Celery's own client.

    end_to_end.py WORKER [POOL]

Each check is a function; the first failing one ends the run with a traceback."""
import base64, json, os, signal, socket, subprocess, sys, tempfile, time, uuid

import redis
from celery import Celery
from celery.exceptions import TimeoutError as CeleryTimeout

WORKER = sys.argv[1]
POOL = sys.argv[2] if len(sys.argv) > 2 else "threads"
SUITE = "t.integration.tasks."
FOLDER = tempfile.TemporaryDirectory(prefix="celeriac-e2e-")


def wait_for(what, condition, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"no {what} within {seconds} s\n" + worker_log())


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


PORT = free_port()
URL = f"redis://127.0.0.1:{PORT}/0"
DB = redis.Redis(port=PORT)
app = Celery(broker=URL, backend=URL)
app.conf.result_extended = True
app.conf.broker_connection_retry_on_startup = True


def worker_log():
    with open(FOLDER.name + "/worker.log", errors="replace") as f:
        return f.read()[-4000:]


class Worker:
    def __init__(self, *options, slots=2, **settings):
        env = dict(os.environ, REDIS_HOST="127.0.0.1", REDIS_PORT=str(PORT),
                   CONFORMANCE_SETTINGS=json.dumps(dict({"result_extended": True}, **settings)))
        self.out = open(FOLDER.name + "/worker.log", "ab")
        self.mark = self.out.tell()
        self.process = subprocess.Popen(
            [WORKER, "--broker", URL, "--result-backend", URL, "-Q", "celery", "-c", str(slots), "-P", POOL,
             "-l", "INFO", "-n", "e2e@host", *options], env=env, stdout=self.out, stderr=self.out)
        wait_for("ready line", lambda: "e2e@host ready." in self.log())

    def log(self):
        with open(FOLDER.name + "/worker.log", errors="replace") as f:
            f.seek(self.mark)
            return f.read()

    def stop(self, number=signal.SIGTERM, code=0):
        self.process.send_signal(number)
        assert self.process.wait(20) == code, self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            if kind is None:
                self.stop()
            else:
                self.process.kill()
                self.process.wait()


def send(name, *args, **options):
    return app.send_task(name, args, **options)


def meta(task_id):
    text = DB.get(f"celery-task-meta-{task_id}")
    return json.loads(text) if text else None


def check_results():
    assert send("fuzz.add", 2, 3).get(10) == 5
    assert send("fuzz.echo", {"a": [1, 2.5, None, "ü", 2**70]}).get(10) == {"a": [1, 2.5, None, "ü", 2**70]}
    result = app.send_task("fuzz.collect", (1,), {"x": [1]})
    assert result.get(10) == {"args": [1], "kwargs": {"x": [1]}}
    row = meta(result.id)
    assert (row["name"], row["args"], row["kwargs"], row["queue"]) == ("fuzz.collect", [1], {"x": [1]}, "celery"), row
    assert row["worker"] == "e2e@host" and row["date_done"].endswith("+00:00")


def check_failure():
    result = send(SUITE + "raise_error")
    try:
        result.get(10)
        raise AssertionError("no error")
    except ValueError as error:
        assert error.args == ("deliberate error",)
    assert send("fuzz.add", 1).get(10, propagate=False).__class__ is TypeError


def check_retry():
    result = app.send_task("fuzz.retry", (), {"value": "v", "times": 2})
    assert result.get(15) == ["v", 2]
    result = app.send_task("fuzz.retry", (), {"times": 9, "max_retries": 1})
    assert result.get(15, propagate=False).args == ("again",)
    assert app.send_task("auto_retry_class_task").get(15) == 1


def check_eta_and_expiry():
    start = time.time()
    result = send("fuzz.add", 1, 1, countdown=0.7)
    assert result.get(10) == 2 and time.time() - start >= 0.69
    late = send("fuzz.add", 1, 1, expires=-1)
    wait_for("REVOKED", lambda: (meta(late.id) or {}).get("status") == "REVOKED")
    assert meta(late.id)["result"]["exc_message"] == ["expired"]


def check_ignored():
    result = app.send_task("fuzz.echo", (1,), ignore_result=True)
    assert send("fuzz.echo", 2).get(10) == 2
    wait_for("empty queue", lambda: DB.hlen("unacked") == 0)
    assert meta(result.id) is None


def check_control_flow():
    ignored = app.send_task("fuzz.control", (), {"action": "ignore"})
    assert send("fuzz.echo", 1).get(10) == 1
    assert meta(ignored.id) is None
    assert app.send_task(SUITE + "reject_then_succeed").get(10) == "second-pass"


def check_children():
    result = app.send_task("fuzz.spawn", (), {"n": 2, "value": "x"})
    assert result.get(10) == 2
    assert sorted(child.get(10) for child in result.children) == ["x 0", "x 1"]


def check_limits():
    soft = app.send_task("fuzz.sleep", (), {"seconds": 10, "guard": True}, soft_time_limit=0.3)
    assert soft.get(10) == "soft"
    if POOL == "prefork":
        hard = app.send_task("fuzz.sleep", (), {"seconds": 10}, time_limit=0.5)
        error = hard.get(10, propagate=False)
        assert type(error).__name__ == "TimeLimitExceeded" and error.args == (0.5,), error


def envelope(name, body, headers, **changes):
    item = {"body": base64.b64encode(body).decode(), "content-encoding": "utf-8", "content-type": "application/json",
            "headers": headers,
            "properties": {"correlation_id": name, "delivery_mode": 2, "priority": 0, "body_encoding": "base64",
                           "delivery_info": {"exchange": "", "routing_key": "celery"}, "delivery_tag": str(uuid.uuid4())}}
    item.update(changes)
    return json.dumps(item)


def check_malformed(worker):
    def head(name, task="fuzz.add", **more):
        return dict({"task": task, "id": name}, **more)
    good = b"[[1,2],{},{}]"
    run = {"minimal": envelope("minimal", good, head("minimal")),
           "embed-null": envelope("embed-null", b"[[1,2],{},null]", head("embed-null")),
           "v1": envelope("v1", b'{"task":"fuzz.add","id":"v1","args":[1,2]}', {}),
           "eta-past": envelope("eta-past", good, head("eta-past", eta="2020-01-01T00:00:00Z"))}
    refused = {
        "two": envelope("two", b"[[1,2],{}]", head("two")), "empty": envelope("empty", b"", head("empty")),
        "no-json": envelope("no-json", b"{not json", head("no-json")),
        "not-utf8": envelope("not-utf8", b'[["\xff\xfe"],{},{}]', head("not-utf8")),
        "deep": envelope("deep", b"[" * 200000 + b"]" * 200000, head("deep")),
        "kwargs-list": envelope("kwargs-list", b"[[1,2],[],{}]", head("kwargs-list")),
        "args-object": envelope("args-object", b'[{"x":1},{},{}]', head("args-object")),
        "pickle": envelope("pickle", b"\x80\x04K\x01.", head("pickle"), **{"content-type": "application/x-python-serialize"}),
        "type": envelope("type", good, head("type"), **{"content-type": "application/x-foo"}),
        "gzip": envelope("gzip", good, head("gzip", compression="application/x-gzip")),
        "packed": envelope("packed", good, head("packed", compression="application/x-nope")),
        "eta": envelope("eta", good, head("eta", eta="not-a-date")),
        "expires": envelope("expires", good, head("expires", expires="zz")),
        "no-id": envelope("no-id", good, {"task": "fuzz.add"}),
        "no-task": envelope("no-task", b'{"foo":1}', {}), "list": envelope("list", b"[1,2,3]", {}),
        "raw": "this is no json", "array": "[1,2,3]", "nothing": "",
        "base64": json.dumps(dict(json.loads(envelope("base64", good, head("base64"))), body="%%%"))}
    for name, item in {**run, **refused}.items():
        DB.lpush("celery", item)
    DB.lpush("celery", envelope("unknown", good, head("unknown", task="t.nope")))
    for name in run:
        wait_for(f"result of {name}", lambda: (meta(name) or {}).get("result") == 3)
    row = wait_for("FAILURE of unknown", lambda: meta("unknown"))
    assert row["result"] == {"exc_type": "NotRegistered", "exc_message": ["t.nope"], "exc_module": "celery.exceptions"}
    wait_for("settled messages", lambda: DB.llen("celery") == 0 and DB.hlen("unacked") == 0)
    for name in refused:
        assert meta(name) is None, (name, meta(name))
    assert worker.process.poll() is None
    kept = b"".join(value for key in DB.scan_iter("*dead*") for value in dump_key(key))
    for text in (b"this is no json", b"t.nope", b"not-a-date"):
        assert text in kept, text
    assert send("fuzz.add", 1, 2).get(10) == 3


def dump_key(key):
    kind = DB.type(key)
    if kind == b"hash":
        return [part for pair in DB.hgetall(key).items() for part in pair]
    if kind == b"list":
        return DB.lrange(key, 0, -1)
    return [DB.get(key)] if kind == b"string" else []


def runs(result):
    """Received is not enough: the slot may still be starting, and a shutdown then restores the message."""
    return (meta(result.id) or {}).get("status") == "STARTED"


def check_warm_shutdown():
    worker = Worker(slots=1, task_track_started=True)
    running = app.send_task("fuzz.sleep", (), {"seconds": 5, "value": "ran"})
    wait_for("start", lambda: runs(running))
    eta = send("fuzz.echo", 9, countdown=600)
    waiting = [send("fuzz.echo", i) for i in range(3)]  # with the plain window of 4
    wait_for("fetch", lambda: worker.log().count("received") == 5)
    worker.stop()
    assert "Warm shutdown (MainProcess)" in worker.log()
    assert "Restoring 4 unacknowledged message(s)" in worker.log(), worker.log()
    assert meta(running.id)["result"] == "ran"
    assert DB.llen("celery") == 4 and DB.hlen("unacked") == 0
    assert all(meta(result.id) is None for result in waiting + [eta])
    DB.delete("celery")


def check_cold_shutdown():
    if POOL != "prefork":
        return
    worker = Worker(slots=1, task_track_started=True)
    killed = app.send_task("fuzz.sleep", (), {"seconds": 60})
    wait_for("start", lambda: runs(killed))
    wait_for("early acknowledgement", lambda: DB.hlen("unacked") == 0)
    worker.stop(signal.SIGQUIT)
    assert meta(killed.id)["status"] == "RETRY"
    assert DB.llen("celery") == 1, "the killed task waits for its next run"
    DB.delete("celery")
    worker = Worker(slots=1, task_acks_late=True, task_track_started=True)
    late = app.send_task("fuzz.sleep", (), {"seconds": 60})
    wait_for("start", lambda: runs(late))
    worker.stop(signal.SIGQUIT)
    assert runs(late) and DB.llen("celery") == 1, "its next run will end it"
    DB.delete("celery")


def main():
    server = subprocess.Popen(["redis-server", "--port", str(PORT), "--bind", "127.0.0.1", "--save", "", "--dir", FOLDER.name],
                              stdout=subprocess.DEVNULL)
    open(FOLDER.name + "/worker.log", "w").close()
    try:
        wait_for("redis-server", lambda: socket.socket().connect_ex(("127.0.0.1", PORT)) == 0)
        with Worker() as worker:
            for check in (check_results, check_failure, check_retry, check_eta_and_expiry, check_ignored,
                          check_control_flow, check_children, check_limits):
                check()
                print("ok", check.__name__, flush=True)
            check_malformed(worker)
            print("ok check_malformed", flush=True)
        for check in (check_warm_shutdown, check_cold_shutdown):
            check()
            print("ok", check.__name__, flush=True)
    except BaseException:
        print(worker_log())
        raise
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
