"""Celery's own command line against a Python worker and against ours: exit codes and outputs, field by field.

    cli_compare.py --worker INTEROP_WORKER

Both workers have one name, the same tasks and the same work in front of them, each on a database of its own. Numbers,
ids, times and process ids are compared by their kind, names and texts as they are. What is meant to differ stands in
DIFFERENT, with its reason.
"""
import json
import os
import re
import subprocess
import sys

from stage import Stage, arguments, clients, wait_for

TASKS = '''
import time
from celery import Celery
app = Celery(broker="BROKER", backend="BROKER")
app.conf.worker_hijack_root_logger = False

@app.task(name="interop.nap")
def nap(seconds):
    time.sleep(seconds)

@app.task(name="interop.add")
def add(x, y):
    return x + y

@app.task(name="interop.fail")
def fail(kind, messages):
    raise ValueError(*messages)
'''

# Of a reply: paths that need not be alike, and why.
DIFFERENT = {
    "stats": {
        "pool.implementation": "it names the class behind the pool",
        "pool.writes": "the share of each child: ours has no pipe for each",
        "broker.transport_options": "shown as configured",
        "broker.virtual_host": "kombu answers the number or a text",
        "broker.heartbeat": "of AMQP",
        "total": "the tasks that ran",
    },
    "memsample": {"": "Python's answers nothing without psutil"},
    "conf": {"": "each worker shows its own settings"},
    "report": {"": "a text about Python or about us"},
    "registered": {"": "interop_worker has more tasks than the test needs; see check_registered"},
}

# Text replies that differ on purpose.
DIFFERENT_TEXT = {
    "pool_shrink 1": "busy slots leave when their task is done; Celery refuses",
}
# Celery 5.2 lacks what 5.6, whose form ours has, says.
OLD = {
    "stats": ["broker.credential_provider"],
    "revoke": "the ids are shown as a set since 5.3",
}


def shape(value):
    """What must be alike of two values that hold ids, times and counts."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in sorted(value.items())}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        return "<number>"
    if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value):
        return "<id>"
    if re.match(r"\d{4}-\d\d-\d\dT", value):
        return "<time>"
    if re.fullmatch(r"\d+", value):
        return "<digits>"
    if re.fullmatch(r"[\d.]+ ?[KMG]B", value):
        return "<size>"
    return value


def without(value, path):
    parts = path.split(".")
    for part in parts[:-1]:
        value = value.get(part, {})
    value.pop(parts[-1], None)


def differences(theirs, ours, path=""):
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(set(theirs) | set(ours)):
            here = "%s.%s" % (path, key) if path else key
            if key not in ours:
                yield "%s is missing (Python: %r)" % (here, theirs[key])
            elif key not in theirs:
                yield "%s is not in Python's (%r)" % (here, ours[key])
            else:
                yield from differences(theirs[key], ours[key], here)
    elif isinstance(theirs, list) and isinstance(ours, list):
        if len(theirs) != len(ours):
            yield "%s: %d items instead of %d" % (path, len(ours), len(theirs))
        for index, (a, b) in enumerate(zip(theirs, ours)):
            yield from differences(a, b, "%s[%d]" % (path, index))
    elif theirs != ours:
        yield "%s: %r instead of %r" % (path or "the reply", ours, theirs)


def without_old(value):
    """Leaves out what Celery 5.2 says of no task."""
    if isinstance(value, dict):
        if "delivery_info" in value:
            value["delivery_info"].pop("redelivered", None)
        for inner in value.values():
            without_old(inner)
    elif isinstance(value, list):
        for inner in value:
            without_old(inner)


def plain(text):
    """Lines of a text reply with what varies left out."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text)
    text = re.sub(r"\d+(\.\d+)?", "<number>", text)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def commands(ids):
    """(name, arguments, how to compare) in order; they change the node as they go."""
    run, wait, eta, gone = ids["running"], ids["waiting"], ids["eta"], "00000000-0000-4000-8000-000000000000"
    json_of = [["ping"], ["active"], ["scheduled"], ["reserved"], ["revoked"], ["stats"], ["active_queues"], ["conf"],
               ["clock"], ["registered"], ["query_task", run, wait, gone], ["query_task", gone], ["memsample"]]
    for line in json_of:
        yield line[0], ["inspect", "-j", "-t", "10", "-d", "w@cmp"] + line, "json"
    yield "ping", ["inspect", "-t", "10", "-d", "w@cmp", "ping"], "text"
    yield "status", ["status", "-t", "2"], "text"
    yield "status", ["status", "-t", "2", "-j"], "text"
    yield "nobody", ["inspect", "-t", "0.3", "-d", "nobody@cmp", "ping"], "text"
    yield "no command", ["inspect", "pong"], "code"
    yield "no argument", ["control", "rate_limit"], "code"
    for line in (["rate_limit", "interop.add", "10/m"], ["rate_limit", "t.none", "10/m"], ["rate_limit", "interop.add", "0"],
                 ["time_limit", "interop.add", "10", "20"], ["time_limit", "t.none", "10", "20"],
                 ["add_consumer", "other"], ["cancel_consumer", "other"], ["cancel_consumer", "never"],
                 ["pool_grow", "1"], ["pool_shrink", "1"], ["autoscale", "3", "1"], ["pool_restart"],
                 ["enable_events"], ["enable_events"], ["disable_events"], ["disable_events"],
                 ["revoke", wait], ["revoke", gone, eta], ["terminate", "SIGTERM", gone], ["heartbeat"]):
        yield " ".join(line[:2]), ["control", "-t", "10", "-d", "w@cmp"] + line, "text"
    for line in (["revoked"], ["reserved"], ["active_queues"]):
        yield line[0] + " after", ["inspect", "-j", "-t", "10", "-d", "w@cmp"] + line, "json"
    yield "shutdown", ["control", "-t", "1", "-d", "w@cmp", "shutdown"], "text"


PRODUCER = '''
import json, sys, uuid
from ticktasks import app
run, wait = [str(uuid.uuid4()) for _ in range(2)], [str(uuid.uuid4()) for _ in range(2)]
eta = str(uuid.uuid4())
for id in run + wait:
    app.send_task("interop.nap", args=[NAP], task_id=id)
app.send_task("interop.add", args=[1, 2], kwargs={}, task_id=eta, countdown=3600)
print(json.dumps({"running": run[0], "waiting": wait[0], "eta": eta, "all": run + wait}))
'''


def answers_of(python, cwd, url, lines):
    done = subprocess.run([python, os.path.join(os.path.dirname(os.path.abspath(__file__)), "cli_compare_client.py")],
                          input=json.dumps([["-b", url] + line for line in lines]), capture_output=True, text=True, cwd=cwd,
                          timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def dump_events(stage, python, url, name):
    """Fields of each kind of event, as `celery events --dump` receives them (it prints only some)."""
    code = ('''
import json, sys
from celery import Celery
app = Celery(broker=%r)
def note(event):
    print(json.dumps(event), flush=True)
with app.connection() as connection:
    receiver = app.events.Receiver(connection, handlers={"*": note})
    print("listening", file=sys.stderr, flush=True)
    receiver.capture(limit=None, timeout=None, wakeup=True)
''' % url)
    path = os.path.join(stage.dir, name + ".events")
    out = open(path, "wb")
    process = subprocess.Popen([python, "-c", code], stdout=out, stderr=subprocess.PIPE, cwd=stage.dir)
    out.close()
    stage.processes.append(process)
    process.stderr.readline()

    def fields():
        kinds = {}
        with open(path) as f:
            for line in f:
                if line.endswith("\n"):
                    event = json.loads(line)
                    shown = {key: type(value).__name__ for key, value in event.items()}
                    # The answer to the receiver's own request for a heartbeat has fewer fields.
                    if len(shown) > len(kinds.get(event["type"], ())):
                        kinds[event["type"]] = shown
        return kinds
    return process, fields


def compare(stage, options, label, python):
    server = stage.redis(name="redis-" + label)
    urls = {"python": server.url(0), "ours": server.url(1)}
    folder, faults = {}, []
    version = subprocess.run([python, "-c", "import celery; print(celery.__version__)"], check=True, capture_output=True,
                             text=True).stdout
    old = version.startswith("5.2")
    for kind, url in urls.items():
        folder[kind] = os.path.join(stage.dir, "%s-%s" % (label, kind))
        os.makedirs(folder[kind])
        with open(os.path.join(folder[kind], "ticktasks.py"), "w") as f:
            f.write(TASKS.replace("BROKER", url))
    stage.run("py-" + label, [python, "-m", "celery", "-A", "ticktasks", "worker", "-n", "w@cmp", "-c", "2", "-l", "INFO", "-E",
                              "--without-mingle", "--without-gossip"], cwd=folder["python"])
    wait_for(lambda: " ready." in stage.log("py-" + label), 90, "the Python worker")
    stage.worker(options.worker, urls["ours"], urls["ours"], name="ours-" + label, pool="prefork",
                 extra=["-n", "w@cmp", "-E", "--prefetch-multiplier", "4"])

    # Events first, while both are idle but for a few quick tasks.
    kinds = {}
    for kind, url in urls.items():
        process, fields = dump_events(stage, python, url, "%s-%s" % (label, kind))
        code = ("from ticktasks import app; app.send_task('interop.add', args=[1, 2]);"
                "app.send_task('interop.fail', args=['ValueError', ['x']])")
        subprocess.run([python, "-c", code], check=True, cwd=folder[kind])
        wanted = {"worker-heartbeat", "task-received", "task-started", "task-succeeded", "task-failed"}
        wait_for(lambda: wanted <= set(fields()) and "active" in fields()["worker-heartbeat"], 60, "events of " + kind)
        kinds[kind] = {name: shown for name, shown in fields().items() if name in wanted}
        process.terminate()
        process.wait()
    for fault in differences(kinds["python"], kinds["ours"]):
        faults.append("events: " + fault)

    ids, answers, lines = {}, {}, {}
    for kind, url in urls.items():
        done = subprocess.run([python, "-c", PRODUCER.replace("NAP", "600")], check=True, capture_output=True, text=True,
                              cwd=folder[kind])
        ids[kind] = json.loads(done.stdout)
    for kind, url in urls.items():
        def settled(kind=kind, url=url):
            found = answers_of(python, folder[kind], url, [["inspect", "-j", "-t", "10", "-d", "w@cmp", command]
                                                           for command in ("active", "reserved", "scheduled")])
            try:
                return [len(json.loads(text)["w@cmp"]) for _, text in found] == [2, 2, 1]
            except (ValueError, KeyError):
                return False
        wait_for(settled, 60, "two running, two waiting and one scheduled task of " + kind, every=0.5)
        lines[kind] = list(commands(ids[kind]))
        answers[kind] = answers_of(python, folder[kind], url, [line for _, line, _ in lines[kind]])

    for (name, line, how), theirs, ours in zip(lines["python"], answers["python"], answers["ours"]):
        where = "%s %s" % (label, " ".join(word for word in line if not re.fullmatch(r"[0-9a-f-]{36}", word)))
        if theirs[0] != ours[0]:
            faults.append("%s: exit code %s instead of %s\n    Python: %s\n    ours: %s" % (
                where, ours[0], theirs[0], theirs[1][-300:], ours[1][-300:]))
            continue
        if how == "json":
            try:
                a, b = (json.loads(text)["w@cmp"] for text in (theirs[1], ours[1]))
            except (ValueError, KeyError) as error:
                faults.append("%s: %r\n    Python: %s\n    ours: %s" % (where, error, theirs[1][:300], ours[1][:300]))
                continue
            skip = DIFFERENT.get(name, {})
            if "" in skip:
                continue
            for path in skip:
                without(a, path), without(b, path)
            if name in ("active", "reserved"):  # the two that run began in either order
                a, b = (sorted(value, key=lambda t: str(t.get("worker_pid") is None)) for value in (a, b))
            if name == "query_task":  # by id; which of two like tasks runs is chance
                a, b = ([state for _, state in sorted(value.items(), key=lambda entry: entry[1][0])] for value in (a, b))
            if old:
                without_old(a), without_old(b)
                for path in OLD.get(name, ()):
                    without(b, path)
            for fault in differences(shape(a), shape(b)):
                faults.append("%s: %s" % (where, fault))
        elif how == "text":
            if name in DIFFERENT_TEXT or (old and name.startswith("revoke")):
                continue
            a, b = sorted(plain(theirs[1])), sorted(plain(ours[1]))
            if a != b:
                faults.append("%s:\n    Python: %r\n    ours:   %r" % (where, a, b))
    print("%s: %d commands compared, %d differences" % (label, len(answers["ours"]), len(faults)))
    return faults


def main():
    options = arguments()
    faults = []
    with Stage() as stage:
        for label, python in clients():
            faults += compare(stage, options, label, python)
        for fault in faults:
            print("- " + fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
