"""A client in C++ sends to a Python worker of every Celery at hand and to ours; Celery's client reads the same results."""
import json
import os
import subprocess
import sys

from celery import Celery
from celery.result import result_from_tuple

import stage

options = stage.arguments(client="")
here = os.path.dirname(os.path.abspath(__file__))


def run(s, server, label, backend, worker):
    done = subprocess.run([options.client, server.url(), backend], stdout=subprocess.PIPE, text=True, timeout=240)
    assert done.returncode == 0, "the client with the %s worker: exit %d" % (label, done.returncode)
    effects, app = server.client, Celery(broker=server.url(), backend=backend)
    kinds = {}
    for line in done.stdout.splitlines():
        (kind, value), = json.loads(line).items()
        kinds.setdefault(kind, []).append(value)
    for built in kinds["tuple"]:
        assert result_from_tuple(built["tuple"], app=app).get(timeout=60) == built["value"], built
    for task_id in kinds["errbacks"]:
        stage.wait_for(lambda: int(effects.get(task_id) or 0) == 2, 30, "the errbacks")
    stage.wait_for(lambda: effects.lrange("linked", 0, -1) == [b"x"], 30, "the link")
    for task_id in kinds["ignored"]:
        assert app.AsyncResult(task_id).state == "PENDING"
    control = app.control.inspect(timeout=1)
    for task_id in kinds["revoked"]:
        stage.wait_for(lambda: task_id in sum((control.revoked() or {}).values(), []), 30, "the revoke")
    print("%s worker: %d compositions" % (label, len(kinds["tuple"])), flush=True)
    worker.terminate()
    assert worker.wait(30) == 0, "worker exit code %s" % worker.returncode


with stage.Stage() as s:
    for label, python in stage.clients() + [("native", None)]:
        server = s.redis("redis-" + label)
        backend = server.url(1)
        environment = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(server.port), "C_FORCE_ROOT": "1"}
        if python:
            worker = s.run(label, [python, os.path.join(here, "client_tasks.py"), server.url(), backend, label],
                           env=dict(os.environ, **environment))
            stage.wait_for(lambda: "ready." in s.log(label), 60, label)
        else:
            worker = s.worker(options.worker, server.url(), backend, name=label, concurrency=4, env=environment)
        run(s, server, label, backend, worker)
