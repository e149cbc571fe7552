"""Celery's client reads what interop_client's program printed: client_reader.py BROKER BACKEND < LINES."""
import json
import sys

from celery import Celery
from celery.result import result_from_tuple
import redis

from stage import wait_for

broker, backend = sys.argv[1:]
app = Celery(broker=broker, backend=backend)
effects = redis.Redis.from_url(broker)
kinds = {}
for line in sys.stdin:
    (kind, value), = json.loads(line).items()
    kinds.setdefault(kind, []).append(value)

for built in kinds["tuple"]:
    assert result_from_tuple(built["tuple"], app=app).get(timeout=60) == built["value"], built
for task_id in kinds["errbacks"]:
    wait_for(lambda: int(effects.get(task_id) or 0) == 2, 30, "the errbacks")
wait_for(lambda: effects.lrange("linked", 0, -1) == [b"x"], 30, "the link")
for task_id in kinds["ignored"]:
    assert app.AsyncResult(task_id).state == "PENDING"
control = app.control.inspect(timeout=1)
for task_id in kinds["revoked"]:
    wait_for(lambda: task_id in sum((control.revoked() or {}).values(), []), 30, "the revoke")
print("%d compositions read" % len(kinds["tuple"]))
