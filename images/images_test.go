package images

import (
	"crypto/sha512"
	"encoding/base64"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestPinsAreWellFormed(t *testing.T) {
	t.Parallel()
	version := regexp.MustCompile(`^\d+\.\d+\.\d+$`)
	seen := map[string]bool{}
	for name, pin := range map[string]Pin{"Claude": Claude(), "ClaudeMusl": ClaudeMusl(), "Codex": Codex()} {
		if !version.MatchString(pin.Version) {
			t.Errorf("%s: version %q is not exact", name, pin.Version)
		}
		for _, arch := range []string{"amd64", "arm64"} {
			integrity := pin.Integrity(arch)
			sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(integrity, "sha512-"))
			if err != nil || !strings.HasPrefix(integrity, "sha512-") || len(sum) != sha512.Size {
				t.Errorf("%s %s: integrity %q is no sha512", name, arch, integrity)
			}
			if seen[integrity] {
				t.Errorf("%s %s: integrity %q stands twice", name, arch, integrity)
			}
			seen[integrity] = true
		}
		if got := pin.Integrity("riscv64"); got != "" {
			t.Errorf("%s: integrity for an unknown architecture is %q, want none", name, got)
		}
	}
}

func TestClaudeIsOneVersion(t *testing.T) {
	t.Parallel()
	if Claude().Version != ClaudeMusl().Version {
		t.Errorf("Claude is %s, for musl %s", Claude().Version, ClaudeMusl().Version)
	}
}

// The classic builder knows neither heredocs nor RUN options, and fails on them only on a user's machine.
func TestDockerfilesSuitTheClassicBuilder(t *testing.T) {
	t.Parallel()
	unknown := regexp.MustCompile(`(?m)^\s*(RUN --|COPY .*--(chmod|link|exclude|parents)|ADD --|# ?syntax=)|<<`)
	for _, name := range []string{AgentsDockerfile, SessionDockerfile, FinalDockerfile, CopyDockerfile} {
		text, err := fs.ReadFile(Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		if found := unknown.FindString(string(text)); found != "" {
			t.Errorf("%s: %q needs BuildKit", name, found)
		}
	}
}

// Base stands in Go for the runner, and where a file can also be used by hand.
func TestBaseIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		AgentsDockerfile:  "ARG BASE=" + Base + "\n",
		SessionDockerfile: "ARG BASE=" + Base + "\n",
		"base.sh":         "tag=${1:-" + Base + "}\n",
	} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s does not say %q", name, want)
		}
	}
}
