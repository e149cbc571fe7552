"""The tasks of the mixed fleet for Celery, and random compositions of them with what must come of each.

As a program it is the Python worker: fleet.py BROKER BACKEND NAME [CELERY WORKER OPTION ...]. interop_worker has the same tasks.
"""
import os
import sys

import redis
from celery import Celery, chain, chord, group

app = Celery("fleet")
app.conf.update(broker_connection_retry_on_startup=True, task_acks_late=True, task_reject_on_worker_lost=True,
                result_expires=3600, worker_prefetch_multiplier=2)
counters = redis.Redis(port=int(os.environ.get("EFFECTS_PORT", "0")))


class FleetError(Exception):
    # Named alike by every worker: to Celery, a part of a chord that failed in another way is another part.
    __module__ = "fleet"


def counted(function):
    """Each run leaves its mark under the task's id, as the native worker's do."""
    def run(self, *args):
        counters.incr("effect:" + self.request.id)
        return function(*args)
    return app.task(run, name="fleet." + function.__name__, bind=True)


@counted
def add(x, y):
    return x + y


@counted
def total(values):
    return sum(values)


@counted
def fail(*_):
    raise FleetError("meant to fail")


class Composition:
    """A signature, the value that it must come to (or the name of the error) and how many tasks run for it."""

    def __init__(self, signature, value, tasks):
        self.signature, self.value, self.tasks = signature, value, tasks


def number(rng, depth):
    """One that comes to a number."""
    shape = rng.choice(["task", "chain", "chord", "chain", "chord", "spread"]) if depth else "task"
    if shape == "task":
        x, y = rng.randint(-99, 99), rng.randint(-99, 99)
        return Composition(add.s(x, y), x + y, 1)
    if shape == "chain":
        first = number(rng, depth - 1)
        steps = [rng.randint(1, 9) for _ in range(rng.randint(1, 4))]
        return Composition(chain(first.signature, *(add.s(n) for n in steps)), first.value + sum(steps),
                           first.tasks + len(steps))
    if shape == "chord":
        parts = [number(rng, depth - 1) for _ in range(rng.randint(2, 5))]
        n = rng.randint(1, 9)
        return Composition(chain(chord([p.signature for p in parts], total.s()), add.s(n)),
                           sum(p.value for p in parts) + n, sum(p.tasks for p in parts) + 2)
    first = number(rng, depth - 1)
    spread = [rng.randint(1, 9) for _ in range(rng.randint(2, 4))]
    return Composition(chain(first.signature, group(add.s(n) for n in spread), total.s()),
                       first.value * len(spread) + sum(spread), first.tasks + len(spread) + 1)


def composition(rng):
    kind = rng.random()
    if kind < 0.08:
        first = number(rng, 1)
        return Composition(chain(first.signature, fail.s(), add.s(1)), "FleetError", first.tasks + 1)
    if kind < 0.16:
        parts = [number(rng, 0) for _ in range(rng.randint(1, 3))]
        return Composition(chord([p.signature for p in parts] + [fail.s()], total.s()), "ChordError", len(parts) + 1)
    if kind < 0.3:
        parts = [number(rng, 1) for _ in range(rng.randint(2, 5))]
        return Composition(group(p.signature for p in parts), [p.value for p in parts], sum(p.tasks for p in parts))
    return number(rng, rng.choice([0, 1, 1, 2]))


def serve(broker, backend, name, *options):
    app.conf.update(broker_url=broker, result_backend=backend,
                    broker_transport_options={"visibility_timeout": float(os.environ["VISIBILITY_TIMEOUT"])})
    app.worker_main(["worker", "-n", name + "@interop", "-l", "INFO", "-c", "2", *options])


if __name__ == "__main__":
    sys.modules["fleet"] = sys.modules["__main__"]  # the home of FleetError
    serve(*sys.argv[1:])
