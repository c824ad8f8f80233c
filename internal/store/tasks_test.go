package store

import (
	"errors"
	"slices"
	"strings"
	"testing"

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
	if held := must(s.HeldSessions(ctx))[0]; held.Commands != 2 {
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

// TestPagesAreBounded: a page ends where it has enough, however much a task or a command says.
func TestPagesAreBounded(t *testing.T) {
	t.Parallel()
	s := open(t)
	const n = commandsChunk + 1
	env := []string{"A=" + strings.Repeat("x", pageBytesMax/8)}
	for range 9 {
		addTask(t, s, task.Spec{Env: env})
	}
	page, next, err := s.Tasks(t.Context(), TaskFilter{})
	if err != nil || len(page) != 8 || next != page[7].ID {
		t.Error(len(page), next, err)
	}
	h := running(t, s, task.Spec{})
	for range n {
		if _, _, err := s.AddCommand(t.Context(), h.Session, api.NewCommand{Kind: api.CommandMessage, Text: env[0]}, "", noon); err != nil {
			t.Fatal(err)
		}
	}
	var seqs []int64
	for after := int64(0); after < n; after = seqs[len(seqs)-1] {
		all := must(s.Commands(t.Context(), h.Session, after, n))
		if len(all) == 0 || len(all) > commandsChunk {
			t.Fatal(len(all), "commands after", after)
		}
		for _, c := range all {
			seqs = append(seqs, c.Seq)
		}
	}
	if len(seqs) != n || !slices.IsSorted(seqs) {
		t.Error(seqs)
	}
}
