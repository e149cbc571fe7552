"""Hundreds of slow calls wait at once in one process of `celeriac worker -P async`, whose memory stays small.

    llm_concurrency.py CELERIAC [--calls 500] [--limit-mb 100]

Then four workers share one budget, against a server that refuses what comes too fast. A private Redis and PostgreSQL, a server in
OpenAI's form, real Celery messages. Prints figures as JSON; fails when a call is lost, when they did not wait together, when
the process grew beyond the limit (not judged for a binary with sanitizers), or when the server was asked more often than the budget says.
"""
import argparse
import asyncio
import collections
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import psycopg2
from celery import Celery

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))
from stage import Stage, free_port, wait_for  # noqa: E402


class Models(threading.Thread):
    """Answers chat completions when `together` of them wait, 429 to what is more than `most_a_second`."""

    def __init__(self, together=1, most_a_second=None):
        super().__init__(daemon=True)
        self.together, self.enough = together, None
        self.most_a_second, self.second, self.in_second, self.refused = most_a_second, 0, 0, 0
        self.waiting, self.most, self.answered = 0, 0, 0
        self.port = free_port()
        self.ready = threading.Event()

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
                await reader.readexactly(length)
                if self.too_fast():
                    self.refused += 1
                    writer.write(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}")
                    await writer.drain()
                    continue
                self.waiting += 1
                self.most = max(self.most, self.waiting)
                if self.waiting == self.together:
                    self.enough.set()
                await self.enough.wait()
                self.waiting -= 1
                self.answered += 1
                body = json.dumps({"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}],
                                   "usage": {"prompt_tokens": 10, "completion_tokens": 1}}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def too_fast(self):
        now = int(time.monotonic())
        if now != self.second:
            self.second, self.in_second = now, 0
        self.in_second += 1
        return self.most_a_second is not None and self.in_second > self.most_a_second

    async def main(self):
        self.enough = asyncio.Event()
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


class House:
    """Redis, a migrated database, and workers of llm_processing that ask `models`."""

    def __init__(self, stage, celeriac, models, **environment):
        self.stage, self.celeriac = stage, celeriac
        self.redis, self.database = stage.redis(), "postgresql://" + stage.postgres()
        self.environment = dict(os.environ, CELERY_DATABASE_URL=self.database, CELERY_LLM_PROVIDER="local", CELERY_LLM_MODEL="m",
                                CELERY_LLM_BASE_URL=f"http://127.0.0.1:{models.port}/v1", CELERY_LLM_CACHE_EXPIRES="0", **environment)
        subprocess.run([celeriac, "db", "migrate", "--database", self.database], check=True, stdout=subprocess.DEVNULL)
        self.app = Celery(broker=self.redis.url(0), backend=self.redis.url(1))

    def ask(self, calls):
        return [self.app.send_task("llm_processing.complete", args=[f"question {i}"], queue="llm_processing") for i in range(calls)]

    def worker(self, concurrency, name="w1"):
        return self.stage.run(name, [self.celeriac, "--broker", self.redis.url(0), "--result-backend", self.redis.url(1), "worker",
                                     "-P", "async", "-c", str(concurrency), "-Q", "llm_processing", "-l", "WARNING", "-n", name + "@llm"],
                              env=self.environment)

    def close(self):
        self.app.close()


def together(celeriac, calls, limit_mb):
    models = Models(together=calls)
    models.start()
    models.ready.wait(10)
    with Stage() as stage:
        house = House(stage, celeriac, models, CELERY_LLM_TIMEOUT="300")
        results = house.ask(calls)
        began = time.monotonic()
        worker = house.worker(calls)
        wait_for(lambda: models.answered >= calls or worker.poll() is not None, 280, "all answers", every=0.2)
        for result in results:
            assert result.get(timeout=60)["value"] == "yes"
        figures = {"calls": calls, "waited_together": models.most, "seconds": round(time.monotonic() - began, 2),
                   "peak_rss_mb": round(peak_mb(worker.pid), 1), "answered": models.answered}
        print(json.dumps(figures))
        assert models.answered == calls, "a call was lost or made twice"
        assert models.most == calls, "the calls did not wait together"
        linked = subprocess.run(["ldd", celeriac], capture_output=True, text=True).stdout
        if "libasan" not in linked and "libtsan" not in linked:
            assert figures["peak_rss_mb"] < limit_mb, "the process grew too large"
        del results, result
        house.close()


def budget(celeriac, cap=30, calls=60):
    """Four workers, one budget, a server that refuses what comes too fast: it is not asked more often than the budget says."""
    models = Models(most_a_second=10)
    models.start()
    models.ready.wait(10)
    with Stage() as stage:
        house = House(stage, celeriac, models)
        database = psycopg2.connect(house.database)
        database.autocommit = True
        sql = database.cursor()
        sql.execute("INSERT INTO llm_budgets (id, period, max_requests) VALUES (gen_random_uuid(), 'MONTH', %s)", (cap,))
        results = house.ask(calls)
        for n in range(4):
            house.worker(10, "w%d" % n)
        wait_for(lambda: all(result.ready() for result in results), 280, "all ends", every=0.2)
        ends = collections.Counter("answered" if result.successful() else type(result.result).__name__ for result in results)
        sql.execute("SELECT DISTINCT used_requests, reserved_requests FROM llm_budget_periods WHERE used_requests > 0")
        print(json.dumps({"budget": cap, "answered": models.answered, "refused_as_too_fast": models.refused, "ends": ends}))
        asked = models.answered + models.refused
        assert asked <= cap, "it was asked more often than the budget says"
        assert ends["answered"] == models.answered and set(ends) <= {"answered", "LlmBudgetExceeded", "LlmRateLimited"}, ends
        assert sql.fetchall() == [(asked, 0)], asked
        assert ends["LlmBudgetExceeded"] > 0
        del results
        database.close()
        house.close()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("celeriac")
    arguments.add_argument("--calls", type=int, default=500)
    arguments.add_argument("--limit-mb", type=float, default=100)
    options = arguments.parse_args()
    together(options.celeriac, options.calls, options.limit_mb)
    budget(options.celeriac)


if __name__ == "__main__":
    main()
