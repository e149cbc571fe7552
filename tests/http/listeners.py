"""Rooms: event streams and WebSockets tell what becomes of tasks and documents, in order, each once, across losses.

    listeners.py --worker INTEROP_WORKER --celeriac CELERIAC --documents FOLDER
"""
import asyncio
import json
import subprocess
import unittest
import uuid

import websockets

from front_stage import ADMIN, ARGUMENTS, ME, OTHER, FrontCase, free_port, token, wait_for

PROCESS = "/api/v1/tasks/invoice_processing.process_document"


class Listeners(FrontCase):
    def socket(self, who=ME, port=None, **more):
        headers = {"Authorization": "Bearer " + token(who, role="admin" if who == ADMIN else None)} if who else {}
        return websockets.connect("ws://127.0.0.1:%d/api/v1/socket" % (port or self.port), extra_headers=headers, **more)

    def job(self):
        """A job without a worker: its states are set by hand."""
        answer = self.upload(self.document())
        self.assertEqual(answer.status, 202, answer.body)
        return answer.json

    def progress(self, job, percent, stage="reading"):
        self.sql("UPDATE processing_jobs SET status = 'running', started_at = now(), attempts = 1, progress = %d, current_stage = '%s' WHERE id = '%s'"
                 % (percent, stage, job["job_id"]))

    def fail_job(self, job):
        self.sql("UPDATE processing_jobs SET status = 'failed', completed_at = now(), error_code = 'X' WHERE id = '%s'" % job["job_id"])

    async def say(self, socket, **message):
        await socket.send(json.dumps(message))

    async def hear(self, socket, kind=None):
        message = json.loads(await asyncio.wait_for(socket.recv(), 30))
        if kind:
            self.assertEqual(message["type"], kind, message)
        return message

    def test_a_socket_listens_in_many_rooms(self):
        job, task = self.job(), self.ask("POST", PROCESS, {"args": ["x"]}).json

        async def talk():
            async with self.socket() as socket:
                self.assertEqual((await self.hear(socket, "connected"))["user_id"], ME)
                await self.say(socket, type="ping")
                await self.hear(socket, "pong")
                await self.say(socket, type="join_task", task_id=job["task_id"])
                self.assertEqual((await self.hear(socket, "joined_task"))["room"], job["websocket_room"])
                first = await self.hear(socket, "task_update")
                self.assertEqual((first["data"]["job_id"], first["data"]["status"], first["kind"]), (job["job_id"], "pending", "state"))
                seen = []
                for percent in (10, 40, 80):
                    self.progress(job, percent)
                    seen.append(await self.hear(socket, "task_update"))
                self.assertEqual([e["data"]["progress"] for e in seen], [10, 40, 80])
                self.assertEqual([e["kind"] for e in seen], ["state", "progress", "progress"])

                # Somebody who comes later, having seen the first: all that followed it, in order.
                async with self.socket() as later:
                    await self.hear(later, "connected")
                    await self.say(later, type="join_task", task_id=job["job_id"], after=first["id"])
                    await self.hear(later, "joined_task")
                    again = [await self.hear(later, "task_update") for _ in range(3)]
                    self.assertEqual([e["id"] for e in again], [e["id"] for e in seen])

                await self.say(socket, type="join_task", task_id=task["id"])
                await self.hear(socket, "joined_task")
                self.assertIn((await self.hear(socket, "task_update"))["data"]["state"], ("QUEUED", "PENDING"))
                await self.say(socket, type="leave_task", task_id=task["id"])
                while (await self.hear(socket))["type"] != "left_task":
                    pass
                self.redis.client.set("celery-task-meta-" + task["id"], json.dumps({"status": "SUCCESS", "result": 7, "task_id": task["id"]}))
                self.fail_job(job)
                last = await self.hear(socket, "task_update")  # of the job: the other room was left
                self.assertEqual((last["final"], last["data"]["status"]), (True, "failed"))
        asyncio.run(talk())

    def test_another_process_goes_on_where_this_one_was_killed(self):
        job, port = self.job(), free_port()
        process = self.serve("listened", port)

        async def listen(port, after, events):
            async with self.socket(port=port) as socket:
                await self.hear(socket, "connected")
                await self.say(socket, type="join_task", task_id=job["task_id"], after=after)
                await self.hear(socket, "joined_task")
                try:
                    while True:
                        events.append(await self.hear(socket, "task_update"))
                        if events[-1]["data"]["progress"] == 30:
                            process.kill()
                        else:
                            self.progress(job, 30)
                        if events[-1]["final"]:
                            return
                except websockets.ConnectionClosed:
                    pass
        before, after = [], []
        asyncio.run(listen(port, "", before))
        process.wait()
        self.assertEqual([e["data"]["progress"] for e in before], [0, 30])
        self.fail_job(job)
        asyncio.run(listen(self.port, before[-1]["id"], after))
        self.assertEqual([e["data"]["status"] for e in after], ["failed"])

    def test_what_a_socket_refuses(self):
        job = self.job()

        async def talk():
            async with self.socket(OTHER) as socket:
                await self.hear(socket, "connected")
                for text, problem in (("{", "not-json"), ("[]", "not-json"), ("{}", "unknown-type"), ('{"type": "join_task"}', "unknown-id"),
                                      ('{"type": "join_task", "task_id": "../../etc"}', "unknown-id"), ("[" * 50, "not-json")):
                    await socket.send(text)
                    self.assertEqual((await self.hear(socket, "error"))["problem"], "urn:celeriac:problem:" + problem)
                for id in (job["task_id"], job["job_id"], str(uuid.uuid4())):  # somebody else's, nobody's
                    await self.say(socket, type="join_task", task_id=id)
                    self.assertEqual((await self.hear(socket, "error"))["problem"], "urn:celeriac:problem:unknown-id")
                await socket.send("x" * 5000)
                with self.assertRaises(websockets.ConnectionClosed) as closed:
                    await self.hear(socket)
                self.assertEqual(closed.exception.rcvd.code, 1009)
            for who in (None,):
                with self.assertRaises(websockets.InvalidStatusCode) as refused:
                    await self.socket(who).__aenter__()
                self.assertEqual(refused.exception.status_code, 401)
            # A browser cannot set headers: it brings the token as a protocol.
            async with self.socket(None, subprotocols=["celeriac", "bearer." + token()]) as socket:
                self.assertEqual(socket.subprotocol, "celeriac")
                self.assertEqual((await self.hear(socket, "connected"))["user_id"], ME)
        asyncio.run(talk())
        self.problem(self.ask("GET", "/api/v1/socket"), 426, "web-socket-only")

    def test_streams_share_a_room(self):
        job = self.job()
        streams = [self.events(job["links"]["events"]) for _ in range(20)]
        firsts = {next(stream)[1] for stream in streams}
        self.assertEqual(len(firsts), 1)
        gauge = "http_event_streams "
        count = lambda: int(float([l for l in self.ask("GET", "/metrics", who=None).body.decode().splitlines() if l.startswith(gauge)][0].split()[1]))
        self.assertEqual(count(), 20)
        self.progress(job, 50)
        for stream in streams:
            self.assertEqual(next(stream)[2]["progress"], 50)
        self.fail_job(job)
        self.assertEqual({tuple(e[2]["status"] for e in stream) for stream in streams}, {("failed",)})
        wait_for(lambda: count() == 0, 20, "the streams to be forgotten")

    def test_a_shutdown_closes_sockets(self):
        port = free_port()
        process = self.serve("closing", port)

        async def talk():
            async with self.socket(port=port) as socket:
                await self.hear(socket, "connected")
                process.terminate()
                with self.assertRaises(websockets.ConnectionClosed) as closed:
                    await self.hear(socket)
                self.assertEqual(closed.exception.rcvd.code, 1001)
        asyncio.run(talk())
        self.assertEqual(process.wait(30), 0)


if __name__ == "__main__":
    unittest.main(argv=["listeners"])
