"""Redis restarted, paused and its connections killed under load: the worker never exits, never stalls, loses nothing."""
import os
import signal
import time

from celery import Celery

import stage

options = stage.arguments(tasks=3000)
with stage.Stage() as s:
    server = s.redis(persistent=True)
    effects = s.redis("effects")
    worker = s.worker(options.worker, server.url(), server.url(1), pool="threads", concurrency=4,
                      env={"EFFECTS_PORT": str(effects.port)})
    # A producer without a result store of its own: it must not be the one that breaks.
    producer = Celery("connections", broker=server.url())
    ids = [producer.send_task("interop.effect", (0.005,), ignore_result=False).id for _ in range(options.tasks)]

    def done():
        return len(effects.client.keys("effect:*"))

    def moves_on(what):
        before = done()
        if before < options.tasks:
            stage.wait_for(lambda: done() > before, 20, "progress after " + what)

    for _ in range(5):
        server.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        server.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        moves_on("killed connections")
    os.kill(server.process.pid, signal.SIGSTOP)
    time.sleep(3)  # the outage itself, not a wait for something
    os.kill(server.process.pid, signal.SIGCONT)
    moves_on("a frozen server")
    for _ in range(2):
        server.process.kill()
        server.process.wait()
        server = s.redis(port=server.port, persistent=True)
        moves_on("a restarted server")
    stage.wait_for(lambda: done() == options.tasks, 90, "all %d effects (%d so far)" % (options.tasks, done()))
    assert worker.poll() is None, "the worker ended with %s" % worker.returncode
    stage.wait_for(lambda: server.client.hlen("unacked") == 0 and server.client.llen("celery") == 0, 40, "empty queues")
    runs = [int(n) for n in effects.client.mget(["effect:" + i for i in ids])]
    twice = sum(n - 1 for n in runs)
    app = Celery("connections", broker=server.url(), backend=server.url(1))
    results = sum(app.AsyncResult(i).state == "SUCCESS" for i in ids)
    print("%d tasks, 0 lost, %d run again, %d results" % (len(ids), twice, results))
    assert results == len(ids), "%d results are missing" % (len(ids) - results)
