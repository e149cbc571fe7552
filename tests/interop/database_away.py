"""The result database is away while thousands of tasks run: the worker stops taking messages before its
memory grows without end, and once the database is back every result is there."""
import signal
import subprocess

from celery import Celery

import stage

options = stage.arguments(tasks=12000)
held_at_most = 8192 + 2048  # results that wait in the worker, and messages of its window

with stage.Stage() as s:
    server = s.redis()
    database = s.postgres()
    postgres = s.processes[-1]
    url = "db+postgresql://" + database

    def stored():
        return int(subprocess.run(["psql", "-qAt", "postgresql://" + database, "-c",
                                   "SELECT count(*) FROM celery_taskmeta WHERE status = 'SUCCESS'"],
                                  check=True, capture_output=True).stdout)

    worker = s.worker(options.worker, server.url(), url, concurrency=2)
    stage.wait_for(lambda: subprocess.run(["psql", "-qAt", "postgresql://" + database, "-c",
                                           "SELECT 1 FROM celery_taskmeta"], capture_output=True).returncode == 0,
                   30, "the result table")
    postgres.send_signal(signal.SIGINT)
    postgres.wait(30)
    app = Celery("away", broker=server.url())
    with app.producer_pool.acquire(block=True) as producer:
        for i in range(options.tasks):
            app.send_task("interop.echo", ("%d" % i + "x" * 500,), task_id="away-%d" % i, producer=producer)

    def left():
        return server.client.llen("celery")

    waiting = [left()]

    def settled():  # nothing was taken for a second
        waiting.append(left())
        return len(waiting) > 10 and waiting[-10] == waiting[-1]
    stage.wait_for(settled, 120, "the worker to stop taking messages", every=0.1)
    assert worker.poll() is None, "the worker ended with %s" % worker.returncode
    assert left() >= options.tasks - held_at_most, "%d left in the queue of %d" % (left(), options.tasks)
    assert left() > 0, "too few tasks to fill the worker"
    print("%d of %d messages stay in the queue while the database is away" % (left(), options.tasks))
    s.run("postgres", postgres.args)
    stage.wait_for(lambda: "ready to accept connections" in s.log("postgres")[-2000:], 30, "postgres")
    stage.wait_for(lambda: left() == 0 and stored() == options.tasks, 180, "all results", every=0.5)
    assert worker.poll() is None
    print("%d results, none lost" % options.tasks)

    # Credentials that the server refuses end a worker at its start.
    refused = s.worker(options.worker, server.url(), "db+postgresql://nobody@" + database.split("@")[1], name="w2",
                       wait=False)
    assert refused.wait(30) != 0
    assert 'role "nobody" does not exist' in s.log("w2"), s.log("w2")
    print("a refused user ends the worker")
