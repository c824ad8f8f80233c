package sandbox

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// testKey is the key of the sandboxes here.
var testKey = []byte(strings.Repeat("k", pid1.KeyBytes))

// stateWithSocket is a state directory where somebody listens who says what is given,
// and what connects there.
func stateWithSocket(t *testing.T, name string, says []byte) (state string, came <-chan struct{}) {
	t.Helper()
	state, err := os.MkdirTemp("", "sock") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	if err := os.Mkdir(filepath.Join(state, "io"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, pid1.KeyFile), testKey, 0o600); err != nil {
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
			_, _ = conn.Write(says)
			conn.(*net.UnixConn).CloseWrite()
			heard, _ := io.ReadAll(conn)
			if len(heard) > 0 {
				t.Errorf("somebody heard %q", heard)
			}
			conn.Close()
		}
	}()
	return state, c
}

// Somebody else than PID 1 gets no byte.
func TestConnectToImposter(t *testing.T) {
	t.Parallel()
	for name, says := range map[string][]byte{
		"nothing": nil, "less": testKey[1:], "zeros": make([]byte, pid1.KeyBytes), "other": []byte(strings.Repeat("k", pid1.KeyBytes-1) + "l"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state, came := stateWithSocket(t, pid1.SocketFile, says)
			if err := os.WriteFile(filepath.Join(state, "io", pid1.StdoutFile), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if c, err := connect(t.Context(), state); err == nil {
				c.Close()
				t.Error("connected")
			}
			<-came
		})
	}
	state, came := stateWithSocket(t, pid1.SocketFile, nil)
	if err := os.Remove(filepath.Join(state, pid1.KeyFile)); err != nil { // of a runner of before
		t.Fatal(err)
	}
	if _, err := connect(t.Context(), state); err == nil || len(came) > 0 {
		t.Errorf("without a key: %v", err)
	}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	state, came := stateWithSocket(t, pid1.SocketFile, testKey)
	c, err := connect(t.Context(), state)
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
			state, came := stateWithSocket(t, "other", testKey)
			dir := filepath.Join(state, "io")
			if err := plant(filepath.Join(dir, pid1.SocketFile), filepath.Join(dir, "other")); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, pid1.StdoutFile), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if c, err := connect(t.Context(), state); err == nil {
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
	empty := t.TempDir()
	if err := os.WriteFile(filepath.Join(empty, pid1.KeyFile), testKey, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := connect(ctx, empty); err == nil {
		c.Close()
		t.Error("connected to nothing")
	}
	state, came := stateWithSocket(t, "early", testKey)
	time.AfterFunc(20*time.Millisecond, func() {
		_ = os.Rename(filepath.Join(state, "io", "early"), filepath.Join(state, "io", pid1.SocketFile))
	})
	c, err := connect(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-came
}

// Of a PID 1 that has ended nothing is asked of the engine; of one that is there the file's
// mode, which the agent can change, says nothing.
func TestConnectEnded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mode os.FileMode
		says []byte
		want error
	}{
		"ended":           {pid1.SealedMode, nil, ErrEnded},
		"has no socket":   {0o600, nil, syscall.ECONNREFUSED},
		"is about to end": {pid1.SealedMode, testKey, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listening, socket := "other", pid1.SocketFile
			if c.says != nil {
				listening, socket = socket, "dead"
			}
			state, _ := stateWithSocket(t, listening, c.says)
			dir := filepath.Join(state, "io")
			if err := syscall.Mknod(filepath.Join(dir, socket), syscall.S_IFSOCK|0o600, 0); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, pid1.StdoutFile)
			if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chmod(file, c.mode)); err != nil {
				t.Fatal(err)
			}
			stream, err := connect(t.Context(), state)
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err == nil {
				stream.Close()
			}
		})
	}
}
