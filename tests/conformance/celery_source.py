"""Celery's own integration tests, unpacked from the sdist that PyPI serves.

The wheel does not carry them and they are not ours to keep: they are downloaded once into a folder of
the build tree.
"""
import fcntl
import os
import shutil
import subprocess

VERSION = "5.6.3"


class NotAvailable(Exception):
    """The sdist is neither here nor to be had."""


def unpack(python, cache):
    """The folder that holds `t/integration`; `python` has pip, `cache` outlives the run."""
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "lock"), "w") as lock:  # several tests may begin at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        return unpack_alone(python, cache)


def unpack_alone(python, cache):
    tree = os.path.join(cache, "celery-" + VERSION)
    if os.path.isdir(os.path.join(tree, "t", "integration")):
        return tree
    archive = os.path.join(cache, "celery-%s.tar.gz" % VERSION)
    if not os.path.exists(archive):
        got = subprocess.run([python, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
                              "--no-binary", ":all:", "-d", cache, "celery==" + VERSION],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if got.returncode:
            raise NotAvailable("pip cannot download the sdist of celery %s:\n%s" % (VERSION, got.stdout[-600:]))
    shutil.unpack_archive(archive, cache)
    return tree
