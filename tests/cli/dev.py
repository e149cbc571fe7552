"""`celeriac dev` comes up, keeps its data and ports, and leaves nothing behind, however it ends.

    dev.py CELERIAC
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

program = sys.argv[1]


def wait_until(what, limit, condition):
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def start(folder):
    log = open(folder + "/log", "a+")
    child = subprocess.Popen([program, "dev", "--dir", folder + "/data", "-c", "1"], stdout=log, stderr=log, cwd=folder)
    ready = pathlib.Path(folder, "data/dev.json")
    wait_until("not ready:\n" + pathlib.Path(folder, "log").read_text(), 90,
               lambda: child.poll() is not None or ready.exists())
    assert child.poll() is None, pathlib.Path(folder, "log").read_text()
    return child, json.loads(ready.read_text())


with tempfile.TemporaryDirectory() as folder:
    os.chmod(folder, 0o755)  # PostgreSQL's own user must get in when this runs as root
    child, first = start(folder)
    pids = [first[name + "_pid"] for name in ("redis", "postgres", "worker")]
    assert all(map(alive, pids))
    second = subprocess.run([program, "dev", "--dir", folder + "/data"], capture_output=True, text=True)
    assert second.returncode == 73 and "another" in second.stderr, second

    child.kill()  # nobody is left to end the servers but the kernel
    child.wait()
    wait_until("servers outlived a killed dev", 60, lambda: not any(map(alive, pids)))

    # A dev.json of the killed run must not be taken for ready: the next start removes it first.
    pathlib.Path(folder, "data/dev.json").unlink()
    child, again = start(folder)
    assert again["broker_url"] == first["broker_url"] and again["database_url"] == first["database_url"]
    pids = [again[name + "_pid"] for name in ("redis", "postgres", "worker")]
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 0, pathlib.Path(folder, "log").read_text()
    assert not any(map(alive, pids))
    assert not pathlib.Path(folder, "data/dev.json").exists()
