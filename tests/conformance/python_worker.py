"""The reference: Celery's own worker behind the command line that conformance_worker has."""
import argparse
import json
import os
import sys

from celery import Celery

parser = argparse.ArgumentParser()
for option in ("--broker", "--result-backend", "-n", "-c", "-Q"):
    parser.add_argument(option, required=True, dest=option.strip("-").replace("-", "_"))
given = parser.parse_args()

app = Celery("celery.tests", broker=given.broker, backend=given.result_backend, include=["t.integration.tasks"])
# `inspect conf` tells only what was set; these are set in an embedded worker.
app.conf.update(json.loads(os.environ["CONFORMANCE_SETTINGS"]), broker_connection_retry_on_startup=True,
                worker_hijack_root_logger=False, worker_log_color=False, accept_content=["json"], enable_utc=True,
                timezone="UTC", broker_heartbeat=0)
app.set_default()

import celery.contrib.testing.tasks  # noqa: E402,F401  registers celery.ping
from t.integration.tasks import ClassBasedAutoRetryTask  # noqa: E402

app.register_task(ClassBasedAutoRetryTask())
app.worker_main(["worker", "-n", given.n, "-c", given.c, "-Q", given.Q, "-l", "INFO", "-P",
                 os.environ["CONFORMANCE_POOL"], "--without-mingle", "--without-gossip"])
sys.exit(0)
