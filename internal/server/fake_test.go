package server

import (
	"context"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// fakeDispatcher starts nothing by itself: a test says what held polls get.
type fakeDispatcher struct {
	store   *store.Store
	answers chan api.SyncAnswer
	synced  chan api.Sync // what was reported
	watched chan string
}

func newFakeDispatcher(s *store.Store) *fakeDispatcher {
	return &fakeDispatcher{store: s, answers: make(chan api.SyncAnswer, 1), synced: make(chan api.Sync, 10_000), watched: make(chan string, 10_000)}
}

func (d *fakeDispatcher) Sync(ctx context.Context, by store.Caller, r api.Sync) (api.SyncAnswer, error) {
	if by.Runner == "" {
		if err := d.store.SaveRunner(ctx, api.Runner{ID: r.Runner, Name: r.Name, Device: by.Token, SeenAt: time.Now()}); err != nil {
			return api.SyncAnswer{}, err
		}
	}
	d.synced <- r
	select {
	case a := <-d.answers:
		return a, nil
	case <-time.After(time.Duration(r.WaitMS) * time.Millisecond):
	case <-ctx.Done():
	}
	return api.SyncAnswer{}, nil
}

func (d *fakeDispatcher) Announce(ctx context.Context, by store.Caller, a api.Announce) (api.Lease, error) {
	if err := d.store.SaveRunner(ctx, api.Runner{ID: a.Runner, Name: a.Name, Device: by.Token, SeenAt: time.Now()}); err != nil {
		return api.Lease{}, err
	}
	h, err := d.store.Announce(ctx, a, by.Name, time.Now())
	return api.Lease{Session: h.Session, Token: h.Token, Attempt: h.Attempt, Task: h.Task, ExpiresInMS: 60_000}, err
}

func (d *fakeDispatcher) Add(ctx context.Context, spec task.Spec, by, key string) (task.Task, bool, error) {
	return d.store.AddTask(ctx, spec, by, key, time.Now())
}

func (d *fakeDispatcher) Cancel(ctx context.Context, id, by string) (task.Task, error) {
	if err := d.store.FinishTask(ctx, id, event.Cancelled, by, time.Now()); err != nil {
		return task.Task{}, err
	}
	t, _, err := d.store.Task(ctx, id)
	return t, err
}

func (d *fakeDispatcher) Retry(ctx context.Context, id string) (task.Task, error) {
	return d.store.RetryTask(ctx, id)
}

func (d *fakeDispatcher) Command(ctx context.Context, session string, n api.NewCommand, by string) (api.Command, error) {
	c, _, err := d.store.AddCommand(ctx, session, n, by, time.Now())
	return c, err
}

func (d *fakeDispatcher) Runners(ctx context.Context) ([]api.Runner, error) {
	return d.store.Runners(ctx)
}

func (d *fakeDispatcher) Remove(ctx context.Context, id string) error {
	return d.store.RemoveRunner(ctx, id)
}

func (d *fakeDispatcher) Why(context.Context, task.Task) string { return "no runner is connected" }

func (d *fakeDispatcher) Appended(string, store.Appended) int64 { return 10 }

func (d *fakeDispatcher) Away(string) bool { return false }

func (d *fakeDispatcher) Waiting(context.Context) ([]api.InboxItem, error) {
	return []api.InboxItem{{ID: "waiting:t", Kind: api.InboxWaiting, Since: time.Now(), Task: "t", Title: "t", Text: "no runner"}}, nil
}

func (d *fakeDispatcher) Watch(session string) func() {
	d.watched <- session
	return func() {}
}
