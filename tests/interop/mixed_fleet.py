"""Two Python workers and two native ones serve the same queue while random compositions run.

Without kills every composition comes to its value and every task runs exactly once. With --kill, workers of that
kind are ended by SIGKILL at random instants: what a killed native worker held must come to its end all the same.
A killed Python worker can lose a message by itself (between Redis handing it out and the record in `unacked`): a
composition that hangs at a task which no native worker has received, though a chord before it has come together,
and not more than one for each such kill, is its loss.
"""
import gc
import json
import os
import random
import signal
import sys
import time

from celery.result import GroupResult, result_from_tuple
from kombu import Connection

import stage
from fleet import app, composition

options = stage.arguments(compositions=300, kill="none", kills=10, seed=1, patience=90.0, broker="redis")
VISIBILITY = 10 if options.kill != "none" else 3600
here = os.path.dirname(os.path.abspath(__file__))
rng = random.Random(options.seed)


class Fleet:
    """Four workers; a killed one is followed by its like under the same name."""

    def __init__(self, s, server, results, effects):
        self.s, self.broker, self.backend = s, server.url(), results.url(1)
        self.environment = {"EFFECTS_PORT": str(effects.port), "VISIBILITY_TIMEOUT": str(VISIBILITY),
                            "C_FORCE_ROOT": "1"}
        self.pythons = [python for _, python in stage.clients()] * 2
        self.workers = {name: self.start(name) for name in ("native0", "native1", "python0", "python1")}
        for name in self.workers:
            stage.wait_for(lambda: "ready." in s.log(name), 60, name)

    def start(self, name):
        number = int(name[-1])
        if name.startswith("native"):
            return self.s.worker(
                options.worker, self.broker, self.backend, name=name, queues="celery,native", concurrency=2,
                pool=["prefork", "threads"][number], wait=False, env=self.environment,
                extra=["broker_transport_options=visibility_timeout=%d" % VISIBILITY])
        return self.s.run(name, [self.pythons[number], os.path.join(here, "fleet.py"), self.broker, self.backend, name],
                          env=dict(os.environ, **self.environment))

    def kill(self, kind):
        name = rng.choice([n for n in self.workers if kind in (n[:6], "any")])
        worker = self.workers[name]
        worker.kill()
        worker.wait()
        self.s.processes.remove(worker)
        self.workers[name] = self.start(name)
        return name[:6]


def leaves(result):
    return [leaf for r in result.results for leaf in leaves(r)] if isinstance(result, GroupResult) else [result]


def value_of(meta):
    return meta["result"] if meta["status"] == "SUCCESS" else meta["result"]["exc_type"]


def stuck(result, done):
    """Ids of the tasks that should be next, and of the chord before them or None."""
    if isinstance(result, GroupResult):
        return [each for leaf in result.results for each in stuck(leaf, done)]
    if done(result.id):
        return []
    before = [] if result.parent is None else leaves(result.parent)
    chord = result.parent.id if isinstance(result.parent, GroupResult) else None
    return [each for leaf in before for each in stuck(leaf, done)] or [(result.id, chord)]


def steps(result):
    """The tasks up to a result."""
    if result is None:
        return []
    return steps(result.parent) + leaves(result)


def story(s, fleet, ids):
    """What the workers said of these tasks."""
    lines = [(line, name) for name in fleet.workers for line in s.log(name).splitlines() if any(i in line for i in ids)]
    return ["%s %s" % (name, line) for line, name in sorted(lines)]


with stage.Stage() as s:
    (server, results), effects = s.broker(options.broker), s.redis("effects")
    app.conf.update(broker_url=server.url(), result_backend=results.url(1))
    store = stage.redis.Redis(port=results.port, db=1)
    fleet = Fleet(s, server, results, effects)
    metas = {}

    def done(task_id):
        if task_id not in metas:
            text = store.get("celery-task-meta-" + task_id)
            if text is not None and json.loads(text)["status"] in ("SUCCESS", "FAILURE"):
                metas[task_id] = json.loads(text)
        return task_id in metas

    # From Python and, by a task of the native workers that sends them on, from C++.
    sent, handed_on, expected_runs = [], [], 0
    kills = {"native": 0, "python": 0}
    every = max(1, options.compositions // max(1, options.kills))
    for number in range(options.compositions):
        one = composition(rng)
        expected_runs += one.tasks
        if rng.random() < 0.5:
            sent.append((one, one.signature.apply_async()))
        else:
            handed_on.append((one, app.send_task("fleet.send", (one.signature,), queue="native",
                                                 retry=True, ignore_result=False)))
        if options.kill != "none" and number % every == every - 1:
            kills[fleet.kill(options.kill)] += 1

    def settle():
        """Waits until all has ended, or nothing has moved for a while with nothing left to move."""
        moved, before = time.monotonic(), None
        with Connection(server.url(), transport_options={"visibility_timeout": VISIBILITY}) as connection:
            channel = connection.default_channel
            while True:
                for pair in list(handed_on):
                    if done(pair[1].id):
                        handed_on.remove(pair)
                        sent.append((pair[0], result_from_tuple(value_of(metas[pair[1].id]), app=app)))
                open_ = [leaf.id for one, result in sent for leaf in leaves(result) if not done(leaf.id)]
                left = server.left("celery", "native")
                if not handed_on and not open_ and not left:
                    return
                state = (len(handed_on), len(open_), left, effects.client.dbsize())
                if state != before:
                    moved, before = time.monotonic(), state
                if time.monotonic() - moved > options.patience:
                    assert not left, "%d messages still queued or held" % left
                    return
                if options.kill != "none" and options.broker == "redis":
                    # The sweep of a Python worker, more often than it does it.
                    channel.qos._vrestore_count = 0
                    channel.qos.restore_visible(num=1000)
                time.sleep(0.2)

    settle()
    problems, lost = [], []
    logs = {kind: s.log(kind + "0") + s.log(kind + "1") for kind in ("native", "python")}
    for one, result in handed_on:
        problems.append("%s was to be sent on by a native worker and was not" % result.id)
    for one, result in sent:
        ids = [leaf.id for leaf in leaves(result)]
        if all(done(i) for i in ids):
            values = [value_of(metas[i]) for i in ids]
            value = values if isinstance(result, GroupResult) else values[0]
            if value != one.value:
                problems.append("%r came to %r instead of %r" % (one.signature, value, one.value))
            continue
        for task_id, chord in stuck(result, done):
            # The parts of a chord are deleted when its body has been sent.
            if "[%s] received" % task_id in logs["native"] or (chord and store.exists("celery-taskset-meta-%s.j" % chord)):
                problems.append("%r hangs at %s after chord %s" % (one.signature, task_id, chord))
            else:
                lost.append("%r hangs at %s after chord %s\n  %s" % (one.signature, task_id, chord, "\n  ".join(
                    story(s, fleet, [task_id] + [step.id for step in steps(result)]))))
    runs = [int(effects.client.get(key)) for key in effects.client.scan_iter(count=1000)]
    again = sum(n - 1 for n in runs)
    print("%d compositions of %d tasks, %s; killed: %d native, %d Python; %d tasks run again, %d lost by Python"
          % (options.compositions, expected_runs, " and ".join(os.path.basename(p) for p in fleet.pythons[:2]),
             kills["native"], kills["python"], again, len(lost)))
    print("tasks run by native workers: %d, by Python: %d"
          % tuple(logs[kind].count("succeeded in") for kind in ("native", "python")))
    for problem in problems[:20]:
        print(problem)
    assert not problems, "%d compositions went wrong" % len(problems)
    assert len(lost) <= kills["python"], "\n".join(lost)
    if options.kill == "none":
        assert again == 0 and len(runs) == expected_runs, "%d tasks ran, %d again" % (len(runs), again)
    for worker in fleet.workers.values():
        worker.send_signal(signal.SIGTERM)
    for name, worker in fleet.workers.items():
        worker.wait(30)
    sent.clear()
    handed_on.clear()
    del one, result
    gc.collect()  # results let go of their server while it is there
sys.exit(0)
