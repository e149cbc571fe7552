"""Work that outlives the visibility timeout runs exactly once, also with a Python worker on the same queue.

The Python worker shares queue, broker and visibility timeout; its sweep restores whatever looks abandoned.
"""
import os
import sys
import time

from celery import Celery

import stage

TIMEOUT = 3
options = stage.arguments()
python_app = """
from celery import Celery
import os, time, redis
app = Celery('py', broker=os.environ['B'], backend=os.environ['R'])
app.conf.update(broker_transport_options={'visibility_timeout': %d}, worker_prefetch_multiplier=1, task_acks_late=True)
counts = redis.Redis(port=int(os.environ['EFFECTS_PORT']))
@app.task(name='interop.effect', bind=True)
def effect(self, seconds):
    time.sleep(seconds)
    return counts.incr('effect:' + self.request.id)
""" % TIMEOUT

with stage.Stage() as s:
    server = s.redis()
    effects = s.redis("effects")
    env = {"EFFECTS_PORT": str(effects.port)}
    app = Celery("visibility", broker=server.url(), backend=server.url(1))
    app.conf.broker_transport_options = {"visibility_timeout": TIMEOUT}
    strict = ["broker_transport_options=visibility_timeout=%d" % TIMEOUT]
    s.worker(options.worker, server.url(), server.url(1), pool="prefork", concurrency=4, extra=strict, env=env)

    # Held by the native worker before the Python one joins.
    long_tasks = [app.send_task("interop.effect", (3.0 * TIMEOUT,)) for _ in range(4)]
    stage.wait_for(lambda: server.client.hlen("unacked") == 4, what="four running tasks")
    eta_tasks = [app.send_task("interop.effect", (0.01,), countdown=3.0 * TIMEOUT) for _ in range(50)]
    stage.wait_for(lambda: server.client.hlen("unacked") == 54 and server.client.llen("celery") == 0,
                   what="fifty held ETA tasks")

    with open(os.path.join(s.dir, "py.py"), "w") as f:
        f.write(python_app)
    s.run("python", [sys.executable, "-m", "celery", "-A", "py", "worker", "-c", "1", "-l", "INFO", "--without-mingle",
                     "--without-gossip", "-n", "py@interop"],
          cwd=s.dir, env=dict(os.environ, B=server.url(), R=server.url(1), C_FORCE_ROOT="1", **env))
    stage.wait_for(lambda: "ready." in s.log("python"), 30, "the Python worker")
    # The sweep of a Python worker runs at its start and then every 100 s: play it every second.
    from kombu import Connection
    deadline = time.monotonic() + 60
    with Connection(server.url(), transport_options={"visibility_timeout": TIMEOUT}) as connection:
        channel = connection.default_channel
        while time.monotonic() < deadline and not all(r.ready() for r in long_tasks + eta_tasks):
            channel.qos._vrestore_count = 0
            channel.qos.restore_visible(num=1000)
            time.sleep(0.5)
    for r in long_tasks + eta_tasks:
        assert r.get(timeout=10, interval=0.05) == 1, "%s ran more than once" % r.id
    stage.wait_for(lambda: server.client.hlen("unacked") == 0, what="nothing unacked")
    counts = [int(effects.client.get("effect:" + r.id)) for r in long_tasks + eta_tasks]
    assert counts == [1] * 54, counts
print("54 tasks that outlive %d s ran once each" % TIMEOUT)
