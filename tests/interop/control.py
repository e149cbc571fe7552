"""The real `celery` command line and API against a worker: inspect, status, control, events.

Run by Debian's Celery and, when CELERIAC_CELERY56_PYTHON names one, by a newer Celery too.
--broker rabbitmq does it over RabbitMQ."""
import gc
import json
import os
import subprocess
import sys
import threading
import time

from celery import Celery, __version__
from celery.exceptions import TaskRevokedError

import stage

MARKED = "CELERIAC_CONTROL_CHECKS"


def celery(server, *args, code=0):
    """Runs `celery ARGS` of this interpreter's Celery; returns what it printed."""
    done = subprocess.run([sys.executable, "-m", "celery", "-b", server, *args], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == code, "celery %s: %s\n%s%s" % (args, done.returncode, done.stdout, done.stderr)
    return done.stdout


def one(replies, node):
    """The reply of the only node: from inspect's dict or broadcast's list."""
    if isinstance(replies, list):
        assert len(replies) == 1, replies
        replies = replies[0]
    assert list(replies) == [node], replies
    return replies[node]


class Events(threading.Thread):
    """Gathers events with Celery's own receiver and state."""

    def __init__(self, app):
        super().__init__(daemon=True)
        self.app, self.seen, self.state, self.ended = app, [], app.events.State(), False

    def run(self):
        def on_event(event):
            if not event["type"].startswith("worker-elect"):  # Celery's State dies of their field `id`
                self.state.event(dict(event))
            self.seen.append(event)
        try:
            with self.app.connection() as connection:
                self.app.events.Receiver(connection, handlers={"*": on_event}).capture(limit=None, timeout=None)
        except Exception:
            if not self.ended:  # the test takes its Redis away
                raise

    def of(self, uuid):
        return [e["type"] for e in list(self.seen) if e.get("uuid") == uuid]

    def wait(self, uuid, *types):
        stage.wait_for(lambda: self.of(uuid) == list(types), 10, "events %s of %s, not %s" % (types, uuid, self.of(uuid)))


def check(binary, kind):
    with stage.Stage() as s:
        look_and_change(s, binary, *s.broker(kind))
        gc.collect()  # results let go of their server while it is there
        print("Celery %s finds a worker it knows" % __version__)


def look_and_change(s, binary, server, results):
    broker, backend = server.url(), results.url(1)
    app = Celery("control", broker=broker, backend=backend)
    state_file = os.path.join(s.dir, "state.json")
    begin = time.monotonic()
    worker = s.worker(binary, broker, backend, pool="prefork", concurrency=2, extra=["-S", state_file])
    assert time.monotonic() - begin < 5
    node = "w1@interop"
    inspect, control = app.control.inspect(timeout=5, destination=[node]), app.control
    ask = dict(reply=True, timeout=5, destination=[node])

    stage.wait_for(lambda: app.control.ping(timeout=0.3, destination=[node]), 10, "the node to answer")
    watch = Events(app)
    watch.start()
    stage.wait_for(lambda: any(e["type"] == "worker-heartbeat" for e in watch.seen), 10, "a heartbeat")
    beat = [e for e in watch.seen if "active" in e] or stage.wait_for(
        lambda: [e for e in watch.seen if "active" in e], 10, "a full heartbeat")
    assert beat[0]["sw_ident"] == "celeriac" and len(beat[0]["loadavg"]) == 3, beat

    # Nobody asked for task events yet.
    first = app.send_task("interop.add", (1, 2))
    assert first.get(timeout=10) == 3
    assert one(control.enable_events(**ask), node) == {"ok": "task events enabled"}
    assert one(control.enable_events(**ask), node) == {"ok": "task events already enabled"}
    second = app.send_task("interop.add", (3, 4))
    assert second.get(timeout=10) == 7
    watch.wait(second.id, "task-received", "task-started", "task-succeeded")
    assert watch.of(first.id) == []
    seen = watch.state.tasks[second.id]
    told = (seen.name, seen.state, float(seen.result))
    assert told == ("interop.add", "SUCCESS", 7.0), told
    failed = app.send_task("interop.fail", ("ValueError", ["boom"]))
    failed.get(timeout=10, propagate=False)
    watch.wait(failed.id, "task-received", "task-started", "task-failed")
    assert watch.state.tasks[failed.id].exception == "ValueError('boom')"

    # Looking.
    assert one(inspect.ping(), node) == {"ok": "pong"}
    assert "interop.add" in one(inspect.registered(), node)
    stats = one(inspect.stats(), node)
    assert stats["total"]["interop.add"] == 2 and stats["pid"] == worker.pid, stats
    assert stats["prefetch_count"] >= 8 and len(stats["pool"]["processes"]) == 2 and stats["rusage"]["maxrss"]
    with app.connection_for_read() as connection:
        where = connection.info()
    for fact in ("hostname", "port", "transport", "virtual_host", "userid", "login_method", "ssl"):
        assert stats["broker"][fact] == where[fact], (fact, stats["broker"], where)
    conf = one(inspect.conf(), node)
    assert conf["broker_url"] == broker.replace("guest@", "********@"), conf
    assert [q["name"] for q in one(inspect.active_queues(), node)] == ["celery"]
    assert one(inspect.clock(), node)["clock"] > 0
    assert "celeriac" in one(inspect.report(), node)["ok"]
    assert one(inspect.memsample(), node).endswith("MB")
    nap = app.send_task("interop.nap", (60,), {}, argsrepr="(60,)")
    stage.wait_for(lambda: one(inspect.active(), node), 10, "the nap to run")
    active = one(inspect.active(), node)[0]
    assert active["id"] == nap.id and active["args"] == [60] and active["acknowledged"], active
    assert active["worker_pid"] in stats["pool"]["processes"] and active["time_start"] > 1e9
    assert one(inspect.query_task(nap.id), node)[nap.id][0] == "active"
    later = app.send_task("interop.add", (1, 1), countdown=3600)
    stage.wait_for(lambda: one(inspect.scheduled(), node), 10, "the ETA to be held")
    assert one(inspect.scheduled(), node)[0]["request"]["id"] == later.id
    assert one(inspect.revoked(), node) == []

    # Revoking: waiting for its ETA, running, waiting for a slot.
    other = app.send_task("interop.nap", (60,))
    stage.wait_for(lambda: len(one(inspect.active(), node)) == 2, 10, "both slots to be busy")
    queued = app.send_task("interop.nap", (60,))
    stage.wait_for(lambda: [t["id"] for t in one(inspect.reserved(), node)] == [queued.id], 10, "a reserved task")
    assert one(control.revoke(queued.id, **ask), node)["ok"].startswith("tasks ")
    assert one(control.revoke(nap.id, terminate=True, signal="SIGKILL", **ask), node) == {"ok": "terminate: " + nap.id}
    watch.wait(nap.id, "task-received", "task-started", "task-revoked")
    told = [e for e in watch.seen if e["type"] == "task-revoked" and e["uuid"] == nap.id][0]
    assert told["terminated"] and told["signum"] == 9 and not told["expired"], told
    assert one(control.terminate(other.id, **ask), node) == {"ok": "terminate: " + other.id}
    control.revoke(later.id)
    for result in (queued, nap, other, later):
        try:
            raise AssertionError(result.get(timeout=10))
        except TaskRevokedError:
            pass
    assert one(control.revoke("nobody", terminate=True, **ask), node) == {"ok": "terminate: tasks unknown"}
    assert app.send_task("interop.add", (2, 2)).get(timeout=10) == 4  # slots are back

    stage.wait_for(lambda: watch.of(queued.id)[-1] == "task-revoked", 10, "the queued task to be revoked")

    # Changing.
    assert one(control.rate_limit("interop.add", "1/h", **ask), node) == {"ok": "new rate limit set successfully"}
    assert one(control.rate_limit("nope", "1/h", **ask), node) == {"error": "unknown task"}
    assert app.send_task("interop.add", (2, 3)).get(timeout=10) == 5
    held = app.send_task("interop.add", (2, 4))
    stage.wait_for(lambda: "task-received" in watch.of(held.id), 10, "the held task")
    assert held.state == "PENDING"
    assert one(control.rate_limit("interop.add", None, **ask), node) == {"ok": "rate limit disabled successfully"}
    assert held.get(timeout=10) == 6
    assert one(control.time_limit("interop.nap", hard=1, **ask), node) == {"ok": "time limits set successfully"}
    hard = app.send_task("interop.nap", (60,))
    assert "TimeLimitExceeded" in repr(hard.get(timeout=20, propagate=False))
    assert one(control.add_consumer("extra", **ask), node) == {"ok": "add consumer extra"}
    assert app.send_task("interop.add", (7, 1), queue="extra").get(timeout=10) == 8
    assert one(control.cancel_consumer("extra", **ask), node) == {"ok": "no longer consuming from extra"}
    assert one(control.pool_grow(2, **ask), node) == {"ok": "pool will grow"}
    stage.wait_for(lambda: len(one(inspect.stats(), node)["pool"]["processes"]) == 4, 10, "four slots")
    assert one(control.pool_shrink(2, **ask), node) == {"ok": "pool will shrink"}
    stage.wait_for(lambda: len(one(inspect.stats(), node)["pool"]["processes"]) == 2, 10, "two slots")
    assert "error" in one(control.autoscale(4, 1, **ask), node)
    assert one(control.broadcast("nosuch", **ask), node) == {"error": "KeyError('nosuch')"}
    assert one(control.broadcast("ping", pattern="w?@*", matcher="glob", reply=True, timeout=5, limit=1), node)
    assert control.broadcast("ping", pattern="x*", matcher="glob", reply=True, timeout=0.5) == []
    assert control.ping(timeout=0.5, destination=["nobody@nowhere"]) == []
    control.election("id", "task", None)
    won = app.signature("interop.add", args=(20, 3)).set(task_id="elected", queue="celery")
    control.election("id2", "task", dict(won))
    assert app.AsyncResult("elected").get(timeout=10) == 23
    assert one(inspect.ping(), node) == {"ok": "pong"}
    assert one(control.disable_events(**ask), node) == {"ok": "task events disabled"}

    # The command line.
    assert node + ": OK" in celery(broker, "status") and "1 node online" in celery(broker, "status")
    for command in ("ping", "active", "reserved", "scheduled", "revoked", "stats", "conf", "report", "clock",
                    "active_queues", "registered", "memsample", "memdump"):
        assert node + ": OK" in celery(broker, "inspect", "-t", "5", "-d", node, command), command
    assert json.loads(celery(broker, "inspect", "-j", "-t", "5", "-d", node, "ping")) == {node: {"ok": "pong"}}
    celery(broker, "inspect", "-t", "5", "-d", node, "query_task", "x")
    assert "pool will grow" in celery(broker, "control", "-t", "5", "-d", node, "pool_grow", "1")
    assert "new rate limit" in celery(broker, "control", "-t", "5", "-d", node, "rate_limit", "interop.add", "9/s")
    assert "time limits set" in celery(broker, "control", "-t", "5", "-d", node, "time_limit", "interop.nap", "5", "9")
    assert "flagged as revoked" in celery(broker, "control", "-t", "5", "-d", node, "revoke", "x", "y")
    assert "task events enabled" in celery(broker, "control", "-t", "5", "-d", node, "enable_events")
    dump = s.run("dump", [sys.executable, "-u", "-m", "celery", "-b", broker, "events", "--dump"])
    stage.wait_for(lambda: "heartbeat" in s.log("dump"), 30, "celery events --dump")
    app.send_task("interop.add", (1, 1)).get(timeout=10)
    stage.wait_for(lambda: "task succeeded" in s.log("dump"), 10, "a task in celery events --dump")
    dump.terminate()

    # Our bindings are there as long as we are, and the end is told first.
    assert "w1@interop.celery.pidbox" in server.bound("celery.pidbox"), server.bound("celery.pidbox")
    control.shutdown(destination=[node])
    assert worker.wait(20) == 0
    stage.wait_for(lambda: watch.seen[-1]["type"] == "worker-offline" or
                   any(e["type"] == "worker-offline" for e in watch.seen), 10, "worker-offline")
    assert "w1@interop.celery.pidbox" not in server.bound("celery.pidbox"), server.bound("celery.pidbox")
    celery(broker, "status", "-t", "0.3", code=69)

    # What was revoked stays so after a restart, and a neighbour learns it.
    assert nap.id in json.load(open(state_file))["revoked"]
    s.worker(binary, broker, backend, pool="threads", extra=["-S", state_file])
    stage.wait_for(lambda: one(inspect.revoked() or {node: []}, node).count(nap.id) == 1, 10, "the state file")
    s.worker(binary, broker, backend, name="w2", pool="threads")
    second = app.control.inspect(timeout=5, destination=["w2@interop"])
    stage.wait_for(lambda: nap.id in one(second.revoked() or {"w2@interop": []}, "w2@interop"), 10, "mingle")
    watch.ended = True


if __name__ == "__main__":
    options = stage.arguments(broker="redis")
    if os.environ.get(MARKED):
        check(options.worker, options.broker)
        sys.stdout.flush()
        os._exit(0)  # a result that outlives its server would look for it for minutes
    else:
        for label, python in stage.clients():
            environment = dict(os.environ, **{MARKED: "1"})
            command = [python, __file__, "--worker", options.worker, "--broker", options.broker]
            if subprocess.run(command, env=environment).returncode != 0:
                sys.exit("control with the Celery of %s failed" % label)
