package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

func TestAddTwice(t *testing.T) {
	t.Parallel()
	s := open(t)
	first, added, err := s.AddTask(t.Context(), task.Spec{Prompt: "a"}, "alice", "key", noon)
	if err != nil || !added {
		t.Fatal(added, err)
	}
	if again, added, err := s.AddTask(t.Context(), task.Spec{Prompt: "b"}, "alice", "key", noon); err != nil || added || again.ID != first.ID {
		t.Error(again, added, err)
	}
	if other, added, err := s.AddTask(t.Context(), task.Spec{Prompt: "b"}, "bob", "key", noon); err != nil || !added || other.ID == first.ID {
		t.Error(other, added, err)
	}
}

func TestQueue(t *testing.T) {
	t.Parallel()
	s := open(t)
	soon := noon.Add(time.Minute)
	var want []string
	for i := range 30 {
		addTask(t, s, task.Spec{Prompt: "no", Workspace: "other"})
		addTask(t, s, task.Spec{Prompt: "no", Agent: "codex"})
		addTask(t, s, task.Spec{Prompt: "no", Runner: "pi"})
		addTask(t, s, task.Spec{Prompt: "no", NotBefore: &soon})
		want = append(want, addTask(t, s, task.Spec{Prompt: "yes", Workspace: []string{"", "shop"}[i%2], Agent: []string{"", "claude"}[i%2], Runner: []string{"", "nas", "runner-1"}[i%3]}).ID)
	}
	want = append([]string{addTask(t, s, task.Spec{Priority: 5}).ID}, want...)
	want = append(want, addTask(t, s, task.Spec{Priority: -5}).ID)
	f := QueueFilter{Now: noon, Workspaces: []string{"", "shop"}, Agents: []string{"claude"}, Runner: []string{"nas", "runner-1"}}
	for _, limit := range []int{1, 7, 20, 0} {
		f.Limit, f.After = limit, nil
		var got []string
		for {
			page := must(s.Queue(t.Context(), f))
			if len(page) == 0 {
				break
			}
			if limit > 0 && len(page) > limit {
				t.Fatal(len(page))
			}
			for i := range page {
				got, f.After = append(got, page[i].ID), &page[i]
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(limit, d)
		}
	}
	f.After, f.Agents = nil, nil
	if got := must(s.Queue(t.Context(), f)); len(got) != 0 {
		t.Error("a runner without agents takes", len(got))
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	s := open(t)
	in := func(d time.Duration) *time.Time { at := noon.Add(d); return &at }
	if overdue, next, err := s.Due(t.Context(), noon); err != nil || len(overdue) != 0 || !next.IsZero() {
		t.Error(overdue, next, err)
	}
	late := addTask(t, s, task.Spec{Deadline: in(time.Hour)})
	addTask(t, s, task.Spec{NotBefore: in(2 * time.Hour)})
	for now, want := range map[time.Duration]struct {
		overdue int
		next    time.Duration
	}{0: {0, time.Hour}, time.Hour: {1, 2 * time.Hour}} {
		overdue, next, err := s.Due(t.Context(), noon.Add(now))
		if err != nil || len(overdue) != want.overdue || !next.Equal(noon.Add(want.next)) {
			t.Error(now, overdue, next, err)
		}
	}
	if err := s.FinishTask(t.Context(), late.ID, event.TimedOut, "its deadline is over", noon); err != nil {
		t.Fatal(err)
	}
	if overdue, next, err := s.Due(t.Context(), noon.Add(3*time.Hour)); err != nil || len(overdue) != 0 || !next.IsZero() {
		t.Error(overdue, next, err)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := open(t)
	var want []string
	for i := range 5 {
		spec := task.Spec{}
		if i < 3 {
			spec.Prompt = strings.Repeat("x", task.PromptMax) // three of these are no page
		}
		want = append([]string{running(t, s, spec).Task.ID}, want...)
	}
	for _, f := range []TaskFilter{{}, {Limit: 2}, {Limit: 5}, {State: task.Running}, {State: task.Running, Limit: 1}} {
		var got []string
		for {
			page, next, err := s.Tasks(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page {
				got = append(got, p.ID)
			}
			if f.Before = next; next == "" {
				break
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(f, d)
		}
	}
	var sessions []string
	for before := ""; ; {
		page, next, err := s.Sessions(t.Context(), "", task.Active, 2, before)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			sessions = append(sessions, p.Task)
		}
		if before = next; next == "" {
			break
		}
	}
	if d := cmp.Diff(want, sessions); d != "" {
		t.Error(d)
	}
	if page, next, err := s.Sessions(t.Context(), want[0], "", 0, ""); err != nil || len(page) != 1 || next != "" {
		t.Error(page, next, err)
	}
	if _, _, err := s.Sessions(t.Context(), "", "", 0, "x"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestPartialIDs(t *testing.T) {
	t.Parallel()
	s := open(t)
	a, b := addTask(t, s, task.Spec{}), addTask(t, s, task.Spec{})
	for id, want := range map[string]string{a.ID: a.ID, a.ID[28:]: a.ID, b.ID[28:]: b.ID, b.ID[:35]: b.ID} {
		if got, _, err := s.Task(t.Context(), id); err != nil || got.ID != want {
			t.Error(id, got.ID, err)
		}
	}
	for _, id := range []string{"", "%", a.ID[:8], "____", "none", a.ID[:35] + "%", a.ID + "0", strings.Repeat("0", 36)} {
		if _, _, err := s.Task(t.Context(), id); !errors.Is(err, ErrNotFound) {
			t.Error(id, err)
		}
		if _, err := s.Session(t.Context(), id); !errors.Is(err, ErrNotFound) {
			t.Error(id, err)
		}
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	h := running(t, s, task.Spec{})
	answer := &event.Answer{Ask: "a", Decision: event.DecideAllow}
	for _, c := range []api.NewCommand{{Kind: api.CommandMessage, Text: "one", Priority: "now"}, {ID: "two", Kind: api.CommandAnswer, Answer: answer}} {
		if _, _, err := s.AddCommand(ctx, h.Session, c, "owner alice", noon); err != nil {
			t.Fatal(err)
		}
	}
	got := must(s.Commands(ctx, h.Session, 1, 10))
	want := []api.Command{{Session: h.Session, Seq: 2, ID: "two", Kind: api.CommandAnswer, Answer: answer, CreatedAt: noon, CreatedBy: "owner alice"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, n := range []int64{2, 1, 9} { // 9: there is no such command
		if err := s.AckCommands(ctx, h.Session, n); err != nil {
			t.Fatal(err)
		}
	}
	if held := must(s.HeldSessions(ctx))[0]; held.Acked != 2 || held.Commands != 2 {
		t.Errorf("%+v", held)
	}
	appendEvents(t, s, h, ev(1, event.SessionFinished{Outcome: event.Succeeded}))
	if _, _, err := s.AddCommand(ctx, h.Session, api.NewCommand{Kind: api.CommandInterrupt}, "", noon); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
	if _, added, err := s.AddCommand(ctx, h.Session, api.NewCommand{ID: "two", Kind: api.CommandAnswer}, "", noon); err != nil || added {
		t.Error(added, err)
	}
	if _, _, err := s.AddCommand(ctx, "none", api.NewCommand{Kind: api.CommandInterrupt}, "", noon); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}
