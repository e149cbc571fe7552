"""Several beats over one schedule, one of them killed at random again and again: each run is sent once, and a Python
worker runs it.

    beat.py --celeriac PROGRAM [--kills N]

Counted: what the worker ran (distinct ids and runs), what stands in the ledger, and the longest silence of an entry of
every second. Also: the beat inside a worker (-B), the state over a restart, and the file for `beat ls`.
"""
import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time

from stage import Stage, clients, wait_for

TASKS = '''
import os, time
from celery import Celery
import redis
app = Celery(broker=os.environ["BROKER"])
app.conf.worker_hijack_root_logger = False
effects = redis.Redis.from_url(os.environ["BROKER"])

@app.task(name="tick.note", bind=True, ignore_result=True)
def note(self, entry):
    effects.rpush("noted", "%s %s %.6f" % (entry, self.request.id, time.time()))
'''

SCHEDULE = '''
timezone = "Europe/Berlin"

[beat_schedule.fast]
task = "tick.note"
schedule = 1
args = ["fast"]

[beat_schedule.half]
task = "tick.note"
schedule = 0.5
args = ["half"]
options = { queue = "second", expires = 600 }

[beat_schedule.nightly]
task = "tick.note"
schedule = "0 4 * * *"
kwargs = { entry = "nightly" }
'''


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--celeriac", required=True)
    parser.add_argument("--kills", type=int, default=12)
    options = parser.parse_args()
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    print("seed", seed)
    with Stage() as stage:
        server = stage.redis()
        with open(os.path.join(stage.dir, "celeriac.toml"), "w") as f:
            f.write(SCHEDULE)
        with open(os.path.join(stage.dir, "ticktasks.py"), "w") as f:
            f.write(TASKS)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("CELERY", "CELERIAC"))}
        environment.update(BROKER=server.url(), CELERIAC_CONFIG=os.path.join(stage.dir, "celeriac.toml"))
        label, python = clients()[-1]
        stage.run("python-worker", [python, "-m", "celery", "-A", "ticktasks", "worker", "-c", "2", "-P", "threads", "-Q",
                                    "celery,second", "--without-gossip", "--without-mingle", "-l", "INFO"],
                  cwd=stage.dir, env=environment)
        wait_for(lambda: " ready." in stage.log("python-worker"), 60, "the Python worker")

        started = [0]

        def beat():
            started[0] += 1
            name = "beat-%d" % started[0]
            process = stage.run(name, [options.celeriac, "-b", server.url(), "beat", "-l", "DEBUG"], env=environment,
                                cwd=stage.dir)
            return process

        def ls():
            out = subprocess.run([options.celeriac, "-b", server.url(), "beat", "ls", "--json"], env=environment,
                                 check=True, capture_output=True, text=True, cwd=stage.dir).stdout
            return {entry["name"]: entry for entry in json.loads(out)}

        entries = ls()
        assert entries["fast"]["last_run_at"] is None and entries["fast"]["total_run_count"] == 0, entries
        assert entries["nightly"]["schedule"] == "0 4 * * *" and entries["half"]["queue"] == "second", entries

        beats = [beat(), beat()]
        wait_for(lambda: server.client.llen("noted") > 4, 60, "the first runs")
        for _ in range(options.kills):
            time.sleep(chance.uniform(0.05, 1.2))  # the instant of the kill is what is random
            victim = chance.randrange(2)
            beats[victim].send_signal(signal.SIGKILL)
            beats[victim].wait()
            beats[victim] = beat()
        before = ls()["fast"]["total_run_count"]
        wait_for(lambda: ls()["fast"]["total_run_count"] > before + 2, 30, "runs after the last kill")
        for process in beats:
            process.send_signal(signal.SIGTERM)
        for process in beats:
            assert process.wait(20) == 0, "a beat ended with %s" % process.returncode

        entries = ls()
        total = sum(entry["total_run_count"] for entry in entries.values())
        wait_for(lambda: server.client.llen("noted") >= total, 60, "every run to arrive")
        noted = [line.decode().split() for line in server.client.lrange("noted", 0, -1)]
        ids = {id for _, id, _ in noted}
        assert len(noted) == total == len(ids), "%d runs, %d ids, %d sent" % (len(noted), len(ids), total)
        for name in ("fast", "half"):
            assert sum(1 for entry, _, _ in noted if entry == name) == entries[name]["total_run_count"], name
        moments = sorted(float(at) for entry, _, at in noted if entry == "fast")
        silence = max(b - a for a, b in zip(moments, moments[1:]))
        print("%s: %d beats, %d killed; %d runs sent, %d ran, each once; longest silence of an entry of 1 s: %.2f s" %
              (label, started[0], options.kills, total, len(ids), silence))

        # A restart goes on where the last one ended, and makes up for what was missed by one run.
        count = ls()["fast"]["total_run_count"]
        time.sleep(2.5)  # two runs and a half go by
        third = beat()
        wait_for(lambda: ls()["fast"]["total_run_count"] > count, 30, "the run that was missed")
        third.send_signal(signal.SIGTERM)
        assert third.wait(20) == 0

        # Inside a worker, beside another beat.
        count = ls()["fast"]["total_run_count"]
        worker = stage.run("w-beat", [options.celeriac, "-b", server.url(), "worker", "-B", "-Q", "nothing", "-P", "solo", "-l",
                                      "INFO"], env=environment, cwd=stage.dir)
        wait_for(lambda: ls()["fast"]["total_run_count"] > count + 2, 30, "runs of the worker's beat")
        assert ls()["fast"]["by"].startswith("celery@"), ls()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
        table = subprocess.run([options.celeriac, "-b", server.url(), "beat", "ls"], env=environment, check=True,
                               capture_output=True, text=True, cwd=stage.dir).stdout
        assert "NEXT RUN" in table and "nightly" in table and "04:00:00 CE" in table, table

        # Mistakes are said, and nothing starts.
        for text, part in (("schedule = \"61 * * * *\"", "Invalid end range: 61 > 59."), ("schedule = 5\nque = 1", "que")):
            with open(os.path.join(stage.dir, "bad.toml"), "w") as f:
                f.write("[beat_schedule.bad]\ntask = \"t\"\n%s\n" % text)
            done = subprocess.run([options.celeriac, "-b", server.url(), "--config", "bad.toml", "beat"], env=environment,
                                  capture_output=True, text=True, cwd=stage.dir, timeout=30)
            assert done.returncode == 2 and part in done.stderr and "bad" in done.stderr, done
    print("beat: all good")


if __name__ == "__main__":
    sys.exit(main())
