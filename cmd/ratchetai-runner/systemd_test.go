package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
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
	text, err := unit(program, "root", []string{"up", "--workspace", `a=/srv/my "100%" $HOME\x`, ""})
	if err != nil {
		t.Fatal(err)
	}
	if want := "\nExecStart=" + program + ` up --workspace "a=/srv/my \"100%%\" $$HOME\\x" ""` + "\nUser=root\n"; !strings.Contains(text, want) {
		t.Errorf("no %q in %s", want, text)
	}
	if _, err := unit(program, "root", []string{"up", "a\nExecStartPre=x"}); err == nil {
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

// TestNotify is systemd's side: it hears that the service is ready, and that it works
// as long as it does.
func TestNotify(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "notify") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	hear := func() string {
		buf := make([]byte, 64)
		if err := l.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := l.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	env := map[string]string{"NOTIFY_SOCKET": socket, "WATCHDOG_USEC": "20000"}
	a := &app{log: logrus.New(), lookup: func(k string) (string, bool) { v, ok := env[k]; return v, ok }}
	a.log.SetLevel(logrus.ErrorLevel)
	var asked, ill atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a.ready(ctx, func(context.Context) error {
		if asked.Add(1) < 3 {
			ill.Add(1)
			return errors.New("ill")
		}
		return nil
	})
	if got := hear(); got != "READY=1" {
		t.Errorf("first %q", got)
	}
	if got := hear(); got != "WATCHDOG=1" || ill.Load() != 2 {
		t.Errorf("then %q after %d failures", got, ill.Load())
	}
}
