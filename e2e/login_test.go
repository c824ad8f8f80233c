//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

// vendorNet leads the vendors' real host names to the scripted API, below the
// egress proxy: its rules and denials are those of a real session.
type vendorNet struct{ addr string }

func (vendorNet) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	for i, h := range modelapi.Hosts() {
		if h == host {
			return []netip.Addr{netip.AddrFrom4([4]byte{93, 184, 216, byte(i + 1)})}, nil
		}
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (v vendorNet) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, v.addr)
}

// subscription is a bundle whose host is logged in with the vendor, for tokens
// that live for life.
type subscription struct {
	*bundle
	front *modelapi.Front
	ca    string // file
	path  string // of the host's login
	login modelapi.Login
}

// subscribe plays turns to each conversation.
func subscribe(t *testing.T, kind agent.Kind, life time.Duration, turns ...modelapi.Turn) *subscription {
	t.Helper()
	b := setup(t, kind)
	api, err := modelapi.New(turns...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	front, err := api.Front(modelapi.Hosts()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { front.Close() })
	b.api = api
	delete(b.env, loginVar(kind))
	s := &subscription{bundle: b, front: front, ca: filepath.Join(b.base, "ca.pem")}
	if err := os.WriteFile(s.ca, front.CA, 0o644); err != nil {
		t.Fatal(err)
	}
	dir := ".claude"
	s.login = api.ClaudeLogin("host", life)
	if kind == agent.Codex {
		dir, s.login = ".codex", api.CodexLogin("host", life)
	}
	s.path = filepath.Join(b.home, dir, credential.File(string(kind)))
	if err := errors.Join(os.Mkdir(filepath.Dir(s.path), 0o700), os.WriteFile(s.path, s.login.File(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return s
}

// runnerAt is a runner on a store of its own, as another process has one.
func (s *subscription) runnerAt(state string) *runner.Runner {
	s.t.Helper()
	r := s.runner()
	store, err := runner.OpenStore(filepath.Join(s.base, state))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Store, r.CA = store, s.ca
	r.Resolver, r.Dial = vendorNet{s.front.Addr}, vendorNet{s.front.Addr}.dial
	return r
}

func (s *subscription) task() runner.Task {
	t := s.bundle.task()
	t.BaseURL, t.Allow, t.Login = "", nil, credential.ModeMount
	return t
}

// wantAlive checks that the host's login is one that its owner can go on with.
func (s *subscription) wantAlive() {
	s.t.Helper()
	src, err := credential.FindMount(string(s.kind), func(string) string { return "" }, s.home)
	if err != nil {
		s.t.Errorf("the host's login: %v", err)
	}
	if !s.api.Unspent(refreshOf(s.t, src.Path)) {
		s.t.Error("the host's refresh token is spent")
	}
	entries, err := os.ReadDir(filepath.Dir(s.path))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".last-good") || strings.HasPrefix(e.Name(), ".new-") {
			s.t.Errorf("%s is left over", e.Name())
		}
	}
}

func refreshOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Claude struct{ RefreshToken string } `json:"claudeAiOauth"`
		Tokens struct {
			Refresh string `json:"refresh_token"`
		} `json:"tokens"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return file.Claude.RefreshToken + file.Tokens.Refresh
}

// TestSharedLogin runs sessions of several runners on one login for longer than
// its tokens live. No turn fails, no refresh token is spent twice, and the host's
// login is good in the end.
func TestSharedLogin(t *testing.T) {
	const life, sessions, runners = 40 * time.Second, 6, 3
	lasting := setting(t, "RATCHETAI_LOGIN_TIME", 2*time.Minute, time.ParseDuration)
	var turns []modelapi.Turn
	for range int(lasting / (4 * time.Second)) {
		turns = append(turns, modelapi.Shell("sleep 4; date"))
	}
	turns = append(turns, modelapi.Text("all done"))
	for _, kind := range []agent.Kind{agent.Claude, agent.Codex} {
		t.Run(string(kind), func(t *testing.T) { // both at once, and nothing else
			t.Parallel()
			s := subscribe(t, kind, life, turns...)
			task := s.task()
			task.Timeout = 3*lasting + 2*time.Minute
			var running []*runner.Session
			for n := range sessions {
				state := "state"
				if n%runners > 0 {
					state = fmt.Sprint("state", n%runners)
				}
				one, err := s.runnerAt(state).Start(t.Context(), task)
				if err != nil {
					t.Fatal(err)
				}
				running = append(running, one)
			}
			for _, one := range running {
				if end := one.Result(); end.Outcome != event.Succeeded || end.Result != "all done" {
					t.Errorf("session %s ended %+v", one.ID, end)
				}
				s.wantQuiet(one)
			}
			stats := s.api.LoginStats()
			t.Logf("%d sessions for %v on tokens of %v: %+v", sessions, lasting, life, stats)
			if stats.Races > 0 || stats.Refused > 0 || stats.Renewed < int(lasting/life) {
				t.Errorf("logins: %+v", stats)
			}
			s.wantAlive()
		})
	}
}

// wantQuiet checks that nothing in the session tells of trouble.
func (s *subscription) wantQuiet(one *runner.Session) {
	s.t.Helper()
	for e, err := range one.Events(s.t.Context(), 1) {
		if err != nil {
			s.t.Error(err)
			return
		}
		// Codex tries to renew by itself in the last five minutes, which these
		// tokens never leave. It has nothing to spend and is not let through.
		denied := e.Type == string(event.TypeEgressDenied) && !strings.Contains(string(e.Data), `"auth.openai.com"`)
		if e.Type == string(event.TypeNotice) && strings.Contains(string(e.Data), `"warning"`) || denied {
			s.t.Errorf("session %s: %s", one.ID, e.Data)
		}
	}
}

// TestRefusedRenewal signs the host out at the vendor. The session goes on with
// the token that it has and says what to do, and nothing of the login is gone that
// was not gone at the vendor.
func TestRefusedRenewal(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		s := subscribe(t, kind, 40*time.Second, modelapi.Shell("sleep 30"), modelapi.Text("all done"))
		s.api.RefuseRenewals()
		one, err := s.runnerAt("state").Start(t.Context(), s.task())
		if err != nil {
			t.Fatal(err)
		}
		if end := s.end(one); end.Outcome != event.Succeeded {
			t.Errorf("ended %+v", end)
		}
		said := false
		for _, n := range all[event.Notice](s.bundle, one.ID) {
			said = said || n.Kind == "warning" && strings.Contains(n.Text, credential.ErrNotRenewed.Error())
			for _, token := range []string{s.login.Access, s.login.Refresh} {
				if strings.Contains(n.Text, token) {
					t.Errorf("a token is shown: %q", n.Text)
				}
			}
		}
		if !said {
			t.Errorf("nothing is said about it: %+v", all[event.Notice](s.bundle, one.ID))
		}
		kept := s.path
		if kind == agent.Claude { // its CLI blanks the file
			kept += ".last-good"
		}
		if refreshOf(t, kept) != s.login.Refresh {
			t.Errorf("%s does not hold what was there", kept)
		}
	})
}

// TestEndedLogin begins a session, and four at once, with a login that ended while
// nobody was there: it is renewed once.
func TestEndedLogin(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		s := subscribe(t, kind, time.Second, modelapi.Text("all done"))
		s.api.SetLife(time.Hour)
		time.Sleep(time.Until(s.login.Expires) + time.Second) // a JWT has whole seconds
		var starting sync.WaitGroup
		for n := range 4 {
			starting.Go(func() {
				one, err := s.runnerAt(fmt.Sprint("state", n)).Start(t.Context(), s.task())
				if err != nil {
					t.Error(err)
					return
				}
				if end := one.Result(); end.Outcome != event.Succeeded {
					t.Errorf("ended %+v", end)
				}
				s.wantQuiet(one)
			})
		}
		starting.Wait()
		if stats := s.api.LoginStats(); stats.Races > 0 || stats.Renewed == 0 || stats.Renewed > 2 || stats.Refused > 0 {
			t.Errorf("logins: %+v", stats)
		}
		s.wantAlive()
	})
}

// TestHostDir shows the agent the login's directory, read-only, beside its own.
func TestHostDir(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		s := subscribe(t, kind, 8*time.Hour,
			modelapi.Shell("cat /run/login/mine.txt; cat /run/login/*.json /run/login/.*.json; touch /run/login/x; echo made >$HOME/.mine && echo wrote"),
			modelapi.Text("all done"))
		s.give(filepath.Dir(s.path))
		s.give(s.path)
		if err := os.WriteFile(filepath.Join(filepath.Dir(s.path), "mine.txt"), []byte("what I keep there"), 0o644); err != nil {
			t.Fatal(err)
		}
		before := s.stat(s.path)
		task := s.task()
		task.Login = credential.ModeHostDir
		one, err := s.runnerAt("state").Start(t.Context(), task)
		if err != nil {
			t.Fatal(err)
		}
		if end := s.end(one); end.Outcome != event.Succeeded {
			t.Errorf("ended %+v", end)
		}
		notices := all[event.Notice](s.bundle, one.ID)
		if len(notices) == 0 || !strings.Contains(notices[0].Text, "refresh token") {
			t.Errorf("the hazard is not said: %+v", notices)
		}
		tools := all[event.ToolFinished](s.bundle, one.ID)
		if len(tools) != 1 || !strings.Contains(tools[0].Output, "what I keep there") || !strings.Contains(tools[0].Output, "Read-only") || !strings.Contains(tools[0].Output, "wrote") {
			t.Errorf("tools %+v", tools)
		}
		for name, data := range s.records(one.ID) {
			leaks(t, name, data, "access", s.login.Access)
			leaks(t, name, data, "refresh", s.login.Refresh)
		}
		if after := s.stat(s.path); after != before {
			t.Errorf("the login changed from %s to %s", before, after)
		}
		if os.Getuid() == 0 {
			task.User = "4321:4321"
			if _, err := s.runnerAt("state").Start(t.Context(), task); err == nil || !strings.Contains(err.Error(), "--user") {
				t.Errorf("a login that the agent cannot read: %v", err)
			}
		}
	})
}
