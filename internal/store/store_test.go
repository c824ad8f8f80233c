package store

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 123456789, time.UTC)

// open returns an empty store, in a directory that goes away.
func open(t testing.TB) *Store {
	t.Helper()
	return openIn(t, filepath.Join(t.TempDir(), "data"))
}

func openIn(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return noon }
	// What a power failure does is not tested here, and syncs take long on a busy machine.
	if err := s.writer.exec(t.Context(), "PRAGMA synchronous=OFF"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func addTask(t testing.TB, s *Store, spec task.Spec) task.Task {
	t.Helper()
	if spec.Prompt == "" {
		spec.Prompt = "fix the test"
	}
	got, added, err := s.AddTask(t.Context(), spec, "owner alice", "", noon)
	if err != nil || !added {
		t.Fatal(added, err)
	}
	return got
}

func offer(t testing.TB, s *Store, id string) Held {
	t.Helper()
	h, err := s.Offer(t.Context(), id, "runner-1", "nas", noon)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// running returns a session whose agent runs.
func running(t testing.TB, s *Store, spec task.Spec) Held {
	t.Helper()
	h := offer(t, s, addTask(t, s, spec).ID)
	for _, to := range []task.SessionState{task.Accepted, task.Active} {
		if err := s.MoveSession(t.Context(), h.Session, h.Token, to, "", noon); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func ev(seq uint64, d event.Data) api.Event {
	return api.Event{V: 1, Seq: seq, Time: noon.Add(time.Duration(seq) * time.Second), Type: string(d.EventType()), Data: must(json.Marshal(d))}
}

func notices(first, n uint64) []api.Event {
	var list []api.Event
	for i := range n {
		list = append(list, ev(first+i, event.Notice{Kind: "info", Text: fmt.Sprint(first + i)}))
	}
	return list
}

func (h Held) batch(events ...api.Event) Batch {
	return Batch{Session: h.Session, Token: h.Token, Runner: h.Runner, Events: events}
}

// append stores events or fails the test.
func appendEvents(t testing.TB, s *Store, h Held, events ...api.Event) Appended {
	t.Helper()
	a, err := s.Append(t.Context(), h.batch(events...))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func stored(t testing.TB, s *Store, session string) []api.Event {
	t.Helper()
	var list []api.Event
	err := s.Events(t.Context(), session, 0, true, 0, func(e *api.Event) error {
		list = append(list, *e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func getTask(t testing.TB, s *Store, id string) task.Task {
	t.Helper()
	got, _, err := s.Task(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func getSession(t testing.TB, s *Store, id string) task.Session {
	t.Helper()
	got, err := s.Session(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

var commandHi = api.NewCommand{Kind: api.CommandMessage, Text: "hi"}

func newTokenUntil(at time.Time) api.NewToken { return api.NewToken{Name: "n", ExpiresAt: &at} }

func auditAt(at time.Time) api.AuditEntry { return api.AuditEntry{Time: at, Actor: "a", Action: "b"} }
