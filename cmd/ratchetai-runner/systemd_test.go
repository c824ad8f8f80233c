package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
)

// TestUnit has systemd's own checker read the unit, where it is there.
func TestUnit(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := unit(program, "root", "/srv/50% of it", []string{"up", "--workspace", `a=/srv/my "100%" $HOME\x`, ""})
	if err != nil {
		t.Fatal(err)
	}
	if want := "\nExecStart=" + program + ` up --workspace "a=/srv/my \"100%%\" $$HOME\\x" ""` + "\nUser=root\nWorkingDirectory=/srv/50%% of it\n"; !strings.Contains(text, want) {
		t.Errorf("no %q in %s", want, text)
	}
	if _, err := unit(program, "root", "/", []string{"up", "a\nExecStartPre=x"}); err == nil {
		t.Error("a line of its own passes")
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is missing; CI has it")
	}
	file := filepath.Join(t.TempDir(), "ratchetai-runner.service")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "verify", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "ratchetai-runner.service:") {
		t.Errorf("systemd-analyze verify: %v: %s", err, out)
	}
}

// TestWatch hears what systemd hears of a control plane.
func TestWatch(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cp, err := startControlPlane(ctx, controlPlaneConfig{Listen: "127.0.0.1:0", Data: t.TempDir(), Log: logrus.New()})
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 100)
	watched, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		cp.watch(watched, func(state string) { heard <- state }, "20000")
	}()
	for i, want := range []string{"READY=1", "WATCHDOG=1"} {
		select {
		case got := <-heard:
			if got != want {
				t.Errorf("%d: %q", i, got)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("nothing is heard")
		}
	}
	end()
	<-done
	last := ""
	for len(heard) > 0 {
		last = <-heard
	}
	if last != "STOPPING=1" {
		t.Errorf("last %q", last)
	}
	cp.Stop()
	if err := cp.Wait(); err != nil {
		t.Error(err)
	}
	if err := cp.alive(t.Context()); err == nil { // its database is closed
		t.Error("alive without a database")
	}
}
