package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// count is how many entries of a type have text in their data.
func (b *bundle) count(t *testing.T, id string, typ event.Type, text string) (n int) {
	t.Helper()
	for _, e := range b.entries(t, id) {
		if e.Type == string(typ) && strings.Contains(string(e.Data), text) {
			n++
		}
	}
	return n
}

// works is a Claude that works until it gets the message "now".
func works(line map[string]any, print func(string)) bool {
	if m, ok := line["message"].(map[string]any); ok && !strings.Contains(fmt.Sprint(m), "now") {
		print(`{"type":"system","subtype":"init","session_id":"c","model":"m"}`)
		print(`{"type":"user","message":{"role":"user","content":"x"},"uuid":"` + line["uuid"].(string) + `","isReplay":true}`)
		return true
	}
	if r, ok := line["request"].(map[string]any); ok && r["subtype"] == "interrupt" {
		print(`{"type":"result","subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_streaming","session_id":"c"}`)
	}
	return answer("done")(line, print)
}

func TestCommandsCountOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, works)
	id := uuid.Must(uuid.NewV7()).String()
	if _, err := b.Store.Reserve(id); err != nil {
		t.Fatal(err)
	}
	b.task.ID = id
	s, err := b.Start(t.Context(), b.task)
	if err != nil || s.ID != id {
		t.Fatal(err)
	}
	hint := agent.Command{ID: uuid.NewString(), Kind: agent.Message, Text: "a hint"}
	bad := agent.Command{ID: uuid.NewString(), Kind: agent.Answer, Answer: &event.Answer{Ask: "none", Decision: event.DecideAllow}}
	odd := agent.Command{ID: uuid.NewString(), Kind: "dance"}
	for range 3 {
		for _, c := range []agent.Command{hint, bad, odd} {
			if err := s.Deliver(c); err != nil {
				t.Errorf("%s: %v", c.Kind, err)
			}
		}
	}
	if err := s.Deliver(agent.Command{ID: uuid.NewString(), Kind: agent.Message, Text: "now"}); err != nil {
		t.Fatal(err)
	}
	if end := waitFor(t, s); end.Outcome != event.Succeeded {
		t.Errorf("ended %+v", end)
	}
	if n := b.count(t, id, event.TypeCommandQueued, hint.ID); n != 1 {
		t.Errorf("the message was given %d times", n)
	}
	for _, c := range []agent.Command{bad, odd} {
		if n := b.count(t, id, event.TypeCommandFailed, c.ID); n != 1 || b.count(t, id, event.TypeCommandQueued, c.ID) != 0 {
			t.Errorf("%s was refused %d times", c.Kind, n)
		}
	}
	if err := s.Deliver(hint); err != nil {
		t.Errorf("a known command after the end: %v", err)
	}
	if err := s.Deliver(agent.Command{ID: uuid.NewString(), Kind: agent.Message}); !errors.Is(err, sandbox.ErrEnded) {
		t.Errorf("a new command after the end: %v", err)
	}
}

// What an earlier runner was given or refused is known to the one that takes over.
func TestCommandsCountOnceAcrossRunners(t *testing.T) {
	t.Parallel()
	b := setup(t, works)
	gone := make(chan struct{})
	b.engine.Fault = func(op, _ string) error {
		select {
		case <-gone:
			if op == "wait" {
				return sandbox.ErrUnavailable
			}
		default:
		}
		return nil
	}
	s, err := b.Start(t.Context(), b.task)
	if err != nil {
		t.Fatal(err)
	}
	hint := agent.Command{ID: uuid.NewString(), Kind: agent.Message, Text: "a hint"}
	odd := agent.Command{ID: uuid.NewString(), Kind: "dance"}
	if err := errors.Join(s.Deliver(hint), s.Deliver(odd)); err != nil {
		t.Fatal(err)
	}
	close(gone)
	s.proc.Close()
	<-s.Done()
	b.engine.Fault = nil
	next, err := b.Attach(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	cancel := agent.Command{ID: uuid.NewString(), Kind: agent.End, Text: "not wanted"}
	for _, c := range []agent.Command{hint, odd, cancel, cancel} {
		if err := next.Deliver(c); err != nil {
			t.Errorf("%s: %v", c.Kind, err)
		}
	}
	if end := waitFor(t, next); end.Outcome != event.Cancelled || end.Reason != "not wanted" {
		t.Errorf("ended %+v", end)
	}
	for id, want := range map[string][2]int{hint.ID: {1, 0}, odd.ID: {0, 1}, cancel.ID: {1, 0}} {
		got := [2]int{b.count(t, s.ID, event.TypeCommandQueued, id), b.count(t, s.ID, event.TypeCommandFailed, id)}
		if got != want {
			t.Errorf("queued and failed %v times, want %v", got, want)
		}
	}
}

func TestFailRecordsASession(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	b.task.ID = uuid.Must(uuid.NewV7()).String()
	if err := b.Fail(b.task, event.Errored, "no image", event.Notice{Kind: "warning", Text: "the hook says no"}); err != nil {
		t.Fatal(err)
	}
	sum, err := b.Store.Summary(b.task.ID)
	if err != nil || sum.End == nil || sum.End.Outcome != event.Errored || sum.End.Reason != "no image" {
		t.Errorf("listed as %+v, %v", sum, err)
	}
	if n := b.count(t, b.task.ID, event.TypeNotice, "the hook says no"); n != 1 {
		t.Errorf("%d notices", n)
	}
	if err := b.Fail(b.task, event.Errored, "again"); err == nil {
		t.Error("the same session was made twice")
	}
}

func TestReservedIDs(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	for _, id := range []string{"", "x", "../../../etc", "0198AAAA-0000-7000-8000-000000000000", "{01980000-0000-7000-8000-000000000000}"} {
		if _, err := b.Store.Reserve(id); err == nil {
			t.Errorf("%q is an id", id)
		}
		if b.task.ID = id; id != "" {
			if _, err := b.Start(t.Context(), b.task); err == nil {
				t.Errorf("%q became a session", id)
			}
		}
	}
	id := uuid.Must(uuid.NewV7()).String()
	dir, err := b.Store.Reserve(id)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, LeaseFile), nil, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(dir, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := b.Store.sweep(); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Store.Reserved(); err != nil || len(got) != 1 || got[0] != id {
		t.Errorf("reserved %v, %v", got, err)
	}
	if err := b.Store.Remove(id); err == nil {
		t.Error("a session was removed of which the control plane does not have all")
	}
	if all, err := b.Store.List(); err != nil || len(all) > 0 {
		t.Errorf("listed %v, %v", all, err)
	}
}
