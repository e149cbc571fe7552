"""`task_queues` on RabbitMQ: a native worker declares its queues as Celery does of the same setting, so that a Python client finds them
as it wants them, and what is sent to their exchanges arrives. On Redis the setting names the worker's queues."""
import json
import os
import subprocess
import sys

import stage
from celery import Celery
from kombu import Exchange, Queue

options = stage.arguments(wait=5)
SETTING = {
    "images": {"exchange": "media", "exchange_type": "topic", "routing_key": "image.new", "queue_arguments": {"x-queue-type": "quorum"}},
    "videos": {"exchange": "media", "exchange_type": "topic", "routing_key": "video.#", "max_priority": 5, "message_ttl": 600,
               "queue_arguments": {"x-dead-letter-exchange": "dead"}},
    "paper_a": {"exchange": "news", "exchange_type": "fanout"},
    "paper_b": {"exchange": "news", "exchange_type": "fanout"},
    "plain": {},
}


def queue(name, exchange="celery", exchange_type="direct", routing_key="", **more):
    """The same for Celery."""
    return Queue(name, Exchange(exchange, exchange_type), routing_key or name, **more)


def worker(name, broker, *arguments):
    process = s.run(name, [options.worker, "--broker", broker, "--result-backend", results.url(), "-P", "threads", "-c", "2", "-n",
                           name + "@interop", "-l", "INFO", *arguments],
                    env=dict(os.environ, CELERY_TASK_QUEUES=json.dumps(SETTING),
                             # Of what waits in a quorum queue the server tells once in a while only.
                             CELERY_BROKER_NATIVE_DELAYED_DELIVERY_QUEUE_TYPE="classic", EFFECTS_PORT=str(effects.port),
                             ASAN_OPTIONS="handle_segv=0:handle_abort=0:allocator_may_return_null=1"))
    stage.wait_for(lambda: process.poll() is not None or "ready." in s.log(name), 60, name)
    assert process.poll() is None, s.log(name)
    return process


def client(url):
    app = Celery("queues", broker=url, backend=results.url())
    app.conf.update(task_queues=[queue(name, **given) for name, given in SETTING.items()], task_default_queue="plain",
                    broker_transport_options={"confirm_publish": True} if url.startswith("amqp") else {})
    return app


def queues_of(node):
    """What the worker says of its queues, as soon as it hears anybody."""
    return stage.wait_for(lambda: app.control.inspect([node], timeout=5).active_queues(), 60, node)[node]


def runs(task):
    return int(effects.client.get("effect:" + task) or 0)


def ran(task, times, what):
    stage.wait_for(lambda: runs(task) == times, 30, what)


def effect(app, **options):
    return app.send_task("interop.effect", (0,), **options).id


with stage.Stage() as s:
    server, results = s.broker("rabbitmq")
    effects = s.redis("effects")
    first = worker("first", server.url())
    app = client(server.url())

    # Another declaration of the same is none; one that differs would be refused.
    with app.connection_for_write() as connection:
        for one in app.conf.task_queues:
            one(connection.default_channel).declare()

    # Through their exchanges, by key or to all.
    ran(effect(app, exchange="media", routing_key="image.new"), 1, "the image")
    ran(effect(app, exchange="media", routing_key="video.clip.short", priority=3), 1, "the video")
    ran(effect(app, exchange="news", routing_key="anything"), 2, "the news in both papers")
    ran(effect(app, queue="plain"), 1, "the plain queue's task")
    for name in SETTING:
        ran(effect(app, queue=name), 2 if name.startswith("paper") else 1, "the task of " + name)

    # What the worker itself sends goes the same ways.
    for name in SETTING:
        task = app.signature("interop.effect", (0,), queue=name, task_id="from-worker-" + name)
        app.send_task("fleet.send", (task,), queue="plain").get(timeout=30)
        ran("from-worker-" + name, 2 if name.startswith("paper") else 1, "the worker's own task for " + name)

    # A retry of the quorum queue's task waits in the server and comes back under its key.
    task = app.send_task("interop.again_in", ("x", options.wait), exchange="media", routing_key="image.new")
    stage.wait_for(lambda: any(sum(n) for name, n in server.messages().items() if name.startswith("celery_delayed_")), 20,
                   "the retry to wait in the server")
    assert task.get(timeout=30 + options.wait) == "x"
    stage.wait_for(lambda: server.left(*SETTING) == 0, 20, "the acknowledgements")

    shown = {found["name"]: found for found in queues_of("first@interop")}
    assert set(shown) == set(SETTING), shown
    assert (shown["images"]["exchange"]["name"], shown["images"]["exchange"]["type"]) == ("media", "topic"), shown["images"]
    assert shown["images"]["routing_key"] == "image.new" and shown["plain"]["queue_arguments"] is None
    assert shown["images"]["queue_arguments"] == {"x-queue-type": "quorum"}
    assert "declared otherwise" not in s.log("first") and "WARNING" not in s.log("first"), s.log("first")
    first.terminate()
    assert first.wait(20) == 0

    # -Q chooses, and adds what the setting does not name.
    second = worker("second", server.url(), "-Q", "images,more")
    shown = queues_of("second@interop")
    assert sorted((found["name"], found["exchange"]["name"]) for found in shown) == [("images", "media"), ("more", "more")], shown
    ran(effect(app, queue="images"), 1, "the image of the second worker")
    ran(effect(app, queue="more"), 1, "the task of the queue that has no entry")
    second.terminate()
    assert second.wait(20) == 0

    # A mistake is named.
    done = subprocess.run([options.worker, "--broker", server.url()], capture_output=True, text=True, timeout=60,
                          env=dict(os.environ, CELERY_TASK_QUEUES='{"images": {"exchange_type": "tropic"}}'))
    assert done.returncode != 0 and "task_queues.images.exchange_type: expects direct, topic" in done.stderr, done

    # On Redis they are lists by these names, whatever their arguments. Over a fanout exchange none is filled there.
    redis = s.redis("broker")
    third = worker("third", redis.url())
    app = client(redis.url())
    for name in ("images", "videos", "plain"):
        ran(effect(app, queue=name), 1, "the task of %s over Redis" % name)
    assert "queue 'paper_a' gets nothing on Redis" in s.log("third"), s.log("third")
    third.terminate()
    assert third.wait(20) == 0
print("queues are what task_queues says")
sys.exit(0)
