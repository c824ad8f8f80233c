package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
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
	ctx, cancel := context.WithTimeout(ctx, connectMax)
	defer cancel()
	dir := filepath.Join(state, "io")
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		// PID 1 makes the socket before the file of stdout.
		_, err := os.Lstat(filepath.Join(dir, pid1.StdoutFile))
		final := err == nil
		c, err := dialSocket(dir)
		if err == nil || final {
			return c, err
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
func dialSocket(dir string) (io.ReadWriteCloser, error) {
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
	return net.DialTimeout("unix", fmt.Sprintf("/proc/self/fd/%d", fd), connectMax)
}
