"""Hundreds of slow calls wait at once in one process of `celeriac worker -P async`, whose memory stays small.

    llm_concurrency.py CELERIAC [--calls 500] [--limit-mb 100]

A private Redis and PostgreSQL, a server in OpenAI's form that answers after a second, real Celery messages. Prints
figures as JSON; fails when a call is lost, when they did not wait together, or when the process grew beyond the limit
(not judged for a binary with sanitizers).
"""
import argparse
import asyncio
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

from celery import Celery

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))
from stage import Stage, free_port, wait_for  # noqa: E402


class Models(threading.Thread):
    """Answers each chat completion after `delay` seconds; counts how many wait at a time."""

    def __init__(self, delay):
        super().__init__(daemon=True)
        self.delay, self.waiting, self.most, self.answered = delay, 0, 0, 0
        self.port = free_port()
        self.ready = threading.Event()

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
                await reader.readexactly(length)
                self.waiting += 1
                self.most = max(self.most, self.waiting)
                await asyncio.sleep(self.delay)
                self.waiting -= 1
                self.answered += 1
                body = json.dumps({"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}],
                                   "usage": {"prompt_tokens": 10, "completion_tokens": 1}}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", self.port, backlog=1024)
        self.ready.set()
        await server.serve_forever()

    def run(self):
        asyncio.run(self.main())


def peak_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("celeriac")
    arguments.add_argument("--calls", type=int, default=500)
    arguments.add_argument("--limit-mb", type=float, default=100)
    options = arguments.parse_args()

    models = Models(delay=3)
    models.start()
    models.ready.wait(10)
    with Stage() as stage:
        redis = stage.redis()
        database = "postgresql://" + stage.postgres()
        environment = dict(os.environ, CELERY_DATABASE_URL=database, CELERY_LLM_PROVIDER="local", CELERY_LLM_MODEL="m",
                           CELERY_LLM_BASE_URL=f"http://127.0.0.1:{models.port}/v1", CELERY_LLM_CACHE_EXPIRES="0",
                           CELERY_LLM_TIMEOUT="300")
        subprocess.run([options.celeriac, "db", "migrate", "--database", database], check=True, stdout=subprocess.DEVNULL)
        app = Celery(broker=redis.url(0), backend=redis.url(1))
        results = [app.send_task("llm_processing.complete", args=[f"question {i}"], queue="llm_processing")
                   for i in range(options.calls)]
        began = time.monotonic()
        worker = stage.run("worker", [options.celeriac, "--broker", redis.url(0), "--result-backend", redis.url(1), "worker",
                                      "-P", "async", "-c", str(options.calls), "-Q", "llm_processing", "-l", "WARNING"],
                           env=environment)
        wait_for(lambda: models.answered >= options.calls or worker.poll() is not None, 280, "all answers", every=0.2)
        for result in results:
            assert result.get(timeout=60)["value"] == "yes"
        figures = {"calls": options.calls, "waited_together": models.most, "seconds": round(time.monotonic() - began, 2),
                   "peak_rss_mb": round(peak_mb(worker.pid), 1), "answered": models.answered}
        print(json.dumps(figures))
        assert models.answered == options.calls, "a call was lost or made twice"
        assert models.most >= options.calls // 2, "the calls did not wait together"
        linked = subprocess.run(["ldd", options.celeriac], capture_output=True, text=True).stdout
        if "libasan" not in linked and "libtsan" not in linked:
            assert figures["peak_rss_mb"] < options.limit_mb, "the process grew too large"


if __name__ == "__main__":
    main()
