"""How fast invoices are validated and exported, with how much memory, and by which query plans.

    invoices.py --celeriac build/release/celeriac [--invoices 20000]

A private Redis and PostgreSQL with its defaults (each commit durable), a worker with two slots. Ends with 1 when a statement
of these paths reads a large table from end to end.
"""
import argparse
import os
import pathlib
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
from invoices import House, fill, scans  # noqa: E402
from stage import Stage, wait_for  # noqa: E402

LARGE = ("invoices", "invoice_line_items", "validations", "invoice_validations", "exceptions", "audit_log")


def peaks(pid):
    """Peak resident memory: the worker's, and its largest slot's."""
    def peak(process):
        return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/%d/status" % process).read_text())[1]) / 1024
    slots = pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split()
    return "worker %.0f MiB, slot %.0f MiB" % (peak(pid), max(peak(int(slot)) for slot in slots))


def invoices(house, count):
    fill(house, count)
    house.one("INSERT INTO invoice_line_items (id, invoice_id, line_number, description, quantity, unit_price, line_total)"
              " SELECT gen_random_uuid(), id, n, 'Bolts', 1, round(subtotal / 2, 2), round(subtotal / 2, 2) FROM invoices, generate_series(1, 2) n")
    house.one("ANALYZE")
    with house.sql.cursor() as cursor:
        cursor.execute("SELECT id::text FROM invoices ORDER BY created_at, id")
        return [row[0] for row in cursor.fetchall()]


def validate(house, ids):
    began = time.monotonic()
    for i in ids:
        house.ap.send_task("validation.validate_invoice", [i], queue="validation", ignore_result=True)
    sent = time.monotonic() - began
    wait_for(lambda: house.one("SELECT count(*) FROM validations") >= len(ids), 3600, "the last verdict", every=0.5)
    took = time.monotonic() - began
    print("validated %7d in %6.1f s, %6.0f/s   %s   (sent in %.1f s)" % (
        len(ids), took, len(ids) / took, peaks(house.worker.pid), sent), flush=True)


def export(house, kind):
    began = time.monotonic()
    result = house.call("export.export_invoices", kind)
    took = time.monotonic() - began
    print("%-9s %7d in %6.1f s, %6.0f/s   %s   %.1f MiB" % (
        kind, result["total_records"], took, result["total_records"] / took, peaks(house.worker.pid),
        result["file_size"] / 2**20), flush=True)


def read_whole(house, ids):
    """The plans of what one invoice needs, and an export of some, that read a large table from end to end."""
    house.one("ANALYZE")
    house.one("UPDATE invoices SET subtotal = subtotal + 1 WHERE id = ANY(%s::uuid[])", ids)  # judged anew, and failing

    def work():
        for i in ids:
            house.call("validation.validate_invoice", i)
        house.call("export.export_invoices", filters={"invoice_ids": ids})

    return scans(house, work, LARGE)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--celeriac", required=True)
    parser.add_argument("--invoices", type=int, default=20000)
    options = parser.parse_args()
    with Stage() as place:
        house = House(place, options.celeriac)
        ids = invoices(house, options.invoices)
        validate(house, ids)
        for kind in ("csv", "jsonl", "xlsx"):
            export(house, kind)
        found = read_whole(house, ids[-20:])
        house.sql.close()
    print("\n".join(["read from end to end:", *found]) if found else "no large table is read from end to end")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
