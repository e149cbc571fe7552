#!/usr/bin/env bash
# Runs a command with CELERIAC_VERSITYGW naming an S3 server, which is built into FOLDER the first time (minutes).
#   scripts/s3_server.sh FOLDER COMMAND...          exit status 77: no Go
set -euo pipefail
folder=$(realpath -m "$1")
shift
if [ ! -x "$folder/versitygw" ]; then
  command -v go >/dev/null || { echo "s3_server.sh: needs Go to build versitygw" >&2; exit 77; }
  GOBIN=$folder go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
fi
CELERIAC_VERSITYGW=$folder/versitygw exec "$@"
