"""The application that Flower and the Python worker of flower_shapes.py load: tasks that interop_worker has too."""
import os
import time

from celery import Celery
from celery.app.control import Control


class PatientControl(Control):
    """Flower gives a worker one second to answer, and one that answers later has done it all the same."""

    def broadcast(self, command, arguments=None, destination=None, connection=None, reply=False, timeout=1.0, **more):
        patience = 60 if destination and reply else timeout  # it ends with the answer of those it was sent to
        return super().broadcast(command, arguments, destination, connection, reply, patience, **more)


app = Celery("flower", control=PatientControl, broker=os.environ["BROKER"], backend=os.environ["BACKEND"])
app.conf.update(broker_connection_retry_on_startup=True, worker_send_task_events=True)


@app.task(name="interop.add")
def add(x, y):
    return x + y


@app.task(name="interop.fail")
def fail(kind, messages):
    raise {"ValueError": ValueError}[kind](*messages)


@app.task(name="interop.nap")
def nap(seconds):
    time.sleep(seconds)


@app.task(name="interop.retry", bind=True, default_retry_delay=0.5)
def retry(self, value, times):  # after a moment: the events of a Python worker's children overtake each other
    if self.request.retries < times:
        raise self.retry(exc=ValueError("again"))
    return [value, self.request.retries]
