package attack

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

const (
	abstractTunnel  = "@ratchetai-tunnel"
	neighbourSocket = "@selftest-neighbour"
	neighbourPort   = 47631
)

// tunnels is the runner's way in: an agent could pass for the runner before
// PID 1, or for PID 1 before the runner (which needs the runner: see plants).
func tunnels() []attempt {
	return []attempt{
		{"tunnel-as-runner", "hand PID 1 a tunnel of our own, as the runner's helper does", func(*inside) verdict {
			c, err := net.Dial("unix", abstractTunnel)
			if err != nil {
				return denied("connect to "+abstractTunnel, err, unix.ECONNREFUSED)
			}
			defer c.Close()
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				return broken("%v", err)
			}
			near := os.NewFile(uintptr(pair[0]), "near")
			defer near.Close()
			_, _, err = c.(*net.UnixConn).WriteMsgUnix([]byte{0}, unix.UnixRights(pair[1], pair[1]), nil)
			unix.Close(pair[1])
			if err != nil {
				return held("PID 1 hangs up: %v", err)
			}
			end, err := net.FileConn(near)
			if err != nil {
				return broken("%v", err)
			}
			defer end.Close()
			return unanswered(end)
		}},
		{"tunnel-files", "connect to the sockets in " + pid1.StateDir + " as the runner does", func(*inside) verdict {
			var all []verdict
			for _, name := range stateSockets() {
				c, err := net.Dial("unix", name)
				if err != nil {
					all = append(all, denied("connect to "+name, err, unix.ECONNREFUSED, unix.EACCES))
					continue
				}
				all = append(all, unanswered(c))
				c.Close()
			}
			if len(all) == 0 {
				return held("there is no socket")
			}
			return every(all...)
		}},
		{"tunnel-key", "read the key by which the runner knows PID 1", func(*inside) verdict {
			_, err := os.ReadFile(filepath.Join(pid1.StateDir, pid1.KeyFile))
			return denied("read "+pid1.KeyFile, err, unix.ENOENT)
		}},
		{"tunnel-name", "take the tunnel's abstract name", func(*inside) verdict {
			l, err := net.Listen("unix", abstractTunnel)
			if err == nil {
				l.Close()
				if len(stateSockets()) > 0 {
					return held("nobody listens under it: the tunnel is a file")
				}
			}
			return denied("listen", err, unix.EADDRINUSE)
		}},
	}
}

// stateSockets are the sockets in the directory that sandbox and runner share.
func stateSockets() (names []string) {
	entries, _ := os.ReadDir(pid1.StateDir)
	for _, e := range entries {
		if e.Type()&os.ModeSocket != 0 {
			names = append(names, filepath.Join(pid1.StateDir, e.Name()))
		}
	}
	return names
}

// unanswered holds if the other end of c does not speak to us: it is sent a ping
// of the tunnel's mux, which it would have to answer.
func unanswered(c net.Conn) verdict {
	ping := []byte{0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7}
	if _, err := c.Write(ping); err != nil {
		return held("PID 1 hangs up: %v", err)
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
	buf := make([]byte, 256)
	n, err := c.Read(buf)
	switch {
	case n > 0:
		return broken("PID 1 speaks to us: %q", buf[:n])
	case errors.Is(err, os.ErrDeadlineExceeded):
		return held("PID 1 says nothing")
	}
	return held("PID 1 hangs up")
}
