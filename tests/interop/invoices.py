"""The invoice application as its clients use it: names, compression and default queues of the two systems it takes
over from, dead letters and their redrive, exports that Python reads back, a worker killed in the middle."""
import argparse
import base64
import csv
import datetime
import decimal
import hashlib
import hmac
import http.server
import io
import json
import os
import signal
import subprocess
import threading
import time
import urllib.parse
import uuid

import celery
import psycopg2

import stage
from stage import Stage

QUEUES = "invoice_processing,validation,export,celery,dlq_processing,dlq_redrive"
VERIFIER = "v3rifier"
UBL = """<?xml version="1.0" encoding="UTF-8"?>
<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"
 xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
 xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2">
 <cbc:ID>%(number)s</cbc:ID><cbc:IssueDate>%(date)s</cbc:IssueDate><cbc:InvoiceTypeCode>380</cbc:InvoiceTypeCode>
 <cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode>
 <cac:AccountingSupplierParty><cac:Party><cac:PartyLegalEntity><cbc:RegistrationName>Muster GmbH</cbc:RegistrationName>
 </cac:PartyLegalEntity></cac:Party></cac:AccountingSupplierParty>
 <cac:AccountingCustomerParty><cac:Party><cac:PartyLegalEntity><cbc:RegistrationName>Kunde AG</cbc:RegistrationName>
 </cac:PartyLegalEntity></cac:Party></cac:AccountingCustomerParty>
 <cac:TaxTotal><cbc:TaxAmount currencyID="EUR">19.00</cbc:TaxAmount></cac:TaxTotal>
 <cac:LegalMonetaryTotal><cbc:LineExtensionAmount currencyID="EUR">100.00</cbc:LineExtensionAmount>
 <cbc:TaxExclusiveAmount currencyID="EUR">100.00</cbc:TaxExclusiveAmount>
 <cbc:TaxInclusiveAmount currencyID="EUR">%(total)s</cbc:TaxInclusiveAmount>
 <cbc:PayableAmount currencyID="EUR">%(total)s</cbc:PayableAmount></cac:LegalMonetaryTotal>
 <cac:InvoiceLine><cbc:ID>1</cbc:ID><cbc:InvoicedQuantity unitCode="C62">4</cbc:InvoicedQuantity>
 <cbc:LineExtensionAmount currencyID="EUR">100.00</cbc:LineExtensionAmount>
 <cac:Item><cbc:Name>Bolts</cbc:Name><cac:ClassifiedTaxCategory><cbc:ID>S</cbc:ID><cbc:Percent>19</cbc:Percent>
 <cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:ClassifiedTaxCategory></cac:Item>
 <cac:Price><cbc:PriceAmount currencyID="EUR">25.00</cbc:PriceAmount></cac:Price></cac:InvoiceLine>
</Invoice>
"""


def wait_for(condition, seconds=120, what="condition"):
    return stage.wait_for(condition, seconds, what)


class Outside(http.server.BaseHTTPRequestHandler):
    """Other people's systems: documents to fetch, an ERP's inbox, a company in QuickBooks that wants fresh tokens."""
    documents, inbox, bills, requests, tokens, trouble = {}, {}, {}, [], ["t0"], []
    refresh, oauth_trouble, oauth_open = ["r3fresh"], [], threading.Event()
    oauth_open.set()

    def answer(self, status, body, **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in dict(headers, Content_Length=len(body)).items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/moved":
            return self.answer(302, b"", Location="/a.xml")
        if url.path == "/large":
            return self.answer(200, b"x" * (26 << 20))
        if url.path in self.documents:
            return self.answer(200, self.documents[url.path])
        if url.path.endswith("/query") and self.known():
            query = urllib.parse.parse_qs(url.query)["query"][0]
            if "from Vendor" in query:
                return self.answer(200, {"QueryResponse": {}})
            return self.answer(200, {"QueryResponse": {"Account": [{"Id": "77", "Name": "Expenses"}]}})
        self.answer(404, {"error": "not here"})

    def known(self):
        if self.headers["Authorization"] == "Bearer " + self.tokens[-1]:
            return True
        self.answer(401, {"fault": "token"})

    def do_POST(self):
        url = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append(self.path)
        if url.path == "/erp":
            if self.trouble:
                return self.answer(self.trouble.pop(), {"error": "later"})
            self.inbox.setdefault(self.headers["Idempotency-Key"], []).append(json.loads(body, parse_float=decimal.Decimal))
            return self.answer(201, {"id": "1"})
        if url.path == "/oauth":
            assert self.headers["Authorization"] == "Basic " + base64.b64encode(b"client:s3cret").decode()
            self.oauth_open.wait(60)
            if self.oauth_trouble:
                return self.answer(*self.oauth_trouble.pop())
            if urllib.parse.parse_qs(body.decode())["refresh_token"][0] != self.refresh[-1]:  # each is taken once
                return self.answer(400, {"error": "invalid_grant"})
            self.tokens.append("t%d" % len(self.tokens))
            self.refresh.append("r3fresh%d" % len(self.refresh))
            return self.answer(200, {"access_token": self.tokens[-1], "refresh_token": self.refresh[-1], "expires_in": 3600})
        if not self.known():
            return None
        if url.path == "/v3/company/4711/vendor":
            return self.answer(200, {"Vendor": {"Id": "5", "DisplayName": json.loads(body)["DisplayName"]}})
        if url.path == "/v3/company/4711/bill":
            asked = urllib.parse.parse_qs(url.query)
            assert asked["minorversion"] == ["63"], asked
            bill = self.bills.setdefault(asked["requestid"][0], json.loads(body, parse_float=decimal.Decimal))
            return self.answer(200, {"Bill": {"Id": "B%d" % (list(self.bills.values()).index(bill) + 1)}})
        self.answer(404, {"error": "not here"})

    def log_message(self, *_):
        pass


class House:
    """Redis, PostgreSQL, the worker, and both kinds of client."""

    def __init__(self, place, binary, config=None, **settings):
        self.stage, self.binary, self.starts, self.settings = place, binary, 0, settings
        self.options = ["--config", config] if config else []
        self.redis = place.redis()
        self.database = "postgresql://" + place.postgres()
        subprocess.run([binary, "db", "migrate", "--database", self.database], check=True, stdout=subprocess.DEVNULL)
        self.sql = psycopg2.connect(self.database)
        self.sql.autocommit = True
        self.root = os.path.join(place.dir, "storage")
        # As the accounts-payable system configures its clients.
        self.ap = celery.Celery("ap_intake", broker=self.redis.url(), backend=self.redis.url())
        self.ap.conf.update(task_compression="gzip", result_compression="gzip", task_serializer="json",
                            accept_content=["json"], task_track_started=True, result_expires=3600,
                            task_send_sent_event=True, task_inherit_parent_priority=True,
                            task_routes={"app.workers.invoice_tasks.process_invoice_task": {"queue": "invoice_processing"},
                                         "app.workers.invoice_tasks.validate_invoice_task": {"queue": "validation"},
                                         "app.workers.invoice_tasks.export_invoice_task": {"queue": "export"},
                                         "app.workers.dlq_handlers.*": {"queue": "dlq_processing"}})
        # As the other one does: no routes, no compression, results in another database.
        self.doxin = celery.Celery("case_study", broker=self.redis.url(), backend=self.redis.url())
        self.outside = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Outside)
        threading.Thread(target=self.outside.serve_forever, daemon=True).start()
        self.worker = self.start()

    def outside_url(self, path, host="127.0.0.1", user=""):
        return "http://%s%s:%d%s" % (user, host, self.outside.server_port, path)

    def start(self):
        self.starts += 1
        name = "w%d" % self.starts
        env = {"CELERY_DATABASE_URL": self.database, "CELERY_STORAGE_ROOT": self.root,
               "CELERY_DEAD_LETTER_QUEUE": "dlq_processing", "CELERY_WEBSOCKET_EVENTS_URL": self.redis.url(),
               "CELERY_EMAIL_QUOTA_URL": self.redis.url(2), "CELERY_DOCUMENT_HOSTS": "127.0.0.1",
               "CELERY_HTTP_CALLBACK_HOSTS": "localhost",  # who may be called back may not be read from
               "CELERY_CIRCUIT_BREAKER_URL": self.redis.url(3), "CELERY_QUICKBOOKS_VERIFIER_TOKEN": VERIFIER,
               "CELERY_WORKER_PROC_ALIVE_TIMEOUT": "60",  # slots that are full of checks, on a machine full of tests
               "CELERY_EXPORT_ENDPOINTS": json.dumps({
                   "netsuite": self.outside_url("/erp"), "quickbooks": self.outside_url(""),
                   "quickbooks_oauth": self.outside_url("/oauth", user="client:s3cret@")}),
               # A sanitizer must let a crash be the crash that it is.
               "ASAN_OPTIONS": "handle_segv=0:handle_abort=0:allocator_may_return_null=1"}
        process = self.stage.run(name, [self.binary, "-b", self.redis.url(), "--result-backend", self.redis.url(), *self.options, "worker",
                                        "-Q", QUEUES, "-c", "2", "-n", name + "@interop", "-l", "INFO"],
                                 env=dict(os.environ, **env, **self.settings))

        def ready():
            assert process.poll() is None, self.stage.log(name)
            return "ready." in self.stage.log(name)
        wait_for(ready, 60, "worker %s to be ready" % name)
        return process

    def one(self, statement, *values):
        with self.sql.cursor() as cursor:
            cursor.execute(statement, values)
            row = cursor.fetchone() if cursor.description else None
        return row if row is None or len(row) > 1 else row[0]

    def call(self, name, *args, app=None, **kwargs):
        return (app or self.ap).send_task(name, args, kwargs).get(timeout=180)

    def document(self, number, total="119.00"):
        date = datetime.datetime.utcnow().date().isoformat()
        return (UBL % {"number": number, "total": total, "date": date}).encode()

    def upload(self, number, total="119.00"):
        data = self.document(number, total)
        digest = hashlib.sha256(data).hexdigest()
        path = os.path.join(self.root, "uploads", number + ".xml")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        return "uploads/%s.xml" % number, digest


def accounts_payable(house):
    path, digest = house.upload("AP-1")
    invoice_id = str(uuid.uuid4())
    house.one("INSERT INTO invoices (id, file_hash, file_url, file_name, file_size, status, workflow_state)"
              " VALUES (%s, %s, %s, 'a.xml', '1KB', 'RECEIVED', 'uploaded')", invoice_id, digest, path)
    result = house.call("app.workers.invoice_tasks.process_invoice_task", invoice_id, path, digest)
    assert set(result) == {"invoice_id", "status", "workflow_state", "requires_human_review", "processed_at"}, result
    assert result["invoice_id"] == invoice_id and result["status"] in ("parsed", "validated"), result
    assert datetime.datetime.fromisoformat(result["processed_at"]).tzinfo is None
    wait_for(lambda: house.one("SELECT status FROM invoices WHERE id = %s", invoice_id) == "VALIDATED", what="validation")

    result = house.call("app.workers.invoice_tasks.validate_invoice_task", invoice_id=invoice_id, extraction_result={})
    assert set(result) == {"invoice_id", "validation_passed", "errors_count", "warnings_count", "validated_at"}, result
    assert result["validation_passed"] is True and result["errors_count"] == 0, result

    result = house.call("app.workers.invoice_tasks.export_invoice_task", invoice_id)
    assert set(result) == {"invoice_id", "export_format", "file_name", "file_size", "storage_url", "exported_at"}, result
    with open(os.path.join(house.root, result["storage_url"][len("storage://"):])) as f:
        text = f.read()
    assert len(text.encode()) == result["file_size"]
    assert json.loads(text)["invoice"]["header"]["invoice_no"] == "AP-1"
    assert house.one("SELECT status FROM invoices WHERE id = %s", invoice_id) == "STAGED"

    # Unrouted names arrive in the default queue.
    assert house.call("app.workers.maintenance_tasks.cleanup_old_exports", days_to_keep=7)["status"] == "success"
    assert house.call("app.workers.maintenance_tasks.health_check")["checks"]["database"]["status"] == "healthy"
    assert house.call("app.workers.dlq_handlers.monitor_dlq_health") is None
    return invoice_id


def doxin(house):
    listener = house.redis.client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("websocket_events")
    wait_for(lambda: listener.get_message() or house.redis.client.pubsub_numsub("websocket_events")[0][1], what="subscription")
    data = base64.b64encode(house.document("DX-1")).decode()
    user, job = str(uuid.uuid4()), str(uuid.uuid4())
    result = house.call("process_invoice_image_async", data, "dx.xml", job, {"auto_save": True, "user_id": user}, app=house.doxin)
    assert result["task_id"] == job and result["requires_review"] is False and result["invoice_id"], result
    assert result["structured_data"]["invoice_number"] == "DX-1", result
    assert result["structured_data"]["total_amount"] == "119.00", result
    refused = house.call("process_invoice_image_async", "%%%", "bad", "app-7", app=house.doxin)
    assert refused["success"] is False and refused["task_id"] == "app-7", refused

    events = []

    def collected():
        message = listener.get_message(timeout=0.2)
        if message:
            events.append(json.loads(message["data"]))
        return any(e["data"]["type"] == "error" for e in events)
    wait_for(collected, what="events")
    ours = [e for e in events if e.get("task_id") == job]
    kinds = [e["data"]["type"] for e in ours]
    assert kinds[0] == "stage_start" and kinds[-1] == "complete" and "progress" in kinds, kinds
    bars = [e["data"]["progress"] for e in ours if e["data"]["type"] == "progress"]
    assert bars == sorted(bars) and bars[-1] == 100, bars
    notice = [e for e in events if e["event"] == "user_notification"]
    assert notice and notice[0]["user_id"] == user and notice[0]["data"]["type"] == "job_completed", notice
    assert house.one("SELECT status FROM processing_jobs WHERE id = %s", job) == "completed"
    assert house.one("SELECT uploaded_by_user_id FROM invoices WHERE id = %s", result["invoice_id"]) == user


def fetched(house):
    """Documents that a message names by their address; this machine's other addresses stay out of reach."""
    Outside.documents["/a.xml"] = house.document("URL-1")

    def ask(url):
        return house.call("process_invoice_image_async", url, "a.xml", "url-1", app=house.doxin)
    result = ask(house.outside_url("/a.xml?sig=s3cret"))
    assert result["structured_data"]["invoice_number"] == "URL-1", result
    assert house.one("SELECT count(*) FROM invoices WHERE invoice_number = 'URL-1'") == 1
    assert ask(house.outside_url("/a.xml"))["duplicate_detected"] is True
    for url, why in ((house.outside_url("/a.xml?sig=s3cret", host="localhost"), "public internet"),
                     (house.outside_url("/a.xml?sig=s3cret", host="[::ffff:127.0.0.1]"), "public internet"),
                     (house.outside_url("/moved"), "302"), (house.outside_url("/none"), "404"),
                     (house.outside_url("/large"), "more than 26214400 bytes"),
                     ("http://a:b@127.0.0.1/x", "password"), ("http://", "no http")):
        refused = ask(url)
        assert refused["success"] is False and why in refused["error"] and "s3cret" not in refused["error"], (url, refused)


def ingestion(house):
    """Documents that another front end stored and listed."""
    def job(number):
        path, digest = house.upload(number, total="151.00")  # like no other amount here
        size = os.path.getsize(os.path.join(house.root, path))
        id = str(uuid.uuid4())
        house.one("INSERT INTO ingestion_jobs (id, original_filename, file_size_bytes, file_hash_sha256, mime_type, storage_path)"
                  " VALUES (%s, 'a.xml', %s, %s, 'application/xml', %s)", id, size, digest, path)
        return id
    name = "app.workers.ingestion_tasks."
    first = job("IN-1")
    sent = house.ap.send_task(name + "process_ingestion_task", kwargs={"ingestion_job_id": first, "source": "upload"})
    result = sent.get(timeout=180)
    assert set(result) == {"ingestion_job_id", "status", "processing_duration_ms", "invoice_id", "duplicates_found",
                           "requires_human_review", "processed_at"}, result
    assert (result["status"], result["duplicates_found"]) == ("completed", 0), result
    assert house.one("SELECT invoice_number FROM invoices WHERE id = %s", result["invoice_id"]) == "IN-1"
    again = house.call(name + "process_ingestion_task", first)
    assert (again["invoice_id"], again["status"]) == (result["invoice_id"], "completed"), again
    assert house.call(name + "resolve_duplicates_task", first) == {"ingestion_job_id": first, "duplicates_resolved": 0}
    # A run that was killed between reading and noting it: what it read is no duplicate of itself.
    house.one("UPDATE ingestion_jobs SET status = 'PROCESSING', invoice_id = NULL, completed_at = NULL WHERE id = %s", first)
    again = house.call(name + "process_ingestion_task", first)
    assert (again["invoice_id"], again["status"], again["duplicates_found"]) == (first, "completed", 0), again
    assert house.one("SELECT is_duplicate FROM ingestion_jobs WHERE id = %s", first) is False

    copy = str(uuid.uuid4())  # the same invoice once more, as other bytes
    data = house.document("IN-1", total="151.00") + b"<!-- again -->"
    with open(os.path.join(house.root, "uploads", "copy.xml"), "wb") as f:
        f.write(data)
    house.one("INSERT INTO ingestion_jobs (id, original_filename, file_size_bytes, file_hash_sha256, mime_type, storage_path)"
              " VALUES (%s, 'c.xml', %s, %s, 'application/xml', 'uploads/copy.xml')", copy, len(data), hashlib.sha256(data).hexdigest())
    result = house.call(name + "process_ingestion_task", copy)
    assert (result["status"], result["requires_human_review"]) == ("require_review", True), result
    wait_for(lambda: house.one("SELECT count(*) FROM duplicate_records WHERE invoice_id = %s", result["invoice_id"]), what="the duplicate")
    result = house.call(name + "resolve_duplicates_task", ingestion_job_id=copy, duplicate_group_id=None)
    assert (result["auto_resolved"], result["manual_review_required"]) == (1, 0), result
    assert house.one("SELECT resolved_by || ' ' || resolution_action FROM duplicate_records WHERE invoice_id ="
                     " (SELECT invoice_id FROM ingestion_jobs WHERE id = %s)", copy) == "system_auto AUTO_IGNORE"

    # Nor is one a duplicate whose row somebody inserted before it was read.
    listed, row = job("IN-2"), str(uuid.uuid4())
    house.one("INSERT INTO invoices (id, file_hash, file_url, file_name, file_size, status, workflow_state) SELECT %s,"
              " file_hash_sha256, storage_path, 'a.xml', '1KB', 'RECEIVED', 'uploaded' FROM ingestion_jobs WHERE id = %s", row, listed)
    result = house.call(name + "process_ingestion_task", listed)
    assert (result["invoice_id"], result["status"]) == (row, "completed"), result
    assert house.one("SELECT is_duplicate FROM ingestion_jobs WHERE id = %s", listed) is False

    lost = str(uuid.uuid4())
    house.one("INSERT INTO ingestion_jobs (id, original_filename, file_size_bytes, file_hash_sha256, mime_type, storage_path)"
              " VALUES (%s, 'x', 1, repeat('0', 64), 'application/pdf', 'uploads/none.pdf')", lost)
    failed = house.ap.send_task(name + "process_ingestion_task", [lost])
    failed.get(timeout=180, propagate=False)
    assert type(failed.result).__name__ == "DocumentNotFound", failed.result
    assert house.one("SELECT status || ' ' || error_code FROM ingestion_jobs WHERE id = %s", lost) == "FAILED DocumentNotFound"
    house.one("UPDATE ingestion_jobs SET updated_at = now() - interval '91 days' WHERE id = %s", lost)
    swept = house.call(name + "schedule_periodic_cleanup")
    result = house.ap.AsyncResult(swept["task_id"]).get(timeout=180)
    assert result["deleted_jobs"] == 1, result


def webhooks(house, told, ends):
    """Only what QuickBooks has signed counts, as the text that came or as what a client read of it."""
    name, good = "app.workers.quickbooks_tasks.process_quickbooks_webhook", {"status": "processed", "entities": 2, "known_bills": 1}
    body = json.dumps(told, separators=(",", ":"))

    def signed(text, key=VERIFIER):
        return base64.b64encode(hmac.digest(key.encode(), text.encode(), "sha256")).decode()
    assert house.call(name, told, signed(body)) == good
    assert house.call(name, body, signature=signed(body)) == good
    spaced = json.dumps(told, indent=1)
    assert house.call(name, spaced, signed(spaced)) == good
    house.one("UPDATE quickbooks_exports SET remote_operation = NULL")
    for data, signature in ((told, None), (told, ""), (told, "no base64!"), (told, signed(body, "another")), (told, signed(body)[:-8]),
                            (body.replace("Delete", "Create"), signed(body)), (told, signed(spaced))):
        assert ends("quickbooks_tasks.process_quickbooks_webhook", data, signature) == "WebhookNotSigned", (data, signature)
    assert ends("quickbooks_tasks.process_quickbooks_webhook", "{", signed("{")) == "TypeError"
    assert house.one("SELECT count(*) FROM quickbooks_exports WHERE remote_operation IS NOT NULL") == 0
    reason = "SELECT error_message FROM dead_letter_queue WHERE error_type = 'WebhookNotSigned' AND error_message LIKE '%%quickbooks_verifier_token%%'"
    wait_for(lambda: house.one(reason), what="the reason to be kept")
    assert VERIFIER not in house.stage.log("w%d" % house.starts)


def renewals(house, invoice, ends):
    """Tokens of QuickBooks that two tasks renew at once, and servers that do not renew them."""
    def connection(column="status::text"):
        return house.one("SELECT %s FROM quickbooks_connections WHERE user_id = 'u1'" % column)

    def token_ends(interval):
        house.one("UPDATE quickbooks_connections SET token_expires_at = now() + %s::interval", interval)
    name = "app.workers.quickbooks_tasks."
    token_ends("-1 second")
    Outside.oauth_open.clear()
    asked = Outside.requests.count("/oauth")
    both = [house.ap.send_task(name + "export_invoice_to_quickbooks", kwargs={"invoice_id": invoice, "user_id": "u1"}),
            house.ap.send_task(name + "refresh_quickbooks_tokens")]
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%quickbooks_connections%%'"
    wait_for(lambda: house.one(waiting) or Outside.requests.count("/oauth") == asked + 2, what="two renewals at once")
    Outside.oauth_open.set()
    made, renewed = [one.get(timeout=180) for one in both]
    assert made["status"] == "success" and renewed == {"refreshed": 1, "failed": 0, "total_processed": 1}, (made, renewed)
    assert Outside.requests.count("/oauth") == asked + 1 and connection() == "CONNECTED", Outside.requests
    assert connection("refresh_token") == Outside.refresh[-1]

    token_ends("10 minutes")
    for status, error in ((401, "invalid_client"), (503, "later")):  # nothing that the person must mend
        Outside.oauth_trouble.append((status, {"error": error}))
        assert house.call(name + "refresh_quickbooks_tokens") == {"refreshed": 0, "failed": 1, "total_processed": 1}
        assert connection() == "CONNECTED"
    Outside.oauth_trouble.append((400, {"error": "invalid_grant"}))
    token_ends("-1 second")
    house.one("UPDATE quickbooks_exports SET status = 'processing', bill_id = NULL WHERE invoice_id = %s", invoice)
    assert ends("quickbooks_tasks.export_invoice_to_quickbooks", invoice, "u1") == "QuickBooksNotConnected"
    assert connection("status || ': ' || error_message") == "EXPIRED: the refresh token is not accepted: 400 invalid_grant"


def outside(house):
    """Names for the systems of others, and for service levels and reports."""
    def ready(number):
        path, digest = house.upload(number)
        id = house.call("app.workers.invoice_tasks.process_invoice_task", str(uuid.uuid4()), path, digest)["invoice_id"]
        wait_for(lambda: house.one("SELECT status FROM invoices WHERE id = %s", id) == "VALIDATED", what="validation")
        return id

    def ends(name, *args, **kwargs):
        one = house.ap.send_task("app.workers." + name, args, kwargs)
        one.get(timeout=180, propagate=False)
        return type(one.result).__name__

    invoice = ready("OUT-1")
    Outside.trouble.append(503)  # once
    asked = {"invoice_id": invoice, "erp_system_type": "netsuite", "environment": "production"}
    result = house.call("app.workers.export_tasks.export_to_erp_system", **asked)
    wait_for(lambda: house.one("SELECT status FROM staged_exports WHERE id = %s", result["export_id"]) == "SENT", what="the ERP's answer")
    assert house.call("app.workers.export_tasks.export_to_erp_system", **asked)["status"] == "sent"
    (key, got), = Outside.inbox.items()
    assert key == '"%s"' % result["export_id"] and len(got) == 1, Outside.inbox
    assert (got[0]["tranId"], got[0]["vendorName"], got[0]["expenseList"][0]["amount"]) == ("OUT-1", "Muster GmbH", 100), got
    assert ends("export_tasks.export_to_erp_system", invoice, "abacus") == "InvalidExport"
    assert ends("export_tasks.export_to_erp_system", invoice, "xero") == "InvalidExport"  # no endpoint

    request = str(uuid.uuid4())
    house.one("INSERT INTO approval_requests (id, workflow_id, entity_type, entity_id, title, requested_by, expires_at) VALUES"
              " (%s, 'a0000000-0000-4000-8000-000000000001', 'staged_export', %s, 'Export', 'system', now() + interval '1 day')",
              request, result["export_id"])
    assert ends("export_tasks.process_staged_export_approval", request) == "ApprovalNotGiven"
    house.call("validation.decide_approval", request, "APPROVE", "anna")
    result = house.call("app.workers.export_tasks.process_staged_export_approval", approval_request_id=request)
    with open(os.path.join(house.root, result["file_path"][len("storage://"):])) as f:
        assert json.load(f)["tranId"] == "OUT-1"

    name = "app.workers.quickbooks_tasks."
    order = {"invoice_id": invoice, "user_id": "u1"}
    assert ends("quickbooks_tasks.export_invoice_to_quickbooks", **order) == "QuickBooksNotConnected"
    house.one("INSERT INTO quickbooks_connections (id, user_id, realm_id, status, access_token, refresh_token, token_expires_at)"
              " VALUES (gen_random_uuid(), 'u1', '4711', 'CONNECTED', 'old', 'r3fresh', now() + interval '30 minutes')")
    keys = {"task_id", "invoice_id", "export_id", "bill_id", "status", "dry_run"}
    tried = house.call(name + "export_invoice_to_quickbooks", dry_run=True, **order)
    assert set(tried) == keys and tried["status"] == "validated" and not Outside.bills, tried
    made = house.call(name + "export_invoice_to_quickbooks", **order)  # the token is refused, renewed, and taken
    assert set(made) == keys and (made["status"], made["bill_id"]) == ("success", "B1"), made
    assert house.call(name + "export_invoice_to_quickbooks", **order)["bill_id"] == "B1"
    (bill,) = Outside.bills.values()
    assert (bill["VendorRef"], bill["DocNumber"], [l["Amount"] for l in bill["Line"]]) == ({"value": "5"}, "OUT-1", [100, 19]), bill
    # Killed between their answer and our note: the same request, the same bill.
    house.one("UPDATE quickbooks_exports SET status = 'processing', bill_id = NULL")
    assert house.call(name + "export_invoice_to_quickbooks", **order)["bill_id"] == "B1" and len(Outside.bills) == 1
    result = house.call(name + "batch_export_invoices_to_quickbooks", [invoice, ready("OUT-2"), str(uuid.uuid4())], "u1")
    assert (result["total_invoices"], result["valid_invoices"], result["result"]["success"], result["result"]["failed"]) == (3, 2, 2, 1), result
    told = {"eventNotifications": [{"realmId": "4711", "dataChangeEvent": {"entities": [
        {"name": "Bill", "id": "B1", "operation": "Delete"}, {"name": "Vendor", "id": "5", "operation": "Update"}]}}]}
    webhooks(house, told, ends)
    house.one("UPDATE quickbooks_connections SET token_expires_at = now() + interval '10 minutes'")
    assert house.call(name + "refresh_quickbooks_tokens") == {"refreshed": 1, "failed": 0, "total_processed": 1}
    renewals(house, ready("OUT-3"), ends)
    log = house.stage.log("w%d" % house.starts)
    assert "r3fresh" not in log and "s3cret" not in log

    assert house.call("initialize_default_slos")["total_slos"] == 6
    house.one("UPDATE processing_jobs SET completed_at = completed_at - interval '1 hour'")
    result = house.call("calculate_sli_measurements", period="daily", hours_back=24)
    assert set(result) == {"success", "period", "period_start", "period_end", "measurements_created", "alerts_created", "calculated_at"}, result
    again = house.call("calculate_sli_measurements", "daily", 24)
    assert result["measurements_created"] >= 1, result
    assert again["measurements_created"] == 0 or again["period_end"] != result["period_end"], (result, again)
    house.one("DELETE FROM sli_measurements WHERE period_end <> %s", result["period_end"])  # when an hour ended just now
    good, total, begin, end = house.one("SELECT good, total, period_start, period_end FROM sli_measurements m JOIN slo_definitions s"
                                        " ON s.id = m.slo_id WHERE s.name = 'processing_success_rate'")
    assert (good, total) == house.one("SELECT count(*) FILTER (WHERE status = 'completed'), count(*) FROM processing_jobs"
                                      " WHERE completed_at >= %s AND completed_at < %s", begin, end)
    report = house.call("generate_slo_report", report_type="daily", days=1, send_email=False, recipients=None)
    assert [s["value"] for s in report["slos"] if s["name"] == "processing_success_rate"] == [round(100 * good / total, 2)], report
    result = house.call("cleanup_old_metrics_task", 90, False)
    assert (result["sli_measurements"], result["slo_alerts"]) == (0, 0), result

    week = (datetime.date.today() - datetime.timedelta(days=datetime.date.today().weekday())).isoformat()
    result = house.call("app.workers.report_tasks.generate_weekly_report_task", week_start_iso=week)
    assert (result["status"], result["week_start"]) == ("completed", week), result
    with open(os.path.join(house.root, result["file_path"][len("storage://"):])) as f:
        assert json.load(f)["invoices"]["received"] == house.one("SELECT count(*) FROM invoices WHERE created_at >= %s", week)
    assert house.call("app.workers.report_tasks.generate_weekly_report_task", week)["report_id"] == result["report_id"]
    assert house.call("app.workers.report_tasks.generate_and_send_weekly_report_task")["status"] == "completed"
    assert house.call("app.workers.report_tasks.send_scheduled_reports_task")["deliveries_sent"] == 0
    assert house.call("app.workers.report_tasks.retry_failed_deliveries_task")["deliveries_sent"] == 0
    assert house.call("app.workers.report_tasks.generate_cost_analysis_task")["total_cost"] == "0"
    assert house.call("generate_monday_cfo_digest")["status"] == "completed"
    report = str(uuid.uuid4())
    house.one("INSERT INTO reports (id, report_type) VALUES (%s, 'financial')", report)
    result = house.call("tasks.generate_report", report, app=house.doxin)
    assert set(result) == {"status", "report_id", "file_path"}, result
    with open(os.path.join(house.root, result["file_path"][len("storage://"):])) as f:
        rows = json.load(f)["rows"]
    assert sum(r["invoices"] for r in rows) == house.one("SELECT count(*) FROM invoices WHERE duplicate_of IS NULL"), rows
    house.one("UPDATE reports SET created_at = now() - interval '31 days'")
    assert house.call("tasks.cleanup_old_reports", days=30, app=house.doxin) == {"status": "success", "deleted_count": 1}
    assert not os.path.exists(os.path.join(house.root, result["file_path"][len("storage://"):]))
    assert house.call("app.workers.report_tasks.cleanup_old_reports_task", 90)["deleted_count"] == 0


class Refusing(http.server.BaseHTTPRequestHandler):
    """A token server that knows nobody."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"error": "invalid_grant"}'
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def aliases(house):
    """The other names of the two systems, by keyword, compressed, in the default queue, and what they answer."""
    raw = house.redis.client
    house.ap.send_task("x", queue="nobody")
    message = json.loads(raw.lindex("nobody", 0))
    assert message["headers"]["compression"] == "application/x-gzip"
    assert base64.b64decode(message["body"])[:1] == b"\x78"  # zlib

    def ask(name, keys, **kwargs):
        result = house.ap.send_task("app.workers." + name, kwargs=kwargs).get(timeout=180)
        assert set(result) == set(keys.split()), (name, result)
        return result

    path, digest = house.upload("AP-2")
    ask("invoice_tasks.process_invoice_task", "invoice_id status workflow_state requires_human_review processed_at",
        invoice_id=str(uuid.uuid4()), file_path=path, file_hash=digest, vendor_name="Muster GmbH", max_retries=3)

    ask("maintenance_tasks.cleanup_old_exports", "status cutoff_date deleted_files deleted_records cleaned_at", days_to_keep=7)
    ask("maintenance_tasks.cleanup_failed_tasks", "status cleaned_keys by_table cleaned_at", days_to_keep=3)
    ask("maintenance_tasks.cleanup_temp_files", "status deleted_files cleaned_at", hours_to_keep=24)
    ask("maintenance_tasks.health_check", "status timestamp checks")
    ask("maintenance_tasks.generate_system_report", "generated_at period metrics")
    result = ask("maintenance_tasks.monitor_worker_performance", "timestamp workers queues system")
    assert result["workers"]["total_tasks_processed"] == house.one("SELECT count(*) FROM processing_jobs WHERE status = 'completed'")
    assert result["workers"]["worker_count"] == 1 and result["system"]["uptime"] > 0, result
    result = ask("maintenance_tasks.backup_system_state", "status backup_path files created_at")
    with open(os.path.join(house.root, result["backup_path"][len("storage://"):])) as f:
        assert json.load(f)["jobs"]["completed"] == house.one("SELECT count(*) FROM processing_jobs WHERE status = 'completed'")

    job = str(uuid.uuid4())
    house.one("INSERT INTO export_jobs (id, format, status) VALUES (%s, 'CSV', 'PENDING')", job)
    assert ask("export_tasks.process_export_job", "status job_id", job_id=job)["status"] == "completed"
    result = ask("export_tasks.generate_export_report", "report_type period_start total_jobs completed_jobs failed_jobs"
                 " success_rate total_records megabytes by_format file_path", report_type="weekly")
    assert result["total_jobs"] == house.one("SELECT count(*) FROM export_jobs") and result["by_format"]["CSV"] >= 1, result
    ask("export_tasks.cleanup_old_exports", "status cutoff_date deleted_files deleted_records cleaned_at")
    ask("export_tasks.retry_failed_exports", "retried")
    ask("export_tasks.schedule_recurring_exports", "scheduled")
    assert house.ap.send_task("app.workers.dlq_handlers.auto_redrive").get(timeout=180) is None

    data = {"filename": "a.xml", "content_type": "application/xml", "content_hash": digest, "vendor_name": "Muster GmbH",
            "email_subject": "Invoice", "email_sender": "a@b.example", "email_date": "2026-11-20T10:00:00"}
    result = ask("email_tasks.process_email_attachment", "email_id invoice_id status workflow_status confidence_score"
                 " requires_human_review processed_at", email_id="m1", attachment_data=data)
    assert result["invoice_id"] == house.one("SELECT id FROM invoices WHERE file_hash = %s", digest), result
    ask("email_tasks.cleanup_old_email_data", "status cutoff_date deleted_records cleaned_at", days_to_keep=30)
    ask("email_tasks.health_check_email_services", "status services checked_at")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    credentials = {"token": "t0ken", "refresh_token": "r3fresh", "token_uri": "http://127.0.0.1:%d/token" % server.server_port,
                   "client_id": "", "client_secret": "", "scopes": ["gmail.readonly"], "expiry": "2024-01-01T00:00:00"}
    refused = {}
    for name, kwargs in (("process_email_attachment", {"email_id": "m", "attachment_data": dict(data, content_hash="0" * 64)}),
                         ("monitor_gmail_inbox", {"user_id": "u", "credentials_data": credentials, "days_back": 1, "max_emails": 25,
                                                  "auto_process": True}),
                         ("batch_process_emails", {"email_ids": ["m1"], "user_id": "u", "credentials_data": credentials})):
        one = house.ap.send_task("app.workers.email_tasks." + name, kwargs=kwargs)
        one.get(timeout=180, propagate=False)
        refused[name] = type(one.result).__name__
    assert refused == {"process_email_attachment": "DocumentNotFound", "monitor_gmail_inbox": "EmailLoginRefused",
                       "batch_process_emails": "EmailLoginRefused"}, refused
    assert "r3fresh" not in house.stage.log("w%d" % house.starts)
    result = ask("email_tasks.schedule_email_monitoring", "user_id task_name schedule_minutes status scheduled_at",
                 user_id="u", credentials_data=credentials, schedule_minutes=60)
    assert result["status"] == "scheduled" and raw.llen("email_processing") == 2, result  # the poll, and its next time
    server.shutdown()

    inline = "data:application/xml;base64," + base64.b64encode(house.document("DX-2")).decode()
    hook = {"type": "invoice_uploaded", "blob_url": inline, "filename": "dx2.xml"}
    result = house.call("process_webhook_request_async", hook, "hook-1", app=house.doxin)
    read = house.doxin.AsyncResult(result["celery_task_id"]).get(timeout=180)
    assert read["task_id"] == "hook-1" and read["structured_data"]["invoice_number"] == "DX-2", read
    made = set()
    for _ in range(2):  # the same message once more, after the first has been answered and forgotten
        again = house.doxin.send_task("process_webhook_request_async", [hook, "hook-1"], task_id="delivered-twice")
        made.add(again.get(timeout=180)["celery_task_id"])
        again.forget()
    assert len(made) == 1, made
    sent = house.one("SELECT state, attempts FROM outbox WHERE effect_key = 'webhook:delivered-twice'")
    assert sent == ("sent", 1), sent
    result = house.call("process_webhook_request_async", {"type": "other"}, "hook-2", app=house.doxin)
    assert set(result) == {"task_id", "webhook_type", "webhook_data", "message", "completed_at"}, result
    result = house.call("process_text_analysis_async", "Invoice 7", "summary", "text-1", {}, app=house.doxin)
    assert result["task_id"] == "text-1" and result["success"] is False and "llm" in result["error"], result


def dead_letters(house):
    def letter(task_id):
        return house.one("SELECT error_category, error_type, queue_name, dlq_status FROM dead_letter_queue WHERE task_id = %s", task_id)

    unknown = house.ap.send_task("app.workers.nobody.knows", queue="validation")
    expired = house.ap.send_task("app.workers.invoice_tasks.export_invoice_task", ["x"], expires=-5)
    house.redis.client.lpush("validation", b"\xff\xfe not a message")
    path, digest = house.upload("DL-1", total="150.00")
    result = house.call("app.workers.invoice_tasks.process_invoice_task", str(uuid.uuid4()), path, digest)
    invoice_id = result["invoice_id"]
    wait_for(lambda: house.one("SELECT status FROM invoices WHERE id = %s", invoice_id) == "EXCEPTION", what="verdict")
    failing = house.ap.send_task("app.workers.invoice_tasks.export_invoice_task", [invoice_id])
    wait_for(lambda: letter(failing.id), what="dead letter of the failed task")
    assert letter(failing.id) == ("BUSINESS_RULE_ERROR", "InvoiceNotReady", "export", "PENDING"), letter(failing.id)
    wait_for(lambda: letter(unknown.id), what="dead letter of the unknown task")
    assert letter(unknown.id)[0] == "UNKNOWN_TASK" and letter(unknown.id)[2] == "validation"
    wait_for(lambda: letter(expired.id), what="dead letter of the expired task")
    assert letter(expired.id)[0] == "EXPIRED"
    wait_for(lambda: house.one("SELECT count(*) FROM dead_letter_queue WHERE task_id LIKE 'digest:%%'"), what="undecodable letter")
    assert house.redis.client.zcard("celeriac.dead") >= 2  # the broker keeps what it could not give to a task

    # The cause is mended; the same message is sent again and the same AsyncResult becomes a success.
    house.one("UPDATE invoices SET status = 'READY' WHERE id = %s", invoice_id)
    dead = house.one("SELECT id FROM dead_letter_queue WHERE task_id = %s", failing.id)
    assert house.call("dead_letters.redrive", dead, force=True, app=house.ap)["redriven"] is True
    wait_for(lambda: house.ap.AsyncResult(failing.id).state == "SUCCESS", what="the redriven task")
    assert house.one("SELECT status FROM invoices WHERE id = %s", invoice_id) == "STAGED"


def fill(house, count):
    nasty = ["=1+1", "a,b", 'say "hi"', "two\nlines", "  edge ", "Müller 漢字", "-5", "'quoted'", "tab\there", "x" * 200]
    with house.sql.cursor() as cursor:
        cursor.execute(
            "INSERT INTO invoices (id, vendor_name, invoice_number, invoice_date, currency, subtotal, tax_amount,"
            " total_amount, status, created_at) SELECT md5('row' || n)::uuid, (%s::text[])[n %% 10 + 1], 'X' || n,"
            " date '2024-01-01' + n %% 366, 'EUR', n * 1.5, CASE WHEN n %% 7 = 0 THEN NULL ELSE n * 0.285 END, n * 1.785,"
            " 'VALIDATED', timestamptz '2024-01-01' + n * interval '1 second' FROM generate_series(1, %s) n"
            " ON CONFLICT DO NOTHING", (nasty, count))


FILTER = {"created_to": "2025-01-01T00:00:00Z"}


def expected(house):
    with house.sql.cursor() as cursor:
        cursor.execute("SELECT id, vendor_name, invoice_number, invoice_date, subtotal, tax_amount, total_amount FROM invoices"
                       " WHERE created_at < '2025-01-01' ORDER BY created_at, id")
        return cursor.fetchall()


def content(house, result):
    path = os.path.join(house.root, result["file_path"][len("storage://"):])
    with open(path, "rb") as f:
        data = f.read()
    assert hashlib.sha256(data).hexdigest() == result["file_hash"] and len(data) == result["file_size"]
    return data


def unguarded(text):
    return text[1:] if text[:2] in ("'=", "'+", "'-", "'@", "'\t", "'\r") else text


def exports(house):
    fill(house, 3000)
    rows = expected(house)
    result = house.call("export.export_invoices", export_format="csv", filters=FILTER)
    assert result["total_records"] == len(rows) == 3000, result
    read = list(csv.DictReader(io.StringIO(content(house, result).decode(), newline="")))
    number = lambda text: decimal.Decimal(text) if text else None
    for want, got in zip(rows, read, strict=True):
        assert (want[0], want[1], want[2], want[3].isoformat()) == (
            got["Invoice ID"], unguarded(got["Vendor Name"]), got["Invoice Number"], got["Invoice Date"]), (want, got)
        assert want[4:] == (number(got["Subtotal"]), number(got["Tax"]), number(got["Total"])), (want, got)
        assert not got["Vendor Name"].startswith(("=", "+", "-", "@")), got

    for form in ("json", "jsonl"):
        result = house.call("export.export_invoices", export_format=form, filters=FILTER, template="detailed")
        text = content(house, result).decode()
        load = lambda part: json.loads(part, parse_float=decimal.Decimal, parse_int=decimal.Decimal)
        records = load(text)["records"] if form == "json" else [load(line) for line in text.splitlines()]
        assert [(r["invoice_id"], r["vendor_name"], r["subtotal"], r["tax_amount"], r["total_amount"]) for r in records] == [
            (r[0], r[1], *r[4:]) for r in rows], form

    import openpyxl
    result = house.call("export.export_invoices", export_format="xlsx", filters=FILTER)
    sheet = openpyxl.load_workbook(io.BytesIO(content(house, result)), read_only=True).active
    read = list(sheet.iter_rows(min_row=2, values_only=True))
    assert len(read) == len(rows)
    for want, got in zip(rows, read):
        assert (want[0], want[1], want[2], want[3]) == (got[0], got[1], got[2], got[3].date()), (want, got)
        assert [None if v is None else float(v) for v in want[4:]] == [got[7], got[8], got[9]], (want, got)


LARGE = ("invoices", "invoice_line_items", "invoice_extractions", "validations", "invoice_validations", "audit_log",
         "processing_jobs", "file_storage", "exceptions", "dead_letter_queue")


def scans(house, work, tables):
    """Lines of the plans of what `work` makes the worker ask for that read one of the tables from end to end."""
    house.one("LOAD 'auto_explain'")
    for setting in ("session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0"):
        house.one("ALTER SYSTEM SET " + setting)
    house.one("SELECT pg_reload_conf()")
    house.worker.terminate()
    house.worker.wait()
    house.worker = house.start()
    start = len(house.stage.log("postgres"))
    work()
    for setting in ("session_preload_libraries", "auto_explain.log_min_duration"):
        house.one("ALTER SYSTEM RESET " + setting)
    house.one("SELECT pg_reload_conf()")
    log = house.stage.log("postgres")[start:]
    assert "Index" in log, "auto_explain says nothing"
    return sorted({line.strip() for line in log.splitlines()
                   if "Seq Scan on " in line and line.split("Seq Scan on ")[1].split()[0] in tables})


def plans(house):
    """No statement of the hot paths reads a large table from end to end."""
    fill(house, 20000)
    house.one("INSERT INTO invoice_line_items (id, invoice_id, line_number, description, quantity, unit_price, line_total)"
              " SELECT gen_random_uuid(), id, 1, 'x', 1, subtotal, subtotal FROM invoices WHERE invoice_number LIKE 'X%%'"
              " ON CONFLICT DO NOTHING")
    ids = [row[0] for row in expected(house)[:50]]
    for table in LARGE:
        house.one("ANALYZE " + table)

    def work():
        for one in [house.ap.send_task("validation.validate_invoice", [i], queue="validation") for i in ids]:
            one.get(timeout=180)
        path, digest = house.upload("PLAN-1")
        house.call("app.workers.invoice_tasks.process_invoice_task", str(uuid.uuid4()), path, digest)
        result = house.call("export.export_invoices", filters={"invoice_ids": ids})
        assert result["total_records"] == len(ids)

    found = scans(house, work, ("invoices", "invoice_line_items"))
    assert not found, found[:5]


def killed(house):
    """A worker killed in the middle of an export, again and again: one job, one file, every row once."""
    asked = house.ap.send_task("export.export_invoices", kwargs={"export_format": "jsonl", "filters": FILTER}, queue="export")
    for kill in range(3):
        wait_for(lambda: (house.one("SELECT processed_records FROM export_jobs WHERE id = %s AND status = 'PROCESSING'",
                                    asked.id) or 0) > 0 or asked.state == "SUCCESS", 120, "the export to begin")
        if asked.state == "SUCCESS":
            break
        os.kill(house.worker.pid, signal.SIGKILL)
        house.worker.wait()
        house.one("UPDATE export_jobs SET processed_records = 0 WHERE id = %s AND status = 'PROCESSING'", asked.id)
        house.worker = house.start()
    result = asked.get(timeout=180)
    ids = [json.loads(line)["Invoice ID"] for line in content(house, result).decode().splitlines()]
    assert ids == [row[0] for row in expected(house)]
    assert house.one("SELECT count(*) FROM export_jobs WHERE id = %s AND status = 'COMPLETED'", asked.id) == 1
    folder = os.path.join(house.root, "exports", asked.id)
    assert len(os.listdir(folder)) == 1, os.listdir(folder)
    print("export survived %d kills" % house.one("SELECT retry_count FROM export_jobs WHERE id = %s", asked.id))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--celeriac", required=True)
    options = parser.parse_args()
    with Stage() as place:
        house = House(place, options.celeriac)
        for part in (accounts_payable, doxin, aliases, fetched, ingestion, outside, dead_letters, exports, plans, killed):
            began = time.monotonic()
            part(house)
            print("%s: good (%.1f s)" % (part.__name__, time.monotonic() - began), flush=True)
        house.sql.close()


if __name__ == "__main__":
    main()
