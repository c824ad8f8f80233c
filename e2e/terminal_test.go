//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
)

// terminal is the far end of a pseudo-terminal: a keyboard and what was shown.
type terminal struct {
	keys *os.File
	done chan struct{} // closed when everything is shown and the program has ended

	mu   sync.Mutex
	text strings.Builder
}

// startTerminal starts the binary as the leader of a terminal.
func (b *bundle) startTerminal(args ...string) (*child, *terminal) {
	b.t.Helper()
	c := &child{Cmd: b.command(args...), started: time.Now()}
	return c, startAtTerminal(b.t, c.Cmd)
}

// startAtTerminal starts cmd as the leader of a terminal.
func startAtTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	cmd.Env = append(cmd.Environ(), "TERM=xterm-256color")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	screen := &terminal{keys: master, done: make(chan struct{})}
	go func() {
		defer close(screen.done)
		_, _ = io.Copy(screen, master) // an error: the program has closed its end
	}()
	return screen
}

// Write takes what is shown.
func (s *terminal) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *terminal) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *terminal) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := s.keys.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// TestTerminal sits at the terminal: a typed line reaches the agent, Ctrl-C stops
// the turn, another line starts the next one. What the model says cannot take the
// terminal over.
func TestTerminal(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind,
			modelapi.Text("\x1b]0;owned\x07\x1b[2Jhello \u202eevil").With(modelapi.Shell("sleep 2; echo first")),
			modelapi.Shell("echo working; sleep 60"),
			modelapi.Text("as you typed"))
		args := b.runArgs()
		c, screen := b.startTerminal(append([]string{"run"}, args[2:]...)...) // without --json
		b.awaitTool("sleep 2")
		screen.press(t, "/later never mind\r")
		b.await(func(e journal.Entry) bool {
			return e.Type == string(event.TypeCommandQueued) && strings.Contains(string(e.Data), "later")
		})
		screen.press(t, "/withdraw\r")
		b.await(func(e journal.Entry) bool { return e.Type == string(event.TypeCommandWithdrawn) })
		screen.press(t, "/next mind the typed line\r")
		b.awaitTool("sleep 60")
		time.Sleep(300 * time.Millisecond)
		screen.press(t, "\x03")
		b.await(func(e journal.Entry) bool { return e.Type == string(event.TypeTurnFinished) })
		screen.press(t, "then do this\r")
		r := b.finish(c)
		if r.code != 0 {
			t.Fatalf("exit code %d: %s", r.code, screen.shown())
		}
		id := b.session()
		end := all[event.SessionFinished](b, id)[0]
		if end.Outcome != event.Succeeded || end.Result != "as you typed" {
			t.Errorf("ended %+v", end)
		}
		for _, text := range []string{"mind the typed line", "then do this"} {
			if n := b.said(text); n != 1 {
				t.Errorf("the model read %q %d times", text, n)
			}
		}
		if n := b.said("never mind"); n != 0 {
			t.Errorf("the model read what was withdrawn %d times", n)
		}
		<-screen.done
		shown := screen.shown()
		for _, bad := range []string{"\x1b]0;", "\x1b[2J", "\u202e"} {
			if strings.Contains(shown, bad) {
				t.Errorf("the terminal got %q", bad)
			}
		}
		for _, want := range []string{"hello", "as you", " typed\r\n", "queued (later): never mind", "withdrawn: never mind", "mind the typed line", string(event.Succeeded)} {
			if !strings.Contains(shown, want) {
				t.Errorf("the terminal does not show %q: …%q", want, shown[max(0, len(shown)-2000):])
			}
		}
	})
}
