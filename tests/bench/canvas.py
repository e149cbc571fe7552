"""Compositions on a native worker and on Celery's prefork worker, -c 2 each, in one run: only the ratios count.

  canvas.py --worker build/release/examples/conformance_worker [--rounds 5]

Needs CELERIAC_CELERY56_PYTHON (scripts/celery_venv.sh) for the Celery that is compared with. The rounds of the two
alternate; times are medians, from the end of the client's last publish to the last result.
"""
import json
import os
import statistics
import sys
import time

from celery import Celery, chain, chord, group
from celery.result import GroupResult

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "interop"))
if "--serve" not in sys.argv:
    import stage

app = Celery("bench")
app.conf.update(broker_connection_retry_on_startup=True)


@app.task(name="bench.noop")
def noop():
    pass


@app.task(name="bench.add")
def add(x, y):
    return x + y


@app.task(name="bench.xsum")
def xsum(values):
    return sum(values)


@app.task(name="bench.send_chains")
def send_chains(count, queue):
    begin = time.perf_counter()
    for i in range(count):
        chain(add.s(i, 1).set(queue=queue), add.s(2).set(queue=queue), add.s(3).set(queue=queue)).apply_async()
    return time.perf_counter() - begin


def until_done(result, value):
    """Looks at the rows themselves: a Celery client takes longer to read a thousand results than a worker to write them."""
    begin = time.perf_counter()
    members = [each.id for each in result.results] if isinstance(result, GroupResult) else [result.id]
    keys = ["celery-task-meta-" + each for each in members]
    stage.wait_for(lambda: store.exists(*keys) == len(keys), 300, "the results", every=0.0005)
    seconds = time.perf_counter() - begin
    rows = [json.loads(text)["result"] for text in store.mget(keys)]
    got = rows if isinstance(result, GroupResult) else rows[0]
    assert got == value, "%r instead of %r" % (got, value)
    return seconds


def compositions(queue):
    def task(signature):
        return signature.set(queue=queue)
    return {
        "chord of 1000": lambda: until_done(
            chord([task(add.s(i, 1)) for i in range(1000)], task(xsum.s())).apply_async(), 500500),
        "group of 1000": lambda: until_done(group(task(add.s(i, 1)) for i in range(1000)).apply_async(),
                                            [i + 1 for i in range(1000)]),
        "chain of 100": lambda: until_done(chain(*([task(add.s(0, 1))] + [task(add.s(1)) for _ in range(99)])).apply_async(),
                                           100),
    }


def drain_rate(server, queue, start, count):
    """Tasks per second of a worker that finds the queue full."""
    with app.connection_for_write() as connection:
        producer = app.amqp.Producer(connection)
        for _ in range(count):
            noop.apply_async(queue=queue, producer=producer, ignore_result=True)
    begin = time.perf_counter()
    worker = start()
    stage.wait_for(lambda: server.client.llen(queue) < count, 60, "the first task", every=0.001)
    begin = time.perf_counter()
    stage.wait_for(lambda: server.client.llen(queue) == 0 and server.client.hlen("unacked") == 0, 300, "the last task",
                   every=0.002)
    seconds = time.perf_counter() - begin
    worker.terminate()
    worker.wait(30)
    return count / seconds


def main():
    options = stage.arguments(rounds=5, tasks=50000)
    python = os.environ.get("CELERIAC_CELERY56_PYTHON") or sys.exit("CELERIAC_CELERY56_PYTHON is not set")
    with stage.Stage() as s:
        server = s.redis()
        app.conf.update(broker_url=server.url(), result_backend=server.url(1))
        app.backend.on_task_call = lambda producer, task_id: None  # nobody reads here what it would subscribe to
        global store
        store = stage.redis.Redis(port=server.port, db=1)

        def native(name, *extra, queues="native"):
            return s.worker(options.worker, server.url(), server.url(1), name=name, pool="prefork", queues=queues,
                            concurrency=2, extra=["-l", "WARNING", *extra], wait=False)

        s.run("python", [python, os.path.abspath(__file__), "--serve", server.url(), server.url(1)],
              env=dict(os.environ, C_FORCE_ROOT="1"))
        native("native")
        kinds = ("native", "python")
        for kind in kinds:  # warm
            until_done(add.apply_async((1, 1), queue=kind), 2)
        times = {}
        for _ in range(options.rounds):
            for kind in kinds:
                for what, measure in compositions(kind).items():
                    times.setdefault((what, kind), []).append(measure())
        print("| from the last publish to the result | Celery | celeriac | |\n|---|---|---|---|")
        for what in compositions("native"):
            theirs, ours = (statistics.median(times[what, kind]) for kind in ("python", "native"))
            print("| %s | %.0f ms | %.1f ms | 1/%.1f |" % (what, theirs * 1e3, ours * 1e3, theirs / ours))
        rates = {}
        for _ in range(options.rounds):
            for kind, count in (("native", 2000), ("python", 200)):
                sent = send_chains.apply_async((count, "nowhere"), queue=kind)
                key = "celery-task-meta-" + sent.id
                stage.wait_for(lambda: store.exists(key), 300, "the chains", every=0.002)
                seconds = json.loads(store.get(key))["result"]
                rates.setdefault(kind, []).append(count / seconds)
                server.client.delete("nowhere")
        theirs, ours = statistics.median(rates["python"]), statistics.median(rates["native"])
        print("| chains of 3 sent by a task, 1/s | %.0f | %.0f | %.1fx |" % (theirs, ours, ours / theirs), flush=True)
        quiet, told = [], []
        for number in range(options.rounds):
            quiet.append(drain_rate(server, "drain", lambda: native("q%d" % number, queues="drain"), options.tasks))
            told.append(drain_rate(server, "drain", lambda: native("e%d" % number, "-E", queues="drain"), options.tasks))
        print("events on: %.0f instead of %.0f tasks/s, %.0f %% less" % (
            statistics.median(told), statistics.median(quiet),
            100 * (1 - statistics.median(told) / statistics.median(quiet))))


if __name__ == "__main__":
    if "--serve" in sys.argv:
        app.conf.update(broker_url=sys.argv[2], result_backend=sys.argv[3])
        app.worker_main(["worker", "-n", "python@bench", "-c", "2", "-Q", "python", "-l", "WARNING"])
    else:
        main()
        sys.stdout.flush()
        os._exit(0)  # results that outlive their server would look for it for minutes
