"""The committed reference pages are what the executable writes.

    pages.py CELERIAC DOCS
"""
import pathlib
import subprocess
import sys

program, docs = sys.argv[1], pathlib.Path(sys.argv[2])
for page, command in {"settings.md": ["settings", "--markdown"], "cli.md": ["help", "--markdown"]}.items():
    written = subprocess.run([program, *command], check=True, capture_output=True, text=True).stdout
    if written != (docs / page).read_text():
        sys.exit(f"docs/{page} is old: celeriac {' '.join(command)} > docs/{page}")
