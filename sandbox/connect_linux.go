package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// connectMax bounds the wait for PID 1 of a container that has just been started.
const connectMax = 2 * time.Second

// connect opens the tunnel by the socket in the sandbox's state directory. It
// fails where PID 1 offers none that this process can reach: another machine, a
// desktop's virtual machine, a runtime that keeps sockets to itself.
func connect(ctx context.Context, state string) (io.ReadWriteCloser, error) {
	return connectTo(ctx, state, isInit)
}

// connectTo is connect to whom trusted returns no error for.
func connectTo(ctx context.Context, state string, trusted func(*net.UnixConn) error) (io.ReadWriteCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, connectMax)
	defer cancel()
	dir := filepath.Join(state, "io")
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		// PID 1 makes the socket before the file of stdout.
		_, err := os.Lstat(filepath.Join(dir, pid1.StdoutFile))
		final := err == nil
		c, err := dialSocket(dir)
		if err == nil {
			if err = trusted(c); err == nil {
				return c, nil
			}
			c.Close()
		}
		if final {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// dialSocket connects to the socket in dir by descriptor: the directory belongs to
// the agent, and a link that it puts there must not lead to a socket of the host.
func dialSocket(dir string) (*net.UnixConn, error) {
	fd, err := unix.Open(filepath.Join(dir, pid1.SocketFile), unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the sandbox's socket: %w", err)
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, fmt.Errorf("open the sandbox's socket: %w", err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return nil, errors.New("the sandbox's socket is none")
	}
	c, err := net.DialTimeout("unix", fmt.Sprintf("/proc/self/fd/%d", fd), connectMax)
	if err != nil {
		return nil, err
	}
	return c.(*net.UnixConn), nil
}

// isInit returns an error unless the process that made the socket at the other end
// of c is PID 1 of its PID namespace: the agent could put a socket of its own in
// the place of PID 1's, and cannot make a namespace.
func isInit(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("ask who listens: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || credErr != nil {
		return fmt.Errorf("ask who listens: %w", errors.Join(err, credErr))
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cred.Pid))
	if err != nil {
		return fmt.Errorf("ask who listens: %w", err)
	}
	if !isInitStatus(string(status)) {
		return errors.New("the sandbox's socket is not PID 1's")
	}
	return nil
}

// isInitStatus reads the line NSpid of /proc/PID/status: the process's number in
// our namespace and in each one below, the innermost last.
func isInitStatus(status string) bool {
	for line := range strings.SplitSeq(status, "\n") {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			all := strings.Fields(numbers)
			return len(all) > 1 && all[len(all)-1] == "1"
		}
	}
	return false
}
