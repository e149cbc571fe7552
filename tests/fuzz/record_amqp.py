"""Records what RabbitMQ says to a worker, connection by connection: the seeds of fuzz_amqp_session in corpus/amqp_session.

    tests/fuzz/record_amqp.py --worker BUILD/tests/interop/interop_worker
"""
import os
import pathlib
import select
import socket
import sys
import threading

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parent / "interop"))
import stage  # noqa: E402
from celery import Celery  # noqa: E402

LARGEST = 6000  # of a seed; the rest of a conversation repeats itself
options = stage.arguments(corpus=str(here / "corpus" / "amqp_session"))


class Tap:
    """A port that leads to the server and keeps what the server says."""

    def __init__(self, port):
        self.to, self.talks = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            threading.Thread(target=self.carry, args=(self.listener.accept()[0],), daemon=True).start()

    def carry(self, client):
        server, talk = socket.create_connection(("127.0.0.1", self.to)), bytearray()
        self.talks.append(talk)
        while True:
            for ready in select.select([client, server], [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    client.close()
                    return server.close()
                if ready is server:
                    talk += data
                (client if ready is server else server).sendall(data)


with stage.Stage() as s:
    server, results = s.broker("rabbitmq")
    effects = s.redis("effects")
    tap = Tap(server.port)
    app = Celery("record", broker=server.url(), backend=results.url())
    worker = s.worker(options.worker, server.url().replace(str(server.port), str(tap.port)), results.url(), name="recorded",
                      queues="seeds", env={"EFFECTS_PORT": str(effects.port)},
                      extra=["-E", "broker_heartbeat=2"])
    done = [app.send_task("interop.echo", ("\u00e9" * n,), queue="seeds", priority=n) for n in range(5)]
    done.append(app.send_task("interop.retry", ("v", 2), queue="seeds"))
    done.append(app.send_task("interop.echo", (1,), queue="seeds", countdown=1, expires=60))
    for result in done:
        result.get(timeout=20)
    app.send_task("no.such.task", (), queue="seeds")
    with app.connection_for_write() as connection:  # a table of every type, and bytes that are no text
        producer = connection.Producer(serializer=None)
        producer.publish(b"\xff\x00nonsense", routing_key="seeds", content_type="application/x-none", content_encoding="binary",
                         headers={"id": "x", "list": [1, 2.5, None, True, {"deep": "\u00fc"}], "big": 2 ** 40, "raw": b"\xff"})
    stage.wait_for(lambda: server.left("seeds") == 0, 20, "empty queues")
    assert app.control.ping(["recorded@interop"], timeout=5)
    app.control.add_consumer("gone", destination=["recorded@interop"], reply=True, timeout=10)
    app.send_task("interop.echo", (1,), queue="gone").get(timeout=20)
    with app.connection_for_write() as connection:
        connection.default_channel.queue_delete("gone")  # basic.cancel from the server
    stage.wait_for(lambda: "the server ended our consumer" in s.log("recorded"), 20, "the server's cancel")
    server.evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0.0).")  # connection.blocked
    app.control.ping(["recorded@interop"], timeout=1)
    server.evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0.4).")
    before = len(tap.talks)
    server.close_connections()
    stage.wait_for(lambda: len(tap.talks) >= before + 2, 20, "the next connections")
    app = Celery("after", broker=server.url(), backend=results.url())
    app.send_task("interop.echo", (1,), queue="seeds").get(timeout=20)
    worker.terminate()
    assert worker.wait(20) == 0
    os.makedirs(options.corpus, exist_ok=True)
    for n, talk in enumerate(tap.talks):
        with open(os.path.join(options.corpus, "talk%d" % n), "wb") as f:
            f.write(talk[:LARGEST])
        print("talk%d: %d bytes of %d" % (n, min(len(talk), LARGEST), len(talk)))
