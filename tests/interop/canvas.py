"""Every Celery client at hand sends links, chains, groups and chords to a native worker."""
import os
import subprocess
import sys

import stage

options = stage.arguments(only="")
here = os.path.dirname(os.path.abspath(__file__))
with stage.Stage() as s:
    server = s.redis()
    failed = 0
    for number, (pool, scheme) in enumerate([("threads", "redis"), ("prefork", "redis"), ("threads", "db+postgresql")]):
        backend = server.url() if scheme == "redis" else "db+postgresql://" + s.postgres()
        worker = s.worker(options.worker, server.url(), backend, name="w%d" % number, pool=pool, concurrency=4,
                          env={"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(server.port)})
        for label, python in stage.clients():
            argv = [python, os.path.join(here, "canvas_client.py"), server.url(), backend, str(server.port)]
            done = subprocess.run(argv + options.only.split())
            print("%s pool, results in %s, %s client: exit %d" % (pool, scheme, label, done.returncode), flush=True)
            failed += done.returncode != 0
        worker.terminate()
        assert worker.wait(20) == 0, "worker exit code %s" % worker.returncode
    assert not failed, "%d of the clients failed" % failed
