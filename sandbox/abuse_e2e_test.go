//go:build e2e

package sandbox_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/sandbox"
	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

// TestForkBomb: with every process used up, stdin still arrives through the
// tunnel and the agent goes on.
func TestForkBomb(t *testing.T) {
	t.Parallel()
	d := newDocker(t)
	p := start(t, d, newSpec(t, "forkbomb", "10000"))
	if err := p.Send(1, []byte("go")); err != nil { // so the tunnel is there
		t.Fatal(err)
	}
	out := bufio.NewReader(p.Stdout())
	line, err := out.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "born ") {
		t.Fatalf("%q, %v", line, err)
	}
	time.Sleep(time.Second)
	for i := range 100 {
		if err := p.Send(uint64(i+2), sandboxtest.Line(i, 50_000)[:49_999]); err != nil {
			t.Fatal(err)
		}
		if got, err := out.ReadBytes('\n'); !bytes.Equal(got, sandboxtest.Line(i, 50_000)) {
			_, stderr, r := finish(t, p)
			t.Fatalf("line %d came back as %.60q, %v; ended by %+v, %s", i, got, err, r, stderr)
		}
	}
	if err := p.CloseStdin(102); err != nil {
		t.Error(err)
	}
	if _, _, r := finish(t, p); r.Cause != sandbox.Exited || r.ExitCode != 0 {
		t.Errorf("ended by %+v", r)
	}
}

func TestMemoryHog(t *testing.T) {
	t.Parallel()
	d := newDocker(t)
	spec := newSpec(t, "mem", "400")
	spec.Limits.MemoryBytes = 64 << 20
	if _, stderr, r := finish(t, start(t, d, spec)); r.Cause != sandbox.OutOfMemory || r.ExitCode != 137 {
		t.Errorf("ended by %+v; %s", r, stderr)
	}
	spec = newSpec(t, "mem", "30")
	spec.Limits.MemoryBytes = 64 << 20
	if out, stderr, r := finish(t, start(t, d, spec)); r.Cause != sandbox.Exited || string(out) != "used\n" {
		t.Errorf("ended by %+v; %q %s", r, out, stderr)
	}
}

func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	out, stderr, _ := finish(t, start(t, newDocker(t), newSpec(t, "orphans", "40")))
	if string(out) != "zombies 0\n" {
		t.Errorf("%q, %s", out, stderr)
	}
}

// TestStalledRunner: a runner that does not read blocks neither the agent nor
// the engine, and misses nothing.
func TestStalledRunner(t *testing.T) {
	t.Parallel()
	const bytes = 30 << 20
	d := newDocker(t)
	spec := newSpec(t, "flood", fmt.Sprint(bytes))
	p := start(t, d, spec)
	time.Sleep(3 * time.Second)
	out, stderr, r := finish(t, p)
	took, err := time.ParseDuration(strings.TrimSpace(stderr))
	if err != nil || took > 2*time.Second {
		t.Errorf("the agent needed %q to write", stderr)
	}
	if len(out) != bytes || r.ExitCode != 0 {
		t.Errorf("read %d bytes, ended by %+v", len(out), r)
	}
}

// TestStalledRunnerCanEnd: the same runner can kill and remove what it does not read.
func TestStalledRunnerCanEnd(t *testing.T) {
	t.Parallel()
	d := newDocker(t)
	for _, kill := range []bool{true, false} {
		p := start(t, d, newSpec(t, "flood", fmt.Sprint(200<<20)))
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if kill {
			if err := p.Kill(ctx); err != nil {
				t.Error(err)
			}
			if r, err := p.Wait(ctx); err != nil || (r.ExitCode != 137 && r.ExitCode != 0) {
				t.Errorf("ended by %+v, %v", r, err)
			}
		}
		if err := p.Remove(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
}

// TestFullDisk: an agent whose stdout cannot be kept is ended, not left hanging.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("mounting a small disk needs root")
	}
	spec := newSpec(t, "flood", fmt.Sprint(50<<20))
	if err := syscall.Mount("tmpfs", spec.State, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mounting a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(spec.State, 0); err != nil {
			t.Error(err)
		}
	})
	p := start(t, newDocker(t), spec)
	_, stderr, r := finish(t, p)
	if r.Cause != sandbox.Broken || !strings.Contains(stderr, "no space left") {
		t.Errorf("ended by %+v, %s", r, stderr)
	}
	if err := p.Remove(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestEngineErrors(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	for name, host := range map[string]string{
		"no socket":  "unix:///nonexistent/docker.sock",
		"dead port":  "tcp://127.0.0.1:1",
		"no answers": "tcp://" + deadListener(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := sandbox.NewDocker(host)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			began := time.Now()
			for call, f := range map[string]func() error{
				"start":  func() error { _, err := d.Start(ctx, newSpec(t, "cat")); return err },
				"adopt":  func() error { _, err := d.Adopt(ctx, newSpec(t, "cat"), 0); return err },
				"list":   func() error { _, err := d.List(ctx, ""); return err },
				"remove": func() error { return d.Remove(ctx, uuid.NewString()) },
				"info":   func() error { _, err := d.Info(ctx); return err },
			} {
				if err := f(); !errors.Is(err, sandbox.ErrUnavailable) {
					t.Errorf("%s: %v", call, err)
				}
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// deadListener accepts connections and closes them.
func deadListener(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

// TestIdleSandboxUsesNoProcessor: nothing in PID 1 polls.
func TestIdleSandboxUsesNoProcessor(t *testing.T) {
	t.Parallel()
	p := start(t, newDocker(t), newSpec(t, "hold"))
	if _, err := bufio.NewReader(p.Stdout()).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	before, err := p.Stats(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	after, err := p.Stats(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if used := after.CPU - before.CPU; used > 40*time.Millisecond {
		t.Errorf("an idle sandbox used %v of 2 s", used)
	}
	if err := p.Kill(testContext(t)); err != nil {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, p.Stdout())
}
