#!/bin/sh
# base.sh [TAG]
#
# Makes sure that the base image TAG (debian:bookworm-slim) is there: present already, or pulled, or, where no registry
# can be reached, made from Debian's own packages by mmdebstrap (installed when missing). Such an image also trusts the
# CA certificates that this machine trusts. Needs a running engine; to make the image, Debian and root or sudo.
set -eu
tag=${1:-debian:bookworm-slim}
case $tag in debian:bookworm*) ;; *) echo "base.sh: makes debian:bookworm images only, not $tag" >&2; exit 2 ;; esac

docker image inspect "$tag" >/dev/null 2>&1 && exit 0
echo "base image $tag: pulling"
timeout "${PULL_TIMEOUT:-20}" docker pull -q "$tag" </dev/null >/dev/null 2>&1 && exit 0

echo "base image $tag: cannot be pulled, making it from Debian packages"
sudo=
[ "$(id -u)" = 0 ] || sudo='sudo -n'
if ! command -v mmdebstrap >/dev/null; then
  command -v apt-get >/dev/null || { echo "base.sh: mmdebstrap is missing and this is no Debian; pull or load $tag by hand" >&2; exit 1; }
  $sudo apt-get update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends mmdebstrap >/dev/null
fi

# In memory when there is room, because dpkg writes many small files and the result is only passed on.
tmp=${TMPDIR:-/tmp}
free_kib=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
if [ "${free_kib:-0}" -gt 1500000 ] && ! grep -q ' /dev/shm .*noexec' /proc/mounts; then
  tmp=/dev/shm
fi
dir=$(mktemp -d "$tmp/base.XXXXXX")
trap '$sudo rm -rf "$dir"' EXIT
chmod 755 "$dir"

# The machine's own package sources, when they are for this release: it can reach those.
sources=$(grep -ls bookworm /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list | head -n 1)
if [ -z "$sources" ]; then
  sources=$dir/sources.list
  cat >"$sources" <<-END
	deb http://deb.debian.org/debian bookworm main
	deb http://deb.debian.org/debian bookworm-updates main
	deb http://deb.debian.org/debian-security bookworm-security main
	END
fi

# Documentation is removed at the end, because mmdebstrap filters archives slowly (31 against 19 CPU seconds); the
# written dpkg settings keep it out of later layers.
# shellcheck disable=SC2016 # $1 is the new root, and belongs to the hooks
$sudo env TMPDIR="$dir" mmdebstrap --quiet --mode=root --variant=minbase --include=ca-certificates \
  --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
  --extract-hook='mkdir -p "$1/usr/local/share/ca-certificates"
    find /usr/local/share/ca-certificates -name "*.crt" -exec cp -L {} "$1/usr/local/share/ca-certificates/" \; 2>/dev/null || true' \
  --customize-hook='cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt" 2>/dev/null || true
    cd "$1/usr/share" && rm -rf man/* locale/* info/* && find doc -type f ! -name copyright -delete
    printf "path-exclude=/usr/share/%s/*\n" man locale info doc >"$1/etc/dpkg/dpkg.cfg.d/slim"
    echo "path-include=/usr/share/doc/*/copyright" >>"$1/etc/dpkg/dpkg.cfg.d/slim"' \
  bookworm "$dir/base.tar" "$sources"
docker import -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' -c 'CMD ["bash"]' \
  "$dir/base.tar" "$tag" >/dev/null
