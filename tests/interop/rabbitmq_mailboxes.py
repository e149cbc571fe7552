"""control_queue_* and event_queue_* on RabbitMQ: queues as the settings say, and as Celery clients of other settings find them."""
import re
import subprocess

import stage
from celery import Celery
from kombu import Connection, Exchange, Queue

options = stage.arguments()


def mailbox(name):
    """(durable, exclusive, auto_delete, {argument: value}) of a queue, or None."""
    answer = server.evaluate(
        'case rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"%s">>)) of {ok, Q} -> lists:flatten(io_lib:format('
        '"~p ~p ~p ~p", [amqqueue:is_durable(Q), amqqueue:get_exclusive_owner(Q) =/= none, amqqueue:is_auto_delete(Q), '
        '[{K, V} || {K, _, V} <- amqqueue:get_arguments(Q)]])); _ -> "none" end.' % name)
    assert answer.startswith("{ok"), answer
    found = re.search(r"(true|false) (true|false) (true|false) (.*)", answer, re.S)
    if not found:
        return None
    arguments = {k: int(v) for k, v in re.findall(r'<<\\?"([\w-]+)\\?">>,\s*(\d+)', found[4])}
    return tuple(word == "true" for word in found.groups()[:3]) + (arguments,)


def ping(node, *settings):
    """Celery's own client, of these settings."""
    code = ("from celery import Celery\napp = Celery('c', broker=%r)\napp.conf.update(%s)\n"
            "print(app.control.ping(timeout=10, limit=1, destination=[%r]))" % (server.url(), ",".join(settings), node))
    for label, python in stage.clients():
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "pong" in done.stdout, (label, settings, done.stdout, done.stderr)


def answers(node):
    return Celery("probe", broker=server.url()).control.ping(timeout=5, limit=1, destination=[node])


def run(name, *settings):
    return s.worker(options.worker, server.url(), name=name, queues=name, extra=list(settings))


def event_queue(prefix):
    return stage.wait_for(lambda: next((q for q in server.bound("celeryev") if q.startswith(prefix + ".")), None), 20, "its events' queue")


with stage.Stage() as s:
    server = s.rabbit()
    for name, settings, control, events, prefix in (
            ("usual", (), (False, True, True, {"x-message-ttl": 300000, "x-expires": 10000}),
             (False, True, True, {"x-message-ttl": 5000, "x-expires": 60000}), "celeryev"),
            ("durable", ("control_queue_durable=true", "event_queue_durable=true", "control_queue_ttl=60", "control_queue_expires=120",
                         "event_queue_ttl=7", "event_queue_expires=90", "event_queue_prefix=seen"),
             (True, False, False, {"x-message-ttl": 60000, "x-expires": 120000}),
             (True, False, False, {"x-message-ttl": 7000, "x-expires": 90000}), "seen"),
            ("shared", ("control_queue_exclusive=false", "event_queue_exclusive=false"),
             (False, False, True, {"x-message-ttl": 300000, "x-expires": 10000}),
             (False, False, True, {"x-message-ttl": 5000, "x-expires": 60000}), "celeryev")):
        worker = run(name, *settings)
        stage.wait_for(lambda: mailbox(name + "@interop.celery.pidbox"), 20, "its control queue")
        assert mailbox(name + "@interop.celery.pidbox") == control, (name, mailbox(name + "@interop.celery.pidbox"))
        stage.wait_for(lambda: name + "@interop.celery.pidbox" in server.bound("celery.pidbox"), 20, "its control queue to be bound")
        queue = event_queue(prefix)
        assert mailbox(queue) == events, (name, mailbox(queue))
        ping(name + "@interop")
        ping(name + "@interop", "control_queue_ttl=5", "control_queue_expires=20")
        worker.terminate()
        assert worker.wait(20) == 0

    # Declared otherwise by somebody else. It serves as it is where it may be shared; where ours is to be exclusive its end is
    # awaited, which is near when a Celery worker of this name has left it.
    for name, how, settings, seen in (
            ("found", {"message_ttl": 60}, ["control_queue_exclusive=false"], (False, False, False, {"x-message-ttl": 60000})),
            ("heir", {"message_ttl": 300, "expires": 3}, [], (False, True, True, {"x-message-ttl": 300000, "x-expires": 10000}))):
        node = name + "@interop"
        with Connection(server.url()) as connection:
            left = Queue(node + ".celery.pidbox", Exchange("celery.pidbox", "fanout", durable=False), durable=False, auto_delete=False, **how)
            left(connection.default_channel).declare()
        worker = run(name, *settings)
        stage.wait_for(lambda: mailbox(node + ".celery.pidbox") == seen, 60, "the queue of " + node)
        stage.wait_for(lambda: answers(node), 60, "an answer of " + node)
        worker.terminate()
        assert worker.wait(20) == 0

    # Both at once mean nothing.
    done = subprocess.run([options.worker, "--broker", server.url(), "control_queue_durable=true", "control_queue_exclusive=true"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "durable and exclusive" in done.stderr, done
print("queues of remote control and events are what the settings say")
