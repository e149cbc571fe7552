#!/usr/bin/env bash
# Runs a Python script with what the tests of pages and of the API's description need, in a virtual
# environment that is brought up to date when the list below has changed.
#   scripts/with_web.sh DIR SCRIPT ARGUMENTS ...
set -euo pipefail
dir=${1:?usage: with_web.sh DIR SCRIPT ...}
shift
wanted="playwright>=1.40,<2 schemathesis>=4,<5 redis>=5,<7"
if [ "$(cat "$dir/wanted" 2>/dev/null)" != "$wanted" ]; then
  [ -x "$dir/bin/python" ] || /usr/bin/python3 -m venv "$dir" >&2
  "$dir/bin/pip" install -q --disable-pip-version-check $wanted >&2
  echo "$wanted" >"$dir/wanted"
fi
exec "$dir/bin/python" "$@"
