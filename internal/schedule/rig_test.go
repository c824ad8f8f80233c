package schedule

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// rig is a dispatcher with its store, in virtual time.
type rig struct {
	*Dispatcher
	t    *testing.T
	db   database
	fake *fake // nil: db is a real one
	seen *counts
	ctx  context.Context // of this life of the control plane
	end  context.CancelFunc
	down chan struct{}
}

// counts is the observer.
type counts struct {
	queued, picked []time.Duration
	polls          int
	outcomes       []event.Outcome
}

func (c *counts) QueueWait(d time.Duration)     { c.queued = append(c.queued, d) }
func (c *counts) PickUp(d time.Duration)        { c.picked = append(c.picked, d) }
func (c *counts) PollAge(string, time.Duration) { c.polls++ }
func (c *counts) Outcome(o event.Outcome)       { c.outcomes = append(c.outcomes, o) }
func silentLog() *logrus.Logger                 { l := logrus.New(); l.SetOutput(io.Discard); return l }
func at(d time.Duration) (t *time.Time)         { now := time.Now().Add(d); return &now }
func prompt(change ...func(*task.Spec)) task.Spec {
	s := task.Spec{Prompt: "fix it"}
	for _, c := range change {
		c(&s)
	}
	return s
}

// in names the task's workspace.
func in(workspace string) func(*task.Spec) { return func(s *task.Spec) { s.Workspace = workspace } }

// inBubble runs f with a rig, in virtual time: once with a store in memory, once with the
// real one.
func inBubble(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	t.Parallel()
	t.Run("memory", func(t *testing.T) { inMemory(t, f) })
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			db, err := store.Open(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			with(t, db, nil, f)
		})
	})
}

// inMemory is inBubble for what needs to look into the store, or to break it.
func inMemory(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newFake(t)
		with(t, db, db, f)
	})
}

func with(t *testing.T, db database, mem *fake, f func(t *testing.T, r *rig)) {
	r := &rig{t: t, db: db, fake: mem, seen: &counts{}}
	r.start()
	defer func() { r.stop() }()
	f(t, r)
}

func (r *rig) start() {
	d, err := New(r.t.Context(), r.db, silentLog(), r.seen)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	r.Dispatcher, r.ctx, r.end, r.down = d, ctx, cancel, make(chan struct{})
	go func() {
		defer close(r.down)
		d.Run(ctx)
	}()
}

func (r *rig) stop() {
	r.end()
	<-r.down
}

// restart is a control plane that dies and starts again.
func (r *rig) restart() {
	r.stop()
	r.start()
}

func (r *rig) add(change ...func(*task.Spec)) string {
	r.t.Helper()
	t, _, err := r.Add(r.t.Context(), prompt(change...), "alice", "")
	if err != nil {
		r.t.Fatal(err)
	}
	return t.ID
}

func (r *rig) task(id string) task.Task {
	r.t.Helper()
	synctest.Wait() // whoever still writes
	t, _, err := r.db.Task(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return t
}

func (r *rig) sessions(id string) []task.Session {
	_, all, err := r.db.Task(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// want fails unless the task is in a state, with an outcome if it is finished.
func (r *rig) want(id string, state task.State, outcome event.Outcome) {
	r.t.Helper()
	if t := r.task(id); t.State != state || t.Outcome != outcome {
		r.t.Fatalf("task is %s %s (%s), want %s %s", t.State, t.Outcome, t.Reason, state, outcome)
	}
}

func (r *rig) why(id string) string { return r.Why(r.t.Context(), r.task(id)) }

func (r *rig) wantWhy(id, want string) {
	r.t.Helper()
	if got := r.why(id); got != want {
		r.t.Fatalf("why: %q, want %q", got, want)
	}
}

// box is a runner, as the control plane sees it.
type box struct {
	r      *rig
	device store.Caller
	api.Sync
	leases *sync.Map // api.Lease by session
	seqs   map[string]uint64
}

func (r *rig) box(name string, capacity int, workspaces ...string) *box {
	b := &box{r: r, device: r.device(name), Sync: api.Sync{
		Runner: "id-" + name, Instance: name + "-1", Name: name, Protocol: 1, Capacity: capacity,
		Agents: []api.Agent{{Kind: "claude", Login: "ready"}}, Health: api.Health{Ready: true},
		WaitMS: 30_000, LostAfterMS: time.Hour.Milliseconds(),
	}, leases: &sync.Map{}, seqs: map[string]uint64{}}
	for i, w := range append(workspaces, "home")[:max(1, len(workspaces))] {
		b.Workspaces = append(b.Workspaces, api.Workspace{Name: w, Default: i == 0})
	}
	return b
}

// device makes a device token.
func (r *rig) device(name string) store.Caller {
	r.t.Helper()
	id := "token-" + name
	if db, ok := r.db.(*store.Store); ok {
		token, err := db.AddToken(r.t.Context(), store.DeviceToken, "", api.NewToken{Name: name}, sha256.Sum256([]byte(id+rand.Text())), time.Now())
		if err != nil {
			r.t.Fatal(err)
		}
		id = token.ID
	}
	return store.Caller{Token: id, Kind: store.DeviceToken, Name: name}
}

// sync reports and takes in the answer.
func (b *box) sync() api.SyncAnswer {
	b.r.t.Helper()
	a, err := b.call()
	if err != nil {
		b.r.t.Fatal(err)
	}
	return a
}

func (b *box) call() (api.SyncAnswer, error) {
	report := b.Sync
	report.Sessions = slices.Clone(b.Sessions)
	ctx := b.r.ctx
	a, err := b.r.Sync(ctx, b.device, report)
	if ctx.Err() != nil {
		return a, ctx.Err() // the control plane has died
	}
	for _, l := range a.Leases {
		b.leases.Store(l.Session, l)
	}
	return a, err
}

func (b *box) lease(session string) api.Lease {
	l, _ := b.leases.Load(session)
	lease, _ := l.(api.Lease)
	return lease
}

// offered returns all sessions that the box was ever offered.
func (b *box) offered() (ids []string) {
	for id := range b.leases.Range {
		ids = append(ids, id.(string))
	}
	return ids
}

// hello reports without waiting.
func (b *box) hello() api.SyncAnswer {
	b.r.t.Helper()
	wait := b.WaitMS
	defer func() { b.WaitMS = wait }()
	b.WaitMS = 0
	return b.sync()
}

// poll waits for an answer in the background.
func (b *box) poll() <-chan api.SyncAnswer {
	c := make(chan api.SyncAnswer, 1)
	go func() {
		defer close(c) // whoever waits goes on if sync ends the test
		a, err := b.call()
		if err == nil {
			c <- a
		} else if b.r.ctx.Err() == nil {
			b.r.t.Error(err)
		}
	}()
	synctest.Wait()
	return c
}

// set reports a session in a state from now on.
func (b *box) set(session string, state task.SessionState, reason ...string) {
	s := api.SessionReport{ID: session, Token: b.lease(session).Token, State: state}
	if len(reason) > 0 {
		s.Reason = reason[0]
	}
	i := slices.IndexFunc(b.Sessions, func(x api.SessionReport) bool { return x.ID == session })
	if i < 0 {
		b.Sessions = append(b.Sessions, s)
		return
	}
	s.Acked = b.Sessions[i].Acked
	b.Sessions[i] = s
}

func (b *box) drop(session string) {
	b.Sessions = slices.DeleteFunc(slices.Clone(b.Sessions), func(x api.SessionReport) bool { return x.ID == session })
}

// take gets one offer and reports its session in a state.
func (b *box) take(state task.SessionState) string {
	b.r.t.Helper()
	a := b.hello()
	if len(a.Leases) != 1 {
		b.r.t.Fatalf("%d offers, want 1: %+v", len(a.Leases), a)
	}
	id := a.Leases[0].Session
	if state != task.Offered {
		b.set(id, state)
		b.hello()
	}
	return id
}

// finish uploads the last event of a session, as the server does it.
func (b *box) finish(session string, outcome event.Outcome) error {
	data, _ := json.Marshal(event.SessionFinished{Outcome: outcome, Reason: string(outcome)})
	b.seqs[session]++
	e := api.Event{V: 1, Session: session, Seq: b.seqs[session], Time: time.Now(), Type: string(event.TypeSessionFinished), Data: data}
	a, err := b.r.db.Append(b.r.t.Context(), store.Batch{Session: session, Token: b.lease(session).Token, Runner: b.Runner, Events: []api.Event{e}})
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	b.r.Appended(session, a)
	return nil
}

// alive keeps a runner in touch for a time.
func (b *box) alive(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		b.hello()
		time.Sleep(min(10*time.Second, time.Until(end)))
	}
}
