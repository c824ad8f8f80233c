package schedule

import (
	"context"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Announce takes in a session that a runner started by itself. It takes none of the runner's
// places, and its workspace is a name for people. The errors are ErrDevice and the store's.
func (d *Dispatcher) Announce(ctx context.Context, device store.Caller, a api.Announce) (api.Lease, error) {
	if device.Runner != "" && device.Runner != a.Runner {
		return api.Lease{}, ErrDevice
	}
	if err := d.introduce(ctx, device, &a); err != nil {
		return api.Lease{}, err
	}
	a.Spec.Runner, a.Spec.MaxAttempts, a.Spec.OnLost = a.Runner, 1, task.LostFinish // nobody else can make it
	s, err := d.store.Announce(context.WithoutCancel(ctx), a, "device "+device.Name, time.Now())
	if err != nil {
		return api.Lease{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.State.Open() && d.held[s.Session] == nil { // it may be over, and announced once more
		d.attach(d.known(s.Runner), s, api.LeaseTime)
	}
	return api.Lease{Session: s.Session, Token: s.Token, Attempt: 1, Task: s.Task, ExpiresInMS: api.LeaseTime.Milliseconds()}, nil
}

// introduce binds the device token to a runner that has not connected yet.
func (d *Dispatcher) introduce(ctx context.Context, device store.Caller, a *api.Announce) error {
	r := d.meet(a.Runner)
	defer r.syncing.Unlock()
	d.mu.Lock()
	next := r.Runner
	d.mu.Unlock()
	if next.Device == device.Token {
		return nil
	}
	next.Device, next.SeenAt = device.Token, time.Now().Round(0)
	if next.Name == next.ID {
		next.Name = a.Name
	}
	err := d.store.SaveRunner(context.WithoutCancel(ctx), next)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.unsaved(r, &next, err); err != nil {
		return err
	}
	r.Runner = next
	return nil
}

// Command queues a command for a session and wakes its runner; see store.AddCommand.
func (d *Dispatcher) Command(ctx context.Context, session string, c api.NewCommand, by string) (api.Command, error) {
	cmd, _, err := d.store.AddCommand(context.WithoutCancel(ctx), session, c, by, time.Now())
	if err != nil {
		return cmd, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if h := d.held[cmd.Session]; h != nil {
		h.Commands = max(h.Commands, cmd.Seq)
		h.at.wake()
	}
	return cmd, nil
}

// Appended tells of what an upload changed, once; the answer is how often events are
// wanted. An upload renews the session's lease.
func (d *Dispatcher) Appended(session string, a store.Appended) (uploadMS int64) {
	if a.Finished == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		if h := d.held[session]; h != nil && h.State != task.Offered {
			h.expires, h.missing = time.Now().Add(api.LeaseTime), time.Time{}
		}
		return d.uploadMS(session)
	}
	d.assign(context.Background(), d.finished(session, a))
	return unwatchedMS
}

// finished takes in that the last event of a session is stored.
func (d *Dispatcher) finished(session string, a store.Appended) (placed []placement) {
	defer d.move(a.Finished.Task)()
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.held[session]
	if h != nil {
		d.detach(h)
		if p := h.at.poll; p != nil && p.reported[session] {
			p.done = append(p.done, session)
			p.wake()
		}
	}
	switch {
	case a.Task == nil:
	case a.Task.State == task.Queued:
		e := newEntry(a.Task, now)
		if h != nil {
			e.avoid = h.avoid
		}
		if a.Finished.Outcome == event.Errored {
			e.failed(a.Finished.Runner, now)
		}
		placed = d.enqueue(e)
	default:
		d.queue.remove(a.Task.ID) // it waited for another attempt
		d.observe.Outcome(a.Task.Outcome)
	}
	if h != nil {
		placed = append(placed, d.fill(h.at, now)...)
	}
	return placed
}

// Watch says that somebody follows a session live, until the function it returns is called.
func (d *Dispatcher) Watch(session string) (release func()) {
	d.watch(session, 1)
	return func() { d.watch(session, -1) }
}

func (d *Dispatcher) watch(session string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watched[session] += n
	if d.watched[session] == 0 {
		delete(d.watched, session)
	} else if h := d.held[session]; h != nil && n > 0 && d.watched[session] == 1 {
		h.at.wake()
	}
}

// Away reports whether the lease of a session has run out while its runner is away.
func (d *Dispatcher) Away(session string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.held[session]
	return h != nil && h.away(time.Now())
}

// failedOn returns the runners where a task failed for no fault of its own.
func failedOn(sessions []task.Session) (runners []string) {
	for _, s := range sessions {
		if s.Outcome == event.Errored {
			runners = append(runners, s.Runner)
		}
	}
	return runners
}
