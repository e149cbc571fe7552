"""Over RabbitMQ: mixed tasks from every Celery at hand; priorities, expiration, purge; a Python worker beside ours;
what the two shutdowns give back."""
import json
import os
import re
import signal
import subprocess
import sys

import stage
from celery import Celery

options = stage.arguments(tasks=1000, celeriac="")
here = os.path.dirname(os.path.abspath(__file__))


def clients(s, server, results):
    """Every kind of task from every Celery, with priorities on the queue."""
    worker = s.worker(options.worker, server.url(), results.url(), name="mixed", pool="prefork",
                      extra=["accept_content=json,yaml,msgpack"])
    for label, python in stage.clients():
        done = subprocess.run([python, here + "/mixed_client.py", server.url(), results.url(), str(options.tasks)],
                              capture_output=True, text=True, timeout=280)
        print("%s: %s" % (label, done.stdout.strip()), flush=True)
        assert done.returncode == 0, "%s\n%s" % (done.stdout[-3000:], done.stderr[-3000:])
    worker.terminate()
    assert worker.wait(20) == 0
    assert server.left("celery") == 0, server.messages()


def run(python, *command):
    done = subprocess.run([python, "-m", "celery", *command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def order(s, server, results, app):
    """x-max-priority as task_queue_max_priority declares it, on either side."""
    queue = app.amqp.queues.select_add("ranked")
    queue.queue_arguments = {"x-max-priority": 10}
    sent = {priority: app.send_task("interop.echo", (priority,), queue=queue, priority=priority).id
            for priority in (1, 9, 5, 3, 7)}
    app.send_task("interop.echo", (0,), queue=queue, expires=0.001)  # the server drops it
    worker = s.worker(options.worker, server.url(), results.url(), name="ranks", queues="ranked", concurrency=1,
                      extra=["task_queue_max_priority=10"])
    stage.wait_for(lambda: server.left("ranked") == 0, what="the ranked tasks")
    ran = re.findall(r"interop.echo\[(.*)\] succeeded", s.log("ranks"))
    assert ran == [sent[priority] for priority in (9, 7, 5, 3, 1)], (ran, sent)
    assert "declared otherwise" not in s.log("ranks"), s.log("ranks")
    busy = app.send_task("interop.nap", (1.5,), queue=queue)
    late = app.send_task("interop.echo", (2,), queue=queue, expires=1)  # expires at the worker
    stage.wait_for(lambda: late.state == "REVOKED" and busy.state == "SUCCESS", what="the expired task")
    worker.terminate()
    assert worker.wait(20) == 0


def purged(s, server, app):
    """celery purge and celeriac purge drop what waits, and say how much."""
    def fill(n):
        for _ in range(n):
            app.send_task("interop.echo", (1,), queue="full")
        stage.wait_for(lambda: server.messages().get("full") == (n, 0), what="%d messages" % n)
    for label, python in stage.clients():
        fill(7)
        assert "Purged 7 messages" in run(python, "-b", server.url(), "purge", "-f", "-Q", "full"), label
        assert server.left("full") == 0
    if not options.celeriac:
        return

    def celeriac(*command):
        done = subprocess.run([options.celeriac, "-b", server.url(), *command], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout
    fill(5)
    rows = json.loads(celeriac("queues", "--json", "-Q", "full"))
    assert [r["ready"] for r in rows if r["name"] == "full"] == [5], rows
    assert "full" in celeriac("queues", "-Q", "full")
    assert json.loads(celeriac("purge", "--yes", "--json", "-Q", "full"))["purged"] == 5
    assert server.left("full") == 0


def neighbours(s, server, results, effects):
    """A Python worker and ours mingle, hear of each other, share a queue and answer together."""
    env = dict(os.environ, EFFECTS_PORT=str(effects.port), VISIBILITY_TIMEOUT="3600", C_FORCE_ROOT="1")
    for label, python in stage.clients():
        mine, theirs = "mine-" + label, "theirs-" + label
        app = Celery("neighbours", broker=server.url(), backend=results.url())
        first = s.worker(options.worker, server.url(), results.url(), name=mine, env=env)
        nodes = [mine + "@interop", theirs + "@interop"]
        stage.wait_for(lambda: app.control.ping(timeout=0.5, destination=nodes[:1]), what="the node to answer")
        app.control.revoke("revoked-before")
        stage.wait_for(lambda: (app.control.inspect(destination=nodes[:1], timeout=5).revoked() or {}).get(nodes[0]),
                       what="the revoke")
        other = s.run(theirs, [python, here + "/fleet.py", server.url(), results.url(), theirs], env=env)
        stage.wait_for(lambda: "ready." in s.log(theirs), 60, theirs)
        assert "sync with 1 nodes" in s.log(theirs), s.log(theirs)
        assert "revoked-before" in app.control.inspect(destination=nodes[1:], timeout=5).revoked()[nodes[1]]
        stage.wait_for(lambda: theirs in s.log(mine), 30, "gossip to reach the native worker")
        again = s.worker(options.worker, server.url(), results.url(), name=mine + "2", env=env)
        stage.wait_for(lambda: "sync with 2 nodes" in s.log(mine + "2"), what="mingle")
        found = run(python, "-b", server.url(), "status", "-t", "5")
        assert "3 nodes online" in found and all(node + ": OK" in found for node in nodes), found
        sums = [app.send_task("fleet.add", (n, 1)) for n in range(60)]
        assert [r.get(timeout=30) for r in sums] == [n + 1 for n in range(60)]
        for name in (mine, theirs):
            assert "succeeded in" in s.log(name), "%s ran nothing" % name
        for worker in (again, first, other):
            worker.terminate()
            assert worker.wait(30) == 0


def given_back(s, server, results, app):
    """Both shutdowns leave what has not ended to the queue."""
    for how in (signal.SIGTERM, signal.SIGQUIT):
        name = "leaves%d" % how
        worker = s.worker(options.worker, server.url(), results.url(), name=name, queues="left", pool="prefork",
                          concurrency=1, extra=["task_acks_late=true", "task_reject_on_worker_lost=true"])
        # The cold one ends the running task, the warm one waits for it.
        running = app.send_task("interop.nap", (3 if how == signal.SIGTERM else 60,), queue="left")
        node = name + "@interop"
        stage.wait_for(lambda: (app.control.inspect(timeout=5, destination=[node]).active() or {}).get(node),
                       what="the running task")
        for _ in range(2):
            app.send_task("interop.nap", (0,), queue="left")
        app.send_task("interop.nap", (0,), queue="left", countdown=600)
        stage.wait_for(lambda: s.log(name).count("received") == 4, what="four messages at the worker")
        worker.send_signal(how)
        assert worker.wait(30) == 0, "%s: exit %s\n%s" % (how, worker.returncode, s.log(name))
        left = 3 if how == signal.SIGTERM else 4
        stage.wait_for(lambda: server.messages().get("left") == (left, 0), 10, "%d messages back: %s" % (
            left, server.messages()))
        assert (running.state == "SUCCESS") == (how == signal.SIGTERM), running.state
        run(sys.executable, "-b", server.url(), "purge", "-f", "-Q", "left")


with stage.Stage() as s:
    server, results = s.broker("rabbitmq")
    effects = s.redis("effects")
    app = Celery("rabbitmq", broker=server.url(), backend=results.url())
    clients(s, server, results)
    order(s, server, results, app)
    purged(s, server, app)
    neighbours(s, server, results, effects)
    given_back(s, server, results, app)
