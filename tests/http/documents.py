"""Documents over HTTP: read by a real worker, corrected, read again; exceptions, approvals, exports.

    documents.py --worker INTEROP_WORKER --celeriac CELERIAC --documents FOLDER
"""
import hashlib
import json
import unittest
import uuid

from front_stage import ADMIN, ARGUMENTS, ME, OTHER, FrontCase, free_port, wait_for


class Documents(FrontCase):
    def correct(self, invoice):
        path = "/api/v1/invoices/" + invoice
        changed = self.ask("PUT", path, {"invoice": {"po_number": "PO-77", "total_amount": 12345.10, "due_date": "2026-02-03"},
                                         "line_items": [{"line_number": 1, "description": "Corrected", "quantity": "2.5"}]})
        self.assertEqual(changed.status, 200, changed.body)
        self.assertEqual((changed.json["success"], changed.json["invoice"]["po_number"], changed.json["invoice"]["due_date"]),
                         (True, "PO-77", "2026-02-03"))
        self.assertEqual(changed.json["line_items"][0]["description"], "Corrected")
        tag = self.ask("GET", path).headers["ETag"]
        self.assertEqual(changed.headers["ETag"], tag)
        self.problem(self.ask("PUT", path, {"invoice": {"po_number": "PO-79"}}, If_Match='"old"'), 412, "changed-meanwhile")
        self.assertEqual(self.ask("PUT", path, {"invoice": {"po_number": "PO-77"}}, If_Match=tag).status, 200)
        said = self.problem(self.ask("PUT", path, {"invoice": {"po_number": "PO-78", "status": "DONE", "total_amount": "much"},
                                                   "line_items": [{"line_number": 999, "quantity": 1}, {}]}), 422, "body-does-not-fit")
        self.assertEqual({e["pointer"] for e in said["errors"]},
                         {"#/invoice/status", "#/invoice/total_amount", "#/line_items/0", "#/line_items/1/line_number"})
        self.assertEqual(self.ask("GET", path).json["invoice"]["po_number"], "PO-77")  # nothing of it
        self.problem(self.ask("PUT", path, {"invoice": {"po_number": "x"}}, who=OTHER), 404, "unknown-id")
        self.problem(self.ask("GET", "/api/v1/audit-log"), 403, "not-allowed")
        logs = self.ask("GET", "/api/v1/audit-log?status=update&per_page=100", who=ADMIN).json["logs"]
        mine = [l for l in logs if l["record_id"] == invoice and l["changed_by"] == ME]
        self.assertIn("po_number", mine[0]["changed_fields"])

    def run_worker(self, job):
        worker = self.stage.run("worker", [ARGUMENTS.celeriac, "worker", "-Q", "invoice_processing,validation", "-c", "1", "-l", "INFO"],
                                env=self.environment)
        try:
            return wait_for(lambda: (lambda s: s if s["status"] in ("completed", "failed") else None)(
                self.ask("GET", job["links"]["status"]).json), 90, "the document to be read")
        finally:
            worker.terminate()
            worker.wait(60)

    def read_again(self, job, invoice):
        url = self.sql("SELECT source FROM processing_jobs WHERE id = '%s'" % job["job_id"])
        path, orders = "/api/v1/invoices/%s/process", []
        for id in (job["job_id"], job["task_id"], invoice):
            again = self.ask("POST", path % id, {})
            self.assertEqual(again.status, 202, again.body)
            orders.append(again.json["job_id"])
        self.assertEqual(orders, orders[:1] * 3)  # one order, until it is carried out
        self.assertEqual(self.sql("SELECT source FROM processing_jobs WHERE id = '%s'" % orders[0]), url)
        line = "SELECT description || ' ' || quantity FROM invoice_line_items WHERE invoice_id = '%s' AND line_number = 1" % invoice
        lines = "SELECT count(*) FROM invoice_line_items WHERE invoice_id = '%s'" % invoice
        before = self.sql(lines)
        self.assertEqual(self.run_worker(again.json)["status"], "completed")
        result = json.loads(self.sql("SELECT result_data FROM processing_jobs WHERE id = '%s'" % orders[0]))
        self.assertEqual((result["duplicate"], result["invoice_id"]), (False, invoice))
        self.assertEqual(result["kept"], {"fields": ["due_date", "po_number", "total_amount"], "lines": [1]})
        self.assertEqual((self.sql(line), self.sql(lines)), ("Corrected 2.5", before))
        self.assertEqual(self.sql("SELECT po_number FROM invoices WHERE id = '%s'" % invoice), "PO-77")
        self.assertEqual(self.sql("SELECT count(*) FROM invoice_extractions WHERE invoice_id = '%s'" % invoice), "2")
        self.sql("UPDATE invoices SET status = 'READY' WHERE id = '%s'" % invoice)
        self.assertIn("READY", self.problem(self.ask("POST", path % invoice, {}), 409, "invoice-not-editable")["detail"])
        self.problem(self.ask("POST", "/api/v1/invoices/%s/process" % invoice, {}, who=OTHER), 404, "unknown-id")
        batch = self.ask("POST", "/api/v1/invoices/process-batch", {"files": [{"blob_url": url, "filename": "a.pdf"}] * 2})
        self.assertEqual((batch.status, len(batch.json["task_ids"])), (202, 2), batch.body)
        for bad in ("file:///etc/passwd", "storage://no/such", ""):
            self.problem(self.ask("POST", "/api/v1/invoices/process-batch", {"files": [{"blob_url": bad}]}), 422, "body-does-not-fit")
        self.problem(self.ask("POST", "/api/v1/invoices/process-batch", {"files": [{"blob_url": url}]}, who=OTHER), 422, "body-does-not-fit")

    def test_exceptions_are_resolved_by_their_owner(self):
        invoice, mine = str(uuid.uuid4()), str(uuid.uuid4())
        self.sql("INSERT INTO users (id, is_active, status) VALUES ('%s', false, 'inactive') ON CONFLICT DO NOTHING" % ME)
        self.sql("INSERT INTO invoices (id, uploaded_by_user_id, status) VALUES ('%s', '%s', 'EXCEPTION')" % (invoice, ME))
        self.sql("INSERT INTO exceptions (id, invoice_id, reason_code, category, severity, details_json) VALUES "
                 "('%s', '%s', 'TOTAL_MISMATCH', 'MATH', 'error', '{}')" % (mine, invoice))
        self.assertEqual([e["id"] for e in self.ask("GET", "/api/v1/exceptions?status=open").json["exceptions"] if e["invoice_id"] == invoice], [mine])
        path = "/api/v1/exceptions/" + mine
        self.assertEqual(self.ask("GET", path).json["reason_code"], "TOTAL_MISMATCH")
        self.problem(self.ask("GET", path, who=OTHER), 404, "unknown-id")
        self.problem(self.ask("POST", path + "/resolve", {"action": "ESCALATE"}, who=OTHER), 404, "unknown-id")
        self.problem(self.ask("POST", path + "/resolve", {}), 422, "body-does-not-fit")
        self.problem(self.ask("POST", path + "/resolve", {"action": "DANCE"}), 409, "refused")
        done = self.ask("POST", path + "/resolve", {"action": "MANUAL_ADJUST", "data": {"amount": "1.00"}, "notes": "checked", "approve_invoice": True})
        self.assertEqual((done.status, done.json.get("status")), (200, "RESOLVED"), done.body)
        self.assertEqual(self.sql("SELECT resolved_by FROM exceptions WHERE id = '%s'" % mine), ME)

    def test_approvals_are_decided_by_administrators(self):
        request, invoice = str(uuid.uuid4()), str(uuid.uuid4())
        self.sql("INSERT INTO invoices (id, status) VALUES ('%s', 'VALIDATED')" % invoice)
        self.sql("INSERT INTO approval_requests (id, workflow_id, entity_type, entity_id, title, requested_by, expires_at) VALUES "
                 "('%s', 'a0000000-0000-4000-8000-000000000001', 'invoice', '%s', 'Export', 'system', now() + interval '1 day')" % (request, invoice))
        self.problem(self.ask("GET", "/api/v1/approvals"), 403, "not-allowed")
        self.assertIn(request, [a["id"] for a in self.ask("GET", "/api/v1/approvals?status=pending", who=ADMIN).json["approvals"]])
        path = "/api/v1/approvals/%s/decide" % request
        self.problem(self.ask("POST", path, {"decision": "DANCE"}, who=ADMIN), 422, "body-does-not-fit")
        self.problem(self.ask("POST", "/api/v1/approvals/%s/decide" % invoice, {"decision": "APPROVE"}, who=ADMIN), 404, "unknown-id")
        self.sql("INSERT INTO approver_roles (user_id, role) SELECT ensure_user('%s'), 'ap_manager'" % ME)
        self.problem(self.ask("POST", path, {"decision": "APPROVE"}, who=ADMIN), 403, "not-allowed")
        self.sql("DELETE FROM approver_roles")
        done = self.ask("POST", path, {"decision": "APPROVE", "comments": "fine"}, who=ADMIN)
        self.assertEqual((done.status, done.json.get("status")), (200, "APPROVED"), done.body)

    def test_exports_run_and_are_downloaded(self):
        self.problem(self.ask("POST", "/api/v1/exports/jobs", {"format": "csv"}), 403, "not-allowed")
        said = self.problem(self.ask("POST", "/api/v1/exports/jobs", {"format": 7, "more": 1}, who=ADMIN), 422, "body-does-not-fit")
        self.assertEqual({e["pointer"] for e in said["errors"]}, {"#/format", "#/more"})
        self.problem(self.ask("POST", "/api/v1/exports/jobs", {"format": "papyrus"}, who=ADMIN), 422, "body-does-not-fit")
        answer = self.ask("POST", "/api/v1/exports/jobs", {"format": "csv", "name": "all"}, who=ADMIN)
        self.assertEqual(answer.status, 202, answer.body)
        links = answer.json["links"]
        self.problem(self.ask("GET", links["download"], who=ADMIN), 404, "unknown-id")
        worker = self.stage.run("exporter", [ARGUMENTS.celeriac, "worker", "-Q", "export", "-c", "1", "-l", "INFO"], env=self.environment)
        try:
            wait_for(lambda: self.ask("GET", links["self"], who=ADMIN).json["status"] == "COMPLETED", 60, "the export")
        finally:
            worker.terminate()
            worker.wait(60)
        file = self.ask("GET", links["download"], who=ADMIN)
        self.assertEqual((file.status, file.headers["Content-Type"]), (200, "application/octet-stream"))
        self.assertIn(b"invoice", file.body.lower())

    def test_a_bucket_serves_its_exports_itself(self):
        port, job = free_port(), str(uuid.uuid4())
        front = self.serve("bucket", port, CELERY_STORAGE_ROOT="s3+https://AK:s3cret@s3.example/bucket/ap?region=eu-central-1")
        self.addCleanup(front.terminate)
        self.sql("INSERT INTO export_jobs (id, format, status, progress, file_path, file_hash, file_size, completed_at) VALUES"
                 " ('%s', 'CSV', 'COMPLETED', 100, 'storage://exports/a b.csv', repeat('0', 64), 1, now())" % job)
        answer = self.ask("GET", "/api/v1/exports/jobs/%s/download" % job, port=port, who=ADMIN)
        self.assertEqual((answer.status, answer.body), (307, b""))
        self.assertTrue(answer.headers["Location"].startswith("https://s3.example/bucket/ap/exports/a%20b.csv?X-Amz-"), answer.headers)
        self.assertIn("X-Amz-Expires=300", answer.headers["Location"])
        self.assertNotIn("s3cret", answer.headers["Location"])
        self.problem(self.ask("GET", "/api/v1/exports/jobs/%s/download" % job, port=port), 403, "not-allowed")

    def test_an_uploaded_document_is_read_by_the_worker(self):
        data = self.document()
        answer = self.upload(data)
        self.assertEqual(answer.status, 202, answer.body)
        job = answer.json
        self.assertEqual((job["status"], job["sha256"]), ("pending", hashlib.sha256(data).hexdigest()))
        self.assertEqual(self.ask("GET", job["links"]["status"]).json["status"], "pending")
        self.problem(self.ask("GET", job["links"]["status"], who=OTHER), 404, "unknown-id")
        state = self.run_worker(job)
        self.assertEqual((state["status"], state["progress"]), ("completed", 100), state)
        self.assertEqual(self.ask("GET", "/api/v1/jobs/my-jobs/unread-count").json, {"unread_count": 1})
        detail = self.ask("GET", "/api/v1/jobs/my-jobs/" + job["job_id"]).json
        self.assertEqual(detail["file_info"]["sha256"], job["sha256"])
        self.assertEqual(detail["file_info"]["file_name"], "invoice.pdf")
        invoice = self.ask("GET", "/api/v1/invoices/" + state["invoice_id"]).json
        self.assertTrue(invoice["line_items"])
        self.assertEqual(self.ask("GET", "/api/v1/invoices").json["invoices"][0]["id"], state["invoice_id"])
        self.assertEqual(self.ask("GET", "/api/v1/invoices", who=OTHER).json["invoices"], [])
        self.assertEqual([l["event"] for l in detail["logs"]], ["accepted", "started", "completed"])
        self.correct(state["invoice_id"])
        self.read_again(job, state["invoice_id"])
        mine = self.ask("GET", "/api/v1/jobs/my-jobs?status=completed&per_page=10").json
        self.assertEqual(mine["statistics"]["status_breakdown"].get("completed"), 2)
        self.assertEqual(mine["pagination"]["per_page"], 10)
        self.assertEqual(self.ask("POST", "/api/v1/jobs/my-jobs/mark-as-read", {"job_id": job["job_id"]}).json, {"success": True, "count": 1})
        self.assertEqual(self.ask("GET", "/api/v1/jobs/my-jobs/unread-count").json, {"unread_count": 1})  # the second reading


if __name__ == "__main__":
    unittest.main(argv=["documents"])
