"""Reads results with Celery and compares them field by field: backend_readback.py <url> <expectations>.

With django-db+postgresql:// the reader is django-celery-results, and "migrate" in place of the expectations
creates its tables.
"""
import datetime
import json
import sys

import billiard.exceptions  # noqa: F401  a client that knows the module gets the real class
import celery
import celery.exceptions  # noqa: F401
from celery.result import AsyncResult

url, expectations = sys.argv[1:]
database = url.startswith("db+")
in_django = url.startswith("django-db+")
if in_django:
    import urllib.parse

    import django
    from django.conf import settings
    from django.core.management import call_command

    place = urllib.parse.urlsplit(url.removeprefix("django-db+"))
    settings.configure(USE_TZ=True, TIME_ZONE="UTC", INSTALLED_APPS=["django_celery_results"],
                       DEFAULT_AUTO_FIELD="django.db.models.AutoField",
                       DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": place.path[1:],
                                              "USER": place.username, "HOST": place.hostname, "PORT": place.port}})
    django.setup()
    if expectations == "migrate":
        call_command("migrate", verbosity=0)
        sys.exit()
app = celery.Celery("readback", backend="django-db" if in_django else url)
app.conf.result_extended = True
if database:  # pooled connections, as in a worker's child, instead of a new one for every question
    manager = getattr(app.backend, "session_manager", None) or type(app.backend).ResultSession.__defaults__[0]
    manager.forked = True
faults = 0
seen = {}


def check(task_id, what, got, expected):
    global faults
    if repr(got) != repr(expected):  # repr: NaN is not equal to itself, and 1 is not True
        faults += 1
        if faults <= 20:
            print(f"{url} {task_id} {what}: {got!r:.200}, expected {expected!r:.200}")


def check_exception(task_id, error, expected):
    check(task_id, "class", type(error).__name__, expected["exc_type"])
    if expected["exc_module"] in sys.modules:  # else Celery makes up a class of that name
        check(task_id, "module", type(error).__module__, expected["exc_module"])
    check(task_id, "args", list(error.args), expected["exc_message"])


def simplified(children, ready):
    if not ready:
        return children
    return [[[child[0][0], child[0][1] and [child[0][1][0], None]], None] for child in children]


for line in open(expectations, encoding="utf-8"):
    expected = json.loads(line)
    task_id, status = expected["task_id"], expected["status"]
    seen[status] = seen.get(status, 0) + 1
    result = AsyncResult(task_id, app=app)
    meta = result._get_task_meta()
    check(task_id, "status", meta["status"], status)
    if status in ("FAILURE", "RETRY", "REVOKED"):
        check_exception(task_id, meta["result"], expected["result"])
    else:
        check(task_id, "result", meta["result"], expected["result"])
    check(task_id, "traceback", meta["traceback"], expected["traceback"])
    done = expected["date_done"]
    if done is not None:
        done = datetime.datetime.fromisoformat(done).replace(tzinfo=None)
    got = meta["date_done"]
    if isinstance(got, str):
        got = datetime.datetime.fromisoformat(got)
    if done is not None or not in_django:  # Django has a date for every state
        check(task_id, "date_done", got and got.replace(tzinfo=None), done)
    if "name" in expected:
        for key in ("name", "args", "kwargs", "worker", "queue", "retries"):
            check(task_id, key, meta["task_name" if in_django and key == "name" else key], expected[key])
    if not database:
        children = meta.get("children") or []
        if done is not None:  # Celery rebuilds them for ready states only
            children = [[list(child.as_tuple()[0]), None] for child in children]
            for child in children:
                child[0][1] = child[0][1] and [list(child[0][1][0])[0], None]
        check(task_id, "children", json.dumps(children), json.dumps(simplified(expected["children"] or [], done)))
        for key in ("group_id", "parent_id"):
            check(task_id, key, meta.get(key), expected.get(key))
    if status == "SUCCESS":
        check(task_id, "get()", result.get(timeout=1), expected["result"])
    elif status in ("FAILURE", "REVOKED"):
        try:
            result.get(timeout=1)
            check(task_id, "get()", "returned", "raised")
        except Exception as error:
            check_exception(task_id, error, expected["result"])

print(f"Celery {celery.__version__} {url.split(':')[0]}: {sum(seen.values())} results {seen}, {faults} faults")
sys.exit(faults != 0)
