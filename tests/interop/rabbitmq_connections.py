"""RabbitMQ under load: its connections closed, frozen beyond the heartbeat, restarted and killed, and a task that outlives
consumer_timeout. The worker never exits, nothing is lost, and what the server has not forgotten does not run twice. The
longest time in which the worker's loop answers nobody is told, and judged with --longest-stall MILLISECONDS."""
import http.client
import os
import signal
import threading
import time

import stage
from celery import Celery

options = stage.arguments(tasks=1500, longest_stall=0)


class Pulse(threading.Thread):
    """Asks the worker's loop for a sign of life, a hundred times a second."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.times, self.over = port, [], False

    def run(self):
        while not self.over:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            begin = time.monotonic()
            connection.request("GET", "/livez")
            connection.getresponse().read()
            self.times.append(time.monotonic() - begin)
            connection.close()
            time.sleep(0.01)

    def end(self):
        self.over = True
        self.join()
        worst = sorted(self.times)[-5:]
        print("%d signs of life, the longest waits %s ms" % (len(self.times), [round(t * 1000) for t in worst]), flush=True)
        assert len(self.times) > 100 and (not options.longest_stall or worst[-1] * 1000 < options.longest_stall)


def publish(app, seconds, count, queue, **more):
    # Confirmed, so that a loss would be the worker's.
    app.conf.broker_transport_options = {"confirm_publish": True}
    with app.connection_for_write() as connection:
        producer = app.amqp.Producer(connection)
        return [app.send_task("interop.effect", (seconds,), producer=producer, queue=queue, ignore_result=True, **more).id
                for _ in range(count)]


def answers(app):
    """Whether the worker answers; connections that were made while the server closes all of them go as well."""
    try:
        return app.control.ping(["w@interop"], timeout=5)
    except (OSError,) + app.connection_for_write().connection_errors:
        return None


def runs(effects, ids):
    return [int(n or 0) for n in effects.client.mget(["effect:" + i for i in ids])]


def under_load(s, server, effects, worker, app):
    ids = publish(app, 0.01, options.tasks, "load") + publish(app, 0.01, options.tasks // 20, "load", countdown=3)

    def done():
        return sum(n > 0 for n in runs(effects, ids))

    def moves_on(what):
        before = done()
        stage.wait_for(lambda: done() >= min(len(ids), before + 40), 60, "progress after " + what)

    moves_on("the start")
    for _ in range(3):
        server.close_connections()
        moves_on("closed connections")
    stage.wait_for(lambda: answers(Celery("probe", broker=server.url())), 20, "the worker to be connected again")
    server.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    stage.wait_for(lambda: "nothing heard" in s.log("w"), 30, "the worker to notice")
    noticed = time.monotonic() - stopped
    print("a frozen server was noticed after %.1f s with heartbeats of 2 s" % noticed, flush=True)
    assert noticed < 3 * 2 + 2, noticed
    server.signal(signal.SIGCONT)
    moves_on("a frozen server")
    server.stop()
    server.start()
    moves_on("a restarted server")
    again = sum(max(0, n - 1) for n in runs(effects, ids))
    assert again == 0, again
    server.kill()
    server.start()
    moves_on("a killed server")
    stage.wait_for(lambda: done() == len(ids), 120, "the last effects")
    stage.wait_for(lambda: server.left("load") == 0, 30, "empty queues")
    # A killed server forgets acknowledgements that it had not written yet.
    again = sum(n - 1 for n in runs(effects, ids))
    print("%d tasks over 6 losses: 0 lost, %d run again because the server was killed" % (len(ids), again), flush=True)
    assert worker.poll() is None


def attached(s, server, effects, worker, app):
    """A task that runs while its connection goes is acknowledged with the redelivery, which does not start it again."""
    ids = publish(app, 6, 2, "load")
    stage.wait_for(lambda: len((app.control.inspect(["w@interop"], timeout=5).active() or {}).get("w@interop", [])) == 2,
                   what="both tasks to run")
    server.close_connections()
    stage.wait_for(lambda: s.log("w").count("was delivered again while it is here") >= 2, 20, "both redeliveries")
    stage.wait_for(lambda: server.left("load") == 0, 20, "both acknowledgements")
    assert runs(effects, ids) == [1, 1]


def too_long(s, server, effects, worker, app):
    """consumer_timeout closes the channel alone; the task goes on and is acknowledged when its message comes back."""
    # Channels take both when they are opened; the server looks after them once a minute if nobody asks for more.
    for name, value in (("consumer_timeout", 2000), ("channel_tick_interval", 500)):
        server.evaluate("application:set_env(rabbit, %s, %d)." % (name, value))
    server.close_connections()
    app = Celery("after", broker=server.url())  # the other's connection has gone too
    stage.wait_for(lambda: answers(app), what="the worker to be back")
    before = len(s.log("w"))
    app.control.cancel_consumer("load", destination=["w@interop"], reply=True, timeout=10)
    ids = publish(app, 8, 1, "long")
    app.control.add_consumer("long", destination=["w@interop"], reply=True, timeout=10)
    stage.wait_for(lambda: "consumer_timeout" in s.log("w")[before:], 90, "the channel to be closed")
    stage.wait_for(lambda: server.left("long") == 0 and runs(effects, ids) == [1], 60, "the long task")
    assert worker.poll() is None and "Connected to" not in s.log("w")[before:], s.log("w")[before:]
    assert "Raise consumer_timeout" in s.log("w")[before:]
    assert runs(effects, ids) == [1]


with stage.Stage() as s:
    server, _ = s.broker("rabbitmq")
    effects = s.redis("effects")
    app = Celery("connections", broker=server.url())
    port = stage.free_port()
    worker = s.worker(options.worker, server.url(), name="w", queues="load", pool="prefork", concurrency=2,
                      env={"EFFECTS_PORT": str(effects.port)}, extra=["broker_heartbeat=2", "--metrics-port", str(port)])
    pulse = Pulse(port)
    pulse.start()
    under_load(s, server, effects, worker, app)
    pulse.end()
    attached(s, server, effects, worker, app)
    too_long(s, server, effects, worker, app)
    worker.terminate()
    assert worker.wait(20) == 0
    # What the ended worker was asked to do is done: nothing comes back.
    assert server.left("load", "long") == 0, server.messages()
