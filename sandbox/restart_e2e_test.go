//go:build e2e && linux

package sandbox_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/sprawlto/ratchetai-runner/sandbox"
	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

// engine is a dockerd of a test's own, in a network namespace of its own.
type engine struct {
	t    *testing.T
	dir  string
	host string
	cmd  *exec.Cmd
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("an engine of its own needs root")
	}
	for _, program := range []string{"dockerd", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	dir, err := os.MkdirTemp("", "engine") // short: sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{t: t, dir: dir, host: "unix://" + filepath.Join(dir, "sock")}
	t.Cleanup(func() {
		_ = syscall.Unmount(filepath.Join(dir, "data"), syscall.MNT_DETACH) // live-restore leaves it mounted
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return e
}

// start returns when the engine answers.
func (e *engine) start() *client.Client {
	e.t.Helper()
	log, err := os.OpenFile(filepath.Join(e.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		e.t.Fatal(err)
	}
	defer log.Close()
	e.cmd = exec.Command("unshare", "-n", "dockerd", "--live-restore", "--bridge=none", "--iptables=false", "-H", e.host,
		"--data-root", filepath.Join(e.dir, "data"), "--exec-root", filepath.Join(e.dir, "exec"), "--pidfile", filepath.Join(e.dir, "pid"))
	e.cmd.Stdout, e.cmd.Stderr = log, log
	// SIGKILL reaches it even if this test binary is ended by its time limit.
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := e.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	api, err := client.NewClientWithOpts(client.WithHost(e.host), client.WithAPIVersionNegotiation())
	if err != nil {
		e.t.Fatal(err)
	}
	for range 300 {
		if _, err = api.Ping(context.Background()); err == nil {
			return api
		}
		time.Sleep(100 * time.Millisecond)
	}
	text, _ := os.ReadFile(filepath.Join(e.dir, "log"))
	e.t.Fatalf("the engine does not start: %v\n%s", err, text)
	return nil
}

func (e *engine) stop() {
	e.t.Helper()
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		e.t.Fatal(err)
	}
	_ = e.cmd.Wait()
}

// TestEngineRestart: an engine with live-restore comes back, and the runner that
// held a sandbox all the time has lost and repeated nothing.
func TestEngineRestart(t *testing.T) {
	e := newEngine(t)
	ctx := testContext(t)
	api := e.start()
	defer e.stop()
	if err := buildImage(ctx, api); err != nil {
		t.Fatal(err)
	}
	api.Close()
	d, err := sandbox.NewDocker(e.host)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p, err := d.Start(ctx, newSpec(t, "cat"))
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan []byte)
	go func() {
		all, err := io.ReadAll(p.Stdout())
		if err != nil {
			t.Error(err)
		}
		read <- all
	}()
	const n = 400
	var want []byte
	for i := 1; i <= n; i++ {
		line := sandboxtest.Line(i, 500)
		want = append(want, line...)
		if err := p.Send(uint64(i), line[:len(line)-1]); err != nil {
			t.Fatalf("send %d: %v", i, err)
		}
		switch i {
		case 100, 200:
			e.stop()
		case 150, 250:
			e.start().Close()
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := p.CloseStdin(n + 1); err != nil {
		t.Error(err)
	}
	if out := <-read; !bytes.Equal(out, want) {
		t.Errorf("stdout has %d bytes, want %d", len(out), len(want))
	}
	if r, err := p.Wait(ctx); err != nil || r.Cause != sandbox.Exited || r.ExitCode != 0 {
		t.Errorf("ended by %+v, %v", r, err)
	}
	if err := p.Remove(ctx); err != nil {
		t.Error(err)
	}
}
