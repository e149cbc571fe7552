"""A client that is not Python sends tasks to a native worker and gets its results.

--client node (npm's celery-node), go (gocelery) or rust (rusty-celery). Their packages come from their registries into
--cache. Exit status 77: the
language's tools are not installed, or its registry cannot be reached.
"""
import os
import shutil
import subprocess
import sys

import stage

options = stage.arguments(client="node", cache="build/clients")
# What must be installed, how the packages are fetched and built, how the client is run.
CLIENTS = {
    "node": ("npm", [["npm", "install", "--no-audit", "--no-fund", "--silent"]], ["node", "client.js"]),
    "go": ("go", [["go", "get", "github.com/gocelery/gocelery@v0.0.0-20201111034804-825d89059344",
                   "github.com/gomodule/redigo@v2.0.0+incompatible"], ["go", "build", "-o", "client", "client.go"]],
           ["./client"]),
    "rust": ("cargo", [["cargo", "fetch", "--quiet"], ["cargo", "build", "--release", "--quiet"]], ["target/release/client"]),
}
tool, steps, run = CLIENTS[options.client]
if not shutil.which(tool):
    print("skipped: %s is not installed" % tool)
    sys.exit(stage.SKIP)
folder = os.path.join(os.path.abspath(options.cache), options.client)
shutil.copytree(os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients", options.client), folder,
                dirs_exist_ok=True)
for number, step in enumerate(steps):
    done = subprocess.run(step, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print("%s%s\n%s" % ("skipped: " if number == 0 else "", " ".join(step), done.stdout[-1500:]))
        sys.exit(stage.SKIP if number == 0 else 1)

with stage.Stage() as s:
    server = s.redis()
    s.worker(options.worker, server.url(), server.url(), pool="prefork")
    done = subprocess.run(run + [server.url()], cwd=folder, timeout=120, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, "the client ended with %d" % done.returncode
    print(done.stdout, end="")
