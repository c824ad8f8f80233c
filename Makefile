# Entry points for people and CI; `make` lists them. Everything else is plain go commands.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BIN     := bin/ratchetai-runner
LINTER  := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# How long each fuzz target runs, and how long the whole-program tests may take.
FUZZTIME     ?= 10s
E2E_TIMEOUT  ?= 20m
# How many of them run at a time: most wait for an agent.
PARALLEL     ?= 4

# Where record puts the recordings; IMAGE is the pinned agents' by default.
OUT ?= internal/agent/testdata/recorded

# The whole-program tests, the demo and the benchmark run this binary.
export RATCHETAI_RUNNER := $(CURDIR)/$(BIN)

.PHONY: help build setup demo test unit bench record fuzz man lint fmt generate clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

build: ## build bin/ratchetai-runner, static and without paths of this machine
	CGO_ENABLED=0 GOOS=linux go build -trimpath -buildvcs=false -ldflags "-s -w" -o images/init/sandbox-init ./cmd/sandbox-init
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN) ./cmd/ratchetai-runner

setup: ## install and start what demo, test and bench need: an engine and the base image
	@sh e2e/setup.sh

demo: setup build ## show a session from start to end
	go run ./e2e/demo $(BIN)

test: setup build unit ## run every test; installs what is missing
	go test -count=1 -p 1 -parallel $(PARALLEL) -timeout $(E2E_TIMEOUT) -tags e2e ./sandbox ./e2e

unit: ## run the tests that need neither engine nor network
	go test ./...

bench: setup build ## measure what a session and the control plane cost
	go run ./e2e/bench $(BIN)

record: setup build ## record the agents of IMAGE into OUT and report what changed in their protocols
	go run ./e2e/record -out $(OUT) "$${IMAGE:-$$($(BIN) images build)}"

fuzz: ## run every fuzz target for FUZZTIME
	@grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$$file"); do \
			echo "$$target ($${file%/*})"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) "$${file%/*}" || exit 1; \
		done; \
	done

man: build ## write the manual pages to man/
	$(BIN) man man

lint: ## check style and the import rules
	go run $(LINTER) run

fmt: ## format the code
	go run $(LINTER) fmt

generate: ## make the Go code of the SQL queries, and fail if it was not committed so
	go generate ./internal/store
	git diff --exit-code internal/store/sql

clean: ## remove what build made; images stay
	rm -rf bin man images/init/sandbox-init
