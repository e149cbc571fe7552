"""Sends Celery's `task_received` signal for a worker that is another process.

Handlers of that signal look at the request, and a request is nothing but its message. So the tap watches
what is pushed to the queues (MONITOR), and what it hands to the handlers is what is really on the wire.
"""
import json
import re
import threading
import uuid

import redis
from kombu.transport.virtual import Message

from celery.signals import task_received
from celery.worker.request import Request

QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')  # its escapes are Python's


class MessageTap(threading.Thread):
    def __init__(self, url, app, queues=("celery",)):
        super().__init__(name="message-tap", daemon=True)
        self.app, self.queues = app, queues
        self.client = redis.Redis.from_url(url)
        self.monitor = redis.Redis.from_url(url, socket_timeout=None).connection_pool.get_connection()
        self.monitor.send_command("MONITOR")
        self.monitor.read_response()
        self.seen, self.lock = [], threading.Lock()
        self.marks, self.ended = {}, threading.Event()
        self.failure = None

    def run(self):
        try:
            while not self.ended.is_set():
                self.line(self.monitor.read_response())
        except Exception as error:
            self.failure = error
            raise

    def line(self, text):
        words = [word.decode("unicode_escape").encode("latin-1") for word in QUOTED.findall(text)]
        if len(words) == 2 and words[1] in self.marks:
            self.marks[words[1]].set()
        elif len(words) > 2 and words[0].upper() in (b"LPUSH", b"RPUSH"):
            queue = words[1].split(b"\x06\x16")[0].decode()  # a queue has a list per priority
            if queue in self.queues:
                for item in words[2:]:
                    self.received(json.loads(item))

    def received(self, envelope):
        if "task" not in (envelope.get("headers") or {}):
            return
        channel = self.app().connection_for_read(transport="memory").default_channel
        try:
            request = Request(Message(envelope, channel=channel), app=self.app(), hostname="tap")
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
        self.monitor.disconnect()

    def pass_by(self, event):
        """Lets a mark come through the monitor: all that was pushed before it has been seen then."""
        mark = uuid.uuid4().hex.encode()
        self.marks[mark] = event
        self.client.echo(mark)
        if not event.wait(10):
            raise RuntimeError("the message tap is stuck: %r" % self.failure)
        del self.marks[mark]
