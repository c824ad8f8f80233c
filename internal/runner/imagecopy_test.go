package runner

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

func TestCopyDockerfile(t *testing.T) {
	t.Parallel()
	const common = `ARG AGENTS
ARG BASE
FROM ${AGENTS} AS agents

FROM ${BASE}
ARG AGENT
USER 0:0
COPY --from=agents /opt/ratchetai/bin /opt/ratchetai/bin
COPY --from=agents /opt/ratchetai/${AGENT} /opt/ratchetai/${AGENT}
`
	const open = `RUN ["/bin/sh", "-c", "chmod 1777 /tmp"]` + "\n"
	const try = `RUN ["/opt/ratchetai/claude/claude", "--version"]` + "\n"
	for name, c := range map[string]struct {
		kind agent.Kind
		has  contents
		want string
	}{
		"codex":             {agent.Codex, contents{}, common},
		"codex, closed tmp": {agent.Codex, contents{closedTmp: true}, common + open},
		"claude":            {agent.Claude, contents{}, common + try},
		"both":              {agent.Claude, contents{closedTmp: true}, common + open + try},
	} {
		build := Builder{}.copy("sha256:1", Image{Ref: "golang:1", Digest: "golang@sha256:2"}, "agents:3", c.kind, c.has)
		text := string(build.Files[0].Content)
		if diff := cmp.Diff(c.want, text[strings.Index(text, "ARG AGENTS"):]); diff != "" {
			t.Errorf("%s: Dockerfile (-want +got):\n%s", name, diff)
		}
		want := map[string]string{"BASE": "sha256:1", "AGENTS": "agents:3", "AGENT": string(c.kind)}
		if diff := cmp.Diff(want, build.Args); diff != "" {
			t.Errorf("%s: arguments (-want +got):\n%s", name, diff)
		}
	}
}

// What is made of an image is made again for another image, agent or binary of it,
// and for nothing else.
func TestCopyIsCachedByContent(t *testing.T) {
	t.Parallel()
	tag := func(id, ref, agents string, kind agent.Kind) string {
		build, err := tagged(Builder{}.copy(id, Image{Ref: ref}, agents, kind, contents{}))
		if err != nil {
			t.Fatal(err)
		}
		return build.Tag
	}
	first := tag("sha256:1", "golang:1", "agents:1", agent.Codex)
	if got := tag("sha256:1", "golang:latest", "agents:1", agent.Codex); got != first {
		t.Errorf("another name of the image gives %s, want %s", got, first)
	}
	for _, other := range []string{
		tag("sha256:2", "golang:1", "agents:1", agent.Codex), tag("sha256:1", "golang:1", "agents:2", agent.Codex),
		tag("sha256:1", "golang:1", "agents:1", agent.Claude),
	} {
		if other == first {
			t.Errorf("%s is both", other)
		}
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	one, two := strings.Repeat("1", 64), strings.Repeat("2", 64)
	mirrored := []string{"mirror.example/go@sha256:" + one, "golang@sha256:" + two}
	for _, c := range []struct {
		ref     string
		digests []string
		want    string
	}{
		{"golang:1", mirrored, "golang@sha256:" + two},
		{"mirror.example/go:1", mirrored, "mirror.example/go@sha256:" + one},
		{"docker.io/library/golang:1", mirrored, "golang@sha256:" + two},
		{"local:1", nil, "sha256:id"},
	} {
		if got := digest(c.ref, sandbox.Image{ID: "sha256:id", Digests: c.digests}); got != c.want {
			t.Errorf("%s: %s, want %s", c.ref, got, c.want)
		}
	}
}

func TestExplainCopy(t *testing.T) {
	t.Parallel()
	failed := errors.New("the command '…' returned a non-zero code: 127")
	if got := explainCopy("old:1", agent.Claude, failed).Error(); !strings.Contains(got, "image old:1 cannot run Claude Code") {
		t.Error(got)
	}
	if got := explainCopy("old:1", agent.Codex, failed); got != failed {
		t.Error(got)
	}
}
