package schedule

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// database is what tests need of a store: what the dispatcher does, and what the server does
// with it.
type database interface {
	Store
	Append(ctx context.Context, b store.Batch) (store.Appended, error)
}

// fake is a store in memory. It keeps the promises of store.Store that the dispatcher
// relies on, and stops the test when a state is left in a way that package task forbids.
type fake struct {
	t testing.TB

	mu       sync.Mutex
	n        int
	tasks    map[string]*task.Task
	keys     map[string]string
	sessions map[string]*fakeSession
	runners  map[string]api.Runner
	writes   int
	fail     error         // of every write
	slow     time.Duration // of every write
	offers   map[string]int
}

type fakeSession struct {
	task.Session
	token    int64
	stopping event.Outcome
	reason   string
	commands []api.Command
}

func newFake(t testing.TB) *fake {
	return &fake{t: t, tasks: map[string]*task.Task{}, keys: map[string]string{}, sessions: map[string]*fakeSession{},
		runners: map[string]api.Runner{}, offers: map[string]int{}}
}

// write begins a write.
func (f *fake) write() (done func(), err error) {
	f.mu.Lock()
	slow := f.slow
	f.mu.Unlock()
	if slow > 0 {
		time.Sleep(slow)
	}
	f.mu.Lock()
	f.writes++
	return f.mu.Unlock, f.fail
}

// breakDown makes every write fail, or none.
func (f *fake) breakDown(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

func (f *fake) id(kind string) string {
	f.n++
	return fmt.Sprintf("%s-%032d", kind[:3], f.n)
}

func (f *fake) taskTo(t *task.Task, to task.State) {
	if t.State != to {
		if err := t.State.Check(to); err != nil {
			f.t.Errorf("task %s: %v", t.ID, err)
		}
	}
	t.State, t.Outcome, t.Reason, t.FinishedAt = to, "", "", nil
}

func (f *fake) sessionTo(s *fakeSession, to task.SessionState) {
	if err := s.State.Check(to); err != nil {
		f.t.Errorf("session %s: %v", s.ID, err)
	}
	if s.State == task.Gone {
		s.Outcome, s.Reason = "", ""
		f.tasks[s.Task].Attempts--
	}
	s.State = to
}

func (f *fake) AddTask(_ context.Context, spec task.Spec, by, key string, now time.Time) (task.Task, bool, error) {
	done, err := f.write()
	defer done()
	if err != nil {
		return task.Task{}, false, err
	}
	if id := f.keys[key]; key != "" && id != "" {
		return *f.tasks[id], false, nil
	}
	t := &task.Task{ID: f.id("task"), Spec: spec, State: task.Queued, CreatedAt: now.Round(0), CreatedBy: by}
	f.tasks[t.ID] = t
	f.keys[key] = t.ID
	return *t, true, nil
}

func (f *fake) Task(_ context.Context, id string) (task.Task, []task.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tasks[id]
	if t == nil {
		return task.Task{}, nil, store.ErrNotFound
	}
	var list []task.Session
	for _, s := range f.sessions {
		if s.Task == id {
			list = append(list, s.Session)
		}
	}
	slices.SortFunc(list, func(a, b task.Session) int { return cmp.Compare(b.ID, a.ID) })
	return *t, list, nil
}

func (f *fake) Tasks(_ context.Context, flt store.TaskFilter) ([]task.Task, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []task.Task
	for _, id := range slices.Sorted(maps.Keys(f.tasks)) {
		if t := f.tasks[id]; t.State == flt.State && (flt.Before == "" || id < flt.Before) {
			list = append(list, *t)
		}
	}
	slices.Reverse(list)
	if len(list) > flt.Limit {
		return list[:flt.Limit], list[flt.Limit-1].ID, nil
	}
	return list, "", nil
}

func (f *fake) FinishTask(_ context.Context, id string, outcome event.Outcome, reason string, now time.Time) error {
	done, err := f.write()
	defer done()
	t := f.tasks[id]
	switch {
	case err != nil:
		return err
	case t == nil:
		return store.ErrNotFound
	case t.State != task.Queued:
		return store.ErrConflict
	}
	f.taskTo(t, task.Finished)
	t.Outcome, t.Reason, t.FinishedAt = outcome, reason, &now
	return nil
}

func (f *fake) RetryTask(_ context.Context, id string) (task.Task, error) {
	done, err := f.write()
	defer done()
	t := f.tasks[id]
	switch {
	case err != nil:
		return task.Task{}, err
	case t == nil:
		return task.Task{}, store.ErrNotFound
	case t.State != task.Finished:
		return task.Task{}, store.ErrConflict
	}
	f.taskTo(t, task.Queued)
	t.Attempts = 0
	return *t, nil
}

func (f *fake) held(s *fakeSession) store.Held {
	return store.Held{Session: s.ID, Token: s.token, Attempt: s.Attempt, Task: *f.tasks[s.Task], Runner: s.Runner, Workspace: s.Workspace,
		State: s.State, OfferedAt: s.OfferedAt, Stopping: s.stopping, Reason: s.reason, Commands: int64(len(s.commands))}
}

func (f *fake) HeldSessions(context.Context) ([]store.Held, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []store.Held
	for _, id := range slices.Sorted(maps.Keys(f.sessions)) {
		s := f.sessions[id]
		if f.tasks[s.Task].Session == id && s.State.Open() {
			list = append(list, f.held(s))
		}
	}
	return list, nil
}

func (f *fake) Session(_ context.Context, id string) (task.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.sessions[id]; s != nil {
		return s.Session, nil
	}
	return task.Session{}, store.ErrNotFound
}

func (f *fake) Offer(_ context.Context, taskID, runner, name string, now time.Time) (store.Held, error) {
	done, err := f.write()
	defer done()
	t := f.tasks[taskID]
	switch {
	case err != nil:
		return store.Held{}, err
	case t == nil || t.State != task.Queued:
		return store.Held{}, store.ErrConflict
	}
	f.offers[taskID]++
	s := &fakeSession{Session: task.Session{ID: f.id("session"), Task: t.ID, Attempt: t.Attempts + 1, Runner: runner, RunnerName: name,
		Workspace: t.Workspace, State: task.Offered, OfferedAt: now.Round(0)}, token: int64(f.n)}
	f.sessions[s.ID] = s
	f.taskTo(t, task.Assigned)
	t.Session = s.ID
	return f.held(s), nil
}

func (f *fake) Announce(_ context.Context, a api.Announce, by string, now time.Time) (store.Held, error) {
	done, err := f.write()
	defer done()
	if err != nil {
		return store.Held{}, err
	}
	if s := f.sessions[a.Session]; s != nil {
		if s.Runner != a.Runner {
			return store.Held{}, store.ErrConflict
		}
		return f.held(s), nil
	}
	t := &task.Task{ID: f.id("task"), Spec: a.Spec, State: task.Running, CreatedAt: now.Round(0), CreatedBy: by, Session: a.Session}
	f.tasks[t.ID] = t
	f.n++
	s := &fakeSession{Session: task.Session{ID: a.Session, Task: t.ID, Attempt: 1, Runner: a.Runner, RunnerName: a.Name,
		Workspace: a.Spec.Workspace, State: task.Active, OfferedAt: now.Round(0)}, token: int64(f.n)}
	f.sessions[s.ID] = s
	return f.held(s), nil
}

func (f *fake) MoveSession(_ context.Context, session string, token int64, to task.SessionState, reason string, _ time.Time) error {
	done, err := f.write()
	defer done()
	s := f.sessions[session]
	switch {
	case err != nil:
		return err
	case s == nil:
		return store.ErrNotFound
	}
	t := f.tasks[s.Task]
	over := t.State == task.Finished && t.Outcome != event.Lost
	switch {
	case s.token != token || t.Session != s.ID:
		return store.ErrFenced
	case s.State == to || s.State == task.Ended || s.State == task.Active && to == task.Accepted:
		return nil
	case s.State.Check(to) != nil || s.State == task.Gone && over:
		return store.ErrFenced
	}
	f.sessionTo(s, to)
	s.Reason = reason
	switch to {
	case task.Active:
		f.taskTo(t, task.Running)
	case task.Declined, task.Returned:
		f.after(s, t, task.GivenBack(reason))
	}
	return nil
}

func (f *fake) after(s *fakeSession, t *task.Task, end task.End) task.End {
	if end.State == task.Queued && s.stopping != "" {
		end = task.End{State: task.Finished, Outcome: s.stopping, Reason: s.reason, Counts: end.Counts}
	}
	f.taskTo(t, end.State)
	if end.Counts {
		t.Attempts++
	}
	t.Outcome, t.Reason = end.Outcome, end.Reason
	return end
}

func (f *fake) EndSession(_ context.Context, session string, to task.SessionState, outcome event.Outcome, reason string, _ time.Time) (task.End, error) {
	done, err := f.write()
	defer done()
	s := f.sessions[session]
	switch {
	case err != nil:
		return task.End{}, err
	case s == nil:
		return task.End{}, store.ErrNotFound
	case !s.State.Open():
		return task.End{}, store.ErrConflict
	}
	t := f.tasks[s.Task]
	f.sessionTo(s, to)
	s.Outcome, s.Reason = outcome, reason
	end := task.GivenBack(reason)
	if to == task.Gone {
		end = task.After(t.Spec, t.Attempts, outcome, reason)
	}
	return f.after(s, t, end), nil
}

func (f *fake) StopSession(_ context.Context, session string, outcome event.Outcome, reason string) error {
	done, err := f.write()
	defer done()
	s := f.sessions[session]
	switch {
	case err != nil:
		return err
	case s == nil:
		return store.ErrNotFound
	case s.stopping != "":
		return nil
	case !s.State.Open() && s.State != task.Gone:
		return store.ErrConflict
	}
	s.stopping, s.reason = outcome, reason
	return nil
}

func (f *fake) SaveRunner(_ context.Context, r api.Runner) error {
	done, err := f.write()
	defer done()
	if err != nil {
		return err
	}
	for _, other := range f.runners {
		if (other.Device == r.Device) != (other.ID == r.ID) {
			return store.ErrConflict
		}
	}
	f.runners[r.ID] = r
	return nil
}

func (f *fake) Runners(context.Context) ([]api.Runner, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := slices.Collect(maps.Values(f.runners))
	for i := range list {
		list[i].Connected = false
	}
	return list, nil
}

func (f *fake) RemoveRunner(_ context.Context, id string) error {
	done, err := f.write()
	defer done()
	for _, s := range f.sessions {
		if s.Runner == id && s.State.Open() {
			return store.ErrConflict
		}
	}
	delete(f.runners, id)
	return err
}

func (f *fake) AddCommand(_ context.Context, session string, c api.NewCommand, by string, now time.Time) (api.Command, bool, error) {
	done, err := f.write()
	defer done()
	s := f.sessions[session]
	switch {
	case err != nil:
		return api.Command{}, false, err
	case s == nil:
		return api.Command{}, false, store.ErrNotFound
	case !s.State.Open():
		return api.Command{}, false, store.ErrConflict
	}
	cmd := api.Command{Session: session, Seq: int64(len(s.commands) + 1), ID: c.ID, Kind: c.Kind, Text: c.Text, CreatedAt: now, CreatedBy: by}
	s.commands = append(s.commands, cmd)
	return cmd, true, nil
}

func (f *fake) Commands(_ context.Context, session string, after int64, limit int) ([]api.Command, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sessions[session]
	if s == nil {
		return nil, store.ErrNotFound
	}
	rest := s.commands[min(int(after), len(s.commands)):]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

func (f *fake) Append(_ context.Context, b store.Batch) (store.Appended, error) {
	done, err := f.write()
	defer done()
	s := f.sessions[b.Session]
	if err != nil {
		return store.Appended{}, err
	}
	if s == nil || s.Runner != b.Runner {
		return store.Appended{}, store.ErrNotFound
	}
	t := f.tasks[s.Task]
	if s.token != b.Token || t.Session != s.ID || s.State == task.Declined || s.State == task.Returned {
		return store.Appended{}, store.ErrFenced
	}
	a := store.Appended{Acked: s.LastSeq}
	for _, e := range b.Events {
		if e.Seq <= s.LastSeq {
			continue
		}
		s.LastSeq, a.Acked = e.Seq, e.Seq
		a.New++
		if e.Type != string(event.TypeSessionFinished) {
			continue
		}
		var end event.SessionFinished
		if err := json.Unmarshal(e.Data, &end); err != nil {
			return a, err
		}
		over := t.State == task.Finished && t.Outcome != event.Lost
		f.sessionTo(s, task.Ended)
		s.Outcome, s.Reason = end.Outcome, end.Reason
		if !over {
			f.after(s, t, task.After(t.Spec, t.Attempts, end.Outcome, end.Reason))
		}
		one, of := s.Session, *t
		a.Finished, a.Task = &one, &of
	}
	return a, nil
}

var errBroken = errors.New("the disk is broken")
