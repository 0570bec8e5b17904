#!/bin/sh
# Installs lock files into /opt/venv while an image is built: install.sh uv | install.sh packages LOCK…
set -eu
cd "$(dirname "$0")"
if [ -f /build-inputs/ca.crt ]; then
    export SSL_CERT_FILE=/build-inputs/ca.crt PIP_CERT=/build-inputs/ca.crt
fi
case $1 in
uv)
    python3 -m venv /opt/uv
    /opt/uv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r uv.txt
    ;;
packages)
    shift
    /opt/uv/bin/uv venv --quiet --python /usr/bin/python3 /opt/venv
    /opt/uv/bin/uv pip sync --quiet --no-cache --python /opt/venv --require-hashes --compile-bytecode "$@"
    ;;
esac
