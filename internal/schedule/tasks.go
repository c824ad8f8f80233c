package schedule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Add stores a task and dispatches it; see store.AddTask.
func (d *Dispatcher) Add(ctx context.Context, spec task.Spec, by, key string) (task.Task, bool, error) {
	now := time.Now()
	t, added, err := d.store.AddTask(context.WithoutCancel(ctx), spec, by, key, now)
	if err != nil || !added {
		return t, added, err
	}
	d.mu.Lock()
	placed := d.enqueue(newEntry(&t, now))
	d.mu.Unlock()
	d.assign(ctx, placed)
	return t, true, nil
}

// Cancel ends a task: at once if it is queued, else its runner is told to. Of a task that
// is cancelled already it returns that; of one that is finished otherwise, store.ErrConflict.
func (d *Dispatcher) Cancel(ctx context.Context, id, by string) (task.Task, error) {
	t, _, err := d.store.Task(ctx, id)
	if err != nil {
		return t, err
	}
	if err := d.cancel(ctx, t.ID, "cancelled by "+by); err != nil {
		return t, err
	}
	t, _, err = d.store.Task(ctx, t.ID)
	return t, err
}

func (d *Dispatcher) cancel(ctx context.Context, id, reason string) error {
	defer d.move(id)()
	t, _, err := d.store.Task(ctx, id)
	if err != nil {
		return err
	}
	d.mu.Lock()
	h := d.held[t.Session]
	untold := h != nil && h.State == task.Offered && !h.told
	d.mu.Unlock()
	switch {
	case t.State == task.Finished && t.Outcome == event.Cancelled:
		return nil
	case t.State == task.Finished:
		return fmt.Errorf("task %s has ended as %s: %w", id, t.Outcome, store.ErrConflict)
	case t.State == task.Queued:
		return d.finishMoving(ctx, id, event.Cancelled, reason)
	case h == nil:
		return fmt.Errorf("task %s is ending: %w", id, store.ErrConflict)
	}
	if err := d.stopMoving(ctx, h, event.Cancelled, reason); err != nil {
		return err
	}
	if untold {
		d.mu.Lock()
		h.expires = time.Time{} // no runner knows of it: the next tick ends it
		d.mu.Unlock()
	}
	return nil
}

// Retry queues a finished task again. A task that is queued is offered anew to the
// runners that declined it.
func (d *Dispatcher) Retry(ctx context.Context, id string) (task.Task, error) {
	t, _, err := d.store.Task(ctx, id)
	if err != nil {
		return t, err
	}
	placed, err := d.retry(ctx, &t)
	d.assign(ctx, placed)
	return t, err
}

func (d *Dispatcher) retry(ctx context.Context, t *task.Task) ([]placement, error) {
	defer d.move(t.ID)()
	now := time.Now()
	again, err := d.store.RetryTask(context.WithoutCancel(ctx), t.ID)
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.queue.byID[t.ID]
	if err != nil && (e == nil || !errors.Is(err, store.ErrConflict)) {
		return nil, err
	}
	for _, r := range d.runners {
		delete(r.declined, t.ID)
	}
	if err != nil {
		d.queue.added++ // it is as if it were new
		return d.match(e, now), nil
	}
	*t = again
	return d.enqueue(newEntry(t, now)), nil
}
