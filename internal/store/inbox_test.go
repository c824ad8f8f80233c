package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

func TestInbox(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	ids := func() (list []string) {
		for _, item := range must(s.Inbox(ctx)) {
			list = append(list, item.ID)
		}
		return list
	}
	h := running(t, s, task.Spec{Title: "the shop"})
	ask := event.AskOpened{Ask: "a1", Kind: event.AskPermission, Tool: "Bash", Title: "rm -rf build", Options: []event.Decision{event.DecideAllow, event.DecideDeny}, Default: event.DecideDeny}
	policy := event.AskOpened{Ask: "a2", Kind: event.AskPermission}
	a := appendEvents(t, s, h, ev(1, ask), ev(2, policy), ev(3, event.AskOpened{Ask: "a3", Default: event.DecideDeny}))
	if !a.Asks {
		t.Error("nobody is told of the ask")
	}
	want := api.InboxItem{
		ID: "ask-" + h.Session + "-a1", Kind: api.InboxAsk, Since: ev(1, ask).Time, Task: h.Task.ID, Title: "the shop",
		Session: h.Session, Text: "rm -rf build", Ask: &ask,
	}
	if got := must(s.Inbox(ctx)); len(got) != 2 || cmp.Diff(want, got[0]) != "" {
		t.Fatal(cmp.Diff(want, got[0]), len(got))
	}
	if got := must(s.OpenAsk(ctx, h.Session, "a1")); cmp.Diff(ask, got) != "" {
		t.Error(cmp.Diff(ask, got))
	}
	if _, err := s.OpenAsk(ctx, h.Session, "a2"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if a := appendEvents(t, s, h, ev(4, event.AskAnswered{Ask: "a1", Decision: event.DecideAllow})); !a.Asks {
		t.Error("nobody is told of the answer")
	}
	if a := appendEvents(t, s, h, ev(5, event.AskExpired{Ask: "unknown"})); a.Asks {
		t.Error("an ask that there never was")
	}
	if got := ids(); len(got) != 1 {
		t.Error(got)
	}
	// What a session leaves open nobody can answer.
	appendEvents(t, s, h, ev(6, event.SessionFinished{Outcome: event.Failed, Reason: "the tests fail\nall of them"}))
	got := must(s.Inbox(ctx))
	if len(got) != 1 || got[0].Kind != api.InboxOutcome || got[0].Text != "the tests fail" || got[0].Outcome != event.Failed || got[0].Session != h.Session {
		t.Fatalf("%+v", got)
	}
	if err := s.Dismiss(ctx, got[0].ID); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"outcome-none", "ask-1", ""} {
		if err := s.Dismiss(ctx, id); !errors.Is(err, ErrNotFound) {
			t.Error(id, err)
		}
	}
	// What succeeded or a person cancelled needs nobody.
	for _, outcome := range []event.Outcome{event.Succeeded, event.Cancelled} {
		appendEvents(t, s, running(t, s, task.Spec{}), ev(1, event.SessionFinished{Outcome: outcome}))
	}
	if got := ids(); len(got) != 0 {
		t.Error(got)
	}
	// An outcome of another attempt is new.
	must(s.RetryTask(ctx, h.Task.ID))
	appendEvents(t, s, offer(t, s, h.Task.ID), ev(1, event.SessionFinished{Outcome: event.Failed}))
	if got := ids(); len(got) != 1 {
		t.Error(got)
	}
}

// TestInboxIsBounded: whatever it is of which an agent's asks have much.
func TestInboxIsBounded(t *testing.T) {
	t.Parallel()
	s := open(t)
	h := running(t, s, task.Spec{})
	for seq := uint64(1); seq <= 10; seq++ {
		ask := event.AskOpened{Ask: fmt.Sprint(seq), Kind: event.AskQuestion, Default: event.DecideDeny}
		ask.Questions = []event.Question{{ID: "q", Text: strings.Repeat("?", inboxBytesMax/4)}}
		appendEvents(t, s, h, ev(seq, ask))
	}
	if got := must(s.Inbox(t.Context())); len(got) != 4 || got[0].Ask.Ask != "1" {
		t.Error(len(got), "items")
	}
}
