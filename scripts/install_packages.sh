#!/usr/bin/env bash
# Installs the Debian packages that a purpose needs, and nothing when they are there.
#   scripts/install_packages.sh build|run|test ...
set -euo pipefail

build="cmake ninja-build ccache mold g++ dpkg-dev file pkg-config make
  libhiredis-dev nlohmann-json3-dev libpq-dev libpoppler-cpp-dev libleptonica-dev libtesseract-dev
  libcurl4-openssl-dev libspdlog-dev libcli11-dev libboost1.81-dev libssl-dev libtomlplusplus-dev
  libexpected-dev zlib1g-dev libbz2-dev libzstd-dev libbrotli-dev liblzma-dev libpugixml-dev libqpdf-dev
  libyaml-cpp-dev libmagic-dev libsqlite3-dev libmemcached-dev libxlsxwriter-dev libhowardhinnant-date-dev
  libnova-dev tzdata libvalijson-dev libgmime-3.0-dev librabbitmq-dev prometheus-cpp-dev libjwt-dev"
run="tzdata redis-server rabbitmq-server postgresql tesseract-ocr tesseract-ocr-eng tesseract-ocr-deu
  python3 python3-celery python3-redis python3-msgpack python3-yaml python3-psycopg2 python3-sqlalchemy"
test="doctest-dev clamav-daemon prometheus chromium dovecot-imapd memcached python3-memcache python3-cryptography python3-openpyxl python3-venv openssl
  python3-websockets python3-aiosmtpd strace wrk poppler-utils clang clang-format libclang-rt-14-dev"

wanted=()
for purpose in "$@"; do
  case "$purpose" in
    build) wanted+=($build) ;;
    run) wanted+=($run) ;;
    test) wanted+=($test) ;;
    *) echo "install_packages.sh: unknown purpose '$purpose' (build, run, test)" >&2; exit 2 ;;
  esac
done

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null || true)
  [ "${status:0:2}" = ii ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "Need root to install: ${missing[*]}" >&2; exit 1; }
  as_root=sudo
fi
echo "Installing ${#missing[@]} packages: ${missing[*]}"
# A package's own service must not start: every server of ours is started privately.
policy=/usr/sbin/policy-rc.d
placed=""
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
  $as_root chmod 755 "$policy"
  placed=yes
fi
finish() { [ -z "$placed" ] || $as_root rm -f "$policy"; }
trap finish EXIT
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
  >"${TMPDIR:-/tmp}/celeriac-apt.log" 2>&1 || { tail -20 "${TMPDIR:-/tmp}/celeriac-apt.log" >&2; exit 1; }
