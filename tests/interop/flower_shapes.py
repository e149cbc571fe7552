"""One real Flower watches a Python worker and a native one: whatever it is asked about either, the answers have one shape.

Needs the Flower of scripts/celery_venv.sh (exit status 77 without). --screenshots FOLDER keeps pictures of its pages, taken by
a headless Chromium.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import stage

options = stage.arguments(screenshots="", broker="redis")
python = os.environ.get("CELERIAC_CELERY56_PYTHON", "")
if not python or subprocess.run([python, "-c", "import flower"], stderr=subprocess.DEVNULL).returncode:
    print("skipped: CELERIAC_CELERY56_PYTHON names no Python with Flower (scripts/celery_venv.sh)")
    sys.exit(stage.SKIP)
NODES = {"native": "native@interop", "python": "python@interop"}


class Flower:
    def __init__(self, s, environment, *more):
        self.url = "http://127.0.0.1:%d" % stage.free_port()
        s.run("flower", [python, "-m", "celery", "-A", "flower_app", "flower", "--address=127.0.0.1",
                         "--port=" + self.url.rsplit(":", 1)[1], *more], env=environment)
        stage.wait_for(lambda: self.ask("GET", "/healthcheck")[0] == 200, 60, "Flower")

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method,
                                         data=json.dumps(body).encode() if body is not None else None)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                code, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            code, text = error.code, error.read().decode()
        except urllib.error.URLError:
            return 0, None
        try:
            return code, json.loads(text)
        except ValueError:
            return code, text

    def get(self, path):
        code, value = self.ask("GET", path)
        assert code == 200, "GET %s: %d %s" % (path, code, str(value)[:300])
        return value

    def worker(self, node):
        return self.get("/api/workers?refresh=1&workername=" + node).get(node, {})

    def run(self, kind, task, args, **more):
        code, sent = self.ask("POST", "/api/task/async-apply/" + task, dict(more, args=args, queue=kind))
        assert code == 200, sent
        return sent["task-id"]

    def task(self, task_id, state):
        def reached():
            code, info = self.ask("GET", "/api/task/info/" + task_id)
            seen[:] = [info]
            return info if code == 200 and info["state"] == state else None
        seen = []
        return stage.wait_for(reached, 60, "Flower to see %s as %s: %s" % (task_id, state, seen))


def shape(value, depth=3):
    """Names and kinds, without the values."""
    if isinstance(value, dict) and depth:
        return {key: shape(item, depth - 1) for key, item in sorted(value.items())}
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


def look(flower, kind):
    """Everything that Flower shows of a worker and its tasks, in one document."""
    node, seen = NODES[kind], {}
    info = stage.wait_for(lambda: (lambda w: w if "stats" in w and "registered" in w else None)(flower.worker(node)), 60,
                          node)
    stats = info["stats"]
    seen["sections"] = sorted(set(info) - {"timestamp"})
    seen["broker"] = shape(stats["broker"])
    # What only a pool of Python children has, or only this one.
    seen["pool"] = sorted(set(stats["pool"]) - {"free-threads", "running-threads"})
    seen["stats"] = {key: type(stats[key]).__name__ for key in sorted(stats)}
    seen["queue"] = shape(info["active_queues"][0])
    added = flower.run(kind, "interop.add", [20, 22])
    task = flower.task(added, "SUCCESS")
    assert task["result"] == "42" or task["result"] == "42.0", task
    assert task["worker"] == node and task["args"] == "[20, 22]" and task["kwargs"] == "{}", task
    seen["success"] = shape(task)
    assert flower.get("/api/task/result/" + added)["result"] == 42
    failed = flower.task(flower.run(kind, "interop.fail", ["ValueError", ["seen"]]), "FAILURE")
    assert failed["exception"] == "ValueError('seen')" and "seen" in failed["traceback"], failed
    seen["failure"] = shape(failed)
    retried = flower.task(flower.run(kind, "interop.retry", ["v", 2]), "SUCCESS")
    assert retried["retries"] == 2 and retried["retried"], retried
    seen["retry"] = shape(retried)
    later = flower.run(kind, "interop.add", [1, 1], countdown=3600)
    waiting = stage.wait_for(lambda: flower.worker(node).get("scheduled"), 60, "the ETA")
    seen["scheduled"] = shape(waiting[0])
    flower.ask("POST", "/api/task/revoke/" + later)
    stage.wait_for(lambda: later in flower.worker(node).get("revoked", []), 60, "the revoked id")
    nap = flower.run(kind, "interop.nap", [60])
    running = stage.wait_for(lambda: [t for t in flower.worker(node).get("active", []) if t["id"] == nap], 60, "the nap")
    seen["active"] = shape(running[0])
    flower.ask("POST", "/api/task/revoke/%s?terminate=true&signal=SIGKILL" % nap)
    seen["revoked"] = shape(flower.task(nap, "REVOKED"))
    answers = [flower.ask("POST", path % {"node": node}) for path in (
        "/api/worker/pool/grow/%(node)s?n=1", "/api/worker/pool/shrink/%(node)s?n=1",
        "/api/worker/pool/restart/%(node)s",
        "/api/task/rate-limit/interop.add?workername=%(node)s&ratelimit=10/m",
        "/api/task/rate-limit/interop.add?workername=%(node)s&ratelimit=often",
        "/api/task/rate-limit/interop.add?workername=%(node)s&ratelimit=0",
        "/api/task/timeout/interop.nap?workername=%(node)s&soft=50&hard=100",
        "/api/worker/queue/add-consumer/%(node)s?queue=more",
        "/api/worker/queue/cancel-consumer/%(node)s?queue=more")]
    # Errors have the same class; their words may be better.
    seen["control"] = [(code, re.sub(r'(ValueError\(").*', r"\1", re.sub(r"\S+@interop", "NODE", str(answer))))
                       for code, answer in answers]
    for page in ("/worker/" + node, "/task/" + added, "/tasks", "/workers", "/broker"):
        assert flower.ask("GET", page)[0] == 200, page
    if options.screenshots:
        os.makedirs(options.screenshots, exist_ok=True)
        for name, page in (("worker", "/worker/" + node), ("task", "/task/" + added), ("failed", "/task/" + failed["uuid"]),
                           ("tasks", "/tasks"), ("workers", "/workers")):
            subprocess.run([shutil.which("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                            "--window-size=1300,1500", "--virtual-time-budget=8000",
                            "--screenshot=%s/%s-%s.png" % (os.path.abspath(options.screenshots), name, kind),
                            flower.url + page], check=True, stderr=subprocess.DEVNULL)
    return seen


def counted(flower, node):
    """What Flower counts of a worker: one name for each kind of event that has come."""
    row = next((row for row in flower.get("/workers?json=1")["data"] if row["hostname"] == node), {})
    lines = [line for line in flower.get("/metrics").splitlines() if node in line]
    metrics = {re.sub(r"\{.*", "", line) + " " + ",".join(re.findall(r'(?:task|type)="([^"]*)"', line))
               for line in lines if not line.startswith("#") and "_created" not in line}
    return {"status": row.get("status"), "row": sorted(row), "metrics": sorted(metrics)}


def broker_page(flower, server):
    """Its counts come from RabbitMQ's management API, which looks every few seconds."""
    def shown():
        code, answer = flower.ask("GET", "/api/queues/length")
        rows = {row["name"]: row for row in answer["active_queues"]} if code == 200 else {}
        held = server.messages()
        return all(rows.get(kind, {}).get("consumers") == 1 and rows[kind]["messages"] == sum(held[kind]) for kind in NODES)
    stage.wait_for(shown, 60, "both queues on the broker page", every=0.5)
    page = flower.ask("GET", "/broker")[1]
    assert all(kind in page for kind in NODES), page


with stage.Stage() as s:
    results, more = s.redis(), []
    server = results
    if options.broker == "rabbitmq":
        server = s.rabbit(plugins=["rabbitmq_management"], config="management.tcp.ip = 127.0.0.1",
                          options={"management.tcp.port": "api"})
        more = ["--broker-api=http://guest:guest@127.0.0.1:%d/api/" % server.api]
    environment = dict(os.environ, BROKER=server.url(), BACKEND=results.url(1), FLOWER_UNAUTHENTICATED_API="1",
                       C_FORCE_ROOT="1", PYTHONPATH=os.path.dirname(os.path.abspath(__file__)))
    s.run("python", [python, "-m", "celery", "-A", "flower_app", "worker", "-n", NODES["python"], "-Q", "python", "-c", "2",
                     "-E", "-l", "INFO"], env=environment)
    s.worker(options.worker, server.url(), results.url(1), name="native", queues="native", pool="prefork", extra=["-E"])
    stage.wait_for(lambda: "ready." in s.log("python"), 60, "the Python worker")
    flower = Flower(s, environment, *more)
    seen = {kind: look(flower, kind) for kind in NODES}
    # Events come when they come, a heartbeat every two seconds: the counters are compared once they have settled, if they do.
    def counters():
        for kind, node in NODES.items():
            seen[kind].update(counted(flower, node))
        beaten = "number_of_currently_executing" in str(seen["python"]["metrics"])
        return beaten and seen["python"]["status"] and seen["python"] == seen["native"]
    try:
        stage.wait_for(counters, 60, "the same counters", every=0.5)
    except AssertionError:
        pass  # what differs is told below
    different = [key for key in seen["python"] if seen["python"][key] != seen["native"][key]]
    for key in different:
        print("%s\n  Python: %s\n  native: %s" % (key, seen["python"][key], seen["native"][key]))
    assert not different, "Flower shows the two workers differently"
    if more:
        broker_page(flower, server)
    code, answer = flower.ask("POST", "/api/worker/shutdown/" + NODES["native"])
    assert code == 200, answer
    stage.wait_for(lambda: flower.get("/api/workers?status=1").get(NODES["native"]) is False, 30, "Flower to see it gone")
    print("Flower shows a native worker as it shows a Python one: %s" % ", ".join(sorted(seen["python"])))
