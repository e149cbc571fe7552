"""Odd and broken messages, one after the other, through a live worker.

Each ends as its `expect` says: `run` and `held` (an ETA that is past) with its arguments as result, `revoked` and `failure` with that
state, `refused` as a dead letter that holds the exact bytes, with a cause in the log and no result. The next message runs.
--items names another file of the same form.
"""
import base64
import json
import os
import re

from celery import Celery

import stage

HERE = os.path.dirname(os.path.abspath(__file__))
options = stage.arguments(items=os.path.join(HERE, "..", "data", "protocol", "malformed.jsonl"), task="tests.add")
TASK, KNOWN = options.task.encode(), b"interop.collect"


def with_our_task(item):
    """The sample names a task of its own; one that this worker has takes its place, also in a body of base64."""
    def body(match):
        try:
            text = base64.b64decode(match.group(2), validate=True)
        except ValueError:
            return match.group(0)
        if TASK not in text:
            return match.group(0)
        return match.group(1) + base64.b64encode(text.replace(TASK, KNOWN)) + b'"'
    return re.sub(rb'("body": ")([^"]*)"', body, item.replace(TASK, KNOWN))


def check(s, server, app, store, name, item, expect):
    before = {pool: len(s.log(pool)) for pool in ("threads", "prefork")}
    letters = set(server.client.zrange("celeriac.dead", 0, -1))
    server.client.lpush("celery", item)

    def logged():
        return "".join(s.log(pool)[start:] for pool, start in before.items())

    def state(wanted):
        text = store.get("celery-task-meta-" + name)
        return text and json.loads(text) if text and json.loads(text)["status"] == wanted else None

    def new_letter():
        new = set(server.client.zrange("celeriac.dead", 0, -1)) - letters
        return server.client.hgetall(b"celeriac.dead.letter." + new.pop()) if new else None

    if expect in ("run", "held"):
        meta = stage.wait_for(lambda: state("SUCCESS"), 10, "the result of " + name)
        assert meta["result"]["args"] in ([1, 2], [{"__type__": "decimal", "__value__": "1.5"}, 2]), meta
        assert not new_letter()
    elif expect == "revoked":
        stage.wait_for(lambda: state("REVOKED"), 10, name + " to be revoked")
    else:
        letter = stage.wait_for(new_letter, 10, "the dead letter of " + name)
        assert letter[b"message"] == item, (name, letter[b"message"], item)
        assert letter[b"cause"] and letter[b"category"] and letter[b"queue"] == b"celery", letter
        stage.wait_for(lambda: "ERROR" in logged() or "CRITICAL" in logged() or "WARNING" in logged(), 10,
                       "a log line about " + name)
        if expect == "failure":
            meta = stage.wait_for(lambda: state("FAILURE"), 10, name + " to fail")
            assert meta["result"]["exc_type"] == "NotRegistered", meta
        else:
            assert store.get("celery-task-meta-" + name) is None, name
    after = app.send_task(KNOWN.decode(), (20, 22)).id
    stage.wait_for(lambda: store.get("celery-task-meta-" + after), 10, "the message after " + name)


with stage.Stage() as s:
    for pool in ("threads", "prefork"):
        server = s.redis("redis-" + pool)
        app = Celery("malformed", broker=server.url(), backend=server.url(1))
        store = stage.redis.Redis(port=server.port, db=1)
        worker = s.worker(options.worker, server.url(), server.url(1), name=pool, pool=pool)
        with open(options.items) as lines:
            cases = [json.loads(line) for line in lines]
        for case in cases:
            check(s, server, app, store, case["name"], with_our_task(case["item"].encode()), case["expect"])
        assert worker.poll() is None
        stage.wait_for(lambda: server.client.hlen("unacked") == 0, 10, "nothing unacked")
        print("%s pool: %d messages, %d kept as dead letters" % (pool, len(cases), server.client.zcard("celeriac.dead")))
