#!/usr/bin/env bash
# Runs every fuzz target for some seconds; a crash leaves its input in build/fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
cmake --preset fuzz -DCMAKE_MESSAGE_LOG_LEVEL=NOTICE
cmake --build --preset fuzz --target fuzzers
for target in build/fuzz/tests/fuzz/fuzz_*; do
  [ -x "$target" ] || continue
  name=$(basename "$target"); name=${name#fuzz_}
  corpus="build/fuzz/corpus/$name"
  mkdir -p "$corpus"
  seeds=()
  [ -d "tests/fuzz/corpus/$name" ] && seeds=("tests/fuzz/corpus/$name")
  echo "fuzz $name for $seconds s"
  "$target" -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=20 -artifact_prefix="build/fuzz/$name-" -print_final_stats=0 \
    "$corpus" "${seeds[@]}" 2>&1 | tail -2
done
