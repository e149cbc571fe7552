#!/usr/bin/env bash
# A Python Celery client sends three invoices through the native worker.
#   scripts/demo/demo.sh path/to/celeriac      KEEP=1: leave everything running afterwards
set -euo pipefail

binary=$(realpath "${1:?usage: scripts/demo/demo.sh path/to/celeriac}")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
folder=.celeriac
log=$folder/demo.log
mkdir -p "$folder"

# A digital PDF, an e-invoice with XML inside, a scanned receipt: from the data set next door
# when it is there, else our own samples.
data=../shared/dataset/dev
if [ -d "$data" ]; then
  documents=("$data/invoice2data/pdf/SammyMaystoneLinesTest.pdf"
    "$data/zugferd/pdf/XML-Rechnung__FX__EN16931_Einfach.pdf" "$data/sroie/img/328.jpg")
else
  documents=(examples/documents/*.pdf examples/documents/*.jpg examples/documents/*.png)
fi
found=()
for document in "${documents[@]}"; do
  [ -f "$document" ] && [ ${#found[@]} -lt 3 ] && found+=("$(realpath "$document")")
done
[ ${#found[@]} -gt 0 ] || { echo "demo: no documents in examples/documents" >&2; exit 1; }

dev=""
stop() {
  [ -n "$dev" ] || return 0
  kill -TERM "$dev" 2>/dev/null || true
  wait "$dev" 2>/dev/null || true
  dev=""
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

running() {
  local pid
  pid=$(/usr/bin/python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["pid"])' "$folder/dev.json" 2>/dev/null) &&
    kill -0 "$pid" 2>/dev/null
}

if running; then
  echo "celeriac dev is running here already: using it."
else
  echo "Starting a private Redis, PostgreSQL and worker (log: $log)"
  rm -f "$folder/dev.json"
  "$binary" dev >"$log" 2>&1 &
  dev=$!
  until [ -f "$folder/dev.json" ]; do
    if ! kill -0 "$dev" 2>/dev/null; then
      dev=""
      echo "demo: celeriac dev ended:" >&2
      tail -20 "$log" >&2
      exit 1
    fi
    sleep 0.1
  done
fi

failed=0
/usr/bin/python3 scripts/demo/demo_client.py "$folder/dev.json" "${found[@]}" || failed=$?
if [ "$failed" -ne 0 ]; then
  echo "demo: the client failed; the end of $log:" >&2
  tail -20 "$log" >&2
fi

if [ -n "$dev" ] && [ "${KEEP:-}" = 1 ]; then
  echo "Running on (KEEP=1); Ctrl-C ends it."
  wait "$dev" || true
fi
exit "$failed"
