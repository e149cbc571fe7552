"""pytest plugin: the embedded worker of Celery's tests becomes a process of its own.

`celery.contrib.testing.worker.start_worker` is the one place where those tests get a worker. Here it starts
the command in OUTSIDE_COMMAND (a JSON list; {broker}, {backend}, {node}, {concurrency} and {queues} are filled
in), with the application's settings as a JSON object in CONFORMANCE_SETTINGS. OUTSIDE_PART, as "2/6", takes every sixth test;
OUTSIDE_REPORT names the file for the outcomes.
"""
import json
import os
import signal
import subprocess
import sys
import time
import types
from contextlib import contextmanager

import pytest

import celery.result
import celery.worker.state
from celery import Celery
from celery.contrib.testing import worker as celery_testing
from celery.result import allow_join_result
from celery.utils.nodenames import anon_nodename

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import message_tap as taps  # noqa: E402

BROKER, BACKEND = os.environ["TEST_BROKER"], os.environ["TEST_BACKEND"]
NODE = anon_nodename()
# What a worker has to know of the application that a test makes.
SETTINGS = ["task_acks_late", "task_default_queue", "task_reject_on_worker_lost", "task_track_started",
            "result_extended", "result_expires", "worker_deduplicate_successful_tasks", "worker_prefetch_multiplier",
            "broker_heartbeat"]
WORST = ["passed", "xfailed", "skipped", "failed"]
# A limit on a test is meant for an embedded worker and results that announce themselves. A process has to be started anew
# to forget, and a database is polled: there test_revoked_by_headers_complex_canvas takes 45 to 56 s of its 20, with either worker.
PATIENCE = 5


class OutsideWorker:
    """One worker process. Only one of them consumes at a time; the one before it rests meanwhile."""

    running = []

    def __init__(self, app, concurrency, pool, queues):
        self.control = Celery("outside", broker=BROKER, backend=BACKEND, set_as_current=False).control
        fill = {"broker": BROKER, "backend": BACKEND, "node": NODE, "concurrency": str(concurrency),
                "queues": ",".join(queues)}
        self.command = [word.format(**fill) for word in json.loads(os.environ["OUTSIDE_COMMAND"])]
        settings = {name: app.conf[name] for name in SETTINGS if app.conf.get(name) is not None}
        if "result_expires" in settings and not isinstance(settings["result_expires"], (int, float)):
            settings["result_expires"] = settings["result_expires"].total_seconds()
        self.environment = dict(os.environ, CONFORMANCE_SETTINGS=json.dumps(settings), CONFORMANCE_POOL=pool)
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        with open(os.environ["OUTSIDE_LOG"], "ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT)
        end = time.monotonic() + 60
        while not self.control.ping(destination=[NODE], timeout=0.5):
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop(1)
                pytest.exit("the worker does not start; its log: " + os.environ["OUTSIDE_LOG"], returncode=3)

    def ask_to_stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def stop(self, patience):
        self.ask_to_stop()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError("the worker does not stop within %s s" % patience)

    @classmethod
    def current(cls):
        return cls.running[-1] if cls.running else None


@contextmanager
def start_worker(app, concurrency=1, pool="solo", perform_ping_check=True, ping_task_timeout=10.0,
                 shutdown_timeout=10.0, queues=None, **_):
    """Has the signature of Celery's; a nested one takes the place of the outer one for its time."""
    app.finalize()
    app.set_current()
    app.set_default()
    outer = OutsideWorker.current()
    if outer:
        outer.stop(20)
    worker = OutsideWorker(app, concurrency, pool, queues or [app.conf.task_default_queue])
    worker.start()
    OutsideWorker.running.append(worker)
    try:
        if perform_ping_check:
            from celery.contrib.testing.tasks import ping
            with allow_join_result():
                assert ping.delay().get(timeout=ping_task_timeout) == "pong"
        yield types.SimpleNamespace(app=app, hostname=NODE, consumer=types.SimpleNamespace(
            amqheartbeat=app.conf.broker_heartbeat))
    finally:
        OutsideWorker.running.remove(worker)
        worker.stop(shutdown_timeout)
        if outer:
            outer.start()


celery_testing.start_worker = start_worker


# --- what tests change in the state of an embedded worker

class Stamps(dict):
    """Only a fresh process has forgotten the stamps that were revoked. The queue is empty when it starts: the tests
    purge it next, and the new process would meanwhile have taken what the old one gave back."""

    def clear(self):
        super().clear()
        worker = OutsideWorker.current()
        worker.stop(20)
        worker.control.purge()
        worker.start()


class State(types.ModuleType):
    @property
    def should_stop(self):
        return None

    @should_stop.setter
    def should_stop(self, value):
        if value is not None and value is not False:
            OutsideWorker.current().ask_to_stop()


celery.worker.state.revoked_stamps = Stamps()
celery.worker.state.__class__ = State


# --- signals

class Taps:
    current = None


def catch_up_after(kind):
    wait = kind.get

    def get(self, *args, **kwargs):
        try:
            return wait(self, *args, **kwargs)
        finally:
            if Taps.current:
                Taps.current.catch_up()
    kind.get = get


catch_up_after(celery.result.AsyncResult)
catch_up_after(celery.result.ResultSet)


@pytest.fixture(scope="session", autouse=True)
def message_tap(celery_session_app):
    Taps.current = taps.message_tap(BROKER, lambda: celery_session_app)
    Taps.current.start()
    yield
    Taps.current.stop()


@pytest.fixture(autouse=True)
def one_test(request, monkeypatch):
    Taps.current.forget()
    worker = OutsideWorker.current()
    if worker and worker.process.poll() is not None:
        worker.start()
    if request.node.originalname == "test_stats":  # the pid that it expects is the embedded worker's: its own
        monkeypatch.setattr(request.module, "os", types.SimpleNamespace(getpid=lambda: OutsideWorker.current().pid))
    yield


# --- which tests, and how they ended

def pytest_collection_modifyitems(config, items):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "not_applicable.json")) as file:
        reasons = json.load(file)
    part, parts = map(int, os.environ.get("OUTSIDE_PART", "1/1").split("/"))
    config.hook.pytest_deselected(items=[item for i, item in enumerate(items) if i % parts != part - 1])
    items[:] = items[part - 1::parts]
    for item in items:
        limit = item.get_closest_marker("timeout")
        if limit:
            seconds = limit.args[0] if limit.args else limit.kwargs["timeout"]
            item.add_marker(pytest.mark.timeout(seconds * PATIENCE), append=False)
        for place, reason in reasons.items():
            if item.nodeid.startswith(place):
                item.add_marker(pytest.mark.skip(reason=reason))


outcomes = {}


def pytest_runtest_logreport(report):
    if report.outcome == "rerun":
        outcomes.pop(report.nodeid, None)
        return
    kind = "xfailed" if report.outcome == "skipped" and hasattr(report, "wasxfail") else report.outcome
    if str(report.longrepr).startswith("[XPASS(strict)]"):  # a fault of Celery's worker that this one does not have
        kind = "passed"
    worst, why = outcomes.get(report.nodeid, ("passed", ""))
    if WORST.index(kind) >= WORST.index(worst):
        outcomes[report.nodeid] = (kind, "" if kind == "passed" else str(report.longrepr)[-800:])


def pytest_sessionfinish():
    with open(os.environ["OUTSIDE_REPORT"], "w") as file:
        json.dump(outcomes, file)
