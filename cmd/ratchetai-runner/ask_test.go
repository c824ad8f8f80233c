package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
)

// askBench is an asker with a clock that a test moves.
type askBench struct {
	*asker
	t       *testing.T
	session fakeSession
	said    []string
	clock   time.Time
}

func newAskBench(t *testing.T, asks ...event.AskOpened) *askBench {
	b := &askBench{t: t, clock: time.Unix(1000, 0)}
	b.asker = &asker{
		answer: b.session.Answer, stay: true, now: func() time.Time { return b.clock },
		say: func(text string) { b.said = append(b.said, text) },
	}
	for _, o := range asks {
		o.Default = event.DecideDeny
		b.happened(o)
	}
	return b
}

func (b *askBench) happened(d event.Data) {
	b.t.Helper()
	data, err := json.Marshal(d)
	if err != nil {
		b.t.Fatal(err)
	}
	b.entry(journal.Entry{Type: string(d.EventType()), Data: data})
}

func (b *askBench) typed(text string) bool {
	b.clock = b.clock.Add(time.Second)
	return b.line(text, b.clock)
}

func command(id string) event.AskOpened {
	return event.AskOpened{
		Ask: id, Kind: event.AskPermission, Tool: "Bash", Command: "rm x", Input: []byte(`{"command":"rm x","timeout":5}`), Editable: true,
		Options: []event.Decision{event.DecideAllow, event.DecideSession, event.DecideDeny, event.DecideStop},
	}
}

func question(id string, questions ...event.Question) event.AskOpened {
	return event.AskOpened{Ask: id, Kind: event.AskQuestion, Questions: questions}
}

func TestAskerLines(t *testing.T) {
	t.Parallel()
	colour := event.Question{ID: "c", Text: "colour?", Options: []event.Choice{{Label: "red"}, {Label: "blue"}}}
	many := event.Question{ID: "m", Text: "which?", Multiple: true, Options: []event.Choice{{Label: "a"}, {Label: "b"}, {Label: "c"}}}
	form := event.AskOpened{Ask: "f", Kind: event.AskForm}
	write := event.AskOpened{Ask: "w", Kind: event.AskPermission, Input: []byte(`{}`), Editable: true}
	for _, tc := range []struct {
		ask   event.AskOpened
		lines []string
		want  []string
	}{
		{command("1"), []string{"y"}, []string{"allow 1 and stay"}},
		{command("1"), []string{"a"}, []string{"allow_session 1 and stay"}},
		{command("1"), []string{"A"}, []string{"allow_always 1 and stay"}},
		{command("1"), []string{"always"}, []string{"allow_always 1 and stay"}},
		{command("1"), []string{"n"}, []string{"deny 1 and stay"}},
		{command("1"), []string{"n use  trash"}, []string{"deny 1 use  trash and stay"}},
		{command("1"), []string{"s"}, []string{"stop 1 and stay"}},
		{command("1"), []string{"e rm y && ls"}, []string{`allow 1 {"command":"rm y \u0026\u0026 ls","timeout":5} and stay`}},
		{command("1"), []string{"yes", "Y", "e", "no", "1", "ok"}, nil},
		{write, []string{`e {"a":1}`}, []string{`allow w {"a":1} and stay`}},
		{question("q", colour), []string{"2"}, []string{"allow q map[c:[blue]] and stay"}},
		{question("q", colour), []string{"3"}, []string{"allow q map[c:[3]] and stay"}},
		{question("q", colour), []string{"green, please"}, []string{"allow q map[c:[green, please]] and stay"}},
		{question("q", colour), []string{"no idea"}, []string{"allow q map[c:[no idea]] and stay"}},
		{question("q", colour), []string{"n never"}, []string{"allow q map[c:[n never]] and stay"}},
		{question("q", colour), []string{"n"}, []string{"deny q and stay"}},
		{question("q", many), []string{"1,3"}, []string{"allow q map[m:[a c]] and stay"}},
		{question("q", colour, many), []string{"1", "2 1"}, []string{"allow q map[c:[red] m:[b a]] and stay"}},
		{form, []string{`{"x":1}`}, []string{`allow f {"x":1} and stay`}},
		{form, []string{`n`}, []string{`deny f and stay`}},
	} {
		b := newAskBench(t, tc.ask)
		b.prompt()
		for _, line := range tc.lines {
			if !b.typed(line) {
				t.Errorf("%q was sent to the agent", line)
			}
		}
		if diff := cmp.Diff(tc.want, b.session.calls); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tc.lines, diff)
		}
		if tc.want == nil && len(b.said) != len(tc.lines) {
			t.Errorf("%q: said %q", tc.lines, b.said)
		}
	}
}

// An answer is for the ask that the person had seen when they began to type.
func TestAskerOrder(t *testing.T) {
	t.Parallel()
	b := newAskBench(t)
	if b.typed("y") {
		t.Error("without an ask, a line is a message")
	}
	b.happened(event.AskOpened{Ask: "by policy"})
	if _, _, ok := b.prompt(); ok {
		t.Error("an ask that a policy answers is prompted")
	}
	for _, id := range []string{"1", "2"} {
		o := command(id)
		o.Default = event.DecideDeny
		b.happened(o)
	}
	if !b.typed("y") || len(b.session.calls) > 0 {
		t.Error("an ask that was not shown is answered")
	}
	if o, how, ok := b.prompt(); !ok || o.Ask != "1" || !strings.Contains(how, "y: allow") {
		t.Errorf("prompted %v %q", o, how)
	}
	if _, _, ok := b.prompt(); ok {
		t.Error("prompted twice")
	}
	if !b.typed("y") {
		t.Error("not taken")
	}
	began := b.clock
	b.happened(event.AskAnswered{Ask: "1"})
	b.clock = b.clock.Add(time.Second)
	if o, _, ok := b.prompt(); !ok || o.Ask != "2" {
		t.Errorf("prompted %v", o)
	}
	if !b.line("y", began) { // begun before the second was shown
		t.Error("a late key was sent to the agent")
	}
	if b.line("mind the gap", began) || b.typed("/next mind the gap") {
		t.Error("a message was taken for an answer")
	}
	b.happened(event.AskExpired{Ask: "2"})
	if b.typed("y") {
		t.Error("an expired ask takes answers")
	}
	if diff := cmp.Diff([]string{"allow 1 and stay"}, b.session.calls); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAskerJSON(t *testing.T) {
	t.Parallel()
	b := newAskBench(t)
	b.stay = false
	b.readJSON(strings.NewReader(`
{"ask":"1","decision":"allow"}
{"ask":"1","decision":"deny","message":"no"}
{"ask":"2","decision":"allow","answers":{"c":["blue"]}}
{"ask":"1","verdict":"allow"}
{"ask":"1"} {}
not json
`))
	if diff := cmp.Diff([]string{"allow 1", "deny 1 no", "allow 2 map[c:[blue]]"}, b.session.calls); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(b.said) != 3 || !strings.Contains(b.said[0], `unknown field "verdict"`) {
		t.Errorf("said %q", b.said)
	}
	b.session.err = errors.New("no such ask is open")
	b.json([]byte(`{"ask":"9","decision":"allow"}`))
	if got := b.said[3]; got != "not answered: no such ask is open" {
		t.Errorf("said %q", got)
	}
}

func TestPermissionFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	for name, text := range map[string]string{good: "rules: []\ndefault: deny\n", bad: "rules:\n  - decision: allow\n    comand: ls\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ mode, file, want string }{
		{"allow", "", ""}, {"ask", "", ""}, {"rules", good, ""}, {"allow", good, ""},
		{"rules", "", "needs --permission-rules FILE, or /"}, {"ask", good, "goes with"}, {"all", "", "none of allow, ask, rules"},
		{"rules", bad, "bad.yaml: line 3: unknown field \"comand\""}, {"rules", filepath.Join(dir, "none"), "no such file"},
	} {
		p, path, err := setup(t).permissions(tc.mode, tc.file, dir)
		switch {
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%+v: %v", tc, err)
		case tc.want == "" && (err != nil || (p == nil) != (tc.mode == "allow" && tc.file == "")):
			t.Errorf("%+v: %v, %v", tc, p, err)
		case tc.want == "" && (path == "") != (p == nil), tc.want == "" && tc.file != "" && path != tc.file:
			t.Errorf("%+v: rules are added to %q", tc, path)
		case tc.want == "" && tc.file != "" && p.Default != permission.Deny:
			t.Errorf("%+v: %+v", tc, p)
		}
	}
}
