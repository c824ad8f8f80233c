# An image of the user's choice with a copy of one agent in it. The runner adds PID 1 (final.Dockerfile) and, for
# Claude, a line that runs it: an image whose libc is too old for it shows here, not in a session. Nothing is installed, so that
# any image will do. The build context holds nothing else.
#
# Build arguments: BASE, the image; AGENTS, the agents image; AGENT, claude or codex. Written for the classic builder.
ARG AGENTS
ARG BASE
FROM ${AGENTS} AS agents

FROM ${BASE}
ARG AGENT
USER 0:0
COPY --from=agents /opt/ratchetai/bin /opt/ratchetai/bin
COPY --from=agents /opt/ratchetai/${AGENT} /opt/ratchetai/${AGENT}
