"""kill -9 of the front end between every pair of steps of an upload: each 202 ends as a finished job, nothing twice.

    upload_kill.py --worker INTEROP_WORKER --celeriac CELERIAC --documents FOLDER [--every N]

The steps are what the process does to the world outside: files that are written, synced and renamed, and what
is sent to PostgreSQL, Redis and the client. strace ends the process at the first of them, then, in a new process, at the second, and so on,
until an upload passes unharmed. A client that got no answer repeats its request, as clients do; one that got a 202 does not.
"""
import hashlib
import http.client
import os
import re
import shutil
import subprocess
import unittest

from front_stage import ARGUMENTS, ME, FrontCase, free_port, wait_for

STEPS = "openat,write,writev,pwrite64,fsync,fdatasync,rename,renameat2,unlink,linkat,sendto,sendmsg"


class UploadKill(FrontCase):
    def steps_of_an_upload(self):
        """How many steps an undisturbed upload takes, and how many the process takes before it listens."""
        log = os.path.join(self.stage.dir, "steps")
        port = free_port()
        process = self.traced("counting", port, ["-o", log])
        before = len(self.seen(log))
        self.assertEqual(self.upload(self.documents[0], port=port).status, 202)
        wait_for(lambda: self.sql("SELECT count(*) FROM outbox WHERE state = 'waiting'") == "0", 30, "the task to be sent")
        after = len(self.seen(log))
        self.end(process)
        return before, after

    def seen(self, log):
        with open(log, errors="replace") as f:
            return [line for line in f if re.match(r"\d+ +(%s)\(" % STEPS.replace(",", "|"), line)]

    def traced(self, name, port, options):
        environment = {**self.environment, "ASAN_OPTIONS": "detect_leaks=0"}
        process = self.stage.run(name, ["strace", "-f", "-qq", "-e", "trace=" + STEPS, *options,
                                        ARGUMENTS.celeriac, "http", "--port", str(port)], env=environment)
        wait_for(lambda: "celeriac http on" in self.stage.log(name) or process.poll() is not None, 60, "the front end")
        return process

    def end(self, process):
        process.terminate()
        process.wait(30)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.end_of(cls.process)
        bytes_ = cls.document(cls)
        # Each upload is a document of its own: nothing may be explained away as a duplicate.
        cls.documents = [bytes_ + b"\n%% %d\n" % n for n in range(500)]

    @staticmethod
    def end_of(process):
        process.terminate()
        process.wait(30)

    def test_every_step(self):
        before, after = self.steps_of_an_upload()
        self.assertGreater(after - before, 8, "an upload has steps")
        accepted, killed, every = {}, 0, ARGUMENTS.every
        for n, step in enumerate(range(1, after - before + 12, every), 1):
            # The count begins with the upload: steps of one start differ from those of another.
            port, name = free_port(), "killed%d" % step
            environment = {**self.environment, "ASAN_OPTIONS": "detect_leaks=0"}
            process = self.serve(name, port, ASAN_OPTIONS="detect_leaks=0")
            log = os.path.join(self.stage.dir, name + ".strace")
            strace = self.stage.run(name + "-strace", ["strace", "-f", "-qq", "-p", str(process.pid), "-e", "trace=" + STEPS, "-e",
                                                       "inject=%s:signal=KILL:when=%d" % (STEPS, step), "-o", log], env=environment)
            wait_for(lambda: all("TracerPid:\t%d" % strace.pid in open("/proc/%d/task/%s/status" % (process.pid, t)).read()
                                 for t in os.listdir("/proc/%d/task" % process.pid)), 30, "strace to hold every thread")
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
        self.assertGreater(killed, (after - before) // (2 * every))

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
        self.end_of(worker)
        self.assertEqual(self.sql("SELECT count(*) FROM processing_jobs WHERE id IN ('%s') AND status = 'completed'" % jobs), str(n))
        # Nothing twice: one file, one invoice for each document, although some were accepted twice.
        hashes = "','".join(hashlib.sha256(self.documents[i]).hexdigest() for i in range(1, n + 1))
        self.assertEqual(self.sql("SELECT count(*), count(DISTINCT file_hash) FROM file_storage WHERE file_hash IN ('%s')" % hashes), "%d|%d" % (n, n))
        self.assertEqual(self.sql("SELECT count(*) FROM invoices i JOIN file_storage f ON f.id = i.file_storage_id WHERE f.file_hash IN ('%s')" % hashes), str(n))
        left = [f for _, _, files in os.walk(self.environment["CELERY_STORAGE_ROOT"]) for f in files]
        print("%d steps, %d kills, %d documents, %d files" % (after - before, killed, n, len(left)))


if __name__ == "__main__":
    if not shutil.which("strace"):
        raise SystemExit("strace is not installed")
    unittest.main(argv=["upload_kill"])
