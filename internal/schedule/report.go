package schedule

import (
	"context"
	"errors"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// report takes in what a runner says of its sessions. What p is to answer is put there;
// p is not the runner's poll yet. The caller holds r.syncing.
func (d *Dispatcher) report(ctx context.Context, r *runner, p *poll, reports []api.SessionReport) (placed []placement) {
	var foreign map[string]string
	for _, s := range reports {
		if h := d.holding(r, s); h != nil {
			placed = append(placed, d.advance(ctx, h, p, s)...)
		} else if name, holds := d.unheld(ctx, r, p, s); holds {
			if foreign == nil {
				foreign = map[string]string{}
			}
			foreign[s.ID] = name
		}
	}
	now := time.Now()
	d.mu.Lock()
	if len(foreign) < len(r.foreign) {
		r.scanned = 0
	}
	r.foreign = foreign
	var gone []*held
	for id, h := range r.held {
		switch {
		case h.State == task.Offered || h.announced || p.reported[id]:
		case h.missing.IsZero():
			h.missing = now // this report may be older than the one that accepted it
		case now.Sub(h.missing) >= OfferTime:
			gone = append(gone, h)
		}
	}
	d.mu.Unlock()
	for _, h := range gone {
		placed = append(placed, d.end(ctx, h, r.Name+" no longer knows it", func() bool { return !h.missing.IsZero() })...)
	}
	return placed
}

// holding returns the open session that a report is about, and renews its lease; nil if r
// has no lease for it.
func (d *Dispatcher) holding(r *runner, s api.SessionReport) *held {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.held[s.ID]
	if h == nil || h.at != r || h.Token != s.Token {
		return nil
	}
	h.missing = time.Time{}
	h.acked = min(max(h.acked, s.Acked), h.Commands)
	if h.State != task.Offered {
		h.expires = time.Now().Add(api.LeaseTime)
	}
	if h.workspace == "" {
		h.workspace = r.nameOf("")
	}
	return h
}

// advance takes in what a runner says of a session of its own.
func (d *Dispatcher) advance(ctx context.Context, h *held, p *poll, s api.SessionReport) []placement {
	switch s.State {
	case task.Accepted:
		d.proceed(ctx, h, p, task.Accepted)
	case task.Active:
		d.proceed(ctx, h, p, task.Active)
	case task.Ended:
		d.proceed(ctx, h, p, task.Active) // its last event, which ends it, is on its way
		d.mu.Lock()
		if !h.over && h.State == task.Active { // else it could not be stored, and is still offered
			h.over, h.at.scanned = true, 0 // the place and the workspace are free
		}
		d.mu.Unlock()
	case task.Declined, task.Returned:
		return d.giveBack(ctx, h, p, s)
	}
	return nil
}

// proceed moves a session forward, if it is not there already.
func (d *Dispatcher) proceed(ctx context.Context, h *held, p *poll, to task.SessionState) {
	defer d.move(h.Task.ID)()
	d.mu.Lock()
	known := d.held[h.Session] != h || h.State == to || h.State == task.Active
	offered, since := h.State == task.Offered, h.OfferedAt
	d.mu.Unlock()
	if known {
		return
	}
	now := time.Now()
	err := d.store.MoveSession(context.WithoutCancel(ctx), h.Session, h.Token, to, "", now)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		h.State, h.expires = to, now.Add(api.LeaseTime)
		h.forget()
		if offered {
			d.observe.PickUp(max(0, now.Sub(since)))
		}
	case errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrNotFound):
		d.detach(h)
		p.stop = append(p.stop, fenced(h.Session))
	default:
		d.log.WithError(err).WithField("session", h.Session).Error("a session's report cannot be stored") // it comes again
	}
}

// giveBack queues the task of a session again that its runner declined or returned; of
// one that somebody wants stopped, it ends the task.
func (d *Dispatcher) giveBack(ctx context.Context, h *held, p *poll, s api.SessionReport) []placement {
	defer d.move(h.Task.ID)()
	ctx, now := context.WithoutCancel(ctx), time.Now()
	d.mu.Lock()
	current, stopping, to := d.held[h.Session] == h, h.Stopping, s.State
	if h.State == task.Active {
		to = task.Returned
	}
	d.mu.Unlock()
	if !current {
		return nil
	}
	end := task.GivenBack(s.Reason)
	if stopping != "" {
		end = task.End{State: task.Finished, Outcome: stopping}
	}
	err := d.store.MoveSession(ctx, h.Session, h.Token, to, s.Reason, now)
	taken := errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrNotFound)
	if err != nil && !taken {
		d.log.WithError(err).WithField("session", h.Session).Error("a session's report cannot be stored")
		return nil // it comes again
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p.done = append(p.done, h.Session)
	d.detach(h)
	if taken {
		return nil
	}
	why := refusal{reason: s.Reason}
	if s.State == task.Returned {
		why.until = now.Add(returnedPause)
	}
	h.at.decline(h.Task.ID, why)
	return d.ended(h, end, now)
}

// unheld answers for a session that a runner reports and has no open lease for. holds is
// true if its agent may still work, in the workspace that is returned.
func (d *Dispatcher) unheld(ctx context.Context, r *runner, p *poll, s api.SessionReport) (workspace string, holds bool) {
	over := s.State != task.Accepted && s.State != task.Active
	nothing := s.State == task.Declined || s.State == task.Returned // comes after it
	stored, err := d.store.Session(ctx, s.ID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && (stored.ID != s.ID || stored.Runner != r.ID):
		stored = task.Session{}
	case err != nil:
		d.log.WithError(err).WithField("session", s.ID).Error("a session cannot be read")
		return "", !over // it is reported again
	case stored.State == task.Ended, nothing && !stored.State.Open():
		p.done = append(p.done, s.ID)
		return "", false
	case stored.State == task.Gone:
		if d.revive(ctx, r, p, stored, s) {
			return "", false
		}
		return stored.Workspace, !over
	case stored.State.Open() && d.holding(r, s) != nil:
		return "", false // it was offered just now
	}
	p.stop = append(p.stop, fenced(s.ID))
	return stored.Workspace, !over
}

// revive makes a lost session go on whose runner came back before another attempt was made. It
// returns false if that cannot be; then p says what the runner is to do.
func (d *Dispatcher) revive(ctx context.Context, r *runner, p *poll, lost task.Session, s api.SessionReport) bool {
	defer d.move(lost.Task)()
	ctx = context.WithoutCancel(ctx)
	t, _, err := d.store.Task(ctx, lost.Task)
	if err == nil && t.State == task.Finished && t.Outcome != event.Lost {
		p.stop = append(p.stop, api.Stop{Session: s.ID, Outcome: t.Outcome, Reason: t.Reason})
		return false // somebody cancelled the task meanwhile
	}
	if err == nil {
		err = d.store.MoveSession(ctx, s.ID, s.Token, task.Active, "", time.Now())
	}
	var h store.Held
	if err == nil {
		h, err = d.heldSession(ctx, s.ID)
	}
	switch {
	case errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound):
		p.stop = append(p.stop, fenced(s.ID))
		return false
	case err != nil:
		d.log.WithError(err).WithField("session", s.ID).Error("a lost session that is back cannot be stored")
		return false // it is reported again
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue.remove(lost.Task)
	d.attach(r, h, api.LeaseTime).over = s.State == task.Ended
	d.log.WithField("session", s.ID).Info("a lost session is back")
	return true
}

// heldSession reads one open session.
func (d *Dispatcher) heldSession(ctx context.Context, id string) (store.Held, error) {
	all, err := d.store.HeldSessions(ctx)
	if err != nil {
		return store.Held{}, err
	}
	for _, h := range all {
		if h.Session == id {
			return h, nil
		}
	}
	return store.Held{}, store.ErrNotFound
}

func fenced(session string) api.Stop {
	return api.Stop{Session: session, Outcome: event.Lost, Reason: "another attempt has taken its place", Fenced: true}
}
