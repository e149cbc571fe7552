"""The tasks that interop_client.cpp calls, for a Python worker: client_tasks.py BROKER BACKEND NAME."""
import os
import sys

import redis
from celery import Celery

app = Celery("client", broker=sys.argv[1], backend=sys.argv[2])
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
effects = redis.Redis(port=int(os.environ["REDIS_PORT"]))


class ExpectedException(Exception):
    pass


def task(function, **options):
    return app.task(function, name="t.integration.tasks." + function.__name__, **options)


@task
def identity(x):
    return x


@task
def add(x, y):
    return x + y


@task
def mul(x, y):
    return x * y


@task
def tsum(nums):
    return sum(nums)


@task
def xsum(nums):
    return sum(sum(num) if isinstance(num, list) else num for num in nums)


@task
def fail(*args):
    raise ExpectedException(*args)


def return_priority(self):
    return "Priority: %s" % self.request.delivery_info["priority"]


def ids(self, i):
    return self.request.root_id, self.request.parent_id, i


task(return_priority, bind=True)
task(ids, bind=True)


@task
def redis_echo(message, redis_key):
    effects.rpush(redis_key, message)


@task
def errback_old_style(request_id):
    effects.incr(request_id)


@task
def errback_new_style(request, exc, tb):
    effects.incr(request.id)


if __name__ == "__main__":
    app.worker_main(["worker", "-n", sys.argv[3] + "@interop", "-P", "threads", "-c", "4", "-l", "INFO"])
