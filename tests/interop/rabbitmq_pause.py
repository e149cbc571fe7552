"""`celeriac pause` and `resume` on RabbitMQ: remembered by the server, honoured by every native worker, whatever ends in between."""
import re
import subprocess
import sys
import threading

import stage
from celery import Celery
from kombu import Exchange, Queue

options = stage.arguments(celeriac="")

PYTHON_WORKER = """
import sys
import redis
from celery import Celery
app = Celery('w', broker=sys.argv[1])
app.conf.update(task_ignore_result=True)
@app.task(name='interop.effect', bind=True)
def effect(self, seconds):
    return redis.Redis.from_url(sys.argv[2]).incr('effect:' + self.request.id)
app.worker_main(['worker', '-P', 'solo', '-n', 'python@%h', '-Q', 'kept', '--without-mingle', '--without-gossip'])
"""


def run(*command, code=0):
    done = subprocess.run([options.celeriac, "-b", server.url(), *command], capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == (code == 0), (command, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def send(queue, count=1, seconds=0, **more):
    with app.connection_for_write() as connection:
        producer = app.amqp.Producer(connection)
        return [app.send_task("interop.effect", (seconds,), queue=queue, producer=producer, **more).id for n in range(count)]


def ran():
    return {key.decode()[7:]: int(value) for key, value in
            ((key, effects.client.get(key)) for key in effects.client.scan_iter("effect:*"))}


def waits_until_ran(ids, what):
    stage.wait_for(lambda: set(ids) <= set(ran()), 60, what)
    assert all(ran()[i] == 1 for i in ids), ran()


def holds(queue, ready, what):
    """That many wait, none is held: the worker has had its chance, for it ran a task of another queue meanwhile."""
    stage.wait_for(lambda: server.messages().get(queue) == (ready, 0), 30, "%s: %s" % (what, server.messages()))
    waits_until_ran(send("other"), "the other queue's task")
    assert server.messages()[queue] == (ready, 0), (what, server.messages())


def worker(name, queues="kept,other"):
    return s.worker(options.worker, server.url(), results.url(), name=name, queues=queues, pool="solo", concurrency=1,
                    env={"EFFECTS_PORT": str(effects.port)})


class Feeder(threading.Thread):
    """Sends tasks, so that some are always left, and adds their ids to `sent`."""

    def __init__(self, sent):
        super().__init__()
        self.sent, self.enough = sent, threading.Event()

    def run(self):
        while not self.enough.is_set():
            if server.messages().get("kept", (0, 0))[0] < 100:
                self.sent += send("kept", 100, seconds=0.002)

    def __enter__(self):
        self.start()

    def __exit__(self, *failure):
        self.enough.set()
        self.join()


def order(name):
    return re.findall(r"Task interop\.effect\[([0-9a-f-]+)\] succeeded", s.log(name))


with stage.Stage() as s:
    server, results = s.broker("rabbitmq")
    effects = s.redis("effects")
    app = Celery("pause", broker=server.url(), backend=results.url())
    app.conf.broker_transport_options = {"confirm_publish": True}

    # A queue that nobody has declared yet, twice.
    assert "kept: paused" in run("pause", "kept", "--note", "vendor is down")
    assert "already" in run("pause", "kept")
    assert "kept" not in server.messages()
    first = worker("first")
    kept = send("kept", 3)
    holds("kept", 3, "a worker that starts while it is paused")

    # Neither the end of the worker nor that of the server ends the pause.
    first.kill()
    first.wait()
    second = worker("second")
    holds("kept", 3, "another worker")
    server.kill()
    server.start()
    stage.wait_for(lambda: s.log("second").count("Connected to") >= 2, 60, "the worker to be back")
    holds("kept", 3, "after the server was killed")
    server.stop()
    server.start()
    holds("kept", 3, "after the server was restarted")

    # Resumed, the worker takes them at once, without being restarted.
    assert "kept: resumed" in run("resume", "kept")
    waits_until_ran(kept, "the tasks of the resumed queue")
    assert "was not paused" in run("resume", "kept")

    # Under load: what was begun ends, nothing is lost, nothing runs twice, the order stays.
    before = order("second")
    load = []
    for turn in range(2):
        with Feeder(load):
            stage.wait_for(lambda: len(order("second")) > len(before) + 60 * (turn + 1), 60, "some tasks to have run")
            run("pause", "kept")
            stage.wait_for(lambda: server.messages()["kept"][1] == 0, 60, "the worker to have let go of the queue")
        ready = server.messages()["kept"][0]
        assert ready > 0
        holds("kept", ready, "a pause under load")
        run("resume", "kept")
    waits_until_ran(load, "every task")
    after = [task for task in order("second")[len(before):] if task in set(load)]
    assert after == load, [i for i, (x, y) in enumerate(zip(after, load)) if x != y][:5]

    # A task whose time comes meanwhile waits in its queue.
    later = send("kept", countdown=3)
    stage.wait_for(lambda: server.messages()["kept"] == (0, 1), 20, "the worker to hold the task until its time")
    run("pause", "kept")
    stage.wait_for(lambda: server.messages()["kept"] == (1, 0), 20, "the task to be back in its queue")
    holds("kept", 1, "a task whose time has come")
    run("resume", "kept")
    waits_until_ran(later, "the task whose time has come")

    # Python workers know nothing of it.
    run("pause", "kept")
    python = s.run("python", [sys.executable, "-c", PYTHON_WORKER, server.url(), effects.url()])
    waits_until_ran(send("kept", 3), "the Python worker to go on")
    python.terminate()
    python.wait(30)
    run("resume", "kept")
    second.terminate()
    assert second.wait(20) == 0

    # Quorum queues, whose consumers have a channel each.
    quorum = Queue("quorum", Exchange("quorum"), "quorum", queue_arguments={"x-queue-type": "quorum"})
    with app.connection_for_write() as connection:
        quorum(connection.default_channel).declare()
    third = worker("third", "quorum,other")
    waits_until_ran(send(quorum, 2), "the quorum queue's tasks")
    run("pause", "quorum", "kept")
    stage.wait_for(lambda: "queue 'quorum' is paused" in s.log("third"), 30, "the worker to have heard of it")
    held = send(quorum, 5)
    holds("quorum", 5, "a quorum queue")
    run("resume", "quorum", "kept")
    waits_until_ran(held, "the tasks of the resumed quorum queue")
    third.terminate()
    assert third.wait(20) == 0
    assert not [queue for queue in server.messages() if queue.startswith("celeriac.paused")], server.messages()
print("paused, remembered, resumed")
