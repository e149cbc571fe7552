#!/usr/bin/env bash
# Makes a virtual environment with the Celery that clients use today, and prints its python.
#   scripts/celery_venv.sh DIR
set -euo pipefail
dir=${1:?usage: celery_venv.sh DIR}
if [ ! -x "$dir/bin/celery" ]; then
  /usr/bin/python3 -m venv "$dir" >&2
  "$dir/bin/pip" install -q --disable-pip-version-check 'celery[redis]==5.6.3' 'sqlalchemy>=2,<2.1' psycopg2-binary \
    PyYAML msgpack brotli zstandard >&2
fi
echo "$dir/bin/python"
