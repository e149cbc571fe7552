"""Mails in, exports out: a mailbox of mixed mails ends as the right rows, exceptions and one delivered export. The whole of it
twice changes nothing, and with random processes killed every two seconds the end is the same.

    mail_scenario.py --celeriac CELERIAC [--mails 200] [--dataset FOLDER] [--kills 0|one|workers|any]

--kills workers: first in peace, then with kills of workers and their slots, each in a house of its own; any: of
PostgreSQL's sessions and Dovecot's too; one: of one worker, at the first document, and no run in peace. Mails hold
e-invoices made here, the documents of FOLDER/dev and FOLDER/hostile where there is one, copies, and what is no invoice.
"""
import argparse
import collections
import decimal
import email.message
import email.policy
import http.server
import json
import os
import pathlib
import pwd
import random
import signal
import subprocess
import threading
import time
import uuid

import celery
import psycopg2

from invoices import UBL
from stage import Stage, free_port, wait_for

QUEUES = "invoice_processing,validation,export,email_processing,celery,dlq_processing,dlq_redrive"
EXPORT = str(uuid.UUID(int=0xE1))

parser = argparse.ArgumentParser()
parser.add_argument("--celeriac", required=True)
parser.add_argument("--mails", type=int, default=200)
parser.add_argument("--dataset", type=pathlib.Path)
parser.add_argument("--kills", choices=["0", "one", "workers", "any"], default="workers")
parser.add_argument("--most-kills", type=int, default=30)  # what keeps failing waits minutes before it tries again
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()


def e_invoice(n, wrong=False):
    """An e-invoice that nobody else sends; a wrong one asks for more than its lines, tax and freight are."""
    net = decimal.Decimal(100 + 40 * n)
    tax, total = net * 19 / 100, net * 119 / 100 + (50 if wrong else 0)
    text = UBL % {"number": "RE-%05d" % n, "date": "2026-%02d-%02d" % (n % 9 + 1, n % 28 + 1), "total": "%.2f" % total}
    for old, new in (("100.00", net), ("19.00", tax), ("25.00", net / 4)):
        text = text.replace(">%s<" % old, ">%.2f<" % new)
    return text.replace("Muster GmbH", "Muster %d GmbH" % n).encode(), total


class Corpus:
    """The mails, and what must become of the invoices that were made here: {number: (total, fine)}."""

    def __init__(self):
        rng = random.Random(options.seed)
        own = sorted((pathlib.Path(__file__).parents[2] / "examples/documents").glob("*.p[dn][fg]"))
        documents = own + self.files("dev/zugferd/pdf", 20) + self.files("dev/invoice2data/pdf", 10)
        hostile = [p.read_bytes() for p in self.files("hostile", 30)] + [b"%PDF-1.7\nbroken", b"\x89PNG\r\n\x1a\n", b"<Invoice"]
        self.mails, self.expected, sent = [], {}, []
        first = ["fine"] * 9 + ["wrong"] * 2
        later = first + ["document"] * 4 + ["hostile"] * 2 + ["copy", "again", "letter", "program"]
        for n in range(options.mails):
            kind = rng.choice(first if n < 10 else later)
            if kind in ("fine", "wrong"):
                content, total = e_invoice(n, kind == "wrong")
                self.expected["RE-%05d" % n] = (total, kind == "fine")
                sent.append(content)
                self.add(n, "Invoice", ("invoice-%d.xml" % n, content))
            elif kind == "document":
                path = documents[n % len(documents)]
                self.add(n, "Invoice", (path.name, path.read_bytes()))
            elif kind == "hostile":
                self.add(n, "Invoice", ("invoice-%d.pdf" % n, hostile[n % len(hostile)]))
            elif kind == "copy":
                self.mails.append(rng.choice(self.mails))
            elif kind == "again":
                self.add(n, "Reminder", ("again-%d.xml" % n, rng.choice(sent)))
            elif kind == "letter":
                self.add(n, "Newsletter", ("terms.txt", b"Our terms of business."))
            else:
                self.add(n, "Invoice", ("invoice.pdf", b"MZ" + bytes(2000)))

    @staticmethod
    def files(folder, most):
        if not options.dataset:
            return []
        # What takes the reader to its limits of time ends by the clock: no two runs of that compare.
        return [p for p in sorted((options.dataset / folder).glob("*.*")) if p.suffix in (".pdf", ".png", ".jpg", ".tiff", ".xml")
                and p.stat().st_size < 300_000][:most]

    def add(self, n, subject, attachment):
        mail = email.message.EmailMessage(policy=email.policy.SMTP)
        mail["From"], mail["To"], mail["Subject"] = "Billing <billing@vendor.example>", "ap@example.com", "%s %d" % (subject, n)
        mail["Date"], mail["Message-ID"] = "Sat, 21 Nov 2026 10:00:00 +0000", "<mail-%d@vendor.example>" % n
        mail.set_content("Please find our invoice attached.\n")
        mail.add_attachment(attachment[1], maintype="application", subtype="octet-stream", filename=attachment[0])
        self.mails.append(bytes(mail))


class Dovecot:
    def __init__(self, place, mails):
        self.port, folder = free_port(), pathlib.Path(place.dir, "dovecot")
        user = pwd.getpwnam("mail") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.owner, self.maildir, self.delivered = (user.pw_uid, user.pw_gid), folder / "home/Maildir", 0
        for part in ("new", "cur", "tmp"):
            (self.maildir / part).mkdir(parents=True)
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, *self.owner)
        self.deliver(mails)
        owner = "" if os.geteuid() == 0 else "default_internal_user = %s\ndefault_login_user = %s\n" % (user.pw_name, user.pw_name)
        (folder / "dovecot.conf").write_text("""
base_dir = %(folder)s/run
log_path = %(folder)s/log
protocols = imap
ssl = no
disable_plaintext_auth = no
listen = 127.0.0.1
%(owner)sfirst_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
passdb {\n  driver = static\n  args = password=secret\n}
userdb {\n  driver = static\n  args = uid=%(uid)d gid=%(gid)d home=%(folder)s/home\n}
service imap-login {\n  chroot =\n  inet_listener imap {\n    address = 127.0.0.1\n    port = %(port)d\n  }
  inet_listener imaps {\n    port = 0\n  }\n}
service anvil {\n  chroot =\n}
""" % dict(folder=folder, owner=owner, uid=user.pw_uid, gid=user.pw_gid, port=self.port))
        self.process = place.run("dovecot", ["/usr/sbin/dovecot", "-F", "-c", str(folder / "dovecot.conf")])

    def deliver(self, mails):
        for mail in mails:
            self.delivered += 1
            path = self.maildir / "tmp" / ("1700000000.M%d.test" % self.delivered)
            path.write_bytes(mail)
            os.chown(path, *self.owner)
            path.rename(self.maildir / "new" / path.name)

    def url(self):
        return "imap://ap:secret@127.0.0.1:%d/INBOX" % self.port


class Receiver:
    """The system that gets the export: one body for each key, however often it is asked."""

    def __init__(self):
        received = self.received = {}
        self.requests = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.setdefault(self.headers["Idempotency-Key"], body)
                self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self):
        return "http://127.0.0.1:%d/inbox" % self.server.server_address[1]


def children(pid):
    try:
        return [int(c) for c in pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split()]
    except OSError:
        return []


def command(pid):
    try:
        return pathlib.Path("/proc/%d/cmdline" % pid).read_bytes()
    except OSError:
        return b""


class House:
    """Every server of its own, two workers, and what people would send."""

    def __init__(self, place, corpus):
        self.stage, self.receiver = place, Receiver()
        self.redis = place.redis(persistent=True)
        self.database = "postgresql://" + place.postgres()
        subprocess.run([options.celeriac, "db", "migrate", "--database", self.database], check=True, stdout=subprocess.DEVNULL)
        self.dovecot = Dovecot(place, corpus.mails)
        self.app = celery.Celery(broker=self.redis.url(), backend=self.redis.url())
        self.workers = {}
        for name in ("w1", "w2"):
            self.start(name)

    def start(self, name):
        env = {"CELERY_DATABASE_URL": self.database, "CELERY_STORAGE_ROOT": os.path.join(self.stage.dir, "storage"),
               "CELERY_DEAD_LETTER_QUEUE": "dlq_processing", "CELERY_EMAIL_QUOTA_URL": self.redis.url(2),
               "CELERY_WORKER_PROC_ALIVE_TIMEOUT": "60",  # slots that are full of checks, on a machine full of tests
               "CELERY_EMAIL_ACCOUNTS": json.dumps({"ap": self.dovecot.url()}),
               "CELERY_EXPORT_ENDPOINTS": json.dumps({"erp": self.receiver.url()})}
        self.workers[name] = self.stage.run(name, [
            options.celeriac, "-b", self.redis.url(), "--result-backend", self.redis.url(), "worker", "-Q", QUEUES, "-c", "2",
            "-n", name + "@scenario", "-l", "INFO"], env=dict(os.environ, **env))

    def sql(self, query):
        def answer():
            connection = None
            try:
                connection = psycopg2.connect(self.database)
                with connection.cursor() as cursor:
                    cursor.execute(query)
                    return [cursor.fetchall()]
            except psycopg2.OperationalError:  # killed, too: it recovers
                return None
            finally:
                if connection:
                    connection.close()
        return wait_for(answer, 60, "PostgreSQL")[0]

    def send(self, task, *args, **more):
        return self.app.send_task(task, args, **more)

    def keep_house(self):
        """What beat would send."""
        self.send("email_processing.poll_mailbox", "ap", {"max_emails": 10_000}, queue="email_processing")
        self.send("maintenance.mend", queue="celery")
        self.send("maintenance.relay_outbox", queue="celery")
        self.send("dead_letters.auto_redrive", queue="dlq_redrive")

    def idle(self):
        if self.redis.left(*QUEUES.split(",")):
            return False
        return not self.sql("SELECT FROM emails WHERE status IN ('received', 'processing') UNION ALL"
                            " SELECT FROM processing_jobs WHERE status IN ('pending', 'running') UNION ALL"
                            " SELECT FROM outbox WHERE state = 'waiting' UNION ALL"
                            " SELECT FROM dead_letter_queue WHERE dlq_status = 'PENDING' AND error_type = 'OperationalError' UNION ALL"
                            " SELECT FROM invoices WHERE status = 'PARSED' LIMIT 1")

    def settle(self, killer=None):
        """Until nothing is left to do; the mailbox is asked again and again, as beat would."""
        end, quiet = time.monotonic() + 1500, 0
        while quiet < 3:
            assert time.monotonic() < end, self.sql("SELECT status, count(*) FROM emails GROUP BY 1 UNION ALL"
                                                    " SELECT status::text, count(*) FROM processing_jobs GROUP BY 1")
            self.keep_house()
            wait_for(lambda: not self.redis.left(*QUEUES.split(",")) or (killer and killer.step()), 300, "the queues to be empty", every=0.5)
            emails = self.sql("SELECT count(*) FROM emails")[0][0]
            quiet = quiet + 1 if self.idle() and emails else 0

    def export(self):
        for _ in range(2):  # the message twice
            self.send("export.export_invoices", task_id=EXPORT, queue="export", kwargs={
                "export_format": "jsonl", "template": "detailed", "filters": {"status": ["VALIDATED"]}, "destination": "api_endpoint",
                "destination_config": {"endpoint": "erp"}})

    def state(self):
        """What may not depend on the order of things, nor on what was killed."""
        delivered = [sorted((r["invoice_number"], r["total_amount"]) for r in
                            (json.loads(line, parse_float=str, parse_int=str) for line in body.decode().splitlines()))
                     for body in self.receiver.received.values()]
        return {
            "emails": self.sql("SELECT status, count(*) FROM emails GROUP BY 1 ORDER BY 1"),
            "attachments": self.sql("SELECT content_hash, status, refusal, count(*) FROM email_attachments GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"),
            "jobs": self.sql("SELECT a.content_hash, j.status::text, j.error_code, count(*) FROM processing_jobs j JOIN email_attachments a"
                             " ON a.process_task_id::text = j.task_id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"),
            "invoices": self.sql("SELECT f.file_hash, i.invoice_number, i.total_amount, i.status::text FROM invoices i"
                                 " JOIN file_storage f ON f.id = i.file_storage_id ORDER BY 1"),
            "exceptions": self.sql("SELECT f.file_hash, e.reason_code, e.field, e.line_number, e.status::text FROM exceptions e"
                                   " JOIN invoices i ON i.id = e.invoice_id JOIN file_storage f ON f.id = i.file_storage_id"
                                   " ORDER BY 1, 2, 3, 4, 5"),
            "lines": self.sql("SELECT count(*) FROM invoice_line_items"),
            "exports": self.sql("SELECT id::text, status::text, total_records, delivered_at IS NOT NULL FROM export_jobs"),
            "delivered": delivered}


class Killer:
    """kill -9 of a random process every two seconds, or of one worker; a worker that died is started again."""

    def __init__(self, house):
        self.house, self.random, self.next, self.kills = house, random.Random(options.seed), 0.0, collections.Counter()

    def targets(self):
        for process in self.house.workers.values():
            yield "worker", process.pid
            yield from (("slot", pid) for pid in children(process.pid))
        if options.kills == "any":
            for process in self.house.stage.processes:
                if "dovecot" in process.args[0]:
                    yield from (("mail", pid) for pid in children(process.pid))
                if "-D" in process.args:
                    # Its servers end with every session that is killed; one that recovers it is no session.
                    yield from (("database", pid) for pid in children(process.pid) if b" celeriac " in command(pid))

    def mend(self):
        for name, process in list(self.house.workers.items()):
            if process.poll() is not None:
                self.house.start(name)

    def kill(self, what, pid):
        try:
            os.kill(pid, signal.SIGKILL)
            self.kills[what] += 1
        except ProcessLookupError:
            pass

    def one(self):
        """The worker that has the first document: it holds messages, and reads, or has just read."""
        self.house.keep_house()
        first = wait_for(lambda: self.house.sql("SELECT worker FROM processing_jobs LIMIT 1"), 120, "the first document")
        self.kill("worker", self.house.workers[first[0][0].split("@")[0]].pid)

    def step(self):
        self.mend()
        if options.kills != "one" and self.kills.total() < options.most_kills and time.monotonic() >= self.next:
            self.next = time.monotonic() + 2
            self.kill(*self.random.choice(list(self.targets())))
        return False


def run(corpus, kill):
    with Stage() as place:
        house, began = House(place, corpus), time.monotonic()
        killer = Killer(house) if kill else None
        if options.kills == "one":
            killer.one()
        house.settle(killer)
        house.export()
        wait_for(lambda: (killer and killer.step()) or house.sql("SELECT FROM export_jobs WHERE delivered_at IS NOT NULL"), 300, "the export", every=0.2)
        if killer:
            killer.mend()
            assert killer.kills, "nothing was killed"
            print("  killed:", dict(killer.kills))
        house.settle()
        state = house.state()
        print("  %d mails in %.0f s: %s" % (len(corpus.mails), time.monotonic() - began, {k: len(v) for k, v in state.items()}), flush=True)
        house.dovecot.deliver(corpus.mails)
        house.export()
        house.settle()
        assert len(house.sql("SELECT FROM emails")) == len(set(corpus.mails))
        again = house.state()
        for part in state:
            assert again[part] == state[part], ("the second time", part, again[part], state[part])
        return state


def compare(corpus, state):
    numbers = {number: (total, status) for _, number, total, status in state["invoices"] if number in corpus.expected}
    assert set(numbers) == set(corpus.expected), set(corpus.expected) ^ set(numbers)
    for number, (total, fine) in corpus.expected.items():
        assert numbers[number][0] == total, (number, numbers[number], total)
        assert numbers[number][1] == ("VALIDATED" if fine else "EXCEPTION"), (number, numbers[number], fine)
    (delivered,) = state["delivered"]
    assert [n for n, _ in delivered] == sorted(n for _, n, _, s in state["invoices"] if s == "VALIDATED")
    assert state["exports"] == [(EXPORT, "COMPLETED", len(delivered), True)]
    wrong = [h for h, n, _, _ in state["invoices"] if n in corpus.expected and not corpus.expected[n][1]]
    assert set(wrong) <= {e[0] for e in state["exceptions"] if e[4] == "OPEN"}


def without_twins(state):
    """Of different documents with one number the first that is read is the invoice: whichever that is."""
    number_of = {h: n for h, n, _, _ in state["invoices"]}
    twins = {n for n, count in collections.Counter(number_of.values()).items() if count > 1}
    return dict(state, invoices=[i for i in state["invoices"] if i[1] not in twins], exports=[e[:2] for e in state["exports"]],
                exceptions=[e for e in state["exceptions"] if number_of[e[0]] not in twins],
                delivered=[[r for r in body if r[0] not in twins] for body in state["delivered"]])


def given_up(*states):
    """Documents that a run gave up by the clock, or because whoever read them was killed each time, and another did not."""
    ends = [{(h, code) for h, _, code, _ in state["jobs"]} for state in states]
    return {h for h, code in set.union(*ends) - set.intersection(*ends) if code in ("SoftTimeLimitExceeded", "DocumentCrashesReader")}


def without(state, hashes):
    numbers = {n for h, n, _, _ in state["invoices"] if h in hashes}
    kept = {part: [x for x in state[part] if x[0] not in hashes] for part in ("attachments", "jobs", "invoices", "exceptions")}
    return dict(state, **kept, delivered=[[r for r in body if r[0] not in numbers] for body in state["delivered"]],
                lines=None if hashes else state["lines"])


corpus = Corpus()
if options.kills != "one":
    print("in peace", flush=True)
    peace = run(corpus, kill=False)
    compare(corpus, peace)
if options.kills != "0":
    print("with kills", flush=True)
    war = run(corpus, kill=True)
    compare(corpus, war)
    if options.kills != "one":
        unlike = given_up(peace, war)
        assert len(unlike) <= 2 * options.most_kills // 3, unlike  # a kill ends two readings, three give a document up
        peace, war = (without_twins(without(state, unlike)) for state in (peace, war))
        print("  compared: %d invoices" % len(peace["invoices"]))
        for part in peace:
            assert war[part] == peace[part], (part, [x for x in war[part] if x not in peace[part]], [x for x in peace[part] if x not in war[part]])
print("ok")
