"""Over RabbitMQ: mixed tasks from every Celery at hand, inspect and status, and a broker and a worker that are
killed, cut off and frozen while tasks with unique effects run. Nothing may be lost."""
import os
import signal
import subprocess
import sys
import time

import stage

options = stage.arguments(tasks=1000, effects=600)
here = os.path.dirname(os.path.abspath(__file__))


def mixed(s, server, results):
    s.worker(options.worker, server.url(), results.url(), name="mixed", pool="prefork")
    for label, python in stage.clients():
        done = subprocess.run([python, here + "/mixed_client.py", server.url(), results.url(), str(options.tasks)],
                              capture_output=True, text=True, timeout=280)
        print("%s: %s" % (label, done.stdout.strip()))
        assert done.returncode == 0, "%s\n%s" % (done.stdout[-3000:], done.stderr[-3000:])
        for command in (["status"], ["inspect", "ping"], ["inspect", "active_queues"], ["inspect", "stats"]):
            done = subprocess.run([python, "-m", "celery", "-b", server.url(), *command], capture_output=True, text=True,
                                  timeout=60)
            assert done.returncode == 0 and "mixed@interop" in done.stdout, (label, command, done.stdout, done.stderr)


def losses(s, server, effects):
    from celery import Celery
    app = Celery("losses", broker=server.url())
    app.conf.broker_transport_options = {"confirm_publish": True}
    app.conf.task_default_queue = "effects"
    ids = []
    with app.connection_for_write() as connection:
        producer = app.amqp.Producer(connection)
        for n in range(options.effects):
            eta = {"countdown": 3} if n % 10 == 0 else {}
            ids.append(app.send_task("interop.effect", (0.01,), producer=producer, ignore_result=True, **eta).id)
    env = {"EFFECTS_PORT": str(effects.port)}

    def start(wait):
        return s.worker(options.worker, server.url(), name="victim", queues="effects", pool="prefork", env=env, wait=wait)

    def done():
        return effects.client.dbsize()

    def progress(count):
        before = done()
        stage.wait_for(lambda: done() >= min(len(ids), before + count), 60, "%d more effects after %d" % (count, before))

    worker = start(True)
    progress(30)
    worker.kill()
    worker.wait()
    s.processes.remove(worker)
    worker = start(False)
    progress(50)
    server.close_connections()
    progress(50)
    server.signal(signal.SIGSTOP)
    time.sleep(1)  # the freeze itself
    server.signal(signal.SIGCONT)
    progress(50)
    server.kill()
    server.start()
    stage.wait_for(lambda: done() >= len(ids), 120, "the last effects")
    runs = [int(n or 0) for n in effects.client.mget(["effect:" + i for i in ids])]
    lost, again = sum(n == 0 for n in runs), sum(max(0, n - 1) for n in runs)
    print("%d effects: %d lost, %d run again" % (len(ids), lost, again))
    assert lost == 0
    # Only the kill of the worker may repeat what was in its slots.
    assert again <= 2, again


with stage.Stage() as s:
    server, results, effects = s.rabbit(), s.redis(), s.redis("effects")
    mixed(s, server, results)
    losses(s, server, effects)
