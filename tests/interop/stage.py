"""Private servers and workers for the interop tests.

Everything listens on 127.0.0.1 on a free port, keeps its data in one temporary folder and is
ended by pid. Waiting is always for a condition with a deadline, never for a time.
"""
import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import redis

SKIP = 77


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, seconds=20.0, what="condition", every=0.02):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(every)
    raise AssertionError("timed out after %.0f s waiting for %s" % (seconds, what))


class Stage:
    """Owns every process of one test."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="celeriac-interop-")
        os.chmod(self.dir, 0o755)
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for p in reversed(self.processes):
            if p.poll() is None:
                p.send_signal(signal.SIGCONT)
                p.terminate()
                if os.getpgid(p.pid) == p.pid:  # a script and its server
                    os.killpg(p.pid, signal.SIGTERM)
        for p in reversed(self.processes):
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        if kind is not None:
            for name in sorted(os.listdir(self.dir)):
                if name.endswith(".log"):
                    with open(os.path.join(self.dir, name), errors="replace") as f:
                        text = f.read()[-3000:]
                    if text.strip():
                        print("---- %s\n%s" % (name, text), file=sys.stderr)
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, name, argv, **options):
        log = open(os.path.join(self.dir, "%s.log" % name), "ab")
        p = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **options)
        log.close()
        self.processes.append(p)
        return p

    def log(self, name):
        path = os.path.join(self.dir, "%s.log" % name)
        if not os.path.exists(path):
            return ""
        with open(path, errors="replace") as f:
            return f.read()

    def redis(self, name="redis", port=None, persistent=False):
        port = port or free_port()
        folder = os.path.join(self.dir, name)
        os.makedirs(folder, exist_ok=True)
        argv = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "",
                "--appendonly", "yes" if persistent else "no", "--appendfsync", "always"]
        process = self.run(name, argv)
        client = redis.Redis(port=port, socket_timeout=5)

        def up():
            try:
                return client.ping()
            except redis.RedisError:
                return False
        wait_for(up, what="redis-server")
        return RedisServer(process, port, client, name)

    def rabbit(self, name="rabbitmq", plugins=(), config="", options=None):
        """A private RabbitMQ node; see rabbit_server.py."""
        server = RabbitServer(self, name, plugins, config, options or {})
        server.start()
        return server

    def broker(self, kind):
        """A broker by name, and the Redis for results: the same server where it can be."""
        server = self.redis()
        return (self.rabbit(), server) if kind == "rabbitmq" else (server, server)

    def postgres(self):
        """A private PostgreSQL; returns its URL without a scheme: user@host:port/db."""
        bindir = sorted(p for p in (os.path.join("/usr/lib/postgresql", v, "bin")
                                    for v in os.listdir("/usr/lib/postgresql")))[-1]
        folder = os.path.join(self.dir, "pg")
        os.makedirs(folder)
        drop = []
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
            drop = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        subprocess.run(drop + [bindir + "/initdb", "-D", folder, "-A", "trust", "-U", "celeriac", "-E", "UTF8",
                               "--no-locale", "--no-sync"], check=True, stdout=subprocess.DEVNULL)
        port = free_port()
        self.run("postgres", drop + [bindir + "/postgres", "-D", folder, "-p", str(port), "-k", "",
                                     "-c", "listen_addresses=127.0.0.1", "-c", "timezone=UTC",
                                     # systemd removes the shared memory of users whose last session ends
                                     "-c", "dynamic_shared_memory_type=mmap"])
        ready = [bindir + "/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        wait_for(lambda: subprocess.run(ready).returncode == 0, 30, "postgres")
        return "celeriac@127.0.0.1:%d/postgres" % port

    def worker(self, binary, broker, backend=None, name="w1", queues="celery", pool="threads", concurrency=2,
               extra=(), env=None, wait=True):
        argv = [binary, "--broker", broker, "-Q", queues, "-P", pool, "-c", str(concurrency), "-n",
                name + "@interop", "-l", "INFO"] + list(extra)
        if backend:
            argv += ["--result-backend", backend]
        before = self.log(name).count("ready.")
        # A sanitizer must let a crash be the crash that it is.
        sanitizer = {"ASAN_OPTIONS": "handle_segv=0:handle_abort=0:allocator_may_return_null=1"}
        process = self.run(name, argv, env=dict(os.environ, **sanitizer, **(env or {})))
        if wait:
            def up():
                if process.poll() is not None:
                    raise AssertionError("worker %s ended with %s\n%s" % (name, process.returncode, self.log(name)))
                return self.log(name).count("ready.") > before
            wait_for(up, 30, "worker %s to be ready" % name)
        return process


class RedisServer:
    def __init__(self, process, port, client, name):
        self.process, self.port, self.client, self.name = process, port, client, name

    def url(self, db=0):
        return "redis://127.0.0.1:%d/%d" % (self.port, db)

    def left(self, *queues):
        """Messages in these queues, and those that workers hold of any."""
        return sum(self.client.llen(queue) for queue in queues) + self.client.hlen("unacked")

    def bound(self, exchange):
        """The queues bound to a broadcast exchange."""
        return [b.decode().split("\x06\x16")[-1] for b in self.client.smembers("_kombu.binding." + exchange)]


from rabbit_server import RabbitServer  # noqa: E402  (it waits as we do)


def arguments(**more):
    parser = argparse.ArgumentParser()
    parser.add_argument("--worker", required=True, help="the interop_worker binary")
    for name, default in more.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    return parser.parse_args()


def clients():
    """(label, python) of every Celery at hand."""
    found = [("debian", "/usr/bin/python3")]
    newer = os.environ.get("CELERIAC_CELERY56_PYTHON")
    if newer and os.path.exists(newer):
        found.append(("pip", newer))
    return found
