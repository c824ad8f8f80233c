# The agents image: BASE and both vendors' native binaries under /opt/ratchetai. It is built on the user's machine,
# because the binaries may not be redistributed. Written for the classic builder.
#
# Build arguments, given by the runner from versions.go:
#   BASE               the session image, or any Debian
#   TARGETARCH         amd64 or arm64; empty means the architecture of BASE
#   LIBC               of the images that Claude is for: empty for glibc, "-musl" for musl, such as Alpine's
#   CLAUDE_VERSION     CODEX_VERSION     exact npm versions; empty leaves the agent out
#   CLAUDE_INTEGRITY   CODEX_INTEGRITY   npm integrity (sha512-...) of that version and architecture; empty means
#                      "as the registry states it", which protects the transfer but trusts the registry
#   NPM_REGISTRY       another registry or a mirror
# The build context holds npm-fetch.sh and ca.crt: extra CA certificates in PEM, or an empty file.
ARG BASE=debian:bookworm-slim

FROM ${BASE}
RUN command -v curl >/dev/null && command -v openssl >/dev/null || { \
      apt-get update -qq && \
      DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends ca-certificates curl openssl >/dev/null && \
      rm -rf /var/lib/apt/lists/* /var/cache/apt/*; }
COPY ca.crt npm-fetch.sh /fetch/
ARG NPM_REGISTRY=https://registry.npmjs.org
ARG TARGETARCH
ARG LIBC
ARG CLAUDE_VERSION
ARG CLAUDE_INTEGRITY
ARG CODEX_VERSION
ARG CODEX_INTEGRITY
# Both at once: unpacking is the slow part. Claude is never stripped: it is a bundle appended to an ELF file. Codex keeps
# the vendor's layout, because it finds its helpers from its own path, and codex-code-mode-host, because current models
# send every tool call through it; only the voice runtime is left out.
RUN cat /fetch/ca.crt >> /etc/ssl/certs/ca-certificates.crt; \
    arch=${TARGETARCH:-$(dpkg --print-architecture)}; \
    case $arch in amd64) cpu=x64 ;; arm64) cpu=arm64 ;; *) echo "the vendors have no binaries for $arch" >&2; exit 1 ;; esac; \
    { [ -z "$CLAUDE_VERSION" ] || sh /fetch/npm-fetch.sh "@anthropic-ai/claude-code-linux-$cpu$LIBC" "$CLAUDE_VERSION" "$CLAUDE_INTEGRITY" \
      /opt/ratchetai/claude --strip-components=1 package/claude package/LICENSE.md; } & claude=$!; \
    { [ -z "$CODEX_VERSION" ] || sh /fetch/npm-fetch.sh "@openai/codex" "$CODEX_VERSION-linux-$cpu" "$CODEX_INTEGRITY" \
      /opt/ratchetai/codex --strip-components=3 --exclude='*/codex-resources/voice' package/vendor; }; codex=$?; \
    wait $claude && [ $codex = 0 ] && \
    mkdir /opt/ratchetai/bin && ln -s ../claude/claude ../codex/bin/codex /opt/ratchetai/bin/
