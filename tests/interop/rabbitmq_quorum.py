"""Quorum queues over RabbitMQ: an ETA waits in kombu's celery_delayed_* queues, whichever side sends it, and Python
workers and ours take each other's; where it arrives early, the worker waits for the rest. A client that knows nothing of
delayed delivery sends its ETAs straight into the queue: the worker holds them all, and what is due beside them runs.

Every client here asks for publisher confirms: RabbitMQ throws away what it has not handled yet when a client ends.
"""
import os
import sys
import time

import stage
from celery import Celery
from kombu import Exchange, Queue

options = stage.arguments(wait=10, rounds=5)
SOURCE = """
from celery import Celery
from kombu import Exchange, Queue
import os
app = Celery("quorum", broker=os.environ["BROKER"], backend=os.environ["RESULTS"])
app.conf.update(task_queues=[Queue("far", Exchange("far", type="topic"), routing_key="far",
                                   queue_arguments={"x-queue-type": "quorum"})],
                task_default_queue="far", broker_native_delayed_delivery_queue_type="classic",
                broker_connection_retry_on_startup=True, broker_transport_options={"confirm_publish": True})
@app.task(name="interop.again_in", bind=True)
def again_in(self, value, seconds):
    if self.request.retries == 0:
        raise self.retry(countdown=seconds)
    return value
@app.task(name="fleet.add")
def add(x, y):
    return x + y
"""
newer = [python for label, python in stage.clients() if label == "pip"]
if not newer:
    print("skipped: delayed delivery needs a Celery of 5.5 or later (CELERIAC_CELERY56_PYTHON)")
    sys.exit(stage.SKIP)


def waiting(server):
    """How many messages wait in the server for their time."""
    return sum(sum(n) for name, n in server.messages().items() if name.startswith("celery_delayed_"))


with stage.Stage() as s:
    server, results = s.broker("rabbitmq")
    effects = s.redis("effects")
    with open(os.path.join(s.dir, "quorum.py"), "w") as f:
        f.write(SOURCE)
    env = dict(os.environ, BROKER=server.url(), RESULTS=results.url(), C_FORCE_ROOT="1", EFFECTS_PORT=str(effects.port))

    def python_worker(name):
        process = s.run(name, [newer[0], "-m", "celery", "-A", "quorum", "worker", "-c", "1", "-l", "INFO", "-n",
                               name + "@interop"], cwd=s.dir, env=env)
        stage.wait_for(lambda: "ready." in s.log(name), 60, name)
        return process

    def native_worker(name):
        return s.worker(options.worker, server.url(), results.url(), name=name, queues="far", pool="threads", env=env,
                        extra=["task_default_queue_type=quorum", "broker_native_delayed_delivery_queue_type=classic"])

    def send(code):
        """Runs code with the newer Celery's `app`; returns what it prints."""
        done = stage.subprocess.run([newer[0], "-c", "from quorum import app\n" + code], cwd=s.dir, env=env,
                                    capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    reader = Celery("reader", broker=server.url(), backend=results.url())
    far = Exchange("far", type="topic", no_declare=True)
    reader.conf.update(task_queues=[Queue("far", far, routing_key="far", no_declare=True)],
                       broker_transport_options={"confirm_publish": True})

    def value(task_id):
        return reader.AsyncResult(task_id).get(timeout=30 + 2 * options.wait)

    # The Python worker declares the queues; ours uses them as they are.
    python = python_worker("first")
    python.terminate()
    assert python.wait(30) == 0
    begin = time.time()
    ids = send("for n in range(20): print(app.send_task('fleet.add', (n, 1), countdown=%d).id)" % options.wait)
    native = native_worker("second")
    assert [value(i) for i in ids] == [n + 1 for n in range(20)]
    assert time.time() - begin >= options.wait - 1
    stage.wait_for(lambda: s.log("second").count("succeeded") == 20, what="20 runs by the second")

    # Ours retries into the server, a Python worker takes what comes back.
    ids = send("for n in range(5): print(app.send_task('interop.again_in', ('x', %d)).id)" % options.wait)
    stage.wait_for(lambda: s.log("second").count("retry: Retry in") == 5, what="five retries")
    native.terminate()
    assert native.wait(20) == 0
    python = python_worker("third")
    assert [value(i) for i in ids] == ["x"] * 5
    stage.wait_for(lambda: s.log("third").count("succeeded") == 5, what="5 runs by the third")

    # And the other way round.
    ids = send("for n in range(5): print(app.send_task('interop.again_in', ('y', %d)).id)" % options.wait)
    stage.wait_for(lambda: s.log("third").count("retry: Retry in") == 5, what="five retries")
    python.terminate()
    assert python.wait(30) == 0
    native = native_worker("fourth")
    assert [value(i) for i in ids] == ["y"] * 5
    stage.wait_for(lambda: s.log("fourth").count("succeeded") == 5, what="5 runs by the fourth")

    # Twice the same delay: the server must not take the retry for a message that goes in circles.
    ids = send("print(app.send_task('interop.again_in', ('z', %d), countdown=%d).id)" % (options.wait, options.wait))
    assert value(ids[0]) == "z"
    stage.wait_for(lambda: server.left("far") == 0, 20, "the acknowledgement")

    # Held at the worker: more than a window's worth, again and again, until all of it has run. Each ran once.
    for _ in range(options.rounds):
        before = time.time()
        ids = [reader.send_task("fleet.add", (n, 1), queue="far", countdown=2 if n % 3 else None).id for n in range(60)]
        stage.wait_for(lambda: effects.client.exists(*("effect:" + i for i in ids)) == 60, 30, "60 runs")
        assert time.time() - before >= 2
        stage.wait_for(lambda: server.left("far") == 0, 20, "the acknowledgements")
        assert {int(v) for v in effects.client.mget("effect:" + i for i in ids)} == {1}

    # What is far away lies in the server, not at the worker.
    send("for n in range(5): app.send_task('interop.again_in', ('far', 600))")
    stage.wait_for(lambda: waiting(server) == 5 and server.left("far") == 0, what="five delayed messages")
    native.terminate()
    assert native.wait(20) == 0
    assert waiting(server) == 5, server.messages()
print("delayed messages go both ways")
sys.exit(0)
