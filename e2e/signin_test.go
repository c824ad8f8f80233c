//go:build e2e

package e2e

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// TestSignIn logs in with the vendor's own CLI at a terminal in a sandbox. The
// account is then what a session uses on a host without a login; a login that the
// vendor refuses leaves it as it is.
func TestSignIn(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		s := subscribe(t, kind, time.Hour, modelapi.Text("hello"))
		if err := os.Remove(s.path); err != nil {
			t.Fatal(err)
		}
		r := s.runnerAt("state")
		task := s.task()
		if _, err := r.Start(t.Context(), task); !errors.Is(err, credential.ErrNoLogin) {
			t.Errorf("without a login: %v", err)
		}
		s.api.AcceptSignIns(8 * time.Hour)
		if shown, err := s.signIn(r, "good-code#state"); err != nil {
			t.Fatalf("%v: %s", err, shown)
		}
		login, err := r.Login(task)
		if err != nil || login.Account != credential.DefaultAccount {
			t.Fatalf("found %v, %v", login, err)
		}
		info := credential.Describe(login, nil)
		if life := time.Until(info.Expires); !info.Renewable || life < 7*time.Hour || life > 8*time.Hour {
			t.Errorf("the login is %+v", info)
		}
		one, err := r.Start(t.Context(), task)
		if err != nil {
			t.Fatal(err)
		}
		if end := s.end(one); end.Outcome != event.Succeeded || end.Result != "hello" {
			t.Errorf("ended %+v", end)
		}
		s.wantQuiet(one)

		if kind == agent.Claude { // Codex would wait for the person for a quarter of an hour
			before, _ := os.ReadFile(login.Path)
			shown, err := s.signIn(r, "bad-code#state")
			if after, _ := os.ReadFile(login.Path); !errors.Is(err, runner.ErrNotSignedIn) || string(after) != string(before) {
				t.Errorf("refused: %v: %s", err, shown)
			}
		}
		if left, _ := os.ReadDir(s.base + "/state/helpers"); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
	})
}

// TestLoginAtATerminal gives up a login at the real program's terminal: the
// vendor's CLI asks, every key is its own, and nothing is left.
func TestLoginAtATerminal(t *testing.T) {
	t.Parallel()
	b := setup(t, agent.Claude)
	c, screen := b.startTerminal("login", "claude", "--account", "mine")
	for end := time.Now().Add(30 * time.Second); !strings.Contains(screen.shown(), "Paste code"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("shown: %s", screen.shown())
		}
	}
	screen.press(t, "\x03")
	if r := b.finish(c); r.code != 3 {
		t.Errorf("exit code %d", r.code)
	}
	<-screen.done
	if !strings.Contains(screen.shown(), "nobody was logged in") {
		t.Errorf("shown: %s", screen.shown())
	}
	r := b.run("logins", "ls", "--json")
	r.want(t, 0)
	if strings.Contains(r.stdout, "mine") {
		t.Errorf("logins: %s", r.stdout)
	}
}

// signIn is a person who types code where Claude asks for one.
func (s *subscription) signIn(r *runner.Runner, code string) (shown string, err error) {
	s.t.Helper()
	engine, err := sandbox.NewDocker("")
	if err != nil {
		s.t.Fatal(err)
	}
	defer engine.Close()
	keys, typed := io.Pipe()
	defer keys.Close()
	screen := &terminal{}
	done := make(chan struct{}) // closed when the CLI has ended
	go func() {
		for s.kind == agent.Claude {
			if strings.Contains(screen.shown(), "Paste code") {
				_, _ = io.WriteString(typed, code+"\r")
				return
			}
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	err = r.SignIn(s.t.Context(), engine, s.kind, credential.DefaultAccount, built.image, "xterm", nil, sandbox.Terminal{In: keys, Out: screen})
	close(done)
	return screen.shown(), err
}
