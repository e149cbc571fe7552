"""Runs inside one Celery version: sends N mixed tasks and checks every AsyncResult.

usage: mixed_client.py BROKER BACKEND N
"""
import datetime
import decimal
import random
import sys
import uuid

import celery
from celery import Celery
from celery.exceptions import TimeoutError, TaskRevokedError

broker, backend, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
app = Celery("mixed", broker=broker, backend=backend)
app.conf.update(result_expires=3600, task_default_queue="celery", broker_connection_retry_on_startup=True,
                database_engine_options={"pool_pre_ping": True}, accept_content=["json", "yaml", "msgpack"])
tags = tuple(int(p) for p in celery.__version__.split(".")[:2]) >= (5, 3)
rng = random.Random(20)

values = [None, True, False, 0, -1, 2 ** 31, 2 ** 63, -2 ** 63 - 1, 2 ** 70, 0.1, 1e16, 1e-7, -0.0, 1.5e300, "", "text",
          "\u00e9\u4e2d\U0001f600", "quote ' \" \\ \x00 \x7f", [], {}, [1, [2, [3]]], {"a": {"b": [None, 1.5]}}, {"": 0}]


def echo():
    value = rng.choice(values)
    return app.send_task("interop.echo", (value,)), value


def echo_kwargs():
    value = rng.choice(values)
    return app.send_task("interop.echo", kwargs={"x": value}), value


def compressed():
    value = "z" * rng.randint(0, 50000) + str(rng.random())
    return app.send_task("interop.echo", (value,), compression=rng.choice(["gzip", "bzip2", "lzma"])), value


def other_serializer():
    value = {"k": [1, 2.5, "x", None, True], "big": 2 ** 40}
    return app.send_task("interop.echo", (value,), serializer=rng.choice(["yaml", "msgpack"])), value


def tagged():
    value = rng.choice([datetime.datetime(2026, 1, 2, 3, 4, 5, 678901), datetime.date(2026, 1, 2),
                        datetime.time(3, 4, 5), decimal.Decimal("1.10"), uuid.UUID(int=7), b"abc", b"\xff\x00"])
    return app.send_task("interop.echo", (value,)), value


def collected():
    args, kwargs = [1, "two"], {"three": 3.0, "vier": {"x": None}}
    return app.send_task("interop.collect", args, kwargs), {"args": args, "kwargs": kwargs}


def prioritised():
    return app.send_task("interop.add", (1, 2), priority=rng.choice([0, 3, 5, 9])), 3


def counted_down():
    return app.send_task("interop.add", (2, 2), countdown=rng.choice([0.2, 0.5, 1.0])), 4


def not_expired():
    return app.send_task("interop.add", (3, 2), expires=600), 5


def retried():
    return app.send_task("interop.retry", ("v", rng.choice([1, 2]))), None


class Raises:
    def __init__(self, kind, *args):
        self.kind, self.args = kind, args


def failing():
    kind, args = rng.choice([(ValueError, ("boom", 7)), (KeyError, ("k",)), (RuntimeError, ()), (OSError, (2, "no"))])
    return app.send_task("interop.fail", (kind.__name__, list(args))), Raises(kind, *args)


def wrong_arguments():
    return app.send_task("interop.add", (1,)), Raises(TypeError)


def expired():
    return app.send_task("interop.add", (1, 1), expires=datetime.datetime(2020, 1, 1)), Raises(TaskRevokedError, "expired")


class Nothing:
    pass


def ignored():
    return app.send_task("interop.add", (1, 1), ignore_result=True), Nothing


kinds = [echo, echo_kwargs, compressed, other_serializer, collected, prioritised, counted_down, not_expired, retried,
         failing, wrong_arguments, expired, ignored] + ([tagged] if tags else [])
if broker.startswith("amqp"):
    kinds.remove(expired)  # the server drops such a message itself
sent = [(kind.__name__,) + kind() for kind in (kinds[i % len(kinds)] for i in range(count))]

wrong = 0
ignored_ids = []
for name, result, expected in sent:
    try:
        if expected is Nothing:
            ignored_ids.append(result)
            continue
        value = result.get(timeout=60, interval=0.02)
        if isinstance(expected, Raises):
            problem = "returned %r instead of raising %s" % (value, expected.kind.__name__)
        elif name == "retried":
            problem = None if value[0] == "v" and value[1] in (1, 2) else "returned %r" % (value,)
        else:
            same = value == expected and type(value) is type(expected) and repr(value) == repr(expected)
            if name in ("prioritised", "counted_down", "not_expired", "other_serializer"):  # yaml sorts keys
                same = value == expected
            problem = None if same else "%r came back as %r" % (expected, value)
    except TimeoutError:
        problem = "no result in 60 s"
    except Exception as e:
        if isinstance(expected, Raises) and isinstance(e, expected.kind) and (not expected.args or
                                                                              e.args == expected.args):
            problem = None
        else:
            problem = "raised %r" % (e,)
    if problem:
        wrong += 1
        if wrong <= 20:
            print("%s %s: %s" % (name, result.id, problem))
for result in ignored_ids:
    if result.state != "PENDING":
        wrong += 1
        print("ignored %s has state %s" % (result.id, result.state))
print("celery %s: %d tasks sent, %d wrong" % (celery.__version__, len(sent), wrong))
sys.exit(1 if wrong else 0)
