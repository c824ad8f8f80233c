package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// hostLogin writes a login of the host's that ends at expires and returns its file.
func (b *bundle) hostLogin(t *testing.T, access string, expires time.Time) string {
	t.Helper()
	path := filepath.Join(b.Home, ".claude", ".credentials.json")
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, fmt.Appendf(nil, `{"claudeAiOauth":{"accessToken":%q,"refreshToken":"refresh-of-%s","expiresAt":%d}}`,
			access, access, expires.UnixMilli()), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A login that ended while nobody was there is renewed before the session begins,
// by the vendor's CLI on the file itself.
func TestEndedLoginIsRenewed(t *testing.T) {
	t.Parallel()
	var b *bundle
	var renewals atomic.Int32
	b = setup(t, func(line map[string]any, print func(string)) bool {
		if line["request_id"] == "renew" {
			renewals.Add(1)
			b.hostLogin(t, "token-of-today", time.Now().Add(8*time.Hour))
		}
		return answer("hello")(line, print)
	})
	path := b.hostLogin(t, "token-of-yesterday", time.Now().Add(-time.Hour))
	s, end := b.run(t)
	if end.Outcome != event.Succeeded || renewals.Load() != 1 {
		t.Errorf("ended %+v after %d renewals", end, renewals.Load())
	}
	if data, err := os.ReadFile(path); err != nil || !strings.Contains(string(data), "token-of-today") {
		t.Errorf("the login is %s, %v", data, err)
	}
	for _, e := range b.entries(t, s.ID) {
		if e.Type == string(event.TypeNotice) {
			t.Errorf("notice %s", e.Data)
		}
	}
	b.wantNoHelper(t)
}

func (b *bundle) wantNoHelper(t *testing.T) {
	t.Helper()
	if left, _ := os.ReadDir(filepath.Join(b.Store.root, "helpers")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if all, err := b.engine.List(t.Context(), ""); len(all) > 0 || err != nil {
		t.Errorf("containers %v, %v", all, err)
	}
}

func TestEndedLoginThatCannotBeRenewed(t *testing.T) {
	t.Parallel()
	b := setup(t, func(map[string]any, func(string)) bool { return false }) // the CLI ends at once
	path := b.hostLogin(t, "token-of-yesterday", time.Now().Add(-time.Hour))
	before, _ := os.ReadFile(path)
	_, err := b.Start(t.Context(), b.task)
	if !errors.Is(err, credential.ErrExpired) || !strings.Contains(err.Error(), "did not renew it") || strings.Contains(err.Error(), "token-of") {
		t.Errorf("error %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the login is %s, %v", after, err)
	}
	b.wantNoHelper(t)
}

// A renewal that a killed runner left behind is no rubbish while it may run.
func TestSweepLeavesHelpersAtWork(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	for want, c := range map[bool][]sandbox.Info{
		true:  {{ID: "login-1", Running: true}, {ID: "login-1", Created: time.Now()}},
		false: {{ID: "login-1", Created: time.Now().Add(-time.Hour)}, {ID: "0191", Running: true}},
	} {
		for _, info := range c {
			if got := b.owned(info); got != want {
				t.Errorf("%+v: %v", info, got)
			}
		}
	}
}

func TestSweepRemovesWhatHelpersLeft(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	root := filepath.Join(b.Store.root, "helpers")
	long := time.Now().Add(-time.Hour)
	for _, name := range []string{"login-old", "login-new"} {
		if err := os.MkdirAll(filepath.Join(root, name, "home"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(filepath.Join(root, "login-old"), long, long); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(root); len(left) != 1 || left[0].Name() != "login-new" {
		t.Errorf("left %v", left)
	}
}

func TestLoginOrder(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	find := func(mode credential.Mode, account string) credential.Source {
		t.Helper()
		task := b.task
		task.Login, task.Account = mode, account
		src, err := b.Login(task)
		if err != nil && !errors.Is(err, credential.ErrNoLogin) {
			t.Error(err)
		}
		return src
	}
	if got := find("", ""); got.Var != "ANTHROPIC_API_KEY" {
		t.Errorf("a variable only: %v", got)
	}
	if got := find(credential.ModeMount, ""); got.Path != "" {
		t.Errorf("no file: %v", got)
	}
	path := b.hostLogin(t, "token-of-the-runner", time.Now().Add(time.Hour))
	for _, account := range []string{"default", "work"} {
		if err := b.Store.Accounts().Adopt("claude", account, filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for account, want := range map[string]string{"": "default", "work": "work"} {
		if got := find("", account); got.Account != want || got.Mode != credential.ModeMount {
			t.Errorf("account %q: %v", account, got)
		}
	}
	b.hostLogin(t, "token-of-the-host", time.Now().Add(time.Hour))
	if got := find("", ""); got.Path != path {
		t.Errorf("the host's: %v", got)
	}
	if got := find(credential.ModeHostDir, "work"); got.Account != "work" || got.Mode != credential.ModeHostDir {
		t.Errorf("an account's directory: %+v", got)
	}
}
