"""Runs that end with their workers end in the ledger, and on its pages, as lost.

    lost_runs.py --worker INTEROP_WORKER --celeriac CELERIAC --documents FOLDER
"""
import base64
import signal
import unittest

from front_stage import ADMIN, ARGUMENTS, FrontCase, free_port, token, wait_for


class LostRuns(FrontCase):
    def worker(self, name):
        return self.stage.worker(ARGUMENTS.worker, self.redis.url(), self.redis.url(), name=name, queues="naps", pool="prefork", concurrency=1,
                                 extra=["ledger_url=" + self.database])

    def nap(self):
        from celery import Celery
        return Celery("c", broker=self.redis.url(), backend=self.redis.url()).send_task("interop.nap", [600], queue="naps").id

    def told_of(self, nap):
        wait_for(lambda: self.sql("SELECT to_regclass('task_runs_open') IS NOT NULL") == "t", 30, "the table")
        wait_for(lambda: self.sql("SELECT count(*) FROM task_runs_open WHERE task_id = '%s'" % nap) == "1", 60, "the long run to be told of", every=0.2)

    def state(self, nap):
        return self.sql("SELECT state, worker, started_at IS NOT NULL FROM task_runs WHERE task_id = '%s' ORDER BY run" % nap).splitlines()

    def test_a_run_that_was_killed_with_its_worker_ends_as_lost(self):
        port = free_port()
        self.serve("lost", port, CELERY_LEDGER_URL=self.database)
        basic = {"who": None, "Authorization": "Basic " + base64.b64encode(("me:" + token(ADMIN, role="admin")).encode()).decode(), "port": port}
        killed = self.worker("killed")
        nap = self.nap()
        self.told_of(nap)
        killed.kill()
        killed.wait()
        self.sql("UPDATE task_runs_open SET seen_at = seen_at - interval '61 seconds'")  # instead of a minute of silence
        other = self.worker("finding")
        wait_for(lambda: self.state(nap) == ["LOST|killed@interop|t"], 60, "the other worker to find it", every=0.2)
        self.assertIn(b"its worker was killed", self.ask("GET", "/tasks/" + nap, **basic).body)
        self.assertIn(nap.encode(), self.ask("GET", "/tasks?state=LOST", **basic).body)
        other.kill()
        other.wait()

    def test_what_a_cold_shutdown_cuts_short_is_lost_at_once(self):
        worker = self.worker("cold")
        nap = self.nap()
        self.told_of(nap)
        worker.send_signal(signal.SIGQUIT)
        worker.wait(60)
        self.assertEqual(self.state(nap), ["LOST|cold@interop|t"])
        self.assertEqual(self.redis.client.llen("naps"), 1)  # it comes again


if __name__ == "__main__":
    unittest.main(argv=["lost_runs"])
