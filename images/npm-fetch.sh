#!/bin/sh
# npm-fetch.sh PACKAGE VERSION INTEGRITY DIR TAR-ARGUMENT...
#
# Downloads one package from the npm registry without npm, checks it and unpacks the wanted part of it into DIR.
# INTEGRITY is npm's form, "sha512-" and base64. When it is empty, the registry's own statement is used.
# Runs while the agents image is built; needs curl, openssl, tar and gzip.
set -eu
package=$1 version=$2 integrity=$3 dir=$4
shift 4
registry=${NPM_REGISTRY:-https://registry.npmjs.org}

die() { echo "npm-fetch: $*" >&2; exit 1; }
get() { curl -fsSL --retry 3 --connect-timeout 15 --speed-limit 1000 --speed-time 30 --max-time 900 "$@"; }

case $version in '' | -*) die "$package: no version given" ;; esac
if [ -z "$integrity" ]; then
  integrity=$(get "$registry/$package/$version" | grep -o '"integrity": *"sha512-[^"]*"' | head -n 1 | cut -d'"' -f4) || true
  [ -n "$integrity" ] || die "$package@$version: the registry $registry states no sha512 integrity; does that version exist?"
  echo "$package@$version: no pinned integrity, using the registry's: $integrity"
fi

tarball=$(mktemp)
trap 'rm -f "$tarball"' EXIT
get -o "$tarball" "$registry/$package/-/${package##*/}-$version.tgz" ||
  die "$package@$version: download from $registry failed; behind a proxy or a private CA?"
actual=sha512-$(openssl dgst -sha512 -binary "$tarball" | base64 -w 0)
[ "$actual" = "$integrity" ] || die "$package@$version: integrity is $actual, expected $integrity"

mkdir -p "$dir"
tar -xzf "$tarball" -C "$dir" --no-same-owner "$@"
echo "$package@$version: verified $integrity"
