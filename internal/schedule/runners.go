package schedule

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
)

// Runners returns all runners, with who is connected, by name.
func (d *Dispatcher) Runners(context.Context) ([]api.Runner, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	all := make([]api.Runner, 0, len(d.runners))
	for _, r := range d.runners {
		one := r.Runner
		one.Connected, one.Running = r.connected(now), r.working()
		if one.Connected {
			one.SeenAt = now.Round(0).Add(-now.Sub(r.seen))
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b api.Runner) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// Remove forgets a runner; see store.RemoveRunner.
func (d *Dispatcher) Remove(ctx context.Context, id string) error {
	d.mu.Lock()
	r := d.runners[id]
	d.mu.Unlock()
	if r == nil {
		return store.ErrNotFound
	}
	r.syncing.Lock()
	defer r.syncing.Unlock()
	if err := d.store.RemoveRunner(context.WithoutCancel(ctx), id); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	r.silent()
	if d.runners[id] == r {
		delete(d.runners, id)
	}
	return nil
}
