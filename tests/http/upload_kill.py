"""kill -9 of the front end between every pair of steps of an upload: each 202 ends as a finished job, nothing twice.

    upload_kill.py --worker INTEROP_WORKER --celeriac CELERIAC --documents FOLDER [--part 1/3]

The steps are what the process does to the world outside: files that are written, synced and renamed, and what
is sent to PostgreSQL, Redis and the client. strace ends the process at the first of them, then, in a new process, at the second, and so on,
until an upload passes unharmed. A client that got no answer repeats its request, as clients do; one that got a 202 does not.
All steps take minutes; --part 2/3 takes the second of each three.
"""
import collections
import hashlib
import http.client
import os
import pathlib
import re
import shutil
import subprocess
import unittest

from front_stage import ARGUMENTS, FrontCase, free_port, wait_for

STEPS = "openat,write,writev,pwrite64,fsync,fdatasync,rename,renameat2,unlink,linkat,sendto,sendmsg"


class UploadKill(FrontCase):
    def traced(self, name, options):
        """A front end under strace from now on: its process, that of strace, its port."""
        port = free_port()
        process = self.serve(name, port, ASAN_OPTIONS="detect_leaks=0")
        strace = self.stage.run(name + "-strace", ["strace", "-f", "-qq", "-p", str(process.pid), *options])
        tasks = "/proc/%d/task/" % process.pid
        wait_for(lambda: all("TracerPid:\t%d\n" % strace.pid in pathlib.Path(tasks, t, "status").read_text() for t in os.listdir(tasks)), 30,
                 "strace to hold every thread")
        return process, strace, port

    def steps_of_an_upload(self):
        log = os.path.join(self.stage.dir, "steps")
        process, strace, port = self.traced("counting", ["-e", "trace=" + STEPS, "-o", log])
        self.assertEqual(self.upload(self.documents[0], port=port).status, 202)
        wait_for(lambda: self.sql("SELECT count(*) FROM outbox WHERE state = 'waiting'") == "0", 30, "the task to be sent")
        self.end(process)
        strace.wait(30)
        # As strace counts when it is to act: each call of each thread for itself.
        seen = collections.Counter(re.findall(r"^(\d+) +(%s)\(" % STEPS.replace(",", "|"), pathlib.Path(log).read_text(errors="replace"), re.M))
        most = {}
        for (_, call), count in seen.items():
            most[call] = max(most.get(call, 0), count)
        return [(call, n) for call in sorted(most) for n in range(1, most[call] + 1)]

    def end(self, process):
        process.terminate()
        process.wait(30)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.process.terminate()
        cls.process.wait(30)
        bytes_ = cls.document(cls)
        # Each upload is a document of its own: nothing may be explained away as a duplicate.
        cls.documents = [bytes_ + b"\n%% %d\n" % n for n in range(500)]

    def test_every_step(self):
        steps = self.steps_of_an_upload()
        self.assertGreater(len(steps), 8, "an upload has steps")
        accepted, killed = {}, 0
        part, parts = map(int, ARGUMENTS.part.split("/"))
        for n, (call, at) in enumerate(steps[part - 1::parts], 1):
            process, strace, port = self.traced("killed%d" % n, ["-e", "inject=%s:signal=KILL:when=%d" % (call, at), "-e", "trace=" + call, "-o", "/dev/null"])
            try:
                answer = self.upload(self.documents[n], port=port)
                if answer.status == 202:
                    accepted[n] = answer.json["job_id"]
            except (OSError, http.client.HTTPException):
                pass
            try:
                process.wait(0.5)
            except subprocess.TimeoutExpired:
                pass
            killed += process.poll() is not None
            if process.poll() is None:
                self.end(process)
            strace.wait(30)
        self.assertGreater(killed, n // 2)

        # Who got no answer asks again; then everything is read.
        port = free_port()
        self.serve("last", port)
        for i in range(1, n + 1):
            if i not in accepted:
                accepted[i] = self.upload(self.documents[i], port=port).json["job_id"]
        self.sql("UPDATE outbox SET available_at = now() WHERE state = 'waiting'")  # instead of a minute's wait for the claims of the killed
        worker = self.stage.run("worker", [ARGUMENTS.celeriac, "worker", "-Q", "invoice_processing,validation", "-c", "2", "-l", "INFO"], env=self.environment)
        jobs = "','".join(accepted.values())
        wait_for(lambda: self.sql("SELECT count(*) FROM processing_jobs WHERE id IN ('%s') AND status NOT IN ('completed', 'failed')" % jobs) == "0",
                 240, "every accepted job to end", every=0.5)
        self.end(worker)
        self.assertEqual(self.sql("SELECT count(*) FROM processing_jobs WHERE id IN ('%s') AND status = 'completed'" % jobs), str(n))
        # Nothing twice: one file, one invoice for each document, although some were accepted twice.
        hashes = "','".join(hashlib.sha256(self.documents[i]).hexdigest() for i in range(1, n + 1))
        self.assertEqual(self.sql("SELECT count(*), count(DISTINCT file_hash) FROM file_storage WHERE file_hash IN ('%s')" % hashes), "%d|%d" % (n, n))
        self.assertEqual(self.sql("SELECT count(*) FROM invoices i JOIN file_storage f ON f.id = i.file_storage_id WHERE f.file_hash IN ('%s')" % hashes), str(n))
        left = [f for _, _, files in os.walk(self.environment["CELERY_STORAGE_ROOT"]) for f in files]
        print("%d steps, %d kills, %d documents, %d files" % (len(steps), killed, n, len(left)))


if __name__ == "__main__":
    if not shutil.which("strace"):
        raise SystemExit("strace is not installed")
    unittest.main(argv=["upload_kill"])
