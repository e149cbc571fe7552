"""A client in C++ sends to a Python worker of every Celery at hand and to ours; Celery's client reads the same results."""
import os
import subprocess
import sys

import stage

options = stage.arguments(client="")
here = os.path.dirname(os.path.abspath(__file__))
with stage.Stage() as s:
    for label, python in stage.clients() + [("native", None)]:
        server = s.redis("redis-" + label)
        urls = [server.url(), server.url(1)]
        environment = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(server.port), "C_FORCE_ROOT": "1"}
        if python:
            worker = s.run(label, [python, os.path.join(here, "client_tasks.py"), *urls, label],
                           env=dict(os.environ, **environment))
            stage.wait_for(lambda: "ready." in s.log(label), 60, label)
        else:
            worker = s.worker(options.worker, *urls, name=label, concurrency=4, env=environment)
        print("%s worker:" % label, flush=True)
        sent = subprocess.run([options.client, *urls], stdout=subprocess.PIPE, text=True, timeout=240)
        assert sent.returncode == 0, "the client's exit code is %d" % sent.returncode
        reader = [python or sys.executable, os.path.join(here, "client_reader.py"), *urls]
        subprocess.run(reader, input=sent.stdout, text=True, timeout=240, check=True)
        worker.terminate()
        assert worker.wait(30) == 0, "worker exit code %s" % worker.returncode
