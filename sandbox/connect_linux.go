package sandbox

import (
	"context"
	"crypto/subtle"
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
// desktop's virtual machine, a runtime that keeps sockets to itself. It returns
// ErrEnded if PID 1 has just ended.
func connect(ctx context.Context, state string) (io.ReadWriteCloser, error) {
	key, err := os.ReadFile(filepath.Join(state, pid1.KeyFile))
	if err != nil {
		return nil, fmt.Errorf("the sandbox's key: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, connectMax)
	defer cancel()
	dir := filepath.Join(state, "io")
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		// PID 1 makes the socket before the file of stdout.
		_, err := os.Lstat(filepath.Join(dir, pid1.StdoutFile))
		final := err == nil
		c, err := dialSocket(dir)
		if err == nil {
			if err = checkKey(ctx, c, key); err == nil {
				return c, nil
			}
			c.Close()
		}
		if final {
			if info, serr := os.Lstat(filepath.Join(dir, pid1.StdoutFile)); serr == nil && info.Mode().Perm() == pid1.SealedMode {
				err = ErrEnded
			}
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

// checkKey returns an error unless c says key: the agent could put a socket of its own
// in the place of PID 1's, and has never seen the key. Nothing is sent before.
func checkKey(ctx context.Context, c *net.UnixConn, key []byte) error {
	end, _ := ctx.Deadline()
	if err := c.SetReadDeadline(end); err != nil {
		return err
	}
	said := make([]byte, len(key))
	if _, err := io.ReadFull(c, said); err != nil {
		return fmt.Errorf("who listens says no key: %w", err)
	}
	if len(key) != pid1.KeyBytes || subtle.ConstantTimeCompare(said, key) == 0 {
		return errors.New("the sandbox's socket is not PID 1's")
	}
	return c.SetReadDeadline(time.Time{})
}
