"""Runs inside one Celery version: sends compositions and reads what becomes of them.

usage: canvas_client.py BROKER BACKEND EFFECTS_PORT
"""
import sys
import time
import traceback

import celery
import redis
from celery import Celery, chain, chord, group

broker, backend, effects_port = sys.argv[1:4]
native = backend.startswith("redis")
app = Celery("canvas", broker=broker, backend=backend)
app.conf.update(task_default_queue="celery", broker_connection_retry_on_startup=True)
effects = redis.Redis(port=int(effects_port))
PREFIX = "t.integration.tasks."
LIMIT = 20


def task(name):
    @app.task(name=PREFIX + name)
    def stub(*args, **kwargs):
        raise AssertionError("runs in the worker")
    return stub


identity, add, mul, tsum, xsum, fail, ids = map(task, "identity add mul tsum xsum fail ids".split())
echo, old_errback, new_errback = map(task, "redis_echo errback_old_style errback_new_style".split())


def soon(condition, what):
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("nothing of " + what)


def raises(result, kind, text=""):
    """Looks at this result alone: get() on one with parents raises what its parents raised."""
    try:
        value = app.AsyncResult(result.id).get(timeout=LIMIT)
    except Exception as exc:
        assert type(exc).__name__ == kind, "%r" % (exc,)
        assert text in str(exc), "%r" % (exc,)
    else:
        raise AssertionError("returned %r" % (value,))


def check_link():
    effects.delete("linked")
    result = add.apply_async((2, 3), link=echo.si("x", redis_key="linked"))
    assert result.get(timeout=LIMIT) == 5
    assert soon(lambda: effects.lrange("linked", 0, -1), "the link") == [b"x"]
    if native:  # a database keeps no children
        assert len(soon(lambda: result.children, "children")) == 1


def check_several_links():
    result = add.apply_async((2, 3), link=[add.s(10), mul.s(10)])
    assert result.get(timeout=LIMIT) == 5
    if not native:
        return
    linked = result.children[0]
    assert linked.get(timeout=LIMIT) == [15, 50], linked


def check_chain():
    result = chain(add.s(1, 2), mul.s(10), add.s(5))()
    assert result.get(timeout=LIMIT) == 35
    assert result.parent.get(timeout=LIMIT) == 30 and result.parent.parent.get(timeout=LIMIT) == 3
    first = result.parent.parent
    assert not native or [value for _, value in first.collect()] == [3, 30, 35]


def check_chain_ids():
    result = chain(ids.si(1), ids.si(2))()
    root, parent, _ = result.get(timeout=LIMIT)
    assert root == result.parent.id and parent == result.parent.id


def check_failing_chain():
    result = chain(add.s(1, 2), fail.s(), mul.s(10), add.s(5))()
    raises(result, "ExpectedException")
    raises(result.parent, "ExpectedException")
    raises(result.parent.parent, "ExpectedException")


def check_errbacks():
    result = fail.apply_async(("x",), link_error=[old_errback.s(), new_errback.s()])
    raises(result, "ExpectedException")
    soon(lambda: int(effects.get(result.id) or 0) == 2, "the errbacks")


def check_group():
    result = group(add.s(i, i) for i in range(5))()
    assert result.get(timeout=LIMIT) == [0, 2, 4, 6, 8]
    if native:
        result.save()
        assert celery.result.GroupResult.restore(result.id, app=app).get(timeout=LIMIT) == [0, 2, 4, 6, 8]


def check_chord():
    result = chord([add.s(i, i) for i in range(10)], tsum.s())()
    assert result.get(timeout=LIMIT) == 90
    if native:
        soon(lambda: not effects.keys("celery-taskset-meta-%s.*" % result.parent.id), "the end of the chord's keys")


def check_large_chord():
    assert chord([identity.si(i) for i in range(200)], tsum.s())().get(timeout=LIMIT * 2) == 19900


def check_failing_chord():
    body = tsum.s()
    body.link_error(old_errback.s())
    result = chord([add.s(1, 1), fail.s("part"), add.s(2, 2)], body)()
    raises(result, "ChordError", "Task expected to fail")
    soon(lambda: effects.get(result.id), "the body's errback")


def check_nested_group():
    assert chord(group(add.s(1, 1), group(add.s(2, 2), add.s(3, 3))), xsum.s())().get(timeout=LIMIT) == 12


def check_chain_in_header():
    assert chord([chain(add.s(1, 1), mul.s(10)), add.s(2, 2)], tsum.s())().get(timeout=LIMIT) == 24


def check_failing_chain_in_header():
    raises(chord([chain(fail.s(), mul.s(10), add.s(1)), add.s(2, 2)], tsum.s())(), "ChordError")


def check_chord_in_chain():
    result = chain(add.s(1, 1), group(mul.s(2), mul.s(3)), tsum.s(), add.s(1))()
    assert result.get(timeout=LIMIT) == 11


def check_failing_chord_in_chain():
    result = chain(add.s(1, 1), group(mul.s(2), fail.s()), tsum.s(), add.s(1))()
    raises(result, "ChordError")


def check_chord_in_header():
    inner = chord([add.s(1, 1), add.s(2, 2)], tsum.s())
    assert chord([inner, add.s(3, 3)], tsum.s())().get(timeout=LIMIT) == 12


def check_failing_chord_in_header():
    inner = chord([add.s(1, 1), fail.s()], tsum.s())
    raises(chord([inner, add.s(3, 3)], tsum.s())(), "ChordError")


def check_group_at_the_end():
    result = chain(add.s(1, 1), group(mul.s(2), mul.s(3)))()
    assert result.get(timeout=LIMIT) == [4, 6]


def check_group_after_chord():
    result = chain(group(add.s(1, 1), add.s(2, 2)), tsum.s(), group(mul.s(2), mul.s(3)))()
    assert result.get(timeout=LIMIT) == [12, 18]


def check_empty_header():
    assert chord([], tsum.s())().get(timeout=LIMIT) == 0


def check_expired_part():
    if native:
        raises(chord([add.s(1, 1), add.s(2, 2).set(expires=-5)], tsum.s())(), "ChordError", "expired")


def check_unknown_part():
    unknown = app.signature("nobody.has.this")
    result = chord([add.s(1, 1), unknown], tsum.s())()
    raises(result, "ChordError", "NotRegistered")


def check_replace():
    assert app.send_task(PREFIX + "add_replaced", (2, 3)).get(timeout=LIMIT) == 5
    assert chain(app.signature(PREFIX + "add_replaced", (2, 3)), mul.s(2))().get(timeout=LIMIT) == 10
    assert app.send_task(PREFIX + "add_to_all", ([1, 2, 3], 10)).get(timeout=LIMIT) == [11, 12, 13]
    replaced = app.signature(PREFIX + "add_to_all", ([1, 2], 1))
    assert chord([replaced, identity.si([5])], xsum.s())().get(timeout=LIMIT) == 10
    raises(app.send_task(PREFIX + "replace_with_empty_chain"), "ImproperlyConfigured")
    effects.delete("redis-echo")
    assert app.send_task(PREFIX + "second_order_replace1").get(timeout=LIMIT) is None
    assert effects.lrange("redis-echo", 0, -1) == [b"In A", b"In B", b"In/Out C", b"Out B", b"Out A"]


def check_add_to_chord():
    if native:
        grow = app.signature(PREFIX + "add_to_all_to_chord", ([1, 2, 3], 4))
        assert chord([grow], xsum.s())().get(timeout=LIMIT) == 18


def check_maps():
    assert identity.map([1, 2, 3]).apply_async().get(timeout=LIMIT) == [1, 2, 3]
    assert add.starmap([(1, 2), (3, 4)]).apply_async().get(timeout=LIMIT) == [3, 7]
    assert add.chunks([(i, i) for i in range(5)], 2).apply_async().get(timeout=LIMIT) == [[0, 2], [4, 6], [8]]


def check_builtins():
    assert app.send_task("celery.accumulate", (1, 2)).get(timeout=LIMIT) == [1, 2]
    raises(app.send_task("celery.chain"), "NotImplementedError")
    assert app.send_task("celery.backend_cleanup").get(timeout=LIMIT) is None


def check_composed_by_a_task():
    result = app.send_task(PREFIX + "chord_add", (3, 4))
    result.get(timeout=LIMIT)
    assert not native or soon(lambda: result.children, "children")
    tuples = app.send_task(PREFIX + "build_chain_inside_task").get(timeout=LIMIT)
    built = celery.result.result_from_tuple(tuples, app=app)
    raises(built, "TypeError")  # the last step adds a number to the list of the group's results
    assert built.parent.get(timeout=LIMIT) == [7, 8]


failed = 0
checks = [(name, check) for name, check in list(globals().items()) if name.startswith("check_")]
only = sys.argv[4:]
for name, check in checks:
    if only and name not in only:
        continue
    try:
        check()
    except Exception:
        failed += 1
        print("FAILED %s with Celery %s" % (name, celery.__version__))
        traceback.print_exc()
print("Celery %s, results in %s: %d of %d" % (celery.__version__, backend.split(":")[0], len(checks) - failed, len(checks)))
sys.exit(1 if failed else 0)
