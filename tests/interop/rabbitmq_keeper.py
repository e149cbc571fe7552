"""Commands that look into queues and rearrange them, on RabbitMQ: what is looked at is back afterwards, in its order."""
import json
import os
import subprocess
import sys

import stage
from celery import Celery

options = stage.arguments(celeriac="", tasks=700)


PYTHON_WORKER = """
import sys
import redis
from celery import Celery
app = Celery('w', broker=sys.argv[1])
app.conf.update(worker_prefetch_multiplier=1, task_ignore_result=True)
@app.task(name='interop.effect', bind=True)
def effect(self, seconds):
    return redis.Redis.from_url(sys.argv[2]).incr('effect:' + self.request.id)
@app.task(name='python.effect', bind=True)  # no native worker knows it
def python_effect(self, seconds):
    redis.Redis.from_url(sys.argv[2]).rpush('order', self.request.id)
    return redis.Redis.from_url(sys.argv[2]).incr('effect:' + self.request.id)
app.worker_main(['worker', '-P', 'solo', '-n', 'python@%h', '-Q', sys.argv[3], '--without-mingle', '--without-gossip'])
"""


def run(*command, code=0):
    done = subprocess.run([options.celeriac, "-b", server.url(), *command], capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == (code == 0), (command, done.returncode, done.stdout, done.stderr)
    return done


def told(*command):
    return json.loads(run(*command, "--json").stdout)


def left(queue):
    return server.messages().get(queue, (0, 0))


def exported(file):
    rows = [json.loads(line) for line in open(file)]
    return [{k: v for k, v in row.items() if k not in ("exported", "time")} for row in rows]


def waits_for(queue, count):
    stage.wait_for(lambda: left(queue) == (count, 0), 20, "%d messages in %s: %s" % (count, queue, left(queue)))


with stage.Stage() as s:
    server, results = s.broker("rabbitmq")
    effects = s.redis("effects")
    app = Celery("keeper", broker=server.url(), backend=results.url())
    app.conf.broker_transport_options = {"confirm_publish": True}
    with app.connection_for_write() as connection:
        producer = app.amqp.Producer(connection)
        ids = [app.send_task("interop.echo" if n % 2 else "interop.add", (n, 1) if n % 2 == 0 else (n,), queue="kept",
                             producer=producer).id for n in range(options.tasks)]
    first = told("peek", "kept", "-n", "3")
    assert [m["id"] for m in first] == ids[:3], first
    waits_for("kept", options.tasks)
    found = told("search", "kept", "--id", ids[450])
    assert [m["id"] for m in found] == [ids[450]], found
    waits_for("kept", options.tasks)

    # Out to a file and back: the same messages.
    file = os.path.join(s.dir, "kept.jsonl")
    run("export", "kept", "-o", file)
    waits_for("kept", options.tasks)
    assert told("purge", "--yes", "-Q", "kept")["purged"] == options.tasks
    waits_for("kept", 0)
    run("import", file)
    waits_for("kept", options.tasks)
    again = os.path.join(s.dir, "again.jsonl")
    run("export", "kept", "-o", again)
    assert exported(again) == exported(file)  # every byte of every message, in order
    waits_for("kept", options.tasks)

    # Celery's purge and ours mean the same messages.
    done = subprocess.run([sys.executable, "-m", "celery", "-b", server.url(), "purge", "-f", "-Q", "kept"], check=True, capture_output=True,
                          text=True, timeout=60)
    assert int(next(w for w in done.stdout.split() if w.isdigit())) == options.tasks, done.stdout
    waits_for("kept", 0)
    run("import", again)
    waits_for("kept", options.tasks)

    moved = told("move", "kept", "other", "--task", "interop.echo", "--yes")
    assert moved["moved"] == options.tasks // 2, moved
    waits_for("other", options.tasks // 2)
    waits_for("kept", options.tasks - options.tasks // 2)
    worker = s.worker(options.worker, server.url(), results.url(), name="w", queues="kept,other")
    for n in (0, 1, options.tasks - 1):
        value = app.AsyncResult(ids[n]).get(timeout=60)
        assert value == (n + 1 if n % 2 == 0 else n), (n, value)
    waits_for("kept", 0)
    waits_for("other", 0)

    # Dead letters.
    dead = [app.send_task("no.such.task", (n,), queue="kept").id for n in range(3)]
    waits_for("celeriac.dead.kept", 3)
    letters = told("dead", "ls", "-Q", "kept")
    assert [m["letter"] for m in letters] == ["kept/" + i for i in dead], letters
    assert all(m["category"] == "unknown_task" and m["time"] for m in letters), letters
    assert "no.such.task" in run("dead", "show", "kept/" + dead[1]).stdout
    worker.terminate()
    assert worker.wait(20) == 0
    run("dead", "requeue", "kept/" + dead[1], "--yes")
    waits_for("kept", 1)
    assert [m["id"] for m in told("peek", "kept")] == [dead[1]]
    run("dead", "discard", "kept/" + dead[0], "--yes")
    waits_for("celeriac.dead.kept", 1)
    assert "name one with --queue" in run("dead", "ls", code=1).stderr
    assert "celery_delayed_" in run("eta", "ls", code=1).stderr
    rows = told("queues", "-Q", "kept")
    assert [(r["ready"], r["dead"]) for r in rows if r["name"] == "kept"] == [(1, 1)], rows

    # Python and native workers take from two queues while messages are looked at and moved between them, a queue is paused
    # and resumed, and dead letters of the native worker are requeued until the Python one takes them: each runs once.
    for queue in ("kept", "other"):
        run("purge", "--yes", "-Q", queue)
    run("dead", "discard", "--all", "-Q", "kept", "--yes")

    def send(task, count, queue="kept"):
        with app.connection_for_write() as connection:
            producer = app.amqp.Producer(connection)
            return [app.send_task(task, (0,), queue=queue, producer=producer).id for n in range(count)]

    def python_worker(name, queues):
        return s.run(name, [sys.executable, "-c", PYTHON_WORKER, server.url(), effects.url(), queues])

    def ran():
        return {key.decode()[7:] for key in effects.client.scan_iter("effect:*")}

    def each_ran_once(sent):
        assert ran() == sent, (len(ran()), len(sent))
        assert {int(effects.client.get("effect:" + task)) for task in sent} == {1}
        for queue in ("kept", "other", "celeriac.dead.kept", "celeriac.dead.other"):
            waits_for(queue, 0)

    python = python_worker("python", "kept,other")
    native = s.worker(options.worker, server.url(), results.url(), name="beside", queues="kept,other", pool="solo",
                      env={"EFFECTS_PORT": str(effects.port)})
    sent = set(send("interop.effect", 400) + send("python.effect", 40))
    turn = 0
    while len(ran()) < len(sent):
        source, target = ("kept", "other") if turn % 2 == 0 else ("other", "kept")
        seen = [m["id"] for m in told("peek", source, "-n", "20")]
        assert len(seen) == len(set(seen)), seen
        run("pause" if turn % 2 == 0 else "resume", "kept")
        told("move", source, target, "--yes", "--count", "25")
        if told("dead", "ls", "-Q", source):
            run("dead", "requeue", "--all", "-Q", source, "--to", target, "--yes")
        turn += 1
        assert turn < 400, "%d of %d have run" % (len(ran()), len(sent))
    run("resume", "kept")
    for process in (python, native):
        process.terminate()
        process.wait(30)
    each_ran_once(sent)

    # What is moved to a queue while a worker takes from it stays in its order.
    effects.client.flushall()
    ids = send("python.effect", 200)
    python = python_worker("ordered", "other")
    while left("kept")[0]:
        told("peek", "kept", "-n", "10")
        told("move", "kept", "other", "--yes", "--count", "30")
    stage.wait_for(lambda: len(ran()) == len(ids), 60, "every task to have run")
    python.terminate()
    python.wait(30)
    assert [i.decode() for i in effects.client.lrange("order", 0, -1)] == ids
    each_ran_once(set(ids))
print("looked at, moved, exported, buried, dug up, paused")
