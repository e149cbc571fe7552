#!/usr/bin/env bash
# Builds the Debian packages into build/packages.   scripts/package.sh [BUILD_FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
if [ $# -eq 0 ]; then
  cmake --preset release -DCMAKE_MESSAGE_LOG_LEVEL=NOTICE
  cmake --build --preset release
fi
rm -rf build/packages
cpack -G DEB --config "$build/CPackConfig.cmake" -B build/packages >"$build/cpack.log" || { tail -20 "$build/cpack.log" >&2; exit 1; }
rm -rf build/packages/_CPack_Packages
ls -1 build/packages/*.deb
