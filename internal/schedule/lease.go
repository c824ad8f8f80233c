package schedule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// expire does what is due: offers that nobody answered, sessions whose agent must have
// ended, deadlines, and tasks whose time has come.
func (d *Dispatcher) expire(ctx context.Context) {
	now := time.Now()
	var (
		gone, overdue []*held
		late          []string
		placed        []placement
	)
	d.mu.Lock()
	for _, h := range d.held {
		if now.After(h.ends()) {
			gone = append(gone, h)
		} else if h.Stopping == "" && h.Task.Deadline != nil && now.After(*h.Task.Deadline) {
			overdue = append(overdue, h)
		}
	}
	for i := 0; i < len(d.queue.list); {
		e := d.queue.list[i]
		i++
		switch {
		case !e.deadline.IsZero() && now.After(e.deadline):
			late = append(late, e.id)
		case e.looks(now):
			d.queue.added++
			if p := d.match(e, now); p != nil {
				placed = append(placed, p...)
				i--
			}
		}
	}
	d.mu.Unlock()
	for _, h := range gone {
		placed = append(placed, d.end(ctx, h, "", func() bool { return time.Now().After(h.ends()) })...)
	}
	for _, h := range overdue {
		d.stop(ctx, h, event.TimedOut, "its deadline is over")
	}
	for _, id := range late {
		d.finish(ctx, id, event.TimedOut, "its deadline was over before a runner could take it")
	}
	d.assign(ctx, placed)
}

// ends is when a session is over if its runner stays away.
func (h *held) ends() time.Time {
	if h.State == task.Offered {
		return h.expires
	}
	after := DefaultLostAfter
	if ms := h.at.LostAfterMS; ms > 0 {
		after = time.Duration(ms) * time.Millisecond
	}
	return h.expires.Add(after + lostMargin)
}

// end ends a session whose runner does not say how, if still holds, which is asked while mu is
// held. An empty reason stands for the runner's silence.
func (d *Dispatcher) end(ctx context.Context, h *held, reason string, still func() bool) []placement {
	defer d.move(h.Task.ID)()
	now := time.Now()
	d.mu.Lock()
	if d.held[h.Session] != h || !still() {
		d.mu.Unlock()
		return nil
	}
	name, to, outcome := h.at.Name, task.Gone, event.Lost
	switch {
	case h.Stopping != "":
		outcome, reason = h.Stopping, h.Reason
	case h.State == task.Offered:
		to, outcome, reason = task.Returned, "", name+" did not answer the offer"
		h.at.silent()
	case h.State == task.Accepted && reason != "":
		to, outcome = task.Returned, ""
	case reason == "":
		reason = fmt.Sprintf("%s was away for %s", name, (now.Sub(h.expires) + api.LeaseTime).Round(time.Minute))
	}
	d.mu.Unlock()
	end, err := d.store.EndSession(context.WithoutCancel(ctx), h.Session, to, outcome, reason, now)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound):
		d.detach(h) // its last event came just now; Appended tells
		return nil
	case err != nil:
		d.log.WithError(err).WithField("session", h.Session).Error("a session cannot be ended")
		return nil // the next tick tries again
	}
	d.log.WithField("session", h.Session).WithField("reason", reason).Info("a session is over without its runner")
	d.detach(h)
	return d.ended(h, end, now)
}

// ended queues a task again or counts its outcome. The caller holds mu.
func (d *Dispatcher) ended(h *held, end task.End, now time.Time) []placement {
	if end.State == task.Finished {
		d.observe.Outcome(end.Outcome)
		return nil
	}
	e := newEntry(&h.Task, now)
	e.avoid = h.avoid
	if end.Counts {
		e.avoid = append(e.avoid, h.Runner)
	} else if !h.at.declined[e.id].until.IsZero() {
		e.look = now.Add(returnedPause)
	}
	return append(d.enqueue(e), d.fill(h.at, now)...)
}

// stop has the runner of a session end it.
func (d *Dispatcher) stop(ctx context.Context, h *held, outcome event.Outcome, reason string) {
	defer d.move(h.Task.ID)()
	if err := d.stopMoving(ctx, h, outcome, reason); err != nil && !errors.Is(err, store.ErrConflict) {
		d.log.WithError(err).WithField("session", h.Session).Error("a session cannot be stopped")
	}
}

// stopMoving is stop for who moves the task already. Who wanted it first is right.
func (d *Dispatcher) stopMoving(ctx context.Context, h *held, outcome event.Outcome, reason string) error {
	d.mu.Lock()
	stopping := h.Stopping != ""
	d.mu.Unlock()
	if stopping {
		return nil
	}
	if err := d.store.StopSession(context.WithoutCancel(ctx), h.Session, outcome, reason); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h.Stopping, h.Reason = outcome, reason
	h.at.wake()
	return nil
}

// finish ends a queued task.
func (d *Dispatcher) finish(ctx context.Context, id string, outcome event.Outcome, reason string) {
	defer d.move(id)()
	if err := d.finishMoving(ctx, id, outcome, reason); err != nil && !errors.Is(err, store.ErrConflict) {
		d.log.WithError(err).WithField("task", id).Error("a task cannot be ended")
	}
}

// finishMoving is finish for who moves the task already.
func (d *Dispatcher) finishMoving(ctx context.Context, id string, outcome event.Outcome, reason string) error {
	if err := d.store.FinishTask(context.WithoutCancel(ctx), id, outcome, reason, time.Now()); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue.remove(id)
	d.observe.Outcome(outcome)
	return nil
}
