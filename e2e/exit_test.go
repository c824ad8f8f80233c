//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// TestExitCodes makes every outcome happen for real.
func TestExitCodes(t *testing.T) {
	long := modelapi.Shell("echo working; sleep 60")
	cases := []struct {
		name    string
		turns   []modelapi.Turn
		flags   []string
		code    int
		outcome event.Outcome
		says    string // in the reason
	}{
		{"api error", []modelapi.Turn{modelapi.HTTPError(400).Repeat(-1)}, nil, 1, event.Failed, "400"},
		{"refused login", []modelapi.Turn{modelapi.HTTPError(401).Repeat(-1)}, nil, 3, event.Errored, "login"},
		{"usage limit", []modelapi.Turn{modelapi.UsageLimit(time.Now().Add(3 * time.Hour)).Repeat(-1)}, nil, 6, event.LimitReached, "limit"},
		{"deadline", []modelapi.Turn{long, modelapi.Text("too late")}, []string{"--timeout", "4s"}, 124, event.TimedOut, "deadline"},
	}
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				b := setup(t, kind, c.turns...)
				r := b.run(b.runArgs(c.flags...)...)
				r.want(t, c.code)
				end := all[event.SessionFinished](b, b.session())[0]
				if end.Outcome != c.outcome || !strings.Contains(strings.ToLower(end.Reason), c.says) {
					t.Errorf("ended %+v, want %s about %q", end, c.outcome, c.says)
				}
				if c.outcome == event.LimitReached && end.ResetsAt == "" {
					t.Errorf("no time at which the limit ends")
				}
			})
		}
	})
}

// TestAgentDies kills the real agent from inside. Without its word on how the turn
// ended the session is lost, not failed.
func TestAgentDies(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Shell("kill -9 $(pgrep -ox "+string(kind)+")"), modelapi.Text("not reached"))
		r := b.run(b.runArgs()...)
		r.want(t, 1)
		end := all[event.SessionFinished](b, b.session())[0]
		if end.Outcome != event.Lost || end.ExitCode == nil || *end.ExitCode != 137 {
			t.Errorf("ended %+v, want lost with exit code 137", end)
		}
	})
}

// TestRefused is what the command line turns down before any session exists.
func TestRefused(t *testing.T) {
	t.Parallel()
	dead := filepath.Join(t.TempDir(), "no-engine.sock")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		args []string
		env  [2]string
		code int
		says string
	}{
		{name: "unknown model", args: []string{"--model", "gemini"}, code: 2, says: "gemini"},
		{name: "no model after colon", args: []string{"--model", "claude:"}, code: 2, says: "claude"},
		{name: "unknown flag", args: []string{"--colour", "x"}, code: 2, says: "colour"},
		{name: "bad rule", args: []string{"--allow-host", "*"}, code: 2, says: "*"},
		{name: "loopback rule", args: []string{"--allow-host", "127.0.0.1:80"}, code: 2, says: "127.0.0.1"},
		{name: "bad user", args: []string{"--user", "root"}, code: 2, says: "root"},
		{name: "bad credentials", args: []string{"--credentials", "all"}, code: 2, says: "all"},
		{name: "bad timeout", args: []string{"--timeout", "soon"}, code: 2, says: "soon"},
		{name: "cwd missing", args: []string{"--cwd", "/does/not/exist"}, code: 2, says: "/does/not/exist"},
		{name: "cwd is a file", args: []string{"--cwd", file}, code: 2, says: "directory"},
		{name: "cwd is the root", args: []string{"--cwd", "/"}, code: 2, says: "/"},
		{name: "cwd is home", args: []string{"--cwd", "$HOME"}, code: 2, says: "--anywhere"},
		{name: "cwd is above home", args: []string{"--cwd", "$HOME/.."}, code: 2, says: "--anywhere"},
		{name: "root's directory", code: 2, says: "--user"},
		{name: "no engine", env: [2]string{"DOCKER_HOST", "unix://" + dead}, code: 3, says: dead},
		{name: "no login", args: []string{"--credentials", "mount"}, code: 3, says: "log in"},
		{name: "empty login", env: [2]string{"CLAUDE_CODE_OAUTH_TOKEN", ""}, code: 3, says: "CLAUDE_CODE_OAUTH_TOKEN"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, agent.Claude)
			if c.name == "root's directory" {
				b.root()
			}
			if c.env[0] != "" {
				b.env[c.env[0]] = c.env[1]
			}
			for i, a := range c.args {
				c.args[i] = strings.ReplaceAll(a, "$HOME", b.home)
			}
			r := b.run(b.runArgs(c.args...)...)
			r.want(t, c.code)
			if !strings.Contains(r.stderr, c.says) {
				t.Errorf("stderr does not mention %q: %s", c.says, r.stderr)
			}
			if r.stdout != "" {
				t.Errorf("stdout: %s", r.stdout)
			}
			if r.took > 20*time.Second {
				t.Errorf("took %s", r.took)
			}
			if n := len(b.api.Requests("")); n > 0 {
				t.Errorf("%d requests reached the API", n)
			}
		})
	}
}

// root makes the workspace root's, which only root can.
func (b *bundle) root() {
	b.t.Helper()
	if os.Getuid() != 0 {
		b.t.Skip("only root can make a directory root's")
	}
	if err := os.Chown(b.ws, 0, 0); err != nil {
		b.t.Fatal(err)
	}
}

// TestCancel interrupts with Ctrl-C: once for the turn, twice to end, three
// times for at once. An agent that ignores it does not survive.
func TestCancel(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		for presses := 1; presses <= 3; presses++ {
			t.Run(fmt.Sprint(presses), func(t *testing.T) {
				b := setup(t, kind, modelapi.Shell("echo working; sleep 60"), modelapi.Text("not reached"))
				c := b.start(b.runArgs()...)
				b.awaitTool("sleep 60")
				time.Sleep(300 * time.Millisecond) // the agent starts the tool after it says so
				pressed := time.Now()
				for range presses {
					c.signal(syscall.SIGINT)
					time.Sleep(50 * time.Millisecond)
				}
				r := b.finish(c)
				r.want(t, 4)
				if took := time.Since(pressed); took > 25*time.Second {
					t.Errorf("ended %s after the last Ctrl-C", took)
				}
				if end := all[event.SessionFinished](b, b.session())[0]; end.Outcome != event.Cancelled {
					t.Errorf("ended %+v", end)
				}
			})
		}
	})
}
