package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
)

func shellAsk(id, line string) event.AskOpened {
	o := command(id)
	o.ToolKind, o.Command = event.KindShell, line
	return o
}

// alwaysBench is a watch whose asks are answered.
type alwaysBench struct {
	*watch
	t       *testing.T
	session fakeSession
	dir     string
}

func newAlwaysBench(t *testing.T, path string) *alwaysBench {
	b := &alwaysBench{t: t, dir: t.TempDir()}
	b.watch = setup(t).newWatch(nil, "s1", viewFlags{})
	for _, dir := range []string{"ws", "ws/real", "own"} {
		if err := os.Mkdir(filepath.Join(b.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if path != "" {
		path = filepath.Join(b.dir, path)
	}
	b.rules = rulesFile{path, filepath.Join(b.dir, "ws")}
	b.session.open = []event.AskOpened{shellAsk("1", "make a; make b")}
	return b
}

func (b *alwaysBench) write(name, text string, mode os.FileMode) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), mode); err != nil {
		b.t.Fatal(err)
	}
}

func (b *alwaysBench) answer(a event.Answer) error {
	return b.answering(&b.session)(a, false)
}

func TestAlways(t *testing.T) {
	t.Parallel()
	b := newAlwaysBench(t, "own/new/rules.yaml")
	for i := range 2 { // the second time, there is nothing to add
		if err := b.answer(event.Answer{Ask: "1", Decision: event.DecideAlways}); err != nil {
			t.Fatal(err)
		}
		want := []string{"allowed from now on, in every workspace: rule 1 of " + b.rules.path, b.rules.path + " allows this already"}[i]
		if said := <-b.said; !strings.Contains(said, want) {
			t.Errorf("said %q", said)
		}
	}
	if err := b.answer(event.Answer{Ask: "1", Decision: event.DecideDeny, Message: "no"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"allow_session 1", "allow_session 1", "deny 1 no"}, b.session.calls); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	info, err := os.Stat(b.rules.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	p, _, err := setup(t).permissions("rules", b.rules.path, "")
	if err != nil || len(p.Rules) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	call := permission.Call{Kind: event.KindShell, Tool: "Bash", Command: "make a; make b"}
	if v := p.Decide(call); v.Decision != permission.Allow {
		t.Errorf("%+v", v)
	}
}

// When no rule can be written, the ask stays open and the file as it is.
func TestAlwaysRefused(t *testing.T) {
	t.Parallel()
	always := event.Answer{Ask: "1", Decision: event.DecideAlways}
	const old = "rules:\n  - decision: deny # mine\n    kind: mcp\n"
	for name, tc := range map[string]struct {
		path    string
		prepare func(b *alwaysBench)
		answer  event.Answer
		want    string
	}{
		"no file":             {"", nil, always, "has no file"},
		"workspace":           {"ws/rules.yaml", nil, always, "inside the workspace"},
		"linked workspace":    {"link/rules.yaml", func(b *alwaysBench) { b.link("ws/real", "link") }, always, "inside the workspace"},
		"link of workspace's": {"ws/out/rules.yaml", func(b *alwaysBench) { b.link("own", "ws/out") }, always, "inside the workspace"},
		"link":                {"own/rules.yaml", func(b *alwaysBench) { b.write("own/r", old, 0o600); b.link("own/r", "own/rules.yaml") }, always, "is a link"},
		"directory":           {"own", nil, always, "no regular file"},
		"read-only":           {"own/rules.yaml", func(b *alwaysBench) { b.write("own/rules.yaml", old, 0o400) }, always, "not yours to write"},
		"JSON":                {"own/rules.json", func(b *alwaysBench) { b.write("own/rules.json", `{"rules": []}`, 0o600) }, always, "rules.json: its rules are in brackets or JSON"},
		"broken":              {"own/rules.yaml", func(b *alwaysBench) { b.write("own/rules.yaml", "rule: []\n", 0o600) }, always, `unknown field "rule"`},
		"denied before": {"own/rules.yaml", func(b *alwaysBench) {
			b.write("own/rules.yaml", "rules:\n- decision: deny\n  command: make b\n", 0o600)
		}, always, "rule 1 of"},
		"cut":       {"own/rules.yaml", func(b *alwaysBench) { b.session.open[0].Cut = true }, always, "too long"},
		"edited":    {"own/rules.yaml", nil, event.Answer{Ask: "1", Decision: event.DecideAlways, Input: []byte(`{}`)}, "cannot be edited"},
		"no option": {"own/rules.yaml", func(b *alwaysBench) { b.session.open[0].Options = []event.Decision{event.DecideAllow} }, always, "is none of"},
		"closed":    {"own/rules.yaml", func(b *alwaysBench) { b.session.open = nil }, always, "no such ask"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newAlwaysBench(t, tc.path)
			if tc.prepare != nil {
				tc.prepare(b)
			}
			before, _ := os.ReadFile(b.rules.path)
			if err := b.answer(tc.answer); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
			after, _ := os.ReadFile(b.rules.path)
			if len(b.session.calls) > 0 || string(before) != string(after) {
				t.Errorf("answered %q; the file holds %q", b.session.calls, after)
			}
		})
	}
}

func (b *alwaysBench) link(to, name string) {
	b.t.Helper()
	if err := os.Symlink(filepath.Join(b.dir, to), filepath.Join(b.dir, name)); err != nil {
		b.t.Fatal(err)
	}
}

// TestAlwaysTogether lets runners add to one file at the same time: no rule is lost.
func TestAlwaysTogether(t *testing.T) {
	t.Parallel()
	b := newAlwaysBench(t, "own/rules.yaml")
	const old = "# mine\nrules:\n  - decision: deny # never\n    kind: mcp\n"
	b.write("own/rules.yaml", old, 0o644)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			if _, err := b.rules.allow(shellAsk("1", fmt.Sprintf("make %d", i))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	data, err := os.ReadFile(b.rules.path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := permission.Parse(data)
	if err != nil || len(p.Rules) != 5 || !strings.HasPrefix(string(data), old) {
		t.Errorf("%v\n%s", err, data)
	}
	left, err := os.ReadDir(filepath.Dir(b.rules.path))
	if err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}

// A file that somebody saves in the meantime is not overwritten.
func TestAlwaysChangedMeanwhile(t *testing.T) {
	t.Parallel()
	b := newAlwaysBench(t, "own/rules.yaml")
	b.write("own/rules.yaml", "default: deny\n", 0o600)
	if done, err := b.rules.replace([]byte("default: ask\n"), []byte("rules: []\n")); done || err != nil {
		t.Errorf("%v, %v", done, err)
	}
	if data, _ := os.ReadFile(b.rules.path); string(data) != "default: deny\n" {
		t.Errorf("the file holds %q", data)
	}
}

// To ask first begins with the person's own rules.
func TestOwnRules(t *testing.T) {
	t.Parallel()
	b := setup(t)
	config := filepath.Join(b.root, "config.yaml")
	b.config = config
	p, path, err := b.permissions("ask", "", "")
	if err != nil || path != filepath.Join(b.root, ownRules) || len(p.Rules) != len(permission.AskFirst().Rules) {
		t.Fatalf("%+v, %q, %v", p, path, err)
	}
	if err := os.WriteFile(path, []byte("rules:\n- decision: allow\n  command: make\n- decision: deny\n  path: .env\ndefault: deny\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[string]permission.Decision{"ask": permission.Allow, "rules": permission.Deny} {
		p, path, err = b.permissions(mode, "", "")
		if err != nil || path == "" {
			t.Fatal(path, err)
		}
		if v := p.Decide(permission.Call{Kind: event.KindRead, Tool: "Read", Paths: []string{"a"}}); v.Decision != want {
			t.Errorf("%s: reading is %+v", mode, v)
		}
		if v := p.Decide(permission.Call{Kind: event.KindRead, Tool: "Read", Paths: []string{".env"}}); v.Rule != 2 {
			t.Errorf("%s: .env is %+v", mode, v)
		}
		if v := p.Decide(permission.Call{Kind: event.KindShell, Tool: "Bash", Command: "make"}); v.Decision != permission.Allow {
			t.Errorf("%s: make is %+v", mode, v)
		}
	}
	if _, _, err = b.permissions("ask", "", b.root); err == nil || !strings.Contains(err.Error(), "inside --cwd") {
		t.Error(err)
	}
}
