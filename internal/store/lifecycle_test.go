package store

import (
	"errors"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// TestLostAndBack: a session that was given up for lost counts all the same, until there
// is another attempt.
func TestLostAndBack(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	lose := func(h Held) task.End {
		t.Helper()
		return must(s.EndSession(ctx, h.Session, task.Gone, event.Lost, "nas stayed away", noon))
	}
	// It goes on.
	h := running(t, s, task.Spec{})
	if end := lose(h); end.State != task.Queued || !end.Counts {
		t.Fatalf("%+v", end)
	}
	if got := getTask(t, s, h.Task.ID); got.State != task.Queued || got.Attempts != 1 || got.Reason != "nas stayed away" {
		t.Fatalf("%+v", got)
	}
	if held := must(s.HeldSessions(ctx)); len(held) != 0 {
		t.Fatalf("%+v", held)
	}
	if err := s.MoveSession(ctx, h.Session, h.Token, task.Active, "", noon); err != nil {
		t.Fatal(err)
	}
	if got := getTask(t, s, h.Task.ID); got.State != task.Running || got.Attempts != 0 || got.Reason != "" {
		t.Fatalf("%+v", got)
	}
	if got := getSession(t, s, h.Session); got.State != task.Active || got.Outcome != "" || got.FinishedAt != nil {
		t.Fatalf("%+v", got)
	}
	// Its end comes late, after its task was finished as lost.
	h = running(t, s, task.Spec{OnLost: task.LostFinish})
	if end := lose(h); end.State != task.Finished || end.Outcome != event.Lost {
		t.Fatalf("%+v", end)
	}
	a := appendEvents(t, s, h, ev(1, event.SessionFinished{Outcome: event.Succeeded}))
	if a.Finished == nil || a.Task.State != task.Finished || a.Task.Outcome != event.Succeeded || a.Task.Attempts != 1 {
		t.Fatalf("%+v", a)
	}
	// A person ended the task meanwhile: that stays.
	h = running(t, s, task.Spec{})
	lose(h)
	if err := s.FinishTask(ctx, h.Task.ID, event.Cancelled, "by alice", noon); err != nil {
		t.Fatal(err)
	}
	if err := s.MoveSession(ctx, h.Session, h.Token, task.Active, "", noon); !errors.Is(err, ErrFenced) {
		t.Error(err)
	}
	a = appendEvents(t, s, h, ev(1, event.SessionStarted{}), ev(2, event.SessionFinished{Outcome: event.Errored}))
	if a.Finished == nil || a.Finished.Outcome != event.Errored || a.Task.State != task.Finished || a.Task.Outcome != event.Cancelled || a.Task.Attempts != 1 {
		t.Fatalf("%+v %+v", a.Finished, a.Task)
	}
}

func TestGivenBack(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	h := offer(t, s, addTask(t, s, task.Spec{}).ID)
	for range 2 { // the report repeats itself
		if err := s.MoveSession(ctx, h.Session, h.Token, task.Declined, "has no image", noon); err != nil {
			t.Fatal(err)
		}
	}
	got := getTask(t, s, h.Task.ID)
	if got.State != task.Queued || got.Attempts != 0 || got.Reason != "has no image" {
		t.Fatalf("%+v", got)
	}
	// Never accepted: the runner learns that it is too late.
	h = offer(t, s, got.ID)
	if end := must(s.EndSession(ctx, h.Session, task.Returned, "", "nas did not answer", noon)); end.State != task.Queued || end.Counts {
		t.Fatalf("%+v", end)
	}
	if err := s.MoveSession(ctx, h.Session, h.Token, task.Accepted, "", noon); !errors.Is(err, ErrFenced) {
		t.Error(err)
	}
}

// TestStopped: a task that somebody wants ended is not tried again.
func TestStopped(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	stop := func(h Held) {
		t.Helper()
		for _, reason := range []string{"by alice", "again"} {
			if err := s.StopSession(ctx, h.Session, event.Cancelled, reason); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(h Held) {
		t.Helper()
		if got := getTask(t, s, h.Task.ID); got.State != task.Finished || got.Outcome != event.Cancelled || got.Reason != "by alice" {
			t.Errorf("%+v", got)
		}
		if err := s.StopSession(ctx, h.Session, event.Cancelled, ""); err != nil {
			t.Error("repeated:", err)
		}
	}
	h := running(t, s, task.Spec{})
	stop(h)
	if held := must(s.HeldSessions(ctx)); held[0].Stopping != event.Cancelled || held[0].Reason != "by alice" {
		t.Errorf("%+v", held)
	}
	appendEvents(t, s, h, ev(1, event.SessionFinished{Outcome: event.Errored}))
	check(h)

	h = running(t, s, task.Spec{})
	stop(h)
	must(s.EndSession(ctx, h.Session, task.Gone, event.Lost, "away", noon))
	check(h)

	h = offer(t, s, addTask(t, s, task.Spec{}).ID)
	stop(h)
	if err := s.MoveSession(ctx, h.Session, h.Token, task.Declined, "is draining", noon); err != nil {
		t.Fatal(err)
	}
	check(h)

	h = running(t, s, task.Spec{})
	appendEvents(t, s, h, ev(1, event.SessionFinished{Outcome: event.Succeeded}))
	if err := s.StopSession(ctx, h.Session, event.Cancelled, ""); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
}

func TestAttempts(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	made := addTask(t, s, task.Spec{MaxAttempts: 2})
	for i := range 2 {
		h := offer(t, s, made.ID)
		if h.Attempt != i+1 {
			t.Errorf("%+v", h)
		}
		appendEvents(t, s, h, ev(1, event.SessionFinished{Outcome: event.Errored, Reason: "no image"}))
	}
	got := getTask(t, s, made.ID)
	if got.State != task.Finished || got.Outcome != event.Errored || got.Attempts != 2 {
		t.Fatalf("%+v", got)
	}
	if err := s.FinishTask(ctx, made.ID, event.Cancelled, "", noon); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
	if got = must(s.RetryTask(ctx, made.ID)); got.State != task.Queued || got.Attempts != 0 || got.Outcome != "" || got.FinishedAt != nil {
		t.Fatalf("%+v", got)
	}
	if _, err := s.RetryTask(ctx, made.ID); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
	if _, err := s.RetryTask(ctx, "none"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	offer(t, s, made.ID)
	if _, err := s.Offer(ctx, made.ID, "runner-2", "pi", noon); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
}

func TestAnnounce(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	a := api.Announce{Runner: "runner-1", Name: "nas", Session: "0198c0de-0000-7000-8000-000000000001", Spec: task.Spec{Prompt: "p", Workspace: "/src"}}
	h := must(s.Announce(ctx, a, "device nas", noon))
	if h.State != task.Active || h.Task.State != task.Running || h.Token == 0 || h.Attempt != 1 {
		t.Fatalf("%+v", h)
	}
	if again := must(s.Announce(ctx, a, "device nas", noon)); again.Token != h.Token || again.Task.ID != h.Task.ID {
		t.Fatalf("%+v", again)
	}
	a.Runner = "runner-2"
	if _, err := s.Announce(ctx, a, "device pi", noon); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
	appendEvents(t, s, h, ev(1, event.SessionStarted{}))
	if got := getSession(t, s, h.Session); got.StartedAt == nil || !got.StartedAt.Equal(noon.Add(time.Second)) {
		t.Errorf("%+v", got)
	}
	// Its workspace is that runner's: nobody else tries.
	if end := must(s.EndSession(ctx, h.Session, task.Gone, event.Lost, "away", noon)); end.State != task.Finished {
		t.Errorf("%+v", end)
	}
}
