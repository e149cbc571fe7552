"""Sends Celery's `task_received` signal for a worker that is another process.

Handlers of that signal look at the request, and a request is nothing but its message. So the tap watches
what is sent to the queues (Redis' MONITOR, the firehose of RabbitMQ), and what it hands to the handlers is what is
really on the wire.
"""
import json
import re
import socket
import threading
import uuid

import redis
from kombu import Connection, Consumer, Exchange, Queue
from kombu.transport.virtual import Message

from celery.signals import task_received
from celery.worker.request import Request

QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')  # its escapes are Python's


class MessageTap(threading.Thread):
    """What both brokers have in common. A subclass reads the broker in watch() and sends a mark in mark()."""

    def __init__(self, app, queues=("celery",)):
        super().__init__(name="message-tap", daemon=True)
        self.app, self.queues = app, queues
        self.seen, self.lock = [], threading.Lock()
        self.marks, self.ended = {}, threading.Event()
        self.failure = None

    def run(self):
        try:
            self.watch()
        except Exception as error:
            self.failure = error
            raise

    def received(self, message):
        if "task" not in (message.headers or {}):
            return
        try:
            request = Request(message, app=self.app(), hostname="tap")
        except Exception as error:  # what a Python worker would refuse too: nothing received
            print("tap: not a request: %r" % error)
            return
        with self.lock:
            self.seen.append(request)
        task_received.send(sender=self, request=request)

    def catch_up(self):
        """Sends again what came since the last call: a test may set its flag after it has sent the task."""
        self.pass_by(threading.Event())
        with self.lock:
            seen, self.seen = self.seen, []
        for request in seen:
            task_received.send(sender=self, request=request)

    def forget(self):
        with self.lock:
            self.seen = []

    def stop(self):
        self.pass_by(self.ended)
        self.join()

    def pass_by(self, event):
        """Lets a mark come through the monitor: all that was pushed before it has been seen then."""
        mark = uuid.uuid4().hex.encode()
        self.marks[mark] = event
        self.mark(mark)
        if not event.wait(10):
            raise RuntimeError("the message tap is stuck: %r" % self.failure)
        del self.marks[mark]


class RedisTap(MessageTap):
    def __init__(self, url, app):
        super().__init__(app)
        self.channel = Connection("memory://").channel()
        self.client = redis.Redis.from_url(url)
        self.monitor = redis.Redis.from_url(url, socket_timeout=None).connection_pool.get_connection()
        self.monitor.send_command("MONITOR")
        self.monitor.read_response()

    def mark(self, mark):
        self.client.echo(mark)

    def watch(self):
        while not self.ended.is_set():
            self.line(self.monitor.read_response())
        self.monitor.disconnect()

    def line(self, text):
        words = [word.decode("unicode_escape").encode("latin-1") for word in QUOTED.findall(text)]
        if len(words) == 2 and words[1] in self.marks:
            self.marks[words[1]].set()
        elif len(words) > 2 and words[0].upper() in (b"LPUSH", b"RPUSH"):
            queue = words[1].split(b"\x06\x16")[0].decode()  # a queue has a list per priority
            if queue in self.queues:
                for item in words[2:]:
                    self.received(Message(json.loads(item), channel=self.channel))


class RabbitTap(MessageTap):
    """Needs the trace of its vhost to be on (`rabbitmqctl trace_on`)."""

    def __init__(self, url, app):
        super().__init__(app)
        self.reader, self.writer = Connection(url), Connection(url)
        self.exchange = Exchange("amq.rabbitmq.trace", type="topic", passive=True)
        self.queue = Queue("message-tap", self.exchange, routing_key="publish.#", exclusive=True)(self.reader.channel())
        self.queue.declare()

    def mark(self, mark):
        self.writer.Producer().publish(mark, routing_key="no-such-queue", content_type="application/data",
                                       content_encoding="binary")

    def watch(self):
        with Consumer(self.queue.channel, [self.queue], on_message=self.traced, no_ack=True):
            while not self.ended.is_set():
                try:
                    self.reader.drain_events(timeout=1)
                except socket.timeout:
                    pass
        self.reader.close()
        self.writer.close()

    def traced(self, message):
        if message.body in self.marks:
            self.marks[message.body].set()
            return
        routing_keys, about = message.headers["routing_keys"], message.headers["properties"]
        if not set(routing_keys) & set(self.queues):
            return
        message.headers = about.pop("headers", None) or {}
        message.properties = about
        message.content_type, message.content_encoding = about.get("content_type"), about.get("content_encoding")
        message.delivery_info = {"exchange": "", "routing_key": routing_keys[0], "redelivered": False}
        self.received(message)


def message_tap(url, app):
    return (RedisTap if url.startswith("redis") else RabbitTap)(url, app)
