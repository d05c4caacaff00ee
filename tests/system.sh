#!/bin/sh
# What the tests need beside Python, from Debian's packages: a browser. Nothing is done where it is there already.
set -eu
missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed and not installable here (needs root on Debian):$missing" >&2
    [ -n "${CI:-}" ] && exit 1
    echo "the tests that need it will be skipped" >&2
    exit 0
fi
echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
