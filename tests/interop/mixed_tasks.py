"""Every Celery client at hand sends mixed tasks and reads every result, from Redis and from PostgreSQL."""
import os
import subprocess
import sys

import stage

options = stage.arguments(tasks=1000)
here = os.path.dirname(os.path.abspath(__file__))
with stage.Stage() as s:
    server = s.redis()
    database = s.postgres()
    failed = 0
    for number, (pool, scheme) in enumerate([("threads", "redis"), ("prefork", "db+postgresql")]):
        backend = server.url(1) if scheme == "redis" else "db+postgresql://" + database
        worker = s.worker(options.worker, server.url(), backend, name="w%d" % number, pool=pool, concurrency=4,
                          extra=["accept_content=json,yaml,msgpack"])
        for label, python in stage.clients():
            done = subprocess.run([python, os.path.join(here, "mixed_client.py"), server.url(), backend,
                                   str(options.tasks)])
            print("%s pool, results in %s, %s client: exit %d" % (pool, scheme, label, done.returncode), flush=True)
            failed += done.returncode != 0
        worker.terminate()
        assert worker.wait(20) == 0, "worker exit code %s" % worker.returncode
    sys.exit(1 if failed else 0)
