"""Signed messages: clients of both Celery versions with `setup_security()` against a worker that takes nothing else.

Tasks, retries, canvases and `celery inspect` are signed and answered; what is unsigned, changed or signed by a
stranger is refused and kept with its exact bytes. Run by Debian's Celery and, when there is one, by a newer one.
"""
import base64
import gc
import json
import os
import subprocess
import sys

import stage

MARKED = "CELERIAC_SIGNED_CHECKS"


def make_key(folder, name):
    """A private key and its self-signed certificate; returns their paths."""
    key, cert = os.path.join(folder, name + ".key"), os.path.join(folder, name + ".crt")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                    "-subj", "/O=interop/CN=" + name], check=True, stderr=subprocess.DEVNULL)
    return key, cert


def signing_app(broker, backend, key, cert, store):
    from celery import Celery
    app = Celery("signed", broker=broker, backend=backend)
    app.conf.update(task_serializer="auth", accept_content=["auth"], result_serializer="json",
                    result_accept_content=["json"], event_serializer="json",
                    security_key=key, security_certificate=cert, security_cert_store=store)
    app.setup_security()
    return app


def refuse(server, cause, raw=None):
    """Waits for the dead letter with that cause; its message must be the bytes that were sent."""
    def found():
        for key in server.client.scan_iter("celeriac.dead.letter.*"):
            letter = server.client.hgetall(key)
            if cause in letter[b"cause"].decode():
                return letter
    letter = stage.wait_for(found, 10, "a dead letter with %r" % cause)
    assert raw is None or letter[b"message"] == raw, letter
    return letter


def copy_of_next(server, app):
    """The bytes of one signed message, taken from a queue that nobody consumes."""
    app.send_task("interop.add", (1, 1), queue="nobody")
    return server.client.rpop("nobody")


def check(binary):
    import celery
    from celery import chain, chord, group
    newer = celery.VERSION[:2] >= (5, 3)
    with stage.Stage() as s:
        server = s.redis()
        store = os.path.join(s.dir, "store")
        os.makedirs(store)
        key, cert = make_key(store, "client")
        worker_key, worker_cert = make_key(store, "worker")
        for private in (key, worker_key):
            os.rename(private, os.path.join(s.dir, os.path.basename(private)))
        key, worker_key = (os.path.join(s.dir, os.path.basename(k)) for k in (key, worker_key))
        app = signing_app(server.url(), server.url(1), key, cert, os.path.join(store, "*.crt"))
        s.worker(binary, server.url(), server.url(1), pool="prefork", extra=[
            "task_serializer=auth", "accept_content=auth", "security_key=" + worker_key, "security_certificate=" + worker_cert,
            "security_cert_store=" + store, "security_layout=" + ("5.6" if newer else "5.2")])

        assert app.send_task("interop.add", (2, 3)).get(timeout=20) == 5
        assert app.send_task("interop.add", (2, 4), compression="zlib").get(timeout=20) == 6
        # A retry and the steps of a canvas are signed by the worker itself.
        assert app.send_task("interop.retry", ("x", 2)).get(timeout=20) == ["x", 2]
        assert app.send_task("interop.retry", ("y", 1), compression="zlib").get(timeout=20) == ["y", 1]
        add = app.signature("interop.add")
        assert chain(add.clone((1, 2)), add.clone((3,)), app=app).apply_async().get(timeout=20) == 6
        total = chord(group(add.clone((n, n)) for n in range(5)), app.signature("interop.echo"))
        assert total.apply_async().get(timeout=20) == [0, 2, 4, 6, 8]
        replies = app.control.inspect(timeout=5).ping()
        assert replies == {"w1@interop": {"ok": "pong"}}, replies

        # Refused: unsigned, changed, signed by somebody whose certificate is not in the store.
        signed = copy_of_next(server, app)
        envelope = json.loads(signed)
        fields = bytearray(base64.b64decode(base64.b64decode(envelope["body"])))
        fields[-1] ^= 1
        envelope["body"] = base64.b64encode(base64.b64encode(bytes(fields))).decode()
        changed = json.dumps(envelope).encode()
        server.client.lpush("celery", changed)
        refuse(server, "bad signature of 'interop client ", changed)

        envelope = json.loads(signed)
        envelope["content-type"] = "application/json"
        envelope["body"] = base64.b64encode(json.dumps([[1, 1], {}, {}]).encode()).decode()
        unsigned = json.dumps(envelope).encode()
        server.client.lpush("celery", unsigned)
        refuse(server, "is not signed", unsigned)

        stranger_key, stranger_cert = make_key(s.dir, "stranger")
        stranger = subprocess.run(
            [sys.executable, __file__, "--worker", "-", "--broker", server.url(), "--stranger", stranger_key + "," + stranger_cert],
            capture_output=True, text=True, env=dict(os.environ, **{MARKED: "send"}))
        assert stranger.returncode == 0, stranger.stderr
        refuse(server, "the signer's certificate is not in the store")

        assert app.send_task("interop.add", (7, 7)).get(timeout=20) == 14, "the worker goes on"
        print("%s: signed messages hold" % celery.__version__)
        del total
        gc.collect()  # results let go of their server while it is there


if __name__ == "__main__":
    options = stage.arguments(stranger="", broker="")
    if os.environ.get(MARKED) == "send":  # kombu registers one key for a process
        stranger_key, stranger_cert = options.stranger.split(",")
        app = signing_app(options.broker, None, stranger_key, stranger_cert, stranger_cert)
        app.send_task("interop.add", (1, 1))
    elif MARKED in os.environ:
        check(options.worker)
    else:
        for label, python in stage.clients():
            subprocess.run([python, __file__, "--worker", options.worker], check=True, env=dict(os.environ, **{MARKED: "1"}))
