# The runner, the control plane and the engine's proxy: one static program and the CA certificates, nothing else. With
# docker-compose.yml it runs sandboxes beside itself; docs/OPERATIONS.md explains both.
#
#   docker build -t ratchetai-runner-box .
#
# GO is an image with the Go of go.mod, a shell and CA certificates. With a program named "prebuilt" in the context
# nothing is compiled, so that GO needs no Go.
ARG GO=golang:1.26-bookworm

FROM ${GO} AS build
WORKDIR /src
COPY . .
ARG VERSION=dev
RUN install -d /out/usr/local/bin /out/etc/ssl/certs \
 && install -d -m 1777 /out/tmp /out/data \
 && cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ \
 && if [ -f prebuilt ]; then cp prebuilt /out/usr/local/bin/ratchetai-runner; else \
        export CGO_ENABLED=0; \
        go build -trimpath -buildvcs=false -ldflags "-s -w" -o images/init/sandbox-init ./cmd/sandbox-init && \
        go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" \
            -o /out/usr/local/bin/ratchetai-runner ./cmd/ratchetai-runner; fi

FROM scratch
COPY --from=build /out/ /
ENV PATH=/usr/local/bin HOME=/data RATCHETAI_STATE_DIR=/data/state
USER 1000:1000
ENTRYPOINT ["ratchetai-runner"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["ratchetai-runner", "health", "http://127.0.0.1:7717/readyz"]
CMD ["up", "--listen", "0.0.0.0:7717"]
