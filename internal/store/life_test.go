package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// TestLife follows a task from its creation to its outcome.
func TestLife(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	made := addTask(t, s, task.Spec{Prompt: "hello", Workspace: "shop", Labels: []string{"gpu"}})

	h := offer(t, s, made.ID)
	if held := must(s.HeldSessions(ctx)); len(held) != 1 || held[0].State != task.Offered || held[0].Token != h.Token || held[0].Task.State != task.Assigned {
		t.Fatalf("held is %+v", held)
	}
	for _, to := range []task.SessionState{task.Accepted, task.Accepted, task.Active, task.Accepted, task.Active} {
		if err := s.MoveSession(ctx, h.Session, h.Token, to, "", noon); err != nil {
			t.Fatal(to, err)
		}
	}
	cmd, added, err := s.AddCommand(ctx, h.Session, api.NewCommand{ID: "c1", Kind: api.CommandMessage, Text: "hi"}, "owner alice", noon)
	if err != nil || !added || cmd.Seq != 1 {
		t.Fatal(cmd, added, err)
	}
	if again, added, err := s.AddCommand(ctx, h.Session, api.NewCommand{ID: "c1", Kind: api.CommandMessage, Text: "other"}, "", noon); err != nil || added || !cmp.Equal(again, cmd) {
		t.Fatal(again, added, err)
	}
	usage := event.Usage{InputTokens: 7, OutputTokens: 2}
	events := []api.Event{ev(1, event.SessionStarted{Agent: "claude"}), ev(2, event.Message{Role: "assistant", Text: "é\x00"}), ev(3, event.UsageUpdated{Usage: usage})}
	events[1].Raw = []byte(`{"a": 1}`)
	events[2].RawBytes = []byte("\xff\x00no json")
	if a := appendEvents(t, s, h, events...); a.Acked != 3 || a.New != 3 || a.Finished != nil {
		t.Fatalf("%+v", a)
	}
	last := ev(4, event.SessionFinished{Outcome: event.Succeeded, Result: "done"})
	last.RawRef = &api.RawRef{Artifact: "raw-4", Bytes: 9, SHA256: "00"}
	a := appendEvents(t, s, h, append(events, last)...)
	if a.Acked != 4 || a.New != 1 || a.Finished == nil || a.Task.State != task.Finished || a.Task.Outcome != event.Succeeded {
		t.Fatalf("%+v", a)
	}
	if a := appendEvents(t, s, h, last); a.Acked != 4 || a.New != 0 || a.Finished != nil {
		t.Fatalf("%+v", a)
	}
	events = append(events, last)
	for i := range events {
		events[i].Session = h.Session
	}
	if d := cmp.Diff(events, stored(t, s, h.Session)); d != "" {
		t.Error(d)
	}
	done, sessions, err := s.Task(ctx, made.ID[30:])
	if err != nil || done.State != task.Finished || done.Attempts != 1 || len(sessions) != 1 {
		t.Fatal(done, sessions, err)
	}
	got := sessions[0]
	if got.State != task.Ended || !got.StartedAt.Equal(events[0].Time) || !got.FinishedAt.Equal(last.Time) || got.LastSeq != 4 || *got.Usage != usage {
		t.Fatalf("%+v", got)
	}
	if held := must(s.HeldSessions(ctx)); len(held) != 0 {
		t.Fatal(held)
	}
}
