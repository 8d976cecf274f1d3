#!/bin/sh
# Sets kanjiprep up in .venv on Debian or Ubuntu; with "dev", its tests and linters too.
#   sh setup.sh && .venv/bin/kanjiprep build
#   sh setup.sh dev && make test
set -eu
cd "$(dirname "$0")"
torch=2.13.0

usable() { # a Python of 3.11 or newer that can make environments
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for candidate in python3 python3.13 python3.12 python3.11; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

install() {
    echo "setup: installing $*" >&2
    if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

missing=
[ -n "$(find_python)" ] || missing="$missing python3-venv"
/sbin/ldconfig -p | grep -q 'libcairo\.so\.2' || missing="$missing libcairo2"
[ -f /usr/share/edict/kanjidic2.xml.gz ] || missing="$missing kanjidic-xml"
[ "${1:-}" != dev ] || command -v make >/dev/null || missing="$missing make"
[ "${1:-}" != dev ] || [ -x /usr/sbin/sshd ] || missing="$missing openssh-server"
command -v rsync >/dev/null || [ "${1:-}" != dev ] || missing="$missing rsync"
# shellcheck disable=SC2086
[ -z "$missing" ] || install $missing
[ -n "$(find_python)" ] || install python3.12-venv || install python3.11-venv

python=$(find_python)
[ -n "$python" ] || { echo "setup: needs Python 3.11 or newer with venv" >&2; exit 1; }
[ -x .venv/bin/python ] || "$python" -m venv .venv
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
if [ "${1:-}" = dev ] && ! .venv/bin/python -c 'import torch' 2>/dev/null; then
    # For the tests that judge and paint. The build without CUDA is a tenth as large, and PyPI does not have it.
    cpu=https://download.pytorch.org/whl/cpu
    pip install -q --retries 0 --timeout 10 --index-url "$cpu" "torch==$torch" 2>/dev/null ||
        pip install -q "torch==$torch"
fi
if [ "${1:-}" = dev ]; then extras=kanjivg,app,dev; else extras=kanjivg${1:+,$1}; fi
pip install -q -e ".[$extras]"
echo "setup: ready; try .venv/bin/kanjiprep build" >&2
