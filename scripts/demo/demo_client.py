"""Sends documents with an ordinary Celery client and shows what the native worker made of them.

    python3 demo_client.py .celeriac/dev.json document...
"""

import json
import os
import sys
import time

import celery
import psycopg2

PROCESS = "invoice_processing.process_document"
TIMEOUT = 120  # seconds for everything


class Display:
    """One line per document: redrawn on a terminal, one line per change elsewhere."""

    def __init__(self, names):
        self.names = names
        self.lines = [""] * len(names)
        self.live = sys.stdout.isatty()
        if self.live:
            print("\n" * len(names), end="")

    def show(self, index, text):
        if self.lines[index] == text:
            return
        self.lines[index] = text
        line = "  %-44s %s" % (shorten(self.names[index], 44), text)
        if not self.live:
            print(line, flush=True)
            return
        up = len(self.names) - index
        print("\x1b[%dA\r\x1b[2K%s\x1b[%dB\r" % (up, line, up), end="", flush=True)


def shorten(text, width):
    text = str(text)
    return text if len(text) <= width else text[: width - 3] + "..."


def describe(meta):
    state, value = meta["status"], meta["result"]
    if state == "PROGRESS" and isinstance(value, dict):
        filled = int(20 * value.get("current", 0) / (value.get("total") or 100))
        return "[%s%s] %s" % ("#" * filled, "." * (20 - filled), value.get("stage", ""))
    if state == "SUCCESS":
        return "known already" if value.get("duplicate") else "stored"
    if state == "FAILURE":
        return "failed: %r" % value
    return {"PENDING": "sent", "STARTED": "started", "RETRY": "waiting for another try"}.get(state, state)


def wait_for(app, results, display):
    """Looks at each result's document until all are final; returns those documents."""
    deadline = time.monotonic() + TIMEOUT
    metas = {}
    while len(metas) < len(results):
        for index, result in enumerate(results):
            if index in metas:
                continue
            meta = app.backend.get_task_meta(result.id)
            display.show(index, describe(meta))
            if meta["status"] in ("SUCCESS", "FAILURE", "REVOKED"):
                metas[index] = meta
        if time.monotonic() > deadline:
            raise SystemExit("demo: no answer within %d s" % TIMEOUT)
        time.sleep(0.05)
    return [metas[index] for index in range(len(results))]


def table(titles, rows, right=()):
    cells = [titles] + [["" if value is None else str(value) for value in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles))]
    for number, row in enumerate(cells):
        parts = [
            text.rjust(width) if column in right and number else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths))
        ]
        print("  " + "  ".join(parts).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))


def show_fields(name, document):
    print("\n%s  (%s, read from: %s, confidence %.2f)" % (name, document["document_type"], document["method"],
                                                            document["confidence"]))
    fields = document["fields"]
    rows = [
        (key, shorten(field["value"].replace("\n", ", "), 60), "%.2f" % field["confidence"])
        for key, field in fields.items()
    ]
    table(["field", "value", "confidence"], rows, right=(2,))
    lines = document["line_items"]
    if lines:
        print("  and %d line item%s" % (len(lines), "" if len(lines) == 1 else "s"))


def show_rows(database_url, invoice_ids):
    with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT i.invoice_number, i.invoice_date, left(i.vendor_name, 28), i.total_amount, i.currency,
                   i.confidence_score, i.status,
                   (SELECT count(*) FROM invoice_line_items l WHERE l.invoice_id = i.id),
                   (SELECT string_agg(DISTINCT v.rule_code, ' ')
                      FROM invoice_validations v WHERE v.invoice_id = i.id AND NOT v.passed)
              FROM invoices i WHERE i.id = ANY(%s::uuid[]) ORDER BY i.created_at""",
            (invoice_ids,),
        )
        print("\nIn PostgreSQL (table invoices, joined with its lines and validations)")
        table(
            ["number", "date", "seller", "total", "cur", "conf", "status", "lines", "failed rules"],
            cursor.fetchall(),
            right=(3, 5, 7),
        )


def main():
    with open(sys.argv[1]) as file:
        dev = json.load(file)
    paths = sys.argv[2:]
    app = celery.Celery(broker=dev["broker_url"], backend=dev["result_backend"])
    print("Sending %d documents with Celery %s to %s" % (len(paths), celery.__version__, dev["broker_url"]))
    began = time.monotonic()
    names = [os.path.basename(path) for path in paths]
    results = [
        app.send_task(PROCESS, args=[path, {"file_name": name}], queue="invoice_processing")
        for path, name in zip(paths, names)
    ]
    metas = wait_for(app, results, Display(names))

    stored = [(name, meta["result"]) for name, meta in zip(names, metas) if meta["status"] == "SUCCESS"]
    for _, document in stored:
        app.AsyncResult(document["validation_task_id"]).get(timeout=TIMEOUT, propagate=False)
    took = time.monotonic() - began
    for name, document in stored:
        show_fields(name, document)
    show_rows(dev["database_url"], [document["invoice_id"] for _, document in stored])

    print("\n%d of %d documents in %.1f s. To go on:" % (len(stored), len(paths), took))
    print("  KEEP=1 make demo                     leaves Redis, PostgreSQL and the worker running")
    print("  celeriac dev                         the same without the demo; .celeriac/dev.json has the URLs")
    print("  celeriac extract invoice.pdf --json  reads one document without a broker")
    print("  docs/invoices.md                     the tasks and tables;  docs/tasks-in-cpp.md  your own tasks")
    return 0 if len(stored) == len(paths) else 1


if __name__ == "__main__":
    sys.exit(main())
