#!/usr/bin/env bash
# Builds with ASan and UBSan and runs every test but those on demand (ctest -L on-demand). CI runs exactly this.
set -euo pipefail
cd "$(dirname "$0")/.."
CELERIAC_CELERY56_PYTHON=$(scripts/celery_venv.sh build/celery56)
export CELERIAC_CELERY56_PYTHON="$PWD/$CELERIAC_CELERY56_PYTHON"
cmake --preset asan -DCMAKE_MESSAGE_LOG_LEVEL=NOTICE
cmake --build --preset asan
ctest --preset asan -j2 -LE on-demand "$@"
