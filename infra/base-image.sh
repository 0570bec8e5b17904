#!/bin/sh
# Makes the images' base of Debian's own packages, under the name the Dockerfile expects: for a machine that reaches
# Debian's mirror but no image registry. Takes root, debootstrap and docker: infra/base-image.sh [NAME [RELEASE]]
set -eu
name=${1:-debian:trixie-slim}
release=${2:-trixie}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
debootstrap --variant=minbase "$release" "$folder/root" "${MIRROR:-http://deb.debian.org/debian}" >&2
rm -rf "$folder/root/var/cache/apt/archives" "$folder/root/var/lib/apt/lists" "$folder/root/usr/share/doc"
mkdir -p "$folder/root/var/cache/apt/archives/partial" "$folder/root/var/lib/apt/lists/partial"
tar --create --numeric-owner --directory "$folder/root" . | docker import --change 'CMD ["bash"]' - "$name"
