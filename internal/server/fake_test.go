package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// fakeStore keeps in memory what the tests of this package need.
type fakeStore struct {
	Store
	mu       sync.Mutex
	owner    [2]string
	tokens   map[[32]byte]*fakeToken
	all      []task.Task
	sessions map[string]*task.Session
	events   map[string][]api.Event
	commands map[string][]api.Command
	asks     map[string]event.AskOpened
	log      []api.AuditEntry
	next     int
}

type fakeToken struct {
	api.Token
	kind store.TokenKind
	user string
}

func newFakeStore() *fakeStore {
	return &fakeStore{tokens: map[[32]byte]*fakeToken{}, sessions: map[string]*task.Session{}, events: map[string][]api.Event{},
		commands: map[string][]api.Command{}, asks: map[string]event.AskOpened{}}
}

func (f *fakeStore) Owner(context.Context) (string, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.owner[0] == "" {
		return "", "", store.ErrNotFound
	}
	return f.owner[0], f.owner[1], nil
}

func (f *fakeStore) SetOwner(_ context.Context, name, hash string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.owner = [2]string{name, hash}
	return nil
}

func (f *fakeStore) AddToken(_ context.Context, kind store.TokenKind, user string, n api.NewToken, sum [32]byte, now time.Time) (api.Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	t := &fakeToken{Token: api.Token{ID: fmt.Sprint("token-", f.next), Name: n.Name, Labels: n.Labels, CreatedAt: now, ExpiresAt: n.ExpiresAt}, kind: kind, user: user}
	f.tokens[sum] = t
	return t.Token, nil
}

func (f *fakeStore) Lookup(_ context.Context, sum [32]byte, now time.Time) (store.Caller, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tokens[sum]
	if t == nil || t.RevokedAt != nil || t.ExpiresAt != nil && !now.Before(*t.ExpiresAt) {
		return store.Caller{}, store.ErrNotFound
	}
	return store.Caller{Token: t.ID, Kind: t.kind, User: t.user, Name: t.Name, Labels: t.Labels, Runner: t.Runner}, nil
}

func (f *fakeStore) Tokens(_ context.Context, kind store.TokenKind) (all []api.Token, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tokens {
		if t.kind == kind {
			all = append(all, t.Token)
		}
	}
	return all, nil
}

func (f *fakeStore) RevokeToken(_ context.Context, kind store.TokenKind, id string, now time.Time) (api.Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tokens {
		if t.kind == kind && t.ID == id {
			t.RevokedAt = &now
			return t.Token, nil
		}
	}
	return api.Token{}, fmt.Errorf("token %s: %w", id, store.ErrNotFound)
}

func (f *fakeStore) Record(_ context.Context, e api.AuditEntry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, e)
	return nil
}

func (f *fakeStore) Task(_ context.Context, id string) (task.Task, []task.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.all {
		if t.ID == id {
			return t, nil, nil
		}
	}
	return task.Task{}, nil, fmt.Errorf("task %s: %w", id, store.ErrNotFound)
}

func (f *fakeStore) Tasks(context.Context, store.TaskFilter) ([]task.Task, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]task.Task(nil), f.all...), "", nil
}

func (f *fakeStore) Session(_ context.Context, id string) (task.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.sessions[id]; s != nil {
		return *s, nil
	}
	return task.Session{}, fmt.Errorf("session %s: %w", id, store.ErrNotFound)
}

func (f *fakeStore) Append(_ context.Context, b store.Batch) (store.Appended, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sessions[b.Session]
	switch {
	case s == nil:
		return store.Appended{}, store.ErrNotFound
	case b.Token != 1:
		return store.Appended{}, store.ErrFenced
	case b.Events[0].Seq > s.LastSeq+1:
		return store.Appended{}, store.GapError{Acked: s.LastSeq}
	}
	var a store.Appended
	for _, e := range b.Events {
		if e.Seq <= s.LastSeq {
			continue
		}
		f.events[b.Session] = append(f.events[b.Session], e)
		s.LastSeq = e.Seq
		a.New++
		if event.Type(e.Type) == event.TypeSessionFinished {
			s.State = task.Ended
			a.Finished = s
		}
	}
	a.Acked = s.LastSeq
	return a, nil
}

func (f *fakeStore) Events(_ context.Context, session string, after uint64, raw bool, limit int, yield func(*api.Event) error) error {
	f.mu.Lock()
	all := f.events[session]
	f.mu.Unlock()
	for _, e := range all[min(int(after), len(all)):] {
		if !raw {
			e.Raw, e.RawBytes, e.RawRef = nil, nil, nil
		}
		if err := yield(&e); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeStore) Commands(_ context.Context, session string, after int64, _ int) ([]api.Command, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.commands[session]
	return all[min(int(after), len(all)):], nil
}

func (f *fakeStore) OpenAsk(_ context.Context, session, ask string) (event.AskOpened, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, ok := f.asks[session+" "+ask]
	if !ok {
		return o, store.ErrNotFound
	}
	return o, nil
}

// fakeDispatcher holds polls and adds tasks to the fake store.
type fakeDispatcher struct {
	Dispatcher
	store   *fakeStore
	answers chan api.SyncAnswer // what held polls get
	synced  chan api.Sync       // what was reported; capacity
	watched chan string
}

func (d *fakeDispatcher) Sync(ctx context.Context, _ store.Caller, r api.Sync) (api.SyncAnswer, error) {
	d.synced <- r
	select {
	case a := <-d.answers:
		return a, nil
	case <-time.After(time.Duration(r.WaitMS) * time.Millisecond):
	case <-ctx.Done():
	}
	return api.SyncAnswer{}, nil
}

func (d *fakeDispatcher) Add(_ context.Context, spec task.Spec, by, key string) (task.Task, bool, error) {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	for _, t := range d.store.all {
		if key != "" && t.Reason == key {
			return t, false, nil
		}
	}
	d.store.next++
	t := task.Task{ID: fmt.Sprint("task-", d.store.next), Spec: spec, State: task.Queued, CreatedBy: by, Reason: key}
	d.store.all = append(d.store.all, t)
	return t, true, nil
}

func (d *fakeDispatcher) Command(_ context.Context, session string, n api.NewCommand, by string) (api.Command, error) {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	c := api.Command{Session: session, Seq: int64(len(d.store.commands[session]) + 1), ID: n.ID, Kind: n.Kind, Text: n.Text, Priority: n.Priority, Answer: n.Answer, CreatedBy: by}
	d.store.commands[session] = append(d.store.commands[session], c)
	return c, nil
}

func (d *fakeDispatcher) Why(context.Context, task.Task) string            { return "no runner is connected" }
func (d *fakeDispatcher) Appended(string, store.Appended) int64            { return 10 }
func (d *fakeDispatcher) Away(string) bool                                 { return false }
func (d *fakeDispatcher) Runners(context.Context) ([]api.Runner, error)    { return nil, nil }
func (d *fakeDispatcher) Waiting(context.Context) ([]api.InboxItem, error) { return nil, nil }
func (d *fakeDispatcher) Watch(session string) func()                      { d.watched <- session; return func() {} }
