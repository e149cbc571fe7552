"""status, inspect, control and events, against a worker of the same executable and a private Redis.

    remote.py CELERIAC
"""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

PROGRAM = sys.argv[1]
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("CELERY", "CELERIAC"))}
NODE = "w1@here"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, what):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("timed out waiting for " + what)


with tempfile.TemporaryDirectory() as folder:
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    started = []

    def start(*argv, log):
        out = open(os.path.join(folder, log), "wb")
        process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, env=CLEAN, cwd=folder)
        started.append(process)
        return process

    def text(log):
        with open(os.path.join(folder, log), errors="replace") as f:
            return f.read()

    def run(*args, code=0):
        done = subprocess.run([PROGRAM, "-b", url, *args], env=CLEAN, cwd=folder, capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
        return done

    try:
        # Nobody there, not even a broker.
        assert "cannot connect" in run("status", "-t", "0.2", code=69).stderr
        start("redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder, log="redis")
        wait_for(lambda: "Ready to accept" in text("redis"), "redis-server")
        assert "No nodes replied within time constraint" in run("status", "-t", "0.2", code=69).stderr

        worker = start(PROGRAM, "-b", url, "worker", "-P", "threads", "-c", "1", "-Q", "q", "-n", NODE, "-E", "-l", "INFO",
                       log="worker")
        wait_for(lambda: "ready." in text("worker"), "the worker")
        wait_for(lambda: subprocess.run([PROGRAM, "-b", url, "status", "-t", "0.2"], env=CLEAN,
                                        capture_output=True).returncode == 0, "the worker to answer")
        to = ("-t", "10", "-d", NODE)
        assert run("status", *to).stdout == f"->  {NODE}: OK\n\n1 node online.\n"
        assert json.loads(run("status", *to, "-j").stdout) == {NODE: {"ok": "pong"}}
        assert run("inspect", *to, "ping").stdout == f"->  {NODE}: OK\n        pong\n\n1 node online.\n"
        assert run("inspect", *to, "active").stdout == f"->  {NODE}: OK\n    - empty -\n\n1 node online.\n"
        queues = json.loads(run("inspect", "--json", *to, "active_queues").stdout)
        assert [q["name"] for q in queues[NODE]] == ["q"]
        assert json.loads(run("inspect", *to, "-j", "query_task", "a", "b").stdout) == {NODE: {}}
        assert "ImportError" in run("inspect", *to, "objgraph", code=1).stdout

        assert json.loads(run("control", "-j", *to, "add_consumer", "r").stdout) == [{NODE: {"ok": "add consumer r"}}]
        assert run("control", *to, "revoke", "x").stdout == f"->  {NODE}: OK\n        tasks {{'x'}} flagged as revoked\n"
        assert json.loads(run("inspect", *to, "-j", "revoked").stdout) == {NODE: ["x"]}
        assert "Autoscale not enabled" in run("control", *to, "autoscale", "3", "1", code=1).stdout

        # Usage.
        assert "query_task id..." in run("inspect", "--list").stdout
        assert "did you mean active?" in run("inspect", "actve", code=2).stderr
        assert "no such command 'ping'" in run("control", "ping", code=2).stderr
        assert "task_id" in run("control", "revoke", code=2).stderr
        assert "too many arguments" in run("control", "heartbeat", "x", code=2).stderr
        assert "no number" in run("control", "pool_grow", "many", code=2).stderr

        dump = start(PROGRAM, "-b", url, "events", "--dump", log="dump")
        wait_for(lambda: "heartbeat" in text("dump"), "an event")
        run("call", "t.nothing", "--queue", "q")
        wait_for(lambda: "task failed" in text("dump") and "NotRegistered('t.nothing')" in text("dump"), "a task event")
        dump.send_signal(signal.SIGINT)
        assert dump.wait(10) == 0
        run("control", "-d", NODE, "shutdown")
        assert worker.wait(20) == 0
        left = subprocess.run(["redis-cli", "-p", str(port), "keys", "*pidbox*"], capture_output=True, text=True).stdout
        left += subprocess.run(["redis-cli", "-p", str(port), "keys", "*celeryev*"], capture_output=True, text=True).stdout
        assert left.strip() == "", left
    except BaseException:
        for log in ("worker", "dump"):
            if os.path.exists(os.path.join(folder, log)):
                print(f"---- {log}\n{text(log)[-3000:]}", file=sys.stderr)
        raise
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()
print("the commands for remote control work")
