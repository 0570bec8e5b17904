#!/bin/sh
# Installs lock files into /opt/venv while an image is built: install.sh uv | install.sh packages LOCK…
set -eu
cd "$(dirname "$0")"
if [ -f /build-inputs/ca.crt ]; then
    export SSL_CERT_FILE=/build-inputs/ca.crt PIP_CERT=/build-inputs/ca.crt
fi

# Takes out what nothing imports: headers to compile against, a C++ parser, packages' own tests, and symbol tables. Those
# of other libraries stay: what auditwheel has patched does not survive `strip`.
slim() {
    cd /opt/venv/lib/python3*/site-packages
    rm -rf tensorflow/include clang/native/libclang.so
    find . -mindepth 2 -type d -name tests -prune -exec rm -rf {} +
    for library in tensorflow/libtensorflow_*.so.* tensorflow/python/profiler/internal/*.so; do
        if [ -f "$library" ]; then strip --strip-unneeded "$library"; fi
    done
}

case $1 in
uv)
    python3 -m venv /opt/uv
    /opt/uv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r uv.txt
    ;;
packages)
    shift
    /opt/uv/bin/uv venv --quiet --python /usr/bin/python3 /opt/venv
    /opt/uv/bin/uv pip sync --quiet --no-cache --python /opt/venv --require-hashes --compile-bytecode "$@"
    slim
    ;;
esac
