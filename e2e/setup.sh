#!/bin/sh
# setup.sh
#
# Gets a Debian machine ready for demo, tests and benchmarks: a Docker engine that answers, Compose, and the base image. Does only
# what is missing, so it costs well under a second when nothing is. The agents' images are not its business: the
# runner builds those itself. Needs root or sudo when something must be installed or started; never asks on stdin.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
log=${DOCKERD_LOG:-/var/log/ratchetai-dockerd.log}

# die REASON HINT
die() { printf 'setup: %s\n  hint: %s\n' "$1" "$2" >&2; exit 1; }

# now prints milliseconds.
now() { echo $(($(date +%s%N) / 1000000)); }

# step TITLE COMMAND... runs it and prints one line with the seconds it took.
step() {
  title=$1 start=$(now)
  shift
  "$@"
  took=$(($(now) - start))
  printf 'setup: %-28s %d.%d s\n' "$title" $((took / 1000)) $((took % 1000 / 100))
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo -n "$@"
  else
    die "root is needed for: $*" "run as root, or allow sudo without a password"
  fi
}

# forbidden tells whether an engine is there and this user may not use it.
forbidden() { timeout 10 docker version 2>&1 </dev/null | grep -q 'permission denied'; }

answers() { timeout 10 docker version --format '{{.Server.Version}}' </dev/null >/dev/null 2>&1; }

install_engine() {
  grep -qs '^ID=debian\|^ID_LIKE=.*debian' /etc/os-release && command -v apt-get >/dev/null ||
    die "no Docker engine, and this is no Debian with apt-get" "install Docker for this system, then run this again"
  as_root apt-get update -qq </dev/null
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends \
    docker.io docker-compose ca-certificates </dev/null >/dev/null ||
    die "apt-get could not install docker.io" "its own message is above; can this machine reach its Debian mirror?"
}

# has_compose tells whether some Docker Compose is there, for the test of docker-compose.yml.
has_compose() { docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null; }

install_compose() {
  command -v apt-get >/dev/null ||
    die "no Docker Compose, and this is no Debian with apt-get" "install it, then run this again"
  as_root apt-get update -qq </dev/null
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends docker-compose </dev/null >/dev/null ||
    die "apt-get could not install docker-compose" "its own message is above; can this machine reach its Debian mirror?"
}

start_engine() {
  if [ "$(cat /proc/1/comm)" = systemd ]; then
    as_root systemctl start docker </dev/null
  else
    as_root sh -c "setsid nohup dockerd >'$log' 2>&1 </dev/null &"
  fi
  tries=0
  until answers || forbidden; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || die "the engine did not answer within 30 s" "$(why_silent)"
    sleep 0.3
  done
}

# why_silent prints what a person should look at when the engine was started and does not answer.
why_silent() {
  if [ -s "$log" ]; then
    echo "$log ends with: $(tail -n 1 "$log") (in a container, the engine needs --privileged)"
  else
    echo "see 'systemctl status docker' and 'journalctl -u docker'"
  fi
}

if ! answers; then
  if [ -n "${DOCKER_HOST:-}" ]; then
    die "no engine answers at DOCKER_HOST=$DOCKER_HOST" "start it, or unset DOCKER_HOST to use one on this machine"
  fi
  if ! command -v docker >/dev/null || ! { command -v dockerd || [ -S /var/run/docker.sock ]; } >/dev/null; then
    step "engine installed" install_engine
  fi
  answers || forbidden || step "engine started" start_engine
  if forbidden; then
    die "user $(id -un) may not use the engine" "run as root, or: sudo usermod -aG docker $(id -un), then log in again"
  fi
fi
step "engine answers" answers
has_compose || step "compose installed" install_compose
step "base image" sh "$here/../images/base.sh" debian:bookworm-slim
