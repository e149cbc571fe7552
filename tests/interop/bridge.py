"""celeriac bridge takes messages from Redis to RabbitMQ and back: headers, body and properties stay as they are, and
nothing is lost when it is killed in the middle or its servers go away."""
import base64
import json
import random
import signal
import subprocess

import stage
from celery import Celery

options = stage.arguments(celeriac="", tasks=4000, kills=4)
WINDOW = 256  # queues/bridge.hpp
random.seed(11)


def fill(url, queue, count):
    app = Celery("bridge", broker=url)
    app.conf.broker_transport_options = {"confirm_publish": True}
    with app.connection_for_write() as connection:
        producer = app.amqp.Producer(connection)
        for n in range(count):
            app.send_task("interop.echo", (n, "\u00e9\U0001f600" * (n % 7)), {"n": n}, producer=producer, queue=queue,
                          priority=n % 10 if n % 3 else None, headers={"x-mine": {"n": [n, None]}})


def lying(server, queue):
    """{task id: what must not change} of a Redis list with its priority steps, and how many messages there are."""
    found, count = {}, 0
    for step in ("", "\x06\x163", "\x06\x166", "\x06\x169"):
        for text in server.client.lrange(queue + step, 0, -1):
            envelope = json.loads(text)
            properties = envelope["properties"]
            kept = {k: properties.get(k) for k in ("correlation_id", "reply_to", "priority")}
            # kombu tells no priority as 0.
            kept["priority"] = kept["priority"] or 0
            headers = {k: v for k, v in envelope["headers"].items() if k != "redelivered"}  # kombu's mark
            found[headers["id"]] = (headers, base64.b64decode(envelope["body"]), kept,
                                    envelope["content-type"], envelope["content-encoding"])
            count += 1
    return found, count


def bridge(s, source, target, queue, *more, wait=True):
    process = s.run("bridge", [options.celeriac, "bridge", "--from", source.url(), "--to", target.url(), "-Q", queue, "--json",
                               *more])
    if wait:
        code = process.wait(120)
        assert code == 0, (code, s.log("bridge"))
        s.processes.remove(process)
        return json.loads([line for line in s.log("bridge").splitlines() if line.startswith("{")][-1])
    return process


def killed_on_the_way(s, source, target, queue, ready, size):
    """Killed again and again, then let through; returns how often it was."""
    kills = 0
    for _ in range(options.kills):
        before = ready()
        process = bridge(s, source, target, queue, wait=False)
        goal = min(size - 1, before + random.randrange(1, max(2, size // (options.kills + 1))))
        stage.wait_for(lambda: ready() >= goal, 60, "%d messages on the other side" % goal, every=0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        s.processes.remove(process)
        kills += 1
    return kills


with stage.Stage() as s:
    rabbit, first = s.broker("rabbitmq")
    second = s.redis("second")
    # Redis keeps what a killed consumer had for visibility_timeout; the next one may take it at once.
    fast = lambda server: type("Url", (), {"url": staticmethod(lambda: server.url() + "?visibility_timeout=1")})()
    fill(first.url(), "far", options.tasks)
    sent, count = lying(first, "far")
    assert len(sent) == count == options.tasks

    def over_there():
        return rabbit.messages().get("far", (0, 0))[0]
    kills = killed_on_the_way(s, first, rabbit, "far", over_there, options.tasks)

    def all_back():
        # What the killed ones held comes back to the list when their time is over.
        bridge(s, fast(first), rabbit, "far")
        return first.left("far") == 0
    stage.wait_for(all_back, 60, "an empty Redis", every=0.5)
    arrived = over_there()
    print("to RabbitMQ: %d sent, %d kills, %d arrived" % (options.tasks, kills, arrived), flush=True)
    assert options.tasks <= arrived <= options.tasks + kills * WINDOW, arrived

    def back_here():
        return second.client.llen("far") + sum(second.client.llen("far\x06\x16%d" % step) for step in (3, 6, 9))
    kills += killed_on_the_way(s, rabbit, second, "far", back_here, arrived)
    # The server is restarted in the middle, and the bridge goes on.
    process = bridge(s, rabbit, second, "far", "--follow", wait=False)
    stage.wait_for(lambda: back_here() > 0, what="the bridge to work")
    rabbit.close_connections()
    stage.wait_for(lambda: rabbit.left("far") == 0, 60, "an empty RabbitMQ")
    process.terminate()
    assert process.wait(20) == 0, s.log("bridge")
    got, count = lying(second, "far")
    assert set(got) == set(sent), "lost: %s" % (set(sent) - set(got))
    assert count <= options.tasks + kills * WINDOW + WINDOW, count
    for task_id, message in sent.items():
        assert got[task_id] == message, (got[task_id], message)
    print("and back: %d kills in all, %d of %d messages, 0 lost, none changed" % (kills, count, options.tasks))
    refused = subprocess.run([options.celeriac, "bridge", "--from", "redis://127.0.0.1:%d" % stage.free_port(), "--to",
                              second.url(), "-Q", "far"], capture_output=True, text=True, timeout=60)
    assert refused.returncode == 69 and "cannot connect to redis" in refused.stderr, refused
