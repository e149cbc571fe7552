"""kill -9 of workers while chains and chords of acks_late tasks run: every one of them still comes to its right end."""
import random
import time

from celery import Celery, chain, chord

import stage

options = stage.arguments(chains=150, chords=60, kills=8, pool="prefork", seed=1)
rng = random.Random(options.seed)
PREFIX = "t.integration.tasks."
with stage.Stage() as s:
    server = s.redis()
    app = Celery("kill", broker=server.url(), backend=server.url())

    def task(name, *args):
        return app.signature(PREFIX + name, args)

    def start(name, wait=False):
        return s.worker(options.worker, server.url(), server.url(), name=name, pool=options.pool, concurrency=2, wait=wait,
                        extra=["task_acks_late=true", "task_reject_on_worker_lost=true"])

    workers = [start("w0", True), start("w1", True)]
    results = []
    for i in range(max(options.chains, options.chords)):
        if i < options.chains:
            results.append((chain(task("add", i, 1), task("mul", 2), task("add", 5))(), 2 * i + 7))
        if i < options.chords:
            header = [chain(task("add", i, n), task("mul", 2)) if n % 3 == 0 else task("add", i, n) for n in range(8)]
            total = sum((i + n) * (2 if n % 3 == 0 else 1) for n in range(8))
            results.append((chain(chord(header, task("tsum")), task("add", 1))(), total + 1))
        if i % 12 == 0 and options.kills:
            options.kills -= 1
            victim = options.kills % 2
            time.sleep(rng.uniform(0, 0.2))  # a random instant
            workers[victim].kill()
            workers[victim].wait()
            s.processes.remove(workers[victim])
            workers[victim] = start("w%d" % victim)
    begin = time.monotonic()
    wrong = 0
    for result, expected in results:
        value = app.AsyncResult(result.id).get(timeout=60)
        if value != expected:
            wrong += 1
            print("%s: %r instead of %r" % (result.id, value, expected))
    stage.wait_for(lambda: server.client.hlen("unacked") == 0, 25, "nothing unacked")
    print("%d chains and chords, %d wrong, the last after %.1f s" % (len(results), wrong, time.monotonic() - begin))
    assert not wrong
    del result
    results.clear()  # while the server is there
