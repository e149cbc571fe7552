"""The pages that people see and act on, with real workers behind them, and in Chromium where it is installed.

    pages.py --worker INTEROP_WORKER --celeriac CELERIAC --documents FOLDER [--screenshots FOLDER]
"""
import base64
import os
import re
import shutil
import signal
import subprocess
import unittest
import urllib.parse

from front_stage import ADMIN, ARGUMENTS, CLEAN, OTHER, FrontCase, free_port, token, wait_for

FORM = re.compile(r'name="form" value="([0-9a-f]{64})"')
LETTER = re.compile(r'name=letter value="([^"]+)"')


class Pages(FrontCase):
    def test_the_dashboard(self):
        port = free_port()
        self.serve("pages", port, CELERY_LEDGER_URL=self.database)
        password = token(ADMIN, role="admin")
        basic = {"who": None, "Authorization": "Basic " + base64.b64encode(("me:" + password).encode()).decode(), "port": port}
        bare = self.ask("GET", "/", who=None, port=port)
        self.problem(bare, 401, "not-authenticated")
        self.assertIn("Basic", bare.headers["WWW-Authenticate"])
        for bad in ("Basic", "Basic !!!", "Basic " + base64.b64encode(b"me:" + b"x" * 9000).decode(), "Basic bWU="):
            self.problem(self.ask("GET", "/", who=None, port=port, Authorization=bad), 401, "not-authenticated")
        self.problem(self.ask("GET", "/tasks", port=port), 403, "not-allowed")  # no administrator
        self.problem(self.ask("GET", "/api/v1/tasks", **basic), 401, "not-authenticated")  # browsers send it unasked
        worker = self.stage.worker(ARGUMENTS.worker, self.redis.url(), self.redis.url(), name="paged", queues="export", pool="threads",
                                   extra=["ledger_url=" + self.database])
        from celery import Celery
        app = Celery("c", broker=self.redis.url(), backend=self.redis.url())
        failed = app.send_task("interop.fail", ["ValueError", ["<script>alert(1)</script> & more"]], queue="export")
        with self.assertRaises(Exception):
            failed.get(timeout=20)
        page = wait_for(lambda: (lambda a: a.body.decode() if failed.id in a.body.decode() else None)(self.ask("GET", "/", **basic)), 30, "the failure")
        self.assertIn("&lt;script&gt;alert(1)", page)
        self.assertNotIn("<script>alert", page)
        wait_for(lambda: b"paged@interop" in self.ask("GET", "/workers", **basic).body, 30, "the worker's heartbeat")
        wait_for(lambda: b"1 celeriac" in self.ask("GET", "/", **basic).body, 60, "the queues that the worker takes from")
        found = self.ask("GET", "/tasks?state=FAILURE&words=ValueError+more", **basic)
        self.assertIn(failed.id.encode(), found.body)
        self.assertNotIn(failed.id.encode(), self.ask("GET", "/tasks?state=SUCCESS&words=more", **basic).body)
        self.assertIn(b"Ended after", self.ask("GET", "/tasks?since=yesterday", **basic).body)
        self.assertIn("default-src 'none'", found.headers["Content-Security-Policy"])
        self.assertIn(b"Traceback", self.ask("GET", "/tasks/" + failed.id, **basic).body)
        self.assertEqual(self.ask("GET", "/tasks/nothing", **basic).status, 404)
        self.assertIn(b"There are none", self.ask("GET", "/dead", **basic).body)

        # Forms act, but only ours.
        form = FORM.search(page := self.ask("GET", "/tasks/" + failed.id, **basic).body.decode())[1]
        retry = "/tasks/%s/retry" % failed.id
        for wrong, more in (("", {}), ("form=" + "0" * 64, {}), ("form=" + form, {"Sec-Fetch-Site": "cross-site"}),
                            ("form=" + form, {"Origin": "https://evil.example"}), ("form=%zz", {})):
            self.problem(self.post(retry, wrong, basic, **more), 403, "foreign-form")
        self.problem(self.post(retry, "form=" + form, {**basic, "Authorization": "Bearer " + token()}), 403, "not-allowed")
        again = self.post(retry, "form=" + form, basic)
        self.assertEqual((again.status, again.headers["Location"]), (303, "/tasks/%s?done=retried" % failed.id))
        wait_for(lambda: self.ask("GET", "/tasks/" + failed.id, **basic).body.count(b"<h2>Run ") == 2, 30, "the second run")
        cancelled = self.post("/tasks/%s/cancel" % failed.id, "form=" + form, basic)
        self.assertEqual(cancelled.headers["Location"], "/tasks/%s?done=cancelled" % failed.id)
        wait_for(lambda: failed.id in subprocess.run([ARGUMENTS.celeriac, "-b", self.redis.url(), "inspect", "--json", "revoked"],
                                                     capture_output=True, text=True, env=CLEAN).stdout, 20, "the worker to remember it")
        self.assertEqual(self.post("/tasks/nothing/retry", "form=" + form, basic).status, 404)
        self.queue_page(app, basic, form)
        self.dead_page(app, basic, form)
        self.browse(port, password, {"overview": "/", "search": "/tasks?state=FAILURE", "detail": "/tasks/" + failed.id, "workers": "/workers",
                                     "dead": "/dead", "queue": "/queue?name=export", "upload": "/upload"}, failed.id)
        worker.terminate()
        worker.wait(30)

    def test_what_cannot_be_written_down_is_not_done(self):
        """Neither is what the broker does not do told as done."""
        port = free_port()
        password = base64.b64encode(("me:" + token(ADMIN, role="admin")).encode()).decode()
        basic = {"who": None, "Authorization": "Basic " + password, "port": port}
        self.serve("careful", port)
        form = FORM.search(self.ask("GET", "/queue?name=kept", **basic).body.decode())[1]
        self.redis.client.lpush("kept", "one", "two")
        self.sql("ALTER TABLE operator_actions RENAME TO away")
        try:
            self.assertEqual(self.post("/queue/purge", "form=%s&name=kept" % form, basic).status, 500)
            self.assertEqual(self.redis.client.llen("kept"), 2)
        finally:
            self.sql("ALTER TABLE away RENAME TO operator_actions")
        self.redis.process.send_signal(signal.SIGSTOP)
        try:
            self.assertEqual(self.post("/queue/purge", "form=%s&name=kept" % form, basic).status, 503)
        finally:
            self.redis.process.send_signal(signal.SIGCONT)
        self.assertEqual(self.sql("SELECT state, detail->>'error' FROM operator_actions WHERE target = 'kept'"), "failed|The broker does not answer.")

    def post(self, path, body, basic, **more):
        return self.ask("POST", path, body, **{**basic, "Content-Type": "application/x-www-form-urlencoded", **more})

    def queue_page(self, app, basic, form):
        name = "odd & <name>"
        path = "/queue?name=" + urllib.parse.quote(name)
        named = "form=%s&name=%s" % (form, urllib.parse.quote_plus(name))
        sent = [app.send_task("interop.add", [n, 2], {"password": "hidden-%d" % n}, queue=name).id for n in range(3)]
        page = self.ask("GET", path, **basic).body.decode()
        self.assertIn(sent[0], page)
        self.assertNotIn("hidden-0", page)
        self.assertNotIn("<name>", page)
        said = self.post("/queue/pause", named + "&note=lunch+%26+rest", basic)
        self.assertEqual(said.status, 303)
        self.assertIn("lunch &amp; rest", self.ask("GET", path, **basic).body.decode())
        self.assertIn(name, subprocess.run([ARGUMENTS.celeriac, "-b", self.redis.url(), "queues", "--json", "-Q", name], capture_output=True, text=True, env=CLEAN).stdout)
        self.assertEqual(self.post("/queue/resume", named, basic).status, 303)
        self.assertNotIn("lunch &amp; rest", self.ask("GET", path, **basic).body.decode())
        asked = self.ask("GET", "/queue/purge?name=" + urllib.parse.quote(name), **basic).body.decode()
        self.assertIn("3 waiting messages", asked)
        self.assertEqual(self.redis.client.llen(name), 3)  # asked, not done
        purged = self.post("/queue/purge", named, basic)
        self.assertTrue(purged.headers["Location"].endswith("&done=purged&count=3"), purged.headers["Location"])
        self.assertEqual(self.redis.client.llen(name), 0)
        self.assertIn(b"3 messages were dropped", self.ask("GET", purged.headers["Location"], **basic).body)
        self.assertEqual(self.post("/queue/purge", "form=" + form, basic).status, 422)
        self.assertEqual(self.ask("GET", "/queue", **basic).status, 404)
        # Who did what: a row each, begun before and ended after, and told by the audit log.
        done = lambda: self.sql("SELECT actor, action, state, detail FROM operator_actions WHERE target = '%s' ORDER BY asked_at" % name).splitlines()
        self.assertEqual(done(), ['%s|pause|done|{"note": "lunch & rest"}' % ADMIN, "%s|resume|done|{}" % ADMIN, '%s|purge|done|{"count": 3}' % ADMIN])
        logs = self.ask("GET", "/api/v1/audit-log?per_page=100", who=ADMIN).json["logs"]
        mine = [l for l in logs if l["table_name"] == "operator_actions" and l["changed_by"] == ADMIN and "purge" in l["reason"]]
        self.assertEqual([(l["action"], l["new_values"]["state"]) for l in mine], [("UPDATE", "done"), ("CREATE", "asked")])
        self.assertEqual(mine[0]["new_values"]["detail"], {"count": 3})

    def dead_page(self, app, basic, form):
        for _ in range(2):
            app.send_task("nobody.knows", ["<b>bold</b>"], queue="export")
        letters = lambda: LETTER.findall(self.ask("GET", "/dead?queue=export", **basic).body.decode())
        first, second = wait_for(lambda: (lambda l: l if len(l) == 2 else None)(letters()), 30, "the dead letters")
        self.assertNotIn("<b>bold", self.ask("GET", "/dead", **basic).body.decode())
        asked = self.post("/dead", "form=%s&do=discard&letter=%s" % (form, first), basic)
        self.assertIn("1 dead letter</strong> will be deleted for good", asked.body.decode())
        self.assertEqual(len(letters()), 2)
        gone = self.post("/dead", "form=%s&do=discard&sure=yes&letter=%s" % (form, first), basic)
        self.assertEqual(gone.headers["Location"], "/dead?done=discard&count=1")
        self.assertEqual(letters(), [second])
        self.assertEqual(self.post("/dead", "form=%s&do=discard&sure=yes&letter=%s" % (form, first), basic).status, 409)
        self.assertIn(b"1 dead letter", self.post("/dead", "form=%s&do=requeue-all&queue=export" % form, basic).body)
        self.assertEqual(self.post("/dead", "form=%s&do=requeue&letter=%s" % (form, second), basic).headers["Location"], "/dead?done=requeue&count=1")
        wait_for(lambda: letters() not in ([], [second]), 30, "the worker to refuse it again")
        self.assertEqual(self.post("/dead", "form=%s&do=dance" % form, basic).status, 422)
        self.assertEqual(self.sql("SELECT action, state, detail->'letters', detail->>'count' FROM operator_actions WHERE action IN ('requeue', 'discard') "
                                  "ORDER BY asked_at").splitlines(), ['discard|done|["%s"]|1' % first, 'requeue|done|["%s"]|1' % second])

    def test_a_document_is_uploaded_from_a_page(self):
        basic = {"who": None, "Authorization": "Basic " + base64.b64encode(("me:" + token()).encode()).decode()}
        page = self.ask("GET", "/upload", **basic).body.decode()
        action = re.search(r'action="(/upload\?form=[0-9a-f]{64})"', page)[1]
        self.problem(self.upload(self.document(), who=None, path="/upload", Authorization=basic["Authorization"]), 403, "foreign-form")
        self.assertEqual(self.upload(b"<html>no</html>", who=None, path=action, Authorization=basic["Authorization"]).status, 415)
        taken = self.upload(self.document(), who=None, path=action, Authorization=basic["Authorization"])
        self.assertEqual(taken.status, 303, taken.body)
        document = taken.headers["Location"]
        shown = self.ask("GET", document, **basic).body.decode()
        self.assertIn('data-events="%s/events"' % document, shown)
        self.assertIn("<noscript><meta http-equiv=refresh", shown)
        other = {"who": None, "Authorization": "Basic " + base64.b64encode(("me:" + token(OTHER)).encode()).decode()}
        self.assertEqual(self.ask("GET", document, **other).status, 404)
        self.problem(self.ask("GET", document + "/events", **other), 404, "unknown-id")
        self.assertEqual(self.ask("GET", "/documents/nothing", **basic).status, 404)

    def browse(self, port, password, pages, failed):
        chromium = shutil.which("chromium")
        if not chromium:
            return
        run = lambda *a: subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + os.path.join(self.stage.dir, "chromium"),
                                         "--window-size=1200,800", *a], check=True, capture_output=True, text=True, timeout=120).stdout
        for name, path in pages.items():
            url = "http://me:%s@127.0.0.1:%d%s" % (password, port, path)
            dom = run("--dump-dom", url)
            self.assertIn("Pause updates", dom)  # the script ran under the page's own policy
            if name in ("overview", "search", "detail"):
                self.assertIn(failed, dom)
            if ARGUMENTS.screenshots:
                run("--screenshot=" + os.path.join(ARGUMENTS.screenshots, name + ".png"), url)


if __name__ == "__main__":
    unittest.main(argv=["pages"])
