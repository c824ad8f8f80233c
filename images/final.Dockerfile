# What sandboxes start from: an image with the agents, and sandbox-init, which is PID 1 there. That comes last, so that another
# one replaces one small layer. The build context holds it: static, executable, for Linux.
#
# Build argument: BASE, the agents image. Written for the classic builder.
ARG BASE
FROM ${BASE}
ENV PATH=/opt/ratchetai/bin:$PATH
# A check meant for the image's own service would run beside the agent.
HEALTHCHECK NONE
# What sessions have mounted. Without these the engine would make them for each.
WORKDIR /run/ratchetai
WORKDIR /run/login
WORKDIR /home/agent
WORKDIR /workspace
COPY sandbox-init /opt/ratchetai/sandbox-init
