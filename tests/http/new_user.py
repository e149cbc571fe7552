"""A new user's path, in a browser: upload a document, see it live, find it, see a failure, run it again, purge a queue.

    new_user.py --worker INTEROP_WORKER --celeriac CELERIAC --documents FOLDER [--screenshots FOLDER]

Run by scripts/with_web.sh; the browser is Debian's Chromium.
"""
import os
import pathlib
import re
import subprocess
import unittest

from playwright.sync_api import expect, sync_playwright

from front_stage import ARGUMENTS, FrontCase, free_port, wait_for


class NewUser(FrontCase):
    def shot(self, page, name):
        if ARGUMENTS.screenshots:
            page.screenshot(path=os.path.join(ARGUMENTS.screenshots, name + ".png"), full_page=True)

    def worker(self):
        return self.stage.run("worker", [ARGUMENTS.celeriac, "worker", "-Q", "invoice_processing,validation", "-c", "1", "-l", "INFO"],
                              env={**self.environment, "CELERY_LEDGER_URL": self.database})

    def end(self, process):
        process.terminate()
        process.wait(60)

    def walk(self, dark, scripts):
        port = free_port()
        self.serve("pages", port, CELERY_LEDGER_URL=self.database)
        key = subprocess.run([ARGUMENTS.celeriac, "api-key", "create", "me", "--email", "me@example.com", "--role", "admin"], env=self.environment,
                             check=True, capture_output=True, text=True).stdout.strip()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            context = browser.new_context(base_url="http://127.0.0.1:%d" % port, http_credentials={"username": "me", "password": key},
                                          color_scheme="dark" if dark else "light", java_script_enabled=scripts, viewport={"width": 1280, "height": 800})
            page = context.new_page()
            wrong = []
            page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            tag = "dark" if dark else "light" if scripts else "plain"

            # Upload, and see it live.
            page.goto("/")
            page.get_by_role("link", name="Upload").click()
            page.locator("input[type=file]").set_input_files(os.path.join(ARGUMENTS.documents, "invoice.pdf"))
            page.get_by_role("button", name="Upload").click()
            page.wait_for_url(re.compile("/documents/"))
            expect(page.locator("#stage")).to_contain_text("pending")
            self.shot(page, tag + "-1-waiting")
            worker = self.worker()
            if not scripts:
                page.wait_for_timeout(100)
                wait_for(lambda: page.reload() and "completed" in page.content(), 90, "the document to be read", every=1)
            expect(page.locator(".state")).to_have_text("completed", timeout=90000)
            expect(page.get_by_text("invoice.pdf")).to_be_visible()
            self.shot(page, tag + "-2-read")

            # Find it by a word of its name.
            page.get_by_role("link", name="Tasks").click()
            page.get_by_label("Words").fill("invoice.pdf")
            page.get_by_role("button", name="Search").click()
            expect(page.get_by_role("cell", name="invoice_processing.process_document").first).to_be_visible()
            self.shot(page, tag + "-3-found")

            # A failure: seen, looked at, run again.
            sent = self.ask("POST", "/api/v1/tasks/invoice_processing.process_document", {"args": ["file:///nothing/here.pdf"]}, who=None, port=port, X_API_Key=key)
            self.assertEqual(sent.status, 202, sent.body)
            wait_for(lambda: sent.json["id"] in page.goto("/").text(), 60, "the failure on the first page", every=1)
            self.shot(page, tag + "-4-failed")
            page.get_by_role("link", name=sent.json["id"]).click()
            expect(page.get_by_text("FAILURE").first).to_be_visible()
            self.shot(page, tag + "-5-failure")
            page.get_by_role("button", name="Run again").click()
            expect(page.get_by_text("It was sent again")).to_be_visible()
            wait_for(lambda: page.goto("/tasks/" + sent.json["id"]).text().count("<h2>Run ") >= 2, 60, "the second run", every=1)
            self.shot(page, tag + "-6-again")

            # Purge a queue, after the count was seen.
            self.end(worker)
            for n in range(3):
                self.assertEqual(self.ask("POST", "/api/v1/tasks/export.run_job", {"args": ["%d" % n]}, who=None, port=port, X_API_Key=key).status, 202)
            wait_for(lambda: self.redis.client.llen("export") == 3, 20, "the messages")
            page.goto("/")
            page.get_by_role("link", name="export", exact=True).first.click()
            expect(page.get_by_role("cell", name="export.run_job").first).to_be_visible()
            self.shot(page, tag + "-7-queue")
            page.get_by_role("link", name="Purge...").click()
            expect(page.get_by_text("3 waiting messages")).to_be_visible()
            self.shot(page, tag + "-8-purge")
            self.assertEqual(self.redis.client.llen("export"), 3)
            page.get_by_role("button", name="Drop 3").click()
            expect(page.get_by_text("3 messages were dropped")).to_be_visible()
            self.assertEqual(self.redis.client.llen("export"), 0)
            self.shot(page, tag + "-9-purged")
            self.assertEqual(wrong, [])

            # By the keyboard alone, and everything with a name.
            page.goto("/tasks")
            page.keyboard.press("Tab")
            self.assertEqual(page.evaluate("document.activeElement.textContent") if scripts else "To the content", "To the content")
            for path in ("/", "/tasks", "/queue?name=export", "/dead", "/upload", "/workers"):
                page.goto(path)
                if scripts:
                    self.assertEqual(page.evaluate("[...document.querySelectorAll('input:not([type=hidden]),select,button')].filter(e => "
                                                   "!(e.labels?.length || e.textContent.trim() || e.ariaLabel)).length"), 0, path)
                    self.assertEqual(page.evaluate("document.documentElement.scrollWidth <= innerWidth"), True, path)
            browser.close()

    def test_light(self):
        self.walk(dark=False, scripts=True)

    def test_dark(self):
        self.walk(dark=True, scripts=True)

    def test_without_scripts(self):
        self.walk(dark=False, scripts=False)


if __name__ == "__main__":
    if ARGUMENTS.screenshots:
        pathlib.Path(ARGUMENTS.screenshots).mkdir(parents=True, exist_ok=True)
    unittest.main(argv=["new_user"])
