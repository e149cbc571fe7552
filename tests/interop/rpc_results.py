"""rpc:// results: every Celery at hand reads what became of its tasks from its reply queue. --broker rabbitmq does it over
RabbitMQ."""
import os
import subprocess

import stage

options = stage.arguments(tasks=200, broker="redis")
CLIENT = """
import sys
from celery import Celery, chain, group
app = Celery("rpc", broker=sys.argv[1], backend="rpc://")
add = lambda x, y: app.signature("interop.add", (x, y))
count = int(sys.argv[2])
assert [add(n, 1).apply_async().get(timeout=20) for n in range(count)] == [n + 1 for n in range(count)]
sent = [add(n, 1).apply_async() for n in range(5)]  # Celery looks for a second before it believes that no more comes
assert [r.get(timeout=60) for r in reversed(sent)] == [5, 4, 3, 2, 1]
values = [None, True, 2.5, "\\u00e9\\U0001f600", [1, {"a": [None]}], 2 ** 70, -1]
assert [app.send_task("interop.echo", (v,)).get(timeout=20) for v in values] == values
failed = app.send_task("interop.fail", ("ValueError", ["over", "there"]))
try:
    failed.get(timeout=20)
    sys.exit("no exception")
except ValueError as e:
    assert e.args == ("over", "there"), e.args
assert failed.state == "FAILURE" and "over" in failed.traceback
assert app.send_task("interop.retry", ("v", 2)).get(timeout=30) == ["v", 2]
assert chain(add(1, 2), add(3, 4).set(immutable=True), app.signature("interop.add", (5,))).apply_async().get(timeout=20) == 12
assert sorted(group(add(n, n) for n in range(5)).apply_async().get(timeout=20)) == [2 * n for n in range(5)]
app.send_task("interop.add", (1, 1), ignore_result=True)
app.send_task("interop.add", (1, 1), reply_to="nobody-is-there")
print("%d results read" % (count + len(values) + 14))
"""
with stage.Stage() as s:
    server, _ = s.broker(options.broker)
    worker = s.worker(options.worker, server.url(), "rpc://", extra=["task_track_started=true"])
    for label, python in stage.clients():
        done = subprocess.run([python, "-c", CLIENT, server.url(), str(options.tasks)], capture_output=True, text=True,
                              timeout=200, env=dict(os.environ))
        assert done.returncode == 0, done.stdout + done.stderr
        print("%s: %s" % (label, done.stdout.strip()), flush=True)
    stage.wait_for(lambda: server.left("celery") == 0, what="an empty queue")
    worker.terminate()
    assert worker.wait(20) == 0
