#!/usr/bin/env bash
# Installs the Debian 12 packages that are missing, and those given. Nothing missing: no network, a few milliseconds.
set -eu
packages="g++ cmake ninja-build pkg-config libdnnl-dev libfmt-dev nlohmann-json3-dev libcli11-dev libtomlplusplus-dev
  libpcre2-dev libssl-dev zlib1g-dev liblzma-dev libzstd-dev libsqlite3-dev libjpeg62-turbo-dev libpng-dev libwebp-dev
  libgtest-dev $*"
installed=" $(dpkg-query -W -f='${binary:Package} ${db:Status-Status}\n' | sed -n 's/^\([^: ]*\)[^ ]* installed$/\1/p' | tr '\n' ' ')"
missing=""
for p in $packages; do
  case "$installed" in *" $p "*) ;; *) missing="$missing $p" ;; esac
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then root=""
elif command -v sudo >/dev/null; then root="sudo"
else
  echo "crate needs the packages$missing: install them as root (apt-get install$missing)" >&2
  exit 1
fi
echo "installing:$missing"
$root apt-get update -qq
$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
