//go:build e2e

package e2e

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/attack"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// TestAttack is `selftest --attack` on a sandbox as it is.
func TestAttack(t *testing.T) {
	report := runAttack(t, nil)
	for _, r := range report.Failed() {
		t.Errorf("%s did not hold: %s: %s", r.Name, r.Tried, r.Happened)
	}
	if n := len(report.Results); n < 130 {
		t.Errorf("only %d results", n)
	}
	names := map[string]bool{}
	for _, r := range report.Results {
		if names[r.Name] {
			t.Errorf("%s stands twice", r.Name)
		}
		names[r.Name] = true
	}
}

// TestAttackFindsWeakness shows that the attack can succeed: each weakness fails
// the attempts that it should, by name.
func TestAttackFindsWeakness(t *testing.T) {
	// A sandbox with a network is not tried: its attempts would leave the machine.
	t.Run("limits, login", func(t *testing.T) {
		report := runAttack(t, func(s *sandbox.Spec) {
			s.Limits = sandbox.Limits{MemoryBytes: 8 << 30, Processes: 4096, OpenFiles: 4096, TmpBytes: 64 << 20, ShmBytes: 64 << 20, StdoutBytes: 1 << 30}
			for i := range s.Mounts {
				s.Mounts[i].ReadOnly = false
			}
		})
		wantFailed(t, report, "limits", "bomb-processes", "bomb-memory", "bomb-tmp", "bomb-shm", "bomb-files", "bomb-stdout", "login-write")
	})
	t.Run("mounts", func(t *testing.T) {
		outside := t.TempDir()
		l, err := net.Listen("unix", filepath.Join(outside, "engine.sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		dir := t.TempDir() // holds the login of the attack, and its state
		report := runAttackIn(t, dir, func(s *sandbox.Spec) {
			open(t, dir, "selftest-*", "selftest-*/person", "selftest-*/person/.claude", "selftest-*/person/.claude/.credentials.json")
			s.Mounts = append(s.Mounts, sandbox.Mount{Source: dir, Target: "/mnt/host"}, sandbox.Mount{Source: outside, Target: "/mnt/engine"})
		})
		wantFailed(t, report, "engine-socket", "find-refresh-token")
	})
}

// open makes files readable for everybody.
func open(t *testing.T, dir string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		names, err := filepath.Glob(filepath.Join(dir, p))
		if err != nil || len(names) != 1 {
			t.Fatalf("%s: %v, %v", p, names, err)
		}
		if err := os.Chmod(names[0], 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func wantFailed(t *testing.T, report attack.Report, want ...string) {
	t.Helper()
	var failed []string
	for _, r := range report.Failed() {
		t.Logf("%s: %s", r.Name, r.Happened)
		failed = append(failed, r.Name)
	}
	for _, name := range want {
		if !slices.Contains(failed, name) {
			t.Errorf("%s held in a sandbox that was weakened", name)
		}
	}
	if len(failed) > len(report.Results)/2 {
		t.Errorf("%d of %d failed: the attack itself is broken", len(failed), len(report.Results))
	}
}

func runAttack(t *testing.T, weaken func(*sandbox.Spec)) attack.Report {
	t.Helper()
	return runAttackIn(t, t.TempDir(), weaken)
}

func runAttackIn(t *testing.T, dir string, weaken func(*sandbox.Spec)) attack.Report {
	t.Helper()
	engine, err := sandbox.NewDocker("")
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	store, err := runner.OpenStore(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	log := logrus.New()
	log.SetOutput(t.Output())
	report, err := attack.Run(t.Context(), attack.Options{
		Runner: runner.Runner{Store: store, Engine: engine, Log: log, CA: runner.SystemCA(os.Getenv)},
		Dir:    dir, Image: built.image, Program: built.binary, Weaken: weaken,
	})
	if err != nil {
		t.Fatal(err)
	}
	if all, err := store.List(); err != nil || len(all) > 0 {
		t.Errorf("sessions are left: %v, %v", all, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "selftest-*")); len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, " "))
	}
	return report
}
