#!/usr/bin/env bash
# Makes a virtual environment with the Celery that clients use today, what its own tests need, and Flower;
# prints its python. It is brought up to date when the list below has changed.
#   scripts/celery_venv.sh DIR
set -euo pipefail
dir=${1:?usage: celery_venv.sh DIR}
# kombu 5.6 holds redis-py below 7, whose socket timeout would cut a worker's BRPOP short.
wanted="celery==5.6.3 kombu[redis]==5.6.2 sqlalchemy>=2,<2.1 psycopg2-binary PyYAML msgpack brotli zstandard
  pydantic>=2 pytest>=9,<10 pytest-timeout pytest-rerunfailures flower==2.* cryptography python-memcached
  django>=4.2,<5 django-celery-results==2.6.0"
if [ ! -x "$dir/bin/celery" ] || [ "$(cat "$dir/wanted" 2>/dev/null)" != "$wanted" ]; then
  [ -x "$dir/bin/python" ] || /usr/bin/python3 -m venv "$dir" >&2
  "$dir/bin/pip" install -q --disable-pip-version-check $wanted >&2
  echo "$wanted" >"$dir/wanted"
fi
echo "$dir/bin/python"
