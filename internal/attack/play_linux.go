package attack

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// playMax ends a part whose director is gone.
const playMax = 2 * time.Minute

// plantAfter is what the first runner gets to open the saved stdout.
const plantAfter = 500 * time.Millisecond

// play is a part that the host directs and judges; see acts.
func (in *inside) play(part string) int {
	stdout := filepath.Join(pid1.StateDir, pid1.StdoutFile)
	said, err := ready, error(nil)
	if strings.HasPrefix(part, "plant-") {
		fmt.Print(ready)
		time.Sleep(plantAfter)
		said = placed
	}
	switch part {
	case "hog":
		return hog()
	case "neighbour":
		err = beNeighbour()
	case "flood":
		_, _ = io.CopyN(os.Stdout, zeros{}, 64<<20) // it does not live to see the end
		return 0
	case "stubborn":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	case "daemon":
		cmd := exec.Command("/proc/self/exe", Subcommand, "stubborn", "{}")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err = cmd.Start(); err == nil {
			fmt.Print(ready)
			return 0
		}
	case "plant-link":
		err = replace(stdout, func() error { return os.Symlink(filepath.Join(in.BaitDir, "canary"), stdout) })
	case "plant-fifo":
		err = replace(stdout, func() error { return unix.Mkfifo(stdout, 0o666) })
	case "plant-directory":
		err = replace(stdout, func() error { return os.Mkdir(stdout, 0o777) })
	case "plant-file":
		err = replace(stdout, func() error { return os.WriteFile(stdout, []byte("forged\n"), 0o666) })
	case "plant-truncate":
		err = os.Truncate(stdout, 0)
	case "plant-home":
		config := filepath.Dir(loginFile())
		if err = os.Rename(config, config+".old"); err == nil {
			err = os.Symlink(in.BaitDir, config)
		}
	case "plant-socket":
		return imposter()
	case "plant-socket-link":
		for _, name := range tunnelNames() {
			_ = os.Remove(name)
			if err = os.Symlink(filepath.Join(in.BaitDir, trapSocket), name); err != nil {
				break
			}
		}
	default:
		err = fmt.Errorf("no such part: %q", part)
	}
	if err != nil {
		fmt.Println("could not:", err)
		return 1
	}
	fmt.Print(said)
	time.Sleep(playMax)
	return 0
}

func replace(name string, by func() error) error {
	if err := os.Remove(name); err != nil {
		return err
	}
	return by()
}

// beNeighbour is another session, with a secret and open doors.
func beNeighbour() error {
	secret := []byte(neighbour() + "\n")
	for _, dir := range []string{os.Getenv("HOME"), "/workspace", "/tmp"} {
		if err := os.WriteFile(filepath.Join(dir, "secret"), secret, 0o644); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", fmt.Sprintf(":%d", neighbourPort))
	if err != nil {
		return err
	}
	u, err := net.Listen("unix", neighbourSocket)
	if err != nil {
		return err
	}
	for _, l := range []net.Listener{l, u} {
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
	}
	return nil
}

// tunnelNames are the files by which a runner could look for PID 1.
func tunnelNames() []string {
	if found := stateSockets(); len(found) > 0 {
		return found
	}
	return []string{filepath.Join(pid1.StateDir, "tunnel.sock")}
}

// imposter listens wherever the runner could look for PID 1 and leaves word in
// the workspace of what it was told.
func imposter() int {
	told := make(chan string, 16)
	names := tunnelNames()
	for _, name := range append(names, abstractTunnel) {
		_ = os.Remove(name)
		l, err := net.Listen("unix", name)
		if err != nil {
			continue // in use: then it is PID 1's
		}
		_ = os.Chmod(name, 0o777)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
					buf := make([]byte, 4096)
					n, _ := c.Read(buf)
					if n > 0 {
						told <- fmt.Sprintf("%s was told %q\n", name, buf[:n])
					}
				}()
			}
		}()
	}
	fmt.Print(placed)
	f, err := os.OpenFile("/workspace/"+toldFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 1
	}
	defer f.Close()
	for timeout := time.After(playMax); ; {
		select {
		case text := <-told:
			_, _ = f.WriteString(text)
		case <-timeout:
			return 0
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}
