package runner

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
)

// asker is a Claude that asks for each of commands before it ends its turn, and says
// in the end what it was told.
func asker(commands ...string) func(map[string]any, func(string)) bool {
	next, told := 0, []string{}
	ask := func(print func(string)) bool {
		if next == len(commands) {
			return false
		}
		print(fmt.Sprintf(`{"type":"control_request","request_id":"r%d","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":%q},"tool_use_id":"t%d"}}`, next, commands[next], next))
		next++
		return true
	}
	done := func(print func(string)) {
		answer(strings.Join(told, ";"))(map[string]any{"type": "user", "uuid": "none"}, func(s string) {
			if strings.Contains(s, `"result"`) {
				print(s)
			}
		})
	}
	return func(line map[string]any, print func(string)) bool {
		switch line["type"] {
		case "user":
			print(`{"type":"system","subtype":"init","session_id":"c","model":"m"}`)
			print(fmt.Sprintf(`{"type":"user","message":{"role":"user","content":"x"},"uuid":%q,"isReplay":true}`, line["uuid"]))
			return ask(print)
		case "control_request":
			return answer("")(line, print)
		}
		r := line["response"].(map[string]any)
		reply := r["response"].(map[string]any)
		print(fmt.Sprintf(`{"type":"control_response","response":{"subtype":"success","request_id":%q}}`, r["request_id"]))
		said := fmt.Sprint(reply["behavior"])
		if reply["message"] != nil {
			said += " " + fmt.Sprint(reply["message"])
		}
		if in, ok := reply["updatedInput"].(map[string]any); ok {
			said += " " + fmt.Sprint(in["command"])
		}
		told = append(told, said)
		if reply["interrupt"] == true {
			print(`{"type":"result","subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_tools","session_id":"c"}`)
			return true
		}
		if !ask(print) {
			done(print)
		}
		return true
	}
}

// opened waits for the next ask that waits for a person, after entry seq.
func (b *bundle) opened(t *testing.T, s *Session, after *uint64) event.AskOpened {
	t.Helper()
	for e, err := range journal.Follow(t.Context(), b.Store.Journal(s.ID), *after+1, string(event.TypeSessionFinished)) {
		if err != nil {
			t.Fatal(err)
		}
		*after = e.Seq
		if e.Type != string(event.TypeAskOpened) {
			continue
		}
		d, err := event.Decode(event.TypeAskOpened, e.Data)
		if err != nil {
			t.Fatal(err)
		}
		if o := d.(event.AskOpened); o.Default != "" {
			return o
		}
	}
	t.Fatal("nothing was asked")
	panic("unreachable")
}

func askingBundle(t *testing.T, commands ...string) *bundle {
	t.Helper()
	b := setup(t, asker(commands...))
	b.task.Permissions = &permission.Policy{Rules: []permission.Rule{{Decision: permission.Allow, Commands: []string{"ls"}}}}
	return b
}

// TestAnswers answers in every way, and then replays every prefix of the journal: a
// runner that takes over sends the same lines and knows the same asks.
func TestAnswers(t *testing.T) {
	t.Parallel()
	b := askingBundle(t, "ls", "make a", "make b", "make b", "make c", "make d", "make e")
	s, err := b.Start(t.Context(), b.task)
	if err != nil {
		t.Fatal(err)
	}
	var seq uint64
	for i, a := range []event.Answer{
		{Decision: event.DecideAllow},
		{Decision: event.DecideSession}, // make b, twice
		{Decision: event.DecideDeny, Message: "no"},
		{Decision: event.DecideAllow, Input: []byte(`{"command":"make safe"}`)},
		{Decision: event.DecideDeny},
	} {
		o := b.opened(t, s, &seq)
		if want := "make " + string(rune('a'+i)); o.Command != want || o.ExpiresAt == "" {
			t.Fatalf("asked %+v, want %s", o, want)
		}
		a.Ask, a.By = o.Ask, event.ByPerson
		if err := s.Answer(event.Answer{Ask: o.Ask, Decision: "maybe"}, false); err == nil {
			t.Error("a wrong decision was taken")
		}
		if err := s.Answer(a, false); err != nil {
			t.Fatal(err)
		}
		if err := s.Answer(a, false); !errors.Is(err, ErrNoAsk) {
			t.Errorf("answered twice: %v", err)
		}
	}
	end := waitFor(t, s)
	want := "allow;allow;allow;allow;deny no;allow make safe;deny The person at the controls denied this."
	if end.Outcome != event.Succeeded || end.Result != want {
		t.Errorf("ended %+v", end)
	}
	b.replayPrefixes(t, s.ID)
}

// replayPrefixes replays the first n entries of a session's journal for every n.
func (b *bundle) replayPrefixes(t *testing.T, id string) {
	t.Helper()
	rec, err := b.Store.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	all := b.entries(t, id)
	replay := func(n int) (lines []string, open []string) {
		dir := t.TempDir()
		j, err := journal.Open(dir, id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Append(all[:n]...); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := b.open(rec, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.journal.Close()
		defer s.cancel()
		if err := s.replay(dir); err != nil {
			t.Fatal(err)
		}
		for _, step := range s.pending {
			for _, line := range step.Send {
				lines = append(lines, string(line))
			}
		}
		for id := range s.asks {
			open = append(open, id)
		}
		return lines, open
	}
	full, _ := replay(len(all))
	var open []string
	for n := 1; n <= len(all); n++ {
		switch d, err := event.Decode(event.Type(all[n-1].Type), all[n-1].Data); d := d.(type) {
		case event.AskOpened:
			if err == nil && d.Default != "" {
				open = append(open, d.Ask)
			}
		case event.AskAnswered:
			open = slices.DeleteFunc(open, func(id string) bool { return id == d.Ask })
		case event.AskExpired:
			open = slices.DeleteFunc(open, func(id string) bool { return id == d.Ask })
		}
		lines, got := replay(n)
		if len(lines) > len(full) || !slices.Equal(lines, full[:len(lines)]) {
			t.Fatalf("after %d entries: (-all +replayed)\n%s", n, cmp.Diff(full, lines))
		}
		if len(open)+len(got) > 0 && !slices.Equal(open, got) {
			t.Fatalf("after %d entries, %s: open %q, want %q", n, all[n-1].Type, got, open)
		}
	}
}

func TestAskExpires(t *testing.T) {
	t.Parallel()
	b := askingBundle(t, "make a")
	b.task.AskTimeout = 20 * time.Millisecond
	s, end := b.run(t)
	if end.Outcome != event.Succeeded || end.Result != "deny "+expired {
		t.Errorf("ended %+v", end)
	}
	var gone []event.AskExpired
	var commands int
	for _, e := range b.entries(t, s.ID) {
		switch d, _ := event.Decode(event.Type(e.Type), e.Data); d := d.(type) {
		case event.AskExpired:
			gone = append(gone, d)
		case event.CommandQueued:
			if d.Answer != nil && d.Answer.By == event.ByTimeout {
				commands++
			}
		}
	}
	if len(gone) != 1 || gone[0].Reason != event.ExpiredTimeout || gone[0].Decision != event.DecideDeny || commands != 1 {
		t.Errorf("expired %+v by %d commands", gone, commands)
	}
	b.replayPrefixes(t, s.ID)
}

func TestDenyAndStop(t *testing.T) {
	t.Parallel()
	b := askingBundle(t, "make a", "make b")
	s, err := b.Start(t.Context(), b.task)
	if err != nil {
		t.Fatal(err)
	}
	var seq uint64
	if err := s.Answer(event.Answer{Ask: b.opened(t, s, &seq).Ask, Decision: event.DecideStop}, false); err != nil {
		t.Fatal(err)
	}
	if end := waitFor(t, s); end.Outcome != event.Cancelled || !strings.Contains(end.Reason, "make a") {
		t.Errorf("ended %+v", end)
	}
}
