package store

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	s := open(t)
	h := running(t, s, task.Spec{})
	appendEvents(t, s, h, notices(1, 3)...)
	torn := append(notices(4, 1), notices(6, 1)...)
	for _, c := range []struct {
		name  string
		batch Batch
		want  error
	}{
		{"unknown session", Batch{Session: "none", Token: h.Token, Runner: h.Runner, Events: notices(4, 1)}, ErrNotFound},
		{"another runner", Batch{Session: h.Session, Token: h.Token, Runner: "runner-2", Events: notices(4, 1)}, ErrNotFound},
		{"another token", Batch{Session: h.Session, Token: h.Token + 1, Runner: h.Runner, Events: notices(4, 1)}, ErrFenced},
		{"gap", h.batch(notices(5, 2)...), GapError{Acked: 3}},
		{"gap inside", h.batch(torn...), GapError{Acked: 3}},
		{"number 0", h.batch(notices(0, 5)...), GapError{Acked: 3}},
		{"beyond every number", h.batch(notices(1<<32, 1)...), GapError{Acked: 3}},
	} {
		if _, err := s.Append(t.Context(), c.batch); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if n := len(stored(t, s, h.Session)); n != 3 {
		t.Error(n, "events")
	}
	if a := appendEvents(t, s, h); a.Acked != 3 {
		t.Errorf("no events: %+v", a)
	}
}

// TestFenced: a runner that lost its lease learns so, except for what is stored already.
func TestFenced(t *testing.T) {
	t.Parallel()
	s := open(t)
	old := running(t, s, task.Spec{})
	appendEvents(t, s, old, notices(1, 2)...)
	must(s.EndSession(t.Context(), old.Session, task.Gone, event.Lost, "nas stayed away", noon))
	next := offer(t, s, old.Task.ID)
	if next.Token <= old.Token || next.Attempt != 2 {
		t.Fatalf("%+v", next)
	}
	if a := appendEvents(t, s, old, notices(1, 2)...); a.Acked != 2 {
		t.Errorf("%+v", a)
	}
	if _, err := s.Append(t.Context(), old.batch(notices(3, 1)...)); !errors.Is(err, ErrFenced) {
		t.Error(err)
	}
	if err := s.MoveSession(t.Context(), old.Session, old.Token, task.Active, "", noon); !errors.Is(err, ErrFenced) {
		t.Error(err)
	}
	appendEvents(t, s, next, notices(1, 1)...)
	if got := getTask(t, s, old.Task.ID); got.State != task.Assigned || got.Session != next.Session || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
}

// TestNothingFollowsTheEnd: the last event is the last one.
func TestNothingFollowsTheEnd(t *testing.T) {
	t.Parallel()
	s := open(t)
	h := running(t, s, task.Spec{})
	appendEvents(t, s, h, ev(1, event.SessionFinished{Outcome: event.Failed, Reason: "tests fail"}))
	if _, err := s.Append(t.Context(), h.batch(notices(2, 1)...)); !errors.Is(err, ErrFenced) {
		t.Error(err)
	}
}

// TestStrangeEnds: whatever the last event says, the session ends, once.
func TestStrangeEnds(t *testing.T) {
	t.Parallel()
	s := open(t)
	for data, want := range map[string]event.Outcome{
		``: event.Errored, `null`: event.Errored, `7`: event.Errored, `{"outcome":7}`: event.Errored, `{`: event.Errored,
		`{"outcome":"<b>"}`: event.Errored, `{"outcome":"check_failed"}`: "check_failed",
		`{"outcome":"` + strings.Repeat("x", 99) + `"}`:                                    event.Errored,
		`{"outcome":"failed","reason":"` + strings.Repeat("é", 5000) + `"}`:                event.Failed,
		"{\"outcome\":\"failed\",\"reason\":\"\xff\xfe\",\"usage\":{\"input_tokens\":-1}}": event.Failed,
	} {
		h := running(t, s, task.Spec{MaxAttempts: 1})
		last := api.Event{V: 1, Seq: 1, Type: string(event.TypeSessionFinished), Data: json.RawMessage(data)}
		again := last
		again.Seq = 2
		a := appendEvents(t, s, h, last, again)
		if a.Finished == nil || a.Finished.Outcome != want || a.Task.Outcome != want || a.Task.State != task.Finished {
			t.Errorf("%.60s: %+v", data, a)
		}
		if a.Finished != nil && len(a.Finished.Reason) > reasonMax+10 {
			t.Error("a reason of", len(a.Finished.Reason), "bytes")
		}
	}
}

// TestGroup: writes that share a transaction fail alone.
func TestGroup(t *testing.T) {
	t.Parallel()
	s := open(t)
	h := running(t, s, task.Spec{})
	var group []*op
	for i, b := range []Batch{h.batch(notices(1, 2)...), h.batch(notices(9, 1)...), h.batch(notices(3, 2)...)} {
		group = append(group, &op{done: make(chan struct{}), do: func(ctx context.Context, q *sql.Queries) error {
			a, err := s.append(ctx, q, b)
			if i == 1 && err == nil {
				t.Error("no gap after", a.Acked)
			}
			return err
		}})
	}
	// One that fails after it has written something.
	half := errors.New("half")
	group = append(group, &op{do: func(ctx context.Context, q *sql.Queries) error {
		return errors.Join(q.SetOwner(ctx, "mallory", ""), half)
	}})
	if n := s.writer.commit(group); n != len(group) {
		t.Fatal(n)
	}
	if group[0].err != nil || !errors.Is(group[1].err, GapError{Acked: 2}) || group[2].err != nil || !errors.Is(group[3].err, half) {
		t.Fatal(group[0].err, group[1].err, group[2].err, group[3].err)
	}
	if n := len(stored(t, s, h.Session)); n != 4 {
		t.Error(n, "events")
	}
	if _, _, err := s.Owner(t.Context()); !errors.Is(err, ErrNotFound) {
		t.Error("a failed write was stored:", err)
	}
}

// TestWriteGivesUp: whoever does not wait any longer has written nothing.
func TestWriteGivesUp(t *testing.T) {
	t.Parallel()
	s := open(t)
	hold, held := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.write(t.Context(), 0, func(context.Context, *sql.Queries) error {
			close(held)
			<-hold
			return nil
		})
	})
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.SetOwner(ctx, "mallory", ""); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(hold)
	wg.Wait()
	if _, _, err := s.Owner(t.Context()); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.SetOwner(t.Context(), "alice", ""); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// TestManyAtOnce appends to many sessions while they are read, for -race.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	var wg sync.WaitGroup
	for range 8 {
		h := running(t, s, task.Spec{})
		wg.Go(func() {
			for i := range uint64(20) {
				if _, err := s.Append(t.Context(), h.batch(notices(1+i*5, 5)...)); err != nil {
					t.Error(err)
				}
			}
			if _, err := s.Append(t.Context(), h.batch(ev(101, event.SessionFinished{Outcome: event.Succeeded}))); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			for after := uint64(0); after < 101 && !t.Failed(); {
				err := s.Events(t.Context(), h.Session, after, false, 7, func(e *api.Event) error {
					if e.Seq != after+1 {
						t.Errorf("event %d after %d", e.Seq, after)
					}
					after = e.Seq
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			_, _, err := s.Tasks(t.Context(), TaskFilter{})
			_, err2 := s.Inbox(t.Context())
			if err != nil || err2 != nil {
				t.Error(err, err2)
			}
		})
	}
	wg.Wait()
}
