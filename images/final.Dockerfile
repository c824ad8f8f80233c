# What sandboxes start from: an image with the agents, and the runner's own binary, which is PID 1 there
# ("ratchetai-runner sandbox-init"). The binary comes last, so that a new build of it replaces one small layer. The build
# context holds it: ratchetai-runner, static, executable, for Linux.
#
# Build argument: BASE, the agents image. Written for the classic builder.
ARG BASE
FROM ${BASE}
ENV PATH=/opt/ratchetai/bin:$PATH
# A check meant for the image's own service would run beside the agent.
HEALTHCHECK NONE
COPY ratchetai-runner /opt/ratchetai/ratchetai-runner
