"""A task that harms its process harms nobody else: the client gets the true cause, the others go on,
and the slot is back at once."""
import gc
import time

from celery import Celery
from celery.exceptions import TimeLimitExceeded, WorkerLostError

import stage

options = stage.arguments()


def check(s):
    server = s.redis()
    effects = s.redis("effects")
    worker = s.worker(options.worker, server.url(), server.url(1), pool="prefork", concurrency=2,
                      extra=["worker_task_memory_limit=400000"], env={"EFFECTS_PORT": str(effects.port)})
    app = Celery("isolation", broker=server.url(), backend=server.url(1))

    def outcome(result):
        try:
            return result.get(timeout=30, interval=0.01)
        except Exception as e:
            return e

    def slot_is_back(what):
        """Both slots answer within a second: two naps can only overlap when two slots live."""
        begin = time.monotonic()
        naps = [app.send_task("interop.nap", (0.3,)) for _ in range(2)]
        for nap in naps:
            nap.get(timeout=10, interval=0.01)
        took = time.monotonic() - begin
        assert took < 1.3, "%s: two slots needed %.2f s" % (what, took)

    slot_is_back("before")
    cases = [
        ("segfault", app.send_task("interop.crash"), WorkerLostError, "SIGSEGV"),
        ("exit", app.send_task("interop.leave", (3,)), WorkerLostError, "exitcode 3"),
        ("memory", app.send_task("interop.devour"), (MemoryError, WorkerLostError), ""),
        ("hard limit", app.send_task("interop.nap", (60,), time_limit=1), TimeLimitExceeded, "1"),
    ]
    bystanders = [app.send_task("interop.add", (i, 1)) for i in range(200)]
    for name, result, kind, text in cases:
        got = outcome(result)
        assert isinstance(got, kind), "%s: %r" % (name, got)
        assert text in str(got), "%s: %r" % (name, got)
        print("%s: %r" % (name, got))
    for i, result in enumerate(bystanders):
        stage.wait_for(result.ready, 30, "a bystander")
        assert result.result == i + 1
    slot_is_back("after")
    assert worker.poll() is None


with stage.Stage() as s:
    check(s)
    gc.collect()  # Celery's client would look for a server that is gone when a result outlives it
print("isolation holds")
