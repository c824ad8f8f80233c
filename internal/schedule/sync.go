package schedule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
)

const (
	// listMax bounds each list of a report, but for the sessions.
	listMax     = 1000
	sessionsMax = 10_000
	// textMax bounds each of its texts, in bytes.
	textMax = 1000
	// saveEvery is how often is stored when a runner was seen.
	saveEvery = time.Minute
	// lostAfterMax bounds what a runner says.
	lostAfterMax = 30 * 24 * time.Hour
)

// Sync takes in a runner's report and answers at once if there is something to say, else
// when there is, or after the report's wait, or when ctx ends (then with what is renewed). The
// errors are ErrInvalid, ErrDevice, ErrSuperseded and the store's.
func (d *Dispatcher) Sync(ctx context.Context, device store.Caller, r api.Sync) (api.SyncAnswer, error) {
	if err := check(&r); err != nil {
		return api.SyncAnswer{}, err
	}
	if device.Runner != "" && device.Runner != r.Runner {
		return api.SyncAnswer{}, ErrDevice
	}
	at, p, err := d.takeIn(ctx, device, &r)
	if err != nil {
		return api.SyncAnswer{}, err
	}
	return d.hold(ctx, at, p, time.Duration(min(r.WaitMS, api.WaitMax.Milliseconds()))*time.Millisecond)
}

// takeIn makes the memory and the store say what the report says, and gives the runner
// what it has room for. The poll that it returns is the runner's.
func (d *Dispatcher) takeIn(ctx context.Context, device store.Caller, s *api.Sync) (*runner, *poll, error) {
	r := d.meet(s.Runner)
	defer r.syncing.Unlock()
	if err := d.register(ctx, r, device, s); err != nil {
		return nil, nil, err
	}
	p := newPoll(s.Sessions)
	placed := d.report(ctx, r, p, s.Sessions)
	d.mu.Lock()
	now := time.Now()
	r.silent() // the answer to the poll before goes out now
	r.poll = p
	r.seen = now
	placed = append(placed, d.fill(r, now)...)
	d.mu.Unlock()
	d.assign(ctx, placed)
	return r, p, nil
}

// meet returns the runner of an id, with syncing locked.
func (d *Dispatcher) meet(id string) *runner {
	for {
		d.mu.Lock()
		r := d.known(id)
		d.mu.Unlock()
		r.syncing.Lock()
		d.mu.Lock()
		current := d.runners[id] == r
		d.mu.Unlock()
		if current {
			return r
		}
		r.syncing.Unlock() // it was forgotten meanwhile
	}
}

// register decides whether the sender is the runner, and takes in what it says of itself.
func (d *Dispatcher) register(ctx context.Context, r *runner, device store.Caller, s *api.Sync) error {
	now := time.Now()
	next := api.Runner{
		ID: s.Runner, Name: s.Name, Version: s.Version, Connected: true, SeenAt: now.Round(0), Capacity: s.Capacity,
		Labels: union(s.Labels, device.Labels), Workspaces: s.Workspaces, Agents: s.Agents, Health: s.Health,
		LostAfterMS: min(cmp.Or(s.LostAfterMS, r.LostAfterMS), lostAfterMax.Milliseconds()), Device: device.Token,
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Contains(r.superseded, s.Instance) {
		return ErrSuperseded
	}
	if !same(&r.Runner, &next) || now.Sub(r.saved) >= saveEvery {
		d.mu.Unlock()
		err := d.store.SaveRunner(context.WithoutCancel(ctx), next)
		d.mu.Lock()
		if err := d.unsaved(r, &next, err); err != nil {
			return err
		}
		r.saved = now
	}
	if !able(&r.Runner, &next) {
		r.declined, r.scanned = nil, 0
	}
	r.Runner = next
	d.takeOver(r, s.Instance)
	if !r.seen.IsZero() {
		d.observe.PollAge(r.Name, now.Sub(r.seen))
	}
	r.seen = now
	return nil
}

// unsaved decides what becomes of a sync whose runner could not be stored: what is known
// already goes on without, because leases do not need the disk.
func (d *Dispatcher) unsaved(r *runner, next *api.Runner, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrConflict):
		err = ErrDevice
	case r.Device == next.Device:
		d.log.WithError(err).WithField("runner", r.Name).Error("a runner's state cannot be stored")
		return nil
	}
	if r.Device == "" && len(r.held) == 0 {
		delete(d.runners, r.ID) // nobody that the store knows
	}
	return fmt.Errorf("save runner %s: %w", r.ID, err)
}

// takeOver makes instance the runner; who was it before is told so.
func (d *Dispatcher) takeOver(r *runner, instance string) {
	if r.instance == instance {
		return
	}
	if r.instance != "" {
		if len(r.superseded) == supersededMax {
			r.superseded = slices.Delete(r.superseded, 0, 1)
		}
		r.superseded = append(r.superseded, r.instance)
		d.log.WithField("runner", r.Name).Info("another process is this runner now")
	}
	r.instance, r.declined, r.scanned, r.said = instance, nil, 0, saying{}
	if r.poll != nil {
		r.poll.superseded = true
		r.silent()
	}
}

// check bounds what a runner may say: what is for people is cut, the rest refused.
func check(s *api.Sync) error {
	texts := []string{s.Runner, s.Instance, s.Name, s.Version}
	texts = append(texts, s.Labels...)
	for _, w := range s.Workspaces {
		texts = append(texts, w.Name)
	}
	for i, a := range s.Agents {
		texts = append(texts, a.Kind, a.Version, a.Login)
		s.Agents[i].Detail = cut(a.Detail)
	}
	for i, r := range s.Health.Reasons {
		s.Health.Reasons[i] = cut(r)
	}
	for i, r := range s.Sessions {
		texts = append(texts, r.ID, string(r.State))
		s.Sessions[i].Reason = cut(r.Reason)
	}
	switch {
	case s.Runner == "" || s.Instance == "" || s.Name == "":
		return fmt.Errorf("%w: runner, instance or name is missing", ErrInvalid)
	case s.Capacity < 0 || s.WaitMS < 0 || s.LostAfterMS < 0:
		return fmt.Errorf("%w: capacity, wait_ms or lost_after_ms is less than 0", ErrInvalid)
	case max(len(s.Labels), len(s.Workspaces), len(s.Agents), len(s.Health.Reasons)) > listMax || len(s.Sessions) > sessionsMax:
		return fmt.Errorf("%w: a list has more than %d entries, or %d sessions", ErrInvalid, listMax, sessionsMax)
	case slices.ContainsFunc(texts, func(t string) bool { return len(t) > textMax }):
		return fmt.Errorf("%w: a text has more than %d bytes", ErrInvalid, textMax)
	}
	return nil
}

// cut shortens a text to textMax bytes.
func cut(s string) string {
	if len(s) <= textMax {
		return s
	}
	return strings.ToValidUTF8(s[:textMax-len("…")], "") + "…"
}

// union returns the labels of a and b, sorted, each once.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
