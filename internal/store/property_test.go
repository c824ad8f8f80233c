package store

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// modelSession is a session as its runner and the test know it.
type modelSession struct {
	Held
	journal  []api.Event
	acked    int
	finished bool // the journal has its last event
	ended    int  // how often Append said so
}

// model is what the store has to agree with.
type model struct {
	s        *Store
	tasks    []string
	sessions []*modelSession
	newest   map[string]*modelSession // by task
	retried  map[string]bool          // tasks
}

// TestProperty lets runners, people and the clock do anything in any order. Whatever
// happens, what is stored of a session are the events of its journal, from the first one,
// once, in order; a task never has two open sessions; and an attempt ends once.
func TestProperty(t *testing.T) {
	t.Parallel()
	s := open(t)
	rapid.Check(t, func(t *rapid.T) {
		m := &model{s: s, newest: map[string]*modelSession{}, retried: map[string]bool{}}
		t.Repeat(map[string]func(*rapid.T){
			"":       m.check,
			"add":    m.add,
			"offer":  m.offer,
			"move":   m.move,
			"lose":   m.lose,
			"stop":   m.stop,
			"finish": m.finish,
			"retry":  m.retry,
			"append": m.append,
			"write":  m.append,
		})
	})
}

func (m *model) add(t *rapid.T) {
	spec := task.Spec{Prompt: "p", MaxAttempts: rapid.IntRange(0, 3).Draw(t, "max"), OnLost: rapid.SampledFrom([]task.LostPolicy{"", task.LostFinish}).Draw(t, "lost")}
	m.tasks = append(m.tasks, must2(m.s.AddTask(t.Context(), spec, "x", "", noon)).ID)
}

func (m *model) anyTask(t *rapid.T) string {
	if len(m.tasks) == 0 {
		t.Skip("no task")
	}
	return rapid.SampledFrom(m.tasks).Draw(t, "task")
}

func (m *model) anySession(t *rapid.T) *modelSession {
	if len(m.sessions) == 0 {
		t.Skip("no session")
	}
	i := rapid.IntRange(max(0, len(m.sessions)-4), len(m.sessions)-1).Draw(t, "session")
	return m.sessions[i]
}

// allow fails unless err is nil or one of those.
func allow(t *rapid.T, err error, allowed ...error) {
	for _, a := range append(allowed, nil) {
		if errors.Is(err, a) {
			return
		}
	}
	t.Fatal(err)
}

func (m *model) offer(t *rapid.T) {
	id := m.anyTask(t)
	was := must3(m.s.Task(t.Context(), id)).State
	h, err := m.s.Offer(t.Context(), id, "runner-1", "nas", noon)
	if (err == nil) != (was == task.Queued) {
		t.Fatal(was, err)
	}
	allow(t, err, ErrConflict)
	if err != nil {
		return
	}
	if old := m.newest[id]; old != nil && old.Token >= h.Token {
		t.Fatal("token", h.Token, "is not greater than", old.Token)
	}
	ms := &modelSession{Held: h}
	m.sessions = append(m.sessions, ms)
	m.newest[id] = ms
}

func (m *model) move(t *rapid.T) {
	ms := m.anySession(t)
	to := rapid.SampledFrom([]task.SessionState{task.Accepted, task.Active, task.Active, task.Declined, task.Returned}).Draw(t, "to")
	token := ms.Token + int64(rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "wrong"))
	err := m.s.MoveSession(t.Context(), ms.Session, token, to, "reason", noon)
	allow(t, err, ErrFenced)
	if err == nil && (token != ms.Token || m.newest[ms.Task.ID] != ms) {
		t.Fatal("a lost lease moved its session")
	}
}

func (m *model) lose(t *rapid.T) {
	to := rapid.SampledFrom([]task.SessionState{task.Gone, task.Gone, task.Returned}).Draw(t, "to")
	_, err := m.s.EndSession(t.Context(), m.anySession(t).Session, to, event.Lost, "away", noon)
	allow(t, err, ErrConflict)
}

func (m *model) stop(t *rapid.T) {
	if rapid.Bool().Draw(t, "skip") {
		t.Skip("rarely")
	}
	allow(t, m.s.StopSession(t.Context(), m.anySession(t).Session, event.Cancelled, "by alice"), ErrConflict)
}

func (m *model) finish(t *rapid.T) {
	if rapid.Bool().Draw(t, "skip") {
		t.Skip("rarely")
	}
	allow(t, m.s.FinishTask(t.Context(), m.anyTask(t), event.Cancelled, "by alice", noon), ErrConflict)
}

func (m *model) retry(t *rapid.T) {
	id := m.anyTask(t)
	_, err := m.s.RetryTask(t.Context(), id)
	allow(t, err, ErrConflict)
	m.retried[id] = m.retried[id] || err == nil
}

// append sends a piece of a journal: what is new, what is known, or what comes too early.
func (m *model) append(t *rapid.T) {
	ms := m.anySession(t)
	ms.grow(t)
	if len(ms.journal) == 0 {
		t.Skip("nothing happened")
	}
	first := rapid.IntRange(max(0, ms.acked-5), min(len(ms.journal)-1, ms.acked+1)).Draw(t, "first")
	last := rapid.IntRange(first+1, len(ms.journal)).Draw(t, "last")
	before := must(m.s.Session(t.Context(), ms.Session)).State
	a, err := m.s.Append(t.Context(), ms.batch(ms.journal[first:last]...))
	fenced := m.newest[ms.Task.ID] != ms || before == task.Ended
	gap, isGap := errors.AsType[GapError](err)
	switch {
	case last <= ms.acked:
		if err != nil || a.New != 0 || a.Acked != uint64(ms.acked) {
			t.Fatalf("known events: %+v %v", a, err)
		}
	case fenced:
		if !errors.Is(err, ErrFenced) {
			t.Fatalf("fenced: %+v %v", a, err)
		}
	case first > ms.acked:
		if !isGap || gap.Acked != uint64(ms.acked) {
			t.Fatalf("gap after %d: %+v %v", ms.acked, a, err)
		}
	default:
		if err != nil || a.Acked != uint64(last) || a.New != last-ms.acked {
			t.Fatalf("new events: %+v %v", a, err)
		}
		ms.acked = last
	}
	if a.Finished != nil {
		ms.ended++
	}
}

// grow lets the agent do something.
func (ms *modelSession) grow(t *rapid.T) {
	for range rapid.IntRange(0, 4).Draw(t, "new") {
		if ms.finished {
			return
		}
		var d event.Data = event.Notice{Kind: "info", Text: rapid.StringN(0, 5, 20).Draw(t, "text")}
		switch rapid.IntRange(0, 8).Draw(t, "what") {
		case 0:
			d = event.SessionStarted{Agent: "claude"}
		case 1:
			outcome := rapid.SampledFrom([]event.Outcome{event.Succeeded, event.Failed, event.Errored, event.Lost, event.Cancelled}).Draw(t, "outcome")
			d, ms.finished = event.SessionFinished{Outcome: outcome}, true
		case 2:
			d = event.AskOpened{Ask: "a", Default: event.DecideDeny}
		case 3:
			d = event.AskAnswered{Ask: "a"}
		}
		ms.journal = append(ms.journal, ev(uint64(len(ms.journal)+1), d))
	}
}

func (m *model) check(t *rapid.T) {
	for _, id := range m.tasks {
		got, sessions, err := m.s.Task(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		m.checkTask(t, got, sessions)
	}
	for _, ms := range m.sessions[max(0, len(m.sessions)-4):] {
		have := storedIn(t, m.s, ms.Session)
		if len(have) != ms.acked {
			t.Fatalf("%d events, %d are acknowledged", len(have), ms.acked)
		}
		for i := range have {
			have[i].Session = ""
		}
		if d := cmp.Diff(ms.journal[:ms.acked], have); ms.acked > 0 && d != "" {
			t.Fatal(d)
		}
		if ms.ended > 1 {
			t.Fatal("ended", ms.ended, "times")
		}
	}
}

func (m *model) checkTask(t *rapid.T, got task.Task, sessions []task.Session) {
	open, made := 0, 0
	for i, s := range sessions {
		if s.State == task.Ended || s.State == task.Gone {
			made++
		}
		if s.State.Open() {
			open++
			if i > 0 {
				t.Fatal("an older session is", s.State)
			}
		}
	}
	working := got.State == task.Assigned || got.State == task.Running
	if working != (open == 1) || open > 1 {
		t.Fatal("task is", got.State, "with", open, "open sessions")
	}
	if (got.State == task.Finished) != (got.Outcome != "") || (got.State == task.Finished) != (got.FinishedAt != nil) {
		t.Fatalf("%+v", got)
	}
	if open == 1 && (sessions[0].State == task.Active) != (got.State == task.Running) {
		t.Fatal("task is", got.State, "while its session is", sessions[0].State)
	}
	tries := got.MaxAttempts
	if tries == 0 {
		tries = task.DefaultTries
	}
	if got.Attempts > tries {
		t.Fatal(got.Attempts, "attempts of", tries)
	}
	if got.Attempts != made && !m.retried[got.ID] {
		t.Fatal(got.Attempts, "attempts are counted,", made, "were made")
	}
}

func storedIn(t *rapid.T, s *Store, session string) (list []api.Event) {
	err := s.Events(t.Context(), session, 0, true, 0, func(e *api.Event) error {
		list = append(list, *e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func must2[T any](v T, _ bool, err error) T { return must(v, err) }
func must3[T, U any](v T, _ U, err error) T { return must(v, err) }
