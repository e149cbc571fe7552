"""report, list bindings, shell-completion, and the live screen in a terminal of the test's own.

    monitoring.py CELERIAC
"""
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

PROGRAM = sys.argv.pop(1)
CLEAN = {k: v for k, v in os.environ.items()
         if not k.startswith(("CELERY", "CELERIAC")) and k not in ("BROKER_URL", "RESULT_BACKEND")}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Terminal:
    """A program on a pseudo terminal of 100 columns and 30 rows."""

    def __init__(self, *line):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(line[0], line, {**CLEAN, "TERM": "xterm"})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.text = ""

    def until(self, pattern, seconds=30):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            left = end - time.monotonic()
            assert left > 0, "not shown: %s\n%s" % (pattern, self.text[-2000:])
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.text += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    raise AssertionError("it has ended: " + self.text[-2000:])

    def type(self, text):
        os.write(self.fd, text.encode())

    def exit_code(self):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.text += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
        raise AssertionError("it does not end")


class Monitoring(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.port = free_port()
        cls.url = "redis://127.0.0.1:%d/0" % cls.port
        cls.server = subprocess.Popen(["redis-server", "--bind", "127.0.0.1", "--port", str(cls.port), "--save", "", "--dir",
                                       cls.folder.name], stdout=subprocess.PIPE, text=True)
        for line in cls.server.stdout:
            if "Ready to accept connections" in line:
                break

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        cls.server.communicate()
        cls.folder.cleanup()

    def run_it(self, *args, code=0):
        done = subprocess.run([PROGRAM, *args], env=CLEAN, cwd=self.folder.name, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def test_report_tells_all_but_secrets(self):
        line = ["-b", "redis://someone:hidden@127.0.0.1:1/0", "--result-backend", "redis://:hidden@127.0.0.1:1/1", "report"]
        report = json.loads(self.run_it(*line, "--json").stdout)
        self.assertEqual(set(report), {"software", "platform", "transport", "tasks", "settings"})
        self.assertIn("broker_url", report["settings"])
        for text in (self.run_it(*line).stdout, json.dumps(report)):
            self.assertNotIn("hidden", text)
        self.assertIn("software ->", self.run_it("report").stdout)

    def test_list_bindings(self):
        self.assertEqual(self.run_it("-b", self.url, "list", "bindings", "-j").stdout, "[]\n")
        for key, member in (("mail", b"\x06\x16\x06\x16mail"), ("topic", b"a.b\x06\x16\x06\x16q2"), ("topic", b"no separator")):
            subprocess.run(["redis-cli", "-p", str(self.port), "-x", "SADD", "_kombu.binding." + key], input=member, check=True,
                           stdout=subprocess.DEVNULL)
        self.assertEqual(json.loads(self.run_it("-b", self.url, "list", "bindings", "-j").stdout),
                         [{"queue": "mail", "exchange": "mail", "routing_key": ""},
                          {"queue": "q2", "exchange": "topic", "routing_key": "a.b"}])
        table = self.run_it("-b", self.url, "list", "bindings").stdout
        self.assertRegex(table, r"Queue +Exchange +Routing Key")
        self.assertRegex(table, r"q2 +topic +a\.b")
        self.assertIn("cannot read", self.run_it("-b", "redis://127.0.0.1:1/0", "list", "bindings", code=69).stderr)
        self.run_it("list", code=2)
        self.run_it("list", "knots", code=2)

    def test_completion(self):
        def complete(*words):
            script = self.run_it("shell-completion", "bash").stdout
            line = "COMP_WORDS=(%s); COMP_CWORD=%d; _celeriac; printf '%%s\\n' \"${COMPREPLY[@]}\"" % (
                " ".join("'%s'" % word for word in words), len(words) - 1)
            return subprocess.run(["bash", "-c", script + line], check=True, capture_output=True, text=True).stdout.split()
        self.assertEqual(complete("celeriac", "be"), ["beat"])
        self.assertEqual(complete("celeriac", "worker", "--autos"), ["--autoscale"])
        self.assertEqual(complete("celeriac", "-b", "x", "control", "pool_g"), ["pool_grow"])
        self.assertEqual(complete("celeriac", "--result-b"), ["--result-backend"])
        self.assertIn("complete -c celeriac", self.run_it("shell-completion", "fish").stdout)
        self.assertTrue(self.run_it("shell-completion", "zsh").stdout.startswith("#compdef celeriac"))
        self.run_it("shell-completion", "csh", code=2)

    def test_top_shows_nodes_until_q(self):
        worker = subprocess.Popen([PROGRAM, "-b", self.url, "worker", "-n", "shown@host", "-P", "solo", "-Q", "shownq", "-E"],
                                  env=CLEAN, cwd=self.folder.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            screen = Terminal(PROGRAM, "-b", self.url, "top")
            screen.until(r"shown@host +online")
            screen.until(r"QUEUE +READY")
            self.assertIn("\x1b[?1049h", screen.text)
            screen.type("q")
            self.assertEqual(screen.exit_code(), 0)
            self.assertIn("\x1b[?1049l", screen.text)
            screen = Terminal(PROGRAM, "-b", self.url, "events")
            screen.until(r"of 1 nodes online")
            os.kill(screen.pid, signal.SIGTERM)
            self.assertEqual(screen.exit_code(), 0)
        finally:
            worker.terminate()
            worker.wait()

    def test_top_is_a_log_where_there_is_no_terminal(self):
        top = subprocess.Popen([PROGRAM, "-b", self.url, "top"], env=CLEAN, stdout=subprocess.PIPE, text=True)
        self.assertEqual(top.stdout.readline(), "-> evdump: starting capture...\n")
        top.terminate()
        self.assertEqual(top.wait(20), 0)
        top.stdout.close()


if __name__ == "__main__":
    unittest.main()
