package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// device is a runner as the control plane sees it: a token, and a poll that is held. Its
// agents do nothing by themselves.
type device struct {
	client *api.Client
	// offered is called with each lease, once, before it is accepted.
	offered func(*device, api.Lease)

	mu     sync.Mutex
	report api.Sync
	change context.CancelFunc // ends the poll that is held, for a new report
}

// devices makes n runners with a number of places each. Nothing is connected yet.
func (p *plane) devices(ctx context.Context, n, places int) ([]*device, error) {
	all := make([]*device, n)
	errs := make([]error, n)
	at(n, 64, func(i int) {
		t, err := p.owner.AddToken(ctx, api.Devices, api.NewToken{Name: fmt.Sprintf("d%d", i)})
		if err != nil {
			errs[i] = err
			return
		}
		d := &device{change: func() {}, report: api.Sync{
			Runner: uuid.NewString(), Instance: uuid.NewString(), Name: fmt.Sprintf("d%d", i), Version: "bench", Protocol: api.Protocol,
			Capacity: places, WaitMS: api.WaitMax.Milliseconds(), LostAfterMS: time.Hour.Milliseconds(),
			Workspaces: []api.Workspace{{Name: "shop", Default: true, Shared: true}},
			Agents:     []api.Agent{{Kind: "claude", Version: "2.1.330", Login: "ready"}},
			Health:     api.Health{Ready: true},
		}}
		d.client, errs[i] = api.NewClient(p.url, t.Secret, nil)
		all[i] = d
	})
	return all, errors.Join(errs...)
}

// at calls do for 0 to n-1, some at a time.
func at(n, atOnce int, do func(i int)) {
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range n {
		slots <- struct{}{}
		all.Go(func() { do(i); <-slots })
	}
	all.Wait()
}

// connectAll keeps the runners connected until stop is called. It returns when the control
// plane knows all of them.
func connectAll(ctx context.Context, all []*device, offered func(*device, api.Lease)) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	errs := make([]error, len(all))
	at(len(all), 64, func(i int) { // the first report is answered at once
		first := all[i].report
		first.WaitMS, first.Capacity = 0, 0
		_, errs[i] = all[i].client.Sync(ctx, first)
	})
	var polls sync.WaitGroup
	for _, d := range all {
		d.offered = offered
		polls.Go(func() { d.poll(ctx) })
	}
	return func() {
		cancel()
		polls.Wait()
		for _, d := range all {
			d.client.Close()
		}
	}, errors.Join(errs...)
}

// poll accepts what is offered until ctx ends.
func (d *device) poll(ctx context.Context) {
	for ctx.Err() == nil {
		d.mu.Lock()
		polling, cancel := context.WithCancel(ctx)
		d.change = cancel
		r := d.report
		r.Sessions = append([]api.SessionReport(nil), r.Sessions...)
		d.mu.Unlock()
		answer, err := d.client.Sync(polling, r)
		if changed := polling.Err() != nil; err != nil && !changed {
			time.Sleep(50 * time.Millisecond) // as after a crash of the control plane
		}
		cancel()
		d.apply(answer)
	}
}

func (d *device) apply(a api.SyncAnswer) {
	for _, l := range a.Leases {
		if d.has(l.Session) {
			continue
		}
		d.offered(d, l)
		d.mu.Lock()
		d.report.Sessions = append(d.report.Sessions, api.SessionReport{ID: l.Session, Token: l.Token, State: task.Active})
		d.mu.Unlock()
	}
	if len(a.Done) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var left []api.SessionReport
	for _, s := range d.report.Sessions {
		done := false
		for _, id := range a.Done {
			done = done || id == s.ID
		}
		if !done {
			left = append(left, s)
		}
	}
	d.report.Sessions = left
}

func (d *device) has(session string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.report.Sessions {
		if s.ID == session {
			return true
		}
	}
	return false
}
