"""Installs the Debian packages into a clean Debian root and runs them there, under that root's own systemd.

    debian_root.py --packages FOLDER --documents FOLDER [--base FOLDER]

Needs root, debootstrap and a Debian mirror. --base keeps the bare system for the next time. The root has its own
processes, network, mounts and host name; nothing of it is left behind.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SKIP = 77
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8",
               "HOME": "/root"}

parser = argparse.ArgumentParser()
parser.add_argument("--packages", type=pathlib.Path, required=True)
parser.add_argument("--documents", type=pathlib.Path, required=True)
parser.add_argument("--base", type=pathlib.Path)
options = parser.parse_args()


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **more)
    assert done.returncode == 0, "%s\nended with %d:\n%s" % (" ".join(map(str, command)), done.returncode, done.stdout)
    return done.stdout


class Root:
    """A Debian root with a systemd of its own once it was booted."""

    def __init__(self, folder, base):
        self.folder, self.init = folder, None
        if not (base / "etc/debian_version").exists():
            shutil.rmtree(base, ignore_errors=True)
            run("debootstrap", "--variant=minbase", "bookworm", base)
        run("cp", "-a", "--reflink=auto", base, folder)
        (folder / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        (folder / "usr/sbin/policy-rc.d").chmod(0o755)
        shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")

    def prepare(self, *command):
        """Before it is booted: with the network of this machine, to fetch packages."""
        mounts = "mount -t proc proc %s/proc && exec chroot %s \"$@\"" % (self.folder, self.folder)
        return run("unshare", "--mount", "--pid", "--fork", "sh", "-c", mounts, "sh", *command, env=ENVIRONMENT)

    def boot(self):
        script = """
            set -e; root=$1
            mount --make-rprivate /
            mount --bind $root $root
            mount -t proc proc $root/proc
            mount -t tmpfs tmpfs $root/run
            mount -t sysfs -o ro sysfs $root/sys
            mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
            mount --rbind /dev $root/dev
            echo clean-root > $root/etc/hostname
            hostname clean-root
            ip link set lo up
            exec env -i container=root PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot $root /lib/systemd/systemd \
                --unit=multi-user.target
        """
        self.unshare = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child", "sh", "-c", script,
             "sh", str(self.folder)], stdin=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert self.unshare.poll() is None, "systemd did not start"
            children = pathlib.Path("/proc/%d/task/%d/children" % (self.unshare.pid, self.unshare.pid)).read_text().split()
            if children:
                self.init = children[0]
                state = self.ask("systemctl", "is-system-running").stdout.strip()
                if state in ("running", "degraded"):
                    return
            time.sleep(0.2)
        raise AssertionError("systemd is not up")

    def ask(self, *command, user=None):
        enter = ["nsenter", "-t", self.init, "-m", "-p", "-n", "-u", "-i", "chroot", str(self.folder)]
        if user:
            enter += ["runuser", "-u", user, "--"]
        return subprocess.run(enter + [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, env=ENVIRONMENT)

    def do(self, *command, user=None):
        done = self.ask(*command, user=user)
        assert done.returncode == 0, "%s\nended with %d:\n%s" % (" ".join(map(str, command)), done.returncode, done.stdout)
        return done.stdout

    def until(self, what, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "%s\n%s" % (what, self.ask("journalctl", "-n", "60", "--no-pager").stdout)
            time.sleep(0.1)

    def close(self):
        if self.init:
            self.unshare.send_signal(signal.SIGKILL)  # its child goes with it (--kill-child), and so all of the namespace
            self.unshare.wait()


def step(text):
    print("== " + text, flush=True)


def installed(root):
    step("apt installs the packages, without anything they only recommend")
    for package in options.packages.glob("*.deb"):
        if "-dev_" not in package.name:
            shutil.copy(package, root.folder / "srv")
    root.prepare("apt-get", "update", "-qq")
    apt = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
    root.prepare("sh", "-c", " ".join(apt) + " /srv/celeriac_*.deb")
    assert root.prepare("celeriac", "--version").startswith("celeriac ")
    for module in ("http", "jwt", "mime"):
        missing = root.prepare("ldd", "/usr/lib/celeriac/celeriac_%s.so" % module)
        assert "not found" not in missing, missing
    refused = root.prepare("sh", "-c", "celeriac dev --dir /tmp/dev 2>&1 || true")
    assert "apt-get install redis-server" in refused, refused
    root.prepare("sh", "-c", " ".join(apt) + " /srv/celeriac-engines_*.deb tesseract-ocr-eng")
    root.prepare(*apt, "redis-server", "postgresql", "systemd", "dbus", "procps", "man-db", "curl", "python3-minimal", "bash-completion")


def pages_and_completion(root):
    step("manual page and completion")
    assert "celeriac worker" in root.prepare("man", "-P", "cat", "celeriac")
    script = ("source /usr/share/bash-completion/completions/celeriac; COMP_WORDS=(celeriac wor); COMP_CWORD=1; _celeriac;"
              "echo ${COMPREPLY[*]}")
    assert root.prepare("bash", "-c", script).strip() == "worker"


def ownership(root):
    step("settings are for root and the group alone")
    settings = (root.folder / "etc/celeriac/celeriac.toml").stat()
    assert settings.st_mode & 0o777 == 0o640 and settings.st_uid == 0 and settings.st_gid != 0
    assert "0750 celeriac celeriac" in root.prepare("stat", "-c", "%04a %U %G", "/var/lib/celeriac")


def dev_works(root):
    step("celeriac dev reads a PDF and a scan")
    shutil.copytree(options.documents, root.folder / "srv/documents")
    root.do("useradd", "--create-home", "--shell", "/bin/bash", "someone")
    root.do("systemd-run", "--unit=dev", "--uid=someone", "-p", "KillMode=mixed", "--working-directory=/home/someone", "/usr/bin/celeriac", "-C", "dev",
            "-c", "1")
    addresses = root.folder / "home/someone/.celeriac/dev.json"
    root.until("celeriac dev is not up", addresses.exists)
    at = json.loads(addresses.read_text())
    for name, method in (("invoice.pdf", "text"), ("einvoice.pdf", "xml"), ("receipt.png", "ocr")):
        answer = root.do("celeriac", "-b", at["broker_url"], "--result-backend", at["result_backend"], "call",
                         "invoice_processing.process_document", "-a", json.dumps(["/srv/documents/" + name, {}]), "--wait",
                         user="someone")
        result = json.loads(answer)
        assert result["status"] == "completed" and result["method"] == method, result
        print("   %s: %s, %s" % (name, result["method"], result["fields"]["total_amount"]["value"]))
    root.do("systemctl", "stop", "dev")
    assert not addresses.exists(), root.do("journalctl", "-u", "dev", "--no-pager", "-n", "60")


def main_pid(root, unit):
    return root.do("systemctl", "show", "-P", "MainPID", unit).strip()


def units_work(root):
    step("systemd knows the units")
    units = ["celeriac-worker@invoices.service", "celeriac-beat.service", "celeriac-http.service"]
    found = root.do("systemd-analyze", "verify", *units)
    assert "celeriac" not in found, found
    for unit in units:
        print("   " + root.do("systemd-analyze", "security", "--no-pager", unit).strip().splitlines()[-1])

    step("a worker waits for its broker, consumes, and feeds its watchdog")
    root.do("systemctl", "start", "--no-block", units[0])
    root.until("the worker does not try to connect", lambda: "Cannot connect" in root.do(
        "journalctl", "-u", units[0], "--no-pager"))
    assert root.ask("systemctl", "is-active", units[0]).stdout.strip() == "activating"
    # Its own unit asks for namespaces that a nested root cannot give.
    root.do("systemd-run", "--unit=redis-private", "--uid=redis", "/usr/bin/redis-server", "--port", "6379", "--dir", "/tmp")
    root.until("the worker is not active", lambda: root.ask("systemctl", "is-active", units[0]).stdout.strip() == "active")
    nodes = root.do("celeriac", "status")
    assert "invoices@clean-root: OK" in nodes, nodes
    node = main_pid(root, units[0])
    owner = root.do("ps", "-o", "user=", "-p", node).strip()
    assert owner == "celeriac", owner

    step("a worker that hangs is replaced by the watchdog")
    root.do("systemctl", "kill", "--kill-whom=main", "-s", "STOP", units[0])
    root.until("the watchdog did nothing", lambda: main_pid(root, units[0]) not in (node, "0"), 90)
    root.until("the new worker is not active", lambda: root.ask("systemctl", "is-active", units[0]).stdout.strip() == "active")

    step("a task, and a warm stop")
    sent = root.do("celeriac", "--result-backend", "redis://localhost/1", "call", "celery.accumulate", "-a", "[1, 2]", "--wait")
    assert json.loads(sent) == [1, 2], sent
    root.do("systemctl", "stop", units[0])
    assert "Result=success" in root.do("systemctl", "show", "-p", "Result", units[0])

    step("wrong settings are not tried again and again")
    env = root.folder / "etc/celeriac/worker-invoices.env"
    env.write_text('CELERIAC_WORKER_OPTIONS="-Q invoices worker_concurency=3"\n')
    root.ask("systemctl", "start", units[0])
    assert root.ask("systemctl", "is-active", units[0]).stdout.strip() == "failed"
    assert "worker_concurrency" in root.do("journalctl", "-u", units[0], "--no-pager")
    env.unlink()
    root.do("systemctl", "reset-failed", units[0])


def upgrade_and_removal(root):
    step("an upgrade restarts what runs and keeps the operator's settings")
    settings = root.folder / "etc/celeriac/celeriac.toml"
    settings.write_text(settings.read_text() + "worker_concurrency = 1\n")
    root.do("systemctl", "start", "celeriac-worker@invoices")
    before = main_pid(root, "celeriac-worker@invoices")
    root.do("sh", "-c", "dpkg -i --force-confold /srv/celeriac_*.deb")
    root.until("the worker was not restarted", lambda: main_pid(root, "celeriac-worker@invoices") not in (before, "0"))
    assert "worker_concurrency = 1" in settings.read_text()
    assert "640" == root.do("stat", "-c", "%a", "/etc/celeriac/celeriac.toml").strip()

    step("removal stops it; a purge takes the settings along and leaves documents")
    document = root.folder / "var/lib/celeriac/kept"
    document.write_text("")
    root.do("sh", "-c", "dpkg -r celeriac-engines && dpkg -r celeriac")
    assert root.ask("systemctl", "is-active", "celeriac-worker@invoices").stdout.strip() != "active"
    assert settings.exists() and not (root.folder / "usr/bin/celeriac").exists()
    root.do("dpkg", "-P", "celeriac")
    assert not settings.exists() and document.exists()


if not list(options.packages.glob("celeriac_*.deb")):
    print("no packages in %s: scripts/package.sh builds them" % options.packages)
    sys.exit(SKIP)
if os.geteuid() != 0 or not all(map(shutil.which, ("debootstrap", "unshare", "nsenter", "ip"))):
    print("needs root, debootstrap, util-linux and iproute2")
    sys.exit(SKIP)
with tempfile.TemporaryDirectory(prefix="celeriac-root-") as folder:
    os.chmod(folder, 0o755)
    root = Root(pathlib.Path(folder) / "root", options.base or pathlib.Path(folder) / "base")
    try:
        installed(root)
        pages_and_completion(root)
        ownership(root)
        root.boot()
        dev_works(root)
        units_work(root)
        upgrade_and_removal(root)
    finally:
        root.close()
print("ok")
