"""Tasks sent per second by Celery's apply_async and by our client, one after the other in turns, over a private Redis.

    PYTHON publish.py BUILD/tests/bench/publish_bench [SECONDS] [ROUNDS]

PYTHON has the Celery to compare with. Each way gets SECONDS in each of ROUNDS; the medians and their ratios are printed.
"""
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
import celery  # noqa: E402
import stage  # noqa: E402

program = sys.argv[1]
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 3.0
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3


def ours(url, how):
    return float(subprocess.run([program, url, str(seconds), how], check=True, stdout=subprocess.PIPE).stdout)


def add(x, y):
    return x + y


def celerys(task):
    for _ in range(100):
        task.apply_async((1, 2), queue="publish")
    results, begun = [], time.perf_counter()  # kept: one that goes unsubscribes, which is not sending
    while True:
        results.append(task.apply_async((1, 2), queue="publish"))
        taken = time.perf_counter() - begun
        if taken >= seconds:
            return len(results) / taken


def chains(task):
    def step(*args):
        return task.s(*args).set(queue="publish")

    results, begun = [], time.perf_counter()
    while True:
        results.append(celery.chain(step(1, 2), step(2), step(3)).apply_async())
        taken = time.perf_counter() - begun
        if taken >= seconds:
            return len(results) / taken


with stage.Stage() as s:
    server = s.redis()
    app = celery.Celery("publish", broker=server.url(), backend=server.url())
    task = app.task(add, name="bench.add")
    bare = celery.Celery("bare", broker=server.url(), set_as_current=False).task(add, name="bench.add")
    ways = {"apply_async": lambda: celerys(task), "apply_async, no result store": lambda: celerys(bare), "send": lambda: ours(server.url(), "send"),
            "send_all": lambda: ours(server.url(), "send_all"), "chain.apply_async": lambda: chains(task),
            "apply, a chain": lambda: ours(server.url(), "apply"), "apply_all, chains": lambda: ours(server.url(), "apply_all")}
    rates = {way: [] for way in ways}
    for _ in range(rounds):
        for way, measure in ways.items():
            server.client.flushall()
            rates[way].append(measure())
    for way, values in rates.items():
        base = statistics.median(rates["chain.apply_async" if "chain" in way else "apply_async"])
        rate = statistics.median(values)
        print("%-28s %8.0f tasks/s  %6.1fx  (%s)" % (way, rate, rate / base, ", ".join("%.0f" % v for v in values)))
