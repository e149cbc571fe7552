"""What the front end bears: tasks at 500 requests a second while a worker runs, and thousands who listen.

    load.py --worker INTEROP_WORKER --celeriac CELERIAC --documents FOLDER [--listeners 5000] [--most-p99-ms 10]

Prints the figures; times are judged only where --most-p99-ms says so. Use a release build.
"""
import asyncio
import json
import os
import pathlib
import re
import resource
import subprocess
import time
import unittest

import websockets

from front_stage import ARGUMENTS, FrontCase, free_port, token, wait_for

LISTENERS, EACH = ARGUMENTS.listeners, 125
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
wrk.body = '{"args": ["x"]}'
-- Each of %d connections waits so that together they send %d requests a second.
function delay() return math.random(0, 2 * %d) end
function done(summary, latency, requests)
  io.write(string.format("RESULT %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration, summary.errors.status + summary.errors.read + summary.errors.timeout,
           latency:percentile(50), latency:percentile(99)))
end
"""


def rss(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path("/proc/%d/status" % pid).read_text())[1]) / 1024


class Load(FrontCase):
    def wrk(self, port, path, rate, connections=32, seconds=20):
        script = os.path.join(self.stage.dir, "post.lua")
        pathlib.Path(script).write_text(SCRIPT % (token(), connections, rate, round(1000 * connections / rate)))
        out = subprocess.run(["wrk", "-t", "1", "-c", str(connections), "-d", "%ds" % seconds, "-s", script, "http://127.0.0.1:%d%s" % (port, path)],
                             capture_output=True, text=True, check=True).stdout
        requests, micros, errors, p50, p99 = map(int, re.search(r"RESULT (.*)", out)[1].split())
        self.assertEqual(errors, 0, out)
        return requests, requests / (micros / 1e6), p50 / 1000, p99 / 1000

    def test_tasks(self):
        port = free_port()
        self.serve("loaded", port, CELERY_HTTP_RATE_LIMIT="0")
        # It runs what is sent: each task asks the database for its job, and fails, for there is none.
        worker = self.stage.run("busy", [ARGUMENTS.celeriac, "worker", "-Q", "export", "-P", "threads", "-c", "2", "-l", "ERROR"], env=self.environment)
        path = "/api/v1/tasks/export.run_job"
        self.wrk(port, path, 500, seconds=3)
        sent, rate, p50, p99 = self.wrk(port, path, 500)
        # The same messages without us: one LPUSH each, from one connection, one after the other.
        message, times = self.redis.client.lindex("export", 0) or b"x" * 900, []
        for _ in range(2000):
            begun = time.perf_counter()
            self.redis.client.lpush("bare", message)
            times.append((time.perf_counter() - begun) * 1000)
        bare = sorted(times)
        wait_for(lambda: self.sql("SELECT count(*) FROM outbox WHERE state = 'waiting'") == "0", 60, "every task to be sent")
        wait_for(lambda: len(self.redis.client.keys("celery-task-meta-*")) >= sent, 120, "every task to be run", every=0.5)
        print("%d tasks accepted, %.0f/s: p50 %.2f ms, p99 %.2f ms; a bare LPUSH: p50 %.2f ms, p99 %.2f ms (p99 %.1f times)"
              % (sent, rate, p50, p99, bare[1000], bare[1980], p99 / bare[1980]))
        if ARGUMENTS.most_p99_ms:
            self.assertLess(p99, ARGUMENTS.most_p99_ms)
            self.assertGreater(rate, 450)
        self.assertIsNone(worker.poll())

    def test_listeners(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        port = free_port()
        process = self.serve("listened", port, CELERY_HTTP_RATE_LIMIT="0")
        users = ["%08d-0000-4000-8000-000000000000" % n for n in range(LISTENERS // EACH)]
        before = rss(process.pid)

        async def stream(path, user, ready, told):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(("GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n" % (path, token(user))).encode())
            await reader.readuntil(b"data: ")
            ready.append(1)
            await reader.readuntil(b"SUCCESS")
            told.append(time.monotonic())
            writer.close()

        async def socket(task, user, ready, told):
            async with websockets.connect("ws://127.0.0.1:%d/api/v1/socket" % port, extra_headers={"Authorization": "Bearer " + token(user)},
                                          open_timeout=120, ping_interval=None, compression=None) as client:
                await client.recv()
                await client.send(json.dumps({"type": "join_task", "task_id": task}))
                message = {}
                while message.get("type") != "task_update":
                    message = json.loads(await client.recv())
                ready.append(1)
                while not message.get("final"):
                    message = json.loads(await client.recv())
                told.append(time.monotonic())

        async def listen():
            ready, told, tasks = [], [], []
            for user in users:
                sent = await asyncio.to_thread(lambda: self.ask("POST", "/api/v1/tasks/export.run_job", {"args": ["x"]}, port=port, who=user).json["id"])
                tasks.append(sent)
            everybody = []
            for n in range(LISTENERS):
                user, task = users[n // EACH], tasks[n // EACH]
                everybody.append(asyncio.create_task(stream("/api/v1/tasks/%s/events" % task, user, ready, told) if n % 2 else socket(task, user, ready, told)))
                if n % 100 == 99:
                    while len(ready) < n - 200:
                        await asyncio.sleep(0.01)
            while len(ready) < LISTENERS:
                for one in everybody:
                    if one.done():
                        one.result()
                await asyncio.sleep(0.05)
            full = rss(process.pid)
            begun = time.monotonic()
            for task in tasks:
                self.redis.client.set("celery-task-meta-" + task, json.dumps({"status": "SUCCESS", "result": 7, "task_id": task}))
            await asyncio.wait_for(asyncio.gather(*everybody), 120)
            return full, max(told) - begun
        full, last = asyncio.run(listen())
        print("%d listeners, half of them WebSockets: %.0f MiB (%.0f without); the last was told after %.2f s" % (LISTENERS, full, before, last))
        if ARGUMENTS.most_p99_ms:
            self.assertLess(full, 300)


if __name__ == "__main__":
    unittest.main(argv=["load"])
