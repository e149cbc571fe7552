"""What options and settings of the worker do, seen from a Python client: --autoscale, --disable-prefetch,
worker_eta_task_limit, worker_deduplicate_successful_tasks, task_acks_on_failure, what tasks print.
"""
import json
import sys

from celery import Celery

from stage import Stage, arguments, wait_for


def autoscale(stage, options, pool):
    server = stage.redis(name="redis-" + pool)
    app = Celery(broker=server.url(), backend=server.url())
    name = "auto-" + pool
    stage.worker(options.worker, server.url(), server.url(), name=name, pool=pool, extra=["--autoscale", "3,1"],
                 env={"AUTOSCALE_KEEPALIVE": "1"})
    inspect = app.control.inspect(timeout=10, destination=[name + "@interop"])

    def stats():
        return inspect.stats()[name + "@interop"]
    first = stats()
    assert first["autoscaler"] == {"max": 3, "min": 1, "current": 1, "qty": 0}, first["autoscaler"]
    assert first["prefetch_count"] == 12, first["prefetch_count"]
    naps = [app.send_task("interop.nap", args=[1.5]) for _ in range(6)]
    wait_for(lambda: stats()["autoscaler"]["current"] == 3, 20, "three slots")
    assert stats()["pool"]["max-concurrency"] == 3
    reply = app.control.autoscale(4, 2, destination=[name + "@interop"], reply=True, timeout=10)
    assert reply == [{name + "@interop": {"ok": "autoscale now max=4 min=2"}}], reply
    refused = app.control.pool_grow(1, destination=[name + "@interop"], reply=True, timeout=10)
    assert "not supported with autoscale" in refused[0][name + "@interop"]["error"], refused
    for nap in naps:
        nap.get(timeout=60)
    wait_for(lambda: stats()["autoscaler"]["current"] == 2, 30, "idle slots to leave, down to the new minimum")
    assert "Scaling up" in stage.log(name) and "Scaling down" in stage.log(name)


def deduplicate(stage, options):
    server = stage.redis(name="redis-dedup")
    app = Celery(broker=server.url(), backend=server.url())
    stage.worker(options.worker, server.url(), server.url(), name="dedup", extra=["worker_deduplicate_successful_tasks=true"],
                 env={"EFFECTS_PORT": str(server.port)})
    result = app.send_task("interop.effect", args=[0], queue="parked")
    raw = json.loads(server.client.rpop("parked"))
    raw["properties"]["delivery_info"].update(routing_key="celery", redelivered=True)
    raw["headers"]["redelivered"] = True
    key = "effect:" + result.id
    server.client.lpush("celery", json.dumps(raw))  # delivered before, but not done: it runs
    assert result.get(timeout=30) == 1
    server.client.lpush("celery", json.dumps(raw))  # done: it does not
    wait_for(lambda: "already completed successfully" in stage.log("dedup"), 20, "the second to be recognized")
    wait_for(lambda: server.client.hlen("unacked") == 0, 20, "its acknowledgement")
    assert server.client.get(key) == b"1", server.client.get(key)


def limits(stage, options):
    server = stage.redis(name="redis-limits")
    app = Celery(broker=server.url(), backend=server.url())
    stage.worker(options.worker, server.url(), server.url(), name="limits", concurrency=1,
                 extra=["--disable-prefetch", "worker_eta_task_limit=2"])
    for _ in range(3):
        app.send_task("interop.nap", args=[2])
    wait_for(lambda: server.client.llen("celery") <= 2, 20, "the first to be fetched")
    assert server.client.hlen("unacked") <= 1, "more was fetched than runs"
    wait_for(lambda: server.client.llen("celery") == 0 and server.client.hlen("unacked") == 0, 40, "all to be done")
    for _ in range(4):
        app.send_task("interop.add", args=[1, 1], countdown=3600)
    wait_for(lambda: server.client.hlen("unacked") == 2, 20, "two to be held for their time")
    held = app.control.inspect(timeout=10).scheduled()["limits@interop"]
    assert len(held) == 2 and server.client.llen("celery") == 2, held


def acks(stage, options):
    server = stage.redis(name="redis-acks")
    app = Celery(broker=server.url(), backend=server.url())
    stage.worker(options.worker, server.url(), server.url(), name="acks", pool="prefork",
                 extra=["task_acks_late=true", "task_acks_on_failure=false", "task_acks_on_timeout=true"])
    failed = app.send_task("interop.fail", args=["ValueError", ["x"]])
    try:
        failed.get(timeout=30)
        raise AssertionError("it did not fail")
    except ValueError:
        pass
    wait_for(lambda: server.client.zcard("celeriac.dead") == 1, 20, "the failed task among the dead letters")
    late = app.send_task("interop.nap", args=[60], time_limit=1)
    try:
        late.get(timeout=30)
        raise AssertionError("it did not time out")
    except AssertionError:
        raise
    except Exception as error:
        assert "TimeLimitExceeded" in type(error).__name__, error
    wait_for(lambda: server.client.hlen("unacked") == 0, 20, "the acknowledgement")
    assert server.client.llen("celery") == 0 and server.client.zcard("celeriac.dead") == 1


def prints(stage, options):
    server = stage.redis(name="redis-prints")
    app = Celery(broker=server.url(), backend=server.url())
    stage.worker(options.worker, server.url(), server.url(), name="prints", pool="prefork")
    result = app.send_task("interop.print", args=["hello from a task"])
    result.get(timeout=30)
    line = "interop.print[%s]: hello from a task" % result.id
    wait_for(lambda: line in stage.log("prints"), 20, "the line")
    assert any(line in text and "WARNING/ForkPoolWorker" in text for text in stage.log("prints").splitlines())


def main():
    options = arguments()
    with Stage() as stage:
        for pool in ("prefork", "threads"):
            autoscale(stage, options, pool)
        deduplicate(stage, options)
        limits(stage, options)
        acks(stage, options)
        prints(stage, options)
    print("options of the worker do what they say")
    return 0


if __name__ == "__main__":
    sys.exit(main())
