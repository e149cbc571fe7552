#!/usr/bin/env bash
# Builds with ASan and UBSan and runs every test but those on demand (ctest -L on-demand); then those whose programs have threads,
# built with TSan. CI runs exactly this.
set -euo pipefail
cd "$(dirname "$0")/.."
CELERIAC_CELERY56_PYTHON=$(scripts/celery_venv.sh build/celery56)
export CELERIAC_CELERY56_PYTHON="$PWD/$CELERIAC_CELERY56_PYTHON"
cmake --preset asan -DCMAKE_MESSAGE_LOG_LEVEL=NOTICE
cmake --build --preset asan
ctest --preset asan -j2 -LE on-demand "$@"
cmake --preset tsan -DCMAKE_MESSAGE_LOG_LEVEL=NOTICE
cmake --build --preset tsan --target threaded
ctest --preset tsan -j2 -LE on-demand "$@"
