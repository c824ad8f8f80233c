# The default session image: what agents expect of a development machine, and little more. Any other image can take
# its place. The runner adds the agents (final.Dockerfile), and at run time the user's passwd entry, HOME and proxy.
# The build context holds ca.crt: extra CA certificates in PEM, or an empty file. Written for the classic builder.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
ENV LANG=C.UTF-8
RUN apt-get update -qq && \
    DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends \
      bash ca-certificates curl git jq less openssh-client openssl procps python3 ripgrep >/dev/null && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old
# Appended, not regenerated: the bundle of BASE may hold certificates that stand nowhere else. The copy keeps ours when
# an image derived from this one runs update-ca-certificates.
COPY ca.crt /usr/local/share/ca-certificates/ratchetai.crt
RUN cd /usr/local/share/ca-certificates && cat ratchetai.crt >> /etc/ssl/certs/ca-certificates.crt && \
    { [ -s ratchetai.crt ] || rm ratchetai.crt; }
CMD ["bash"]
