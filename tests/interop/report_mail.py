"""Reports that are mailed: only to whom the settings name, once, although the server refuses, is away, or the worker is killed."""
import argparse
import contextlib
import email
import email.policy
import json
import os
import signal
import subprocess

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from invoices import House, wait_for
from stage import Stage, free_port

TASKS = "app.workers.report_tasks."
CONFIG = """
smtp_mail_from = "reports@example.com"
report_recipients = { executive = "cfo@example.com", finance = "ap@example.com, cfo@example.com" }
"""


class Postmaster:
    """A server's mails. It answers some addresses as `trouble` says, and calls `taken` before it says that it has taken one."""

    def __init__(self):
        self.mails, self.trouble, self.taken = [], {}, lambda: None

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.trouble:
            return self.trouble[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert envelope.mail_from == mail["From"].addresses[0].addr_spec and envelope.rcpt_tos == [mail["To"].addresses[0].addr_spec]
        self.mails.append(mail)
        self.taken()
        return "250 OK"

    def listen(self, port):
        login = LoginPassword(b"reports", b"s3cret")
        server = Controller(self, hostname="127.0.0.1", port=port, auth_required=True, auth_require_tls=False,
                            authenticator=lambda server, session, envelope, mechanism, data: AuthResult(success=data == login))
        server.start()
        return server


def to(mail):
    return mail["To"].addresses[0].addr_spec


def weekly(house, post):
    sent = dict(task_id="weekly-1")
    for _ in range(2):  # the message twice
        one = house.ap.send_task(TASKS + "generate_and_send_weekly_report_task", **sent)
        result = one.get(timeout=180)
        one.forget()
        assert result["email_sent"] is True and len(result["delivery_ids"]) == 2 and result["message"] == "mailed to 2 of 2", result
    assert sorted(map(to, post.mails)) == ["ap@example.com", "cfo@example.com"], post.mails
    with open(os.path.join(house.root, result["file_path"][len("storage://"):])) as f:
        document = json.load(f)
    for mail in post.mails:
        assert mail["From"] == "reports@example.com" and mail["Subject"] == "Weekly report, " + result["week_start"]
        assert mail["Message-ID"].split("@")[0][1:] in result["delivery_ids"] and mail["Date"].datetime
        (file,) = mail.iter_attachments()
        assert file.get_filename() == "weekly_%s.json" % result["week_start"] and json.loads(file.get_content()) == document
        assert "invoices received: %d" % document["invoices"]["received"] in mail.get_body().get_content()
    post.mails.clear()
    quiet = house.call(TASKS + "generate_and_send_weekly_report_task", send_email=False)
    assert quiet["status"] == "completed" and not post.mails
    assert house.call("generate_monday_cfo_digest")["email_sent"] is True
    assert [to(mail) for mail in post.mails] == ["cfo@example.com"]
    post.mails.clear()


def due(house):
    house.one("UPDATE outbox SET available_at = now() WHERE kind = 'mail' AND state = 'waiting'")


def slo(house, **kwargs):
    return house.call("generate_slo_report", report_type="daily", days=1, send_email=True, **kwargs)


def row(house, id):
    return house.one("SELECT state, last_error FROM outbox WHERE id = %s", id)


def refused(house, post):
    post.trouble["ap@example.com"] = "451 later"
    result = slo(house, recipients=["finance"])
    assert result["email_sent"] is False and result["message"] == "mailed to 1 of 2", result
    state, error = row(house, result["delivery_ids"][0])
    assert state == "waiting" and "451" in error and "s3cret" not in error, (state, error)
    post.trouble.clear()
    due(house)
    assert house.call("maintenance.relay_outbox")["sent"] == 1
    assert [to(mail) for mail in post.mails] == ["cfo@example.com", "ap@example.com"], post.mails
    assert json.loads(next(post.mails[0].iter_attachments()).get_content())["report_type"] == "daily"
    post.mails.clear()

    post.trouble["ap@example.com"] = "550 no such user"
    (id,) = slo(house, recipients=["ap@example.com"])["delivery_ids"]
    state, error = row(house, id)
    assert state == "failed" and "550" in error, (state, error)
    assert house.call(TASKS + "send_scheduled_reports_task")["deliveries_sent"] == 0
    post.trouble.clear()
    assert house.call(TASKS + "retry_failed_deliveries_task")["delivery_ids"] == [id] and len(post.mails) == 1
    post.mails.clear()

    one = house.ap.send_task("generate_slo_report", kwargs={"send_email": True, "recipients": ["someone@elsewhere.example"]})
    one.get(timeout=180, propagate=False)
    assert type(one.result).__name__ == "ReportRecipientUnknown" and not post.mails, one.result


def away(house, post, server, port):
    server.stop()
    (id,) = slo(house, recipients=["executive"])["delivery_ids"]
    state, error = row(house, id)
    assert state == "waiting" and "127.0.0.1:%d" % port in error and "s3cret" not in error, (state, error)
    server = post.listen(port)
    due(house)
    assert house.call(TASKS + "send_scheduled_reports_task")["delivery_ids"] == [id] and row(house, id) == ("sent", None)
    post.mails.clear()
    return server


def killed(house, post):
    """The server has taken the mail, the worker dies before it knows: the mail comes again, and says that it is the same."""
    def kill():
        post.taken = lambda: None
        for pid in (*slots, house.worker.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    with open("/proc/%d/task/%d/children" % (house.worker.pid, house.worker.pid)) as f:
        slots = [int(pid) for pid in f.read().split()]
    post.taken = kill
    one = house.ap.send_task("generate_slo_report", kwargs={"send_email": True, "recipients": ["executive"]})
    wait_for(lambda: house.worker.poll() is not None, what="the kill")
    house.worker = house.start()
    result = one.get(timeout=180)
    due(house)
    assert house.call(TASKS + "send_scheduled_reports_task")["delivery_ids"] == result["delivery_ids"], result
    assert len(post.mails) == 2 and post.mails[0]["Message-ID"] == post.mails[1]["Message-ID"], post.mails


def faults(binary):
    for name, value, why in (("SMTP_URL", "http://127.0.0.1", "smtp_url: not an smtp://"), ("SMTP_MAIL_FROM", "me", "smtp_mail_from"),
                             ("REPORT_RECIPIENTS", '{"all": "a@b.example\\nBcc: x@y.example"}', "report_recipients.all")):
        settings = {"CELERY_SMTP_URL": "smtp://127.0.0.1", "CELERY_SMTP_MAIL_FROM": "a@b.example", "CELERY_" + name: value}
        ended = subprocess.run([binary, "worker"], env=dict(os.environ, **settings), capture_output=True, text=True, timeout=120)
        assert ended.returncode != 0 and why in ended.stdout + ended.stderr, (name, ended)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--celeriac", required=True)
    options = parser.parse_args()
    faults(options.celeriac)
    post, port = Postmaster(), free_port()
    server = post.listen(port)
    with Stage() as place:
        config = os.path.join(place.dir, "reports.toml")
        with open(config, "w") as f:
            f.write(CONFIG)
        house = House(place, options.celeriac, config, CELERY_SMTP_URL="smtp://reports:s3cret@127.0.0.1:%d" % port)
        house.call("initialize_default_slos")
        weekly(house, post)
        refused(house, post)
        server = away(house, post, server, port)
        killed(house, post)
        logs = "".join(house.stage.log("w%d" % n) for n in range(1, house.starts + 1))
        assert "s3cret" not in logs
        house.sql.close()
    server.stop()
    print("ok")


if __name__ == "__main__":
    main()
