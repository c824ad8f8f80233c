package schedule

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// placement is a task for which a place is reserved, until the store has assigned it.
type placement struct {
	entry    *entry
	runner   *runner
	id, name string // the runner's; what it says of itself may change meanwhile
}

// enqueue adds a queued task and reserves a place for it if there is one. The caller
// holds mu, and passes what it returns to assign without.
func (d *Dispatcher) enqueue(e *entry) []placement {
	if d.queue.byID[e.id] != nil {
		return nil
	}
	d.queue.insert(e)
	return d.match(e, time.Now())
}

// match reserves a place for a queued task if there is one. The caller holds mu.
func (d *Dispatcher) match(e *entry, now time.Time) []placement {
	if !e.ready(now) {
		return nil
	}
	r := d.best(e, now)
	if r == nil || d.spared(e, r, now) {
		return nil
	}
	return []placement{d.place(e, r)}
}

// fill reserves r's free places for the first tasks in the queue that it fits. The
// caller holds mu.
func (d *Dispatcher) fill(r *runner, now time.Time) (all []placement) {
	if r.poll == nil || r.scanned == d.queue.added || !r.Health.Ready {
		return nil
	}
	for i := 0; i < len(d.queue.list) && r.free() > 0; {
		e := d.queue.list[i]
		if !e.ready(now) || r.fit(e, now) != lacksNothing || d.spared(e, r, now) {
			i++
			continue
		}
		all = append(all, d.place(e, r)) // and takes it out of the list
	}
	if r.free() > 0 {
		r.scanned = d.queue.added
	}
	return all
}

func (d *Dispatcher) place(e *entry, r *runner) placement {
	d.queue.remove(e.id)
	if r.placing == nil {
		r.placing = map[string]string{}
	}
	r.placing[e.id] = r.nameOf(e.workspace)
	return placement{entry: e, runner: r, id: r.ID, name: r.Name}
}

// assign offers what was placed, all at the same time, so that they share a commit.
func (d *Dispatcher) assign(ctx context.Context, all []placement) {
	ctx = context.WithoutCancel(ctx)
	for len(all) > 0 {
		var (
			wg   sync.WaitGroup
			next = make([][]placement, len(all))
		)
		for i, p := range all[1:] {
			wg.Go(func() { next[i+1] = d.offer(ctx, p) })
		}
		next[0] = d.offer(ctx, all[0])
		wg.Wait()
		all = nil
		for _, n := range next {
			all = append(all, n...)
		}
	}
}

// offer has the store assign a task to a runner. If that fails, it returns what the place is
// used for instead.
func (d *Dispatcher) offer(ctx context.Context, p placement) []placement {
	defer d.move(p.entry.id)()
	now := time.Now()
	s, err := d.store.Offer(ctx, p.entry.id, p.id, p.name, now)
	d.mu.Lock()
	defer d.mu.Unlock()
	r := p.runner
	delete(r.placing, p.entry.id)
	switch {
	case err == nil:
		d.attach(r, s, OfferTime).avoid = p.entry.avoid
		r.wake()
		d.observe.QueueWait(max(0, now.Sub(p.entry.due)))
		return nil
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound):
		// Somebody cancelled it, or its lost session came back.
	default:
		d.log.WithError(err).WithField("task", p.entry.id).Error("a task cannot be assigned")
		p.entry.pause(now, retryPause)
		d.queue.insert(p.entry)
	}
	r.scanned = 0
	return d.fill(r, now)
}

// load fills the memory from the store.
func (d *Dispatcher) load(ctx context.Context) error {
	runners, err := d.store.Runners(ctx)
	if err != nil {
		return err
	}
	for _, r := range runners {
		d.runners[r.ID] = &runner{Runner: r}
	}
	all, err := d.store.HeldSessions(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		d.attach(d.known(s.Runner), s, api.LeaseTime)
	}
	return d.loadQueue(ctx)
}

func (d *Dispatcher) loadQueue(ctx context.Context) error {
	f := store.TaskFilter{State: task.Queued, Limit: 1000}
	for {
		page, next, err := d.store.Tasks(ctx, f)
		if err != nil {
			return err
		}
		for i := range page {
			e := newEntry(&page[i], page[i].CreatedAt)
			if page[i].Attempts > 0 {
				_, sessions, err := d.store.Task(ctx, e.id)
				if err != nil {
					return err
				}
				e.avoid = failedOn(sessions)
			}
			d.queue.insert(e)
		}
		if next == "" {
			return nil
		}
		f.Before = next
	}
}

// known returns a runner by id, as far as it is known.
func (d *Dispatcher) known(id string) *runner {
	if d.runners[id] == nil {
		d.runners[id] = &runner{Runner: api.Runner{ID: id, Name: id}}
	}
	return d.runners[id]
}
