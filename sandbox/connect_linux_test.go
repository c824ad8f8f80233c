package sandbox

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// stateWithSocket is a state directory where somebody listens, and what connects
// there.
func stateWithSocket(t *testing.T, name string) (state string, came <-chan struct{}) {
	t.Helper()
	state, err := os.MkdirTemp("", "sock") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	if err := os.Mkdir(filepath.Join(state, "io"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(state, "io", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := make(chan struct{}, 1)
	go func() {
		if conn, err := l.Accept(); err == nil {
			c <- struct{}{}
			conn.Close()
		}
	}()
	return state, c
}

func anybody(*net.UnixConn) error { return nil }

// Somebody else than PID 1, as this process is, gets no byte.
func TestConnectToImposter(t *testing.T) {
	t.Parallel()
	state, _ := stateWithSocket(t, pid1.SocketFile)
	if err := os.WriteFile(filepath.Join(state, "io", pid1.StdoutFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := connect(t.Context(), state); err == nil {
		c.Close()
		t.Error("connected")
	}
	for status, want := range map[string]bool{
		"Name:\tx\nNSpid:\t4711\t1\nNSpgid:\t4711\t1\n": true,
		"Name:\tx\nNSpid:\t4711\t1\t1\n":                true,
		"Name:\tx\nNSpid:\t4711\t12\n":                  false,
		"Name:\tx\nNSpid:\t4711\t1\t7\n":                false,
		"Name:\tx\nNSpid:\t1\n":                         false,
		"Name:\tNSpid:\n":                               false,
		"":                                              false,
	} {
		if got := isInitStatus(status); got != want {
			t.Errorf("%q: %v", status, got)
		}
	}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	state, came := stateWithSocket(t, pid1.SocketFile)
	c, err := connectTo(t.Context(), state, anybody)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-came
}

// The agent owns the directory: nothing there leads to a socket of the host.
func TestConnectHostile(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(path, other string) error{
		"symlink":   func(path, other string) error { return os.Symlink(other, path) },
		"FIFO":      func(path, _ string) error { return syscall.Mkfifo(path, 0o666) },
		"directory": func(path, _ string) error { return os.Mkdir(path, 0o777) },
		"file":      func(path, _ string) error { return os.WriteFile(path, nil, 0o666) },
		"dead":      func(path, _ string) error { return syscall.Mknod(path, syscall.S_IFSOCK|0o666, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state, came := stateWithSocket(t, "other")
			dir := filepath.Join(state, "io")
			if err := plant(filepath.Join(dir, pid1.SocketFile), filepath.Join(dir, "other")); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, pid1.StdoutFile), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if c, err := connectTo(t.Context(), state, anybody); err == nil {
				c.Close()
				t.Error("connected")
			}
			select {
			case <-came:
				t.Error("the other socket was reached")
			default:
			}
		})
	}
}

// A socket may come late, and none may come at all.
func TestConnectWaits(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if c, err := connectTo(ctx, t.TempDir(), anybody); err == nil {
		c.Close()
		t.Error("connected to nothing")
	}
	state, came := stateWithSocket(t, "early")
	time.AfterFunc(20*time.Millisecond, func() {
		_ = os.Rename(filepath.Join(state, "io", "early"), filepath.Join(state, "io", pid1.SocketFile))
	})
	c, err := connectTo(t.Context(), state, anybody)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-came
}
