package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

const (
	fleetSessions     = 1000
	fleetRunners      = 200
	fleetReaders      = 100
	fleetEvery        = 200 * time.Millisecond // an event of each session
	fleetTime         = 10 * time.Second
	fleetCoreBudget   = 1.0 // half of two cores
	fleetMemoryBudget = 300 // MB
)

// measureFleet has many sessions at work at a pace of real ones, some of which are
// watched. A session that is watched uploads each event, others what a second brought.
func measureFleet(ctx context.Context, l *lab) ([]row, error) {
	p, err := l.plane(ctx)
	if err != nil {
		return nil, err
	}
	defer p.close()
	all, stop, err := p.attempts(ctx, fleetRunners, fleetSessions)
	if err != nil {
		return nil, err
	}
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &fleet{plane: p}
	f.read(ctx, all[:fleetReaders])
	f.work(ctx, all)
	wait(ctx, 3*time.Second) // until everything is under way
	seen, sent := f.seen.Load(), f.sent.Load()
	f.lags.take()
	own := processorTime()
	use, err := p.during(ctx, fleetTime)
	load := (processorTime() - own).Seconds() / fleetTime.Seconds()
	seen, sent = f.seen.Load()-seen, f.sent.Load()-sent
	lags := f.lags.take()
	cancel()
	f.all.Wait()
	what := fmt.Sprintf("%d sessions, %d readers: ", fleetSessions, fleetReaders)
	rate := float64(sent) / fleetTime.Seconds()
	return []row{
		row{
			What: what + "cores", Ours: fmt.Sprintf("%.0f events/s, the load %.2f", rate, load), Value: use.cores, Unit: "x",
		}.atMost(fleetCoreBudget),
		row{What: what + "memory", Ours: figure(mib(use.dirty), "MB") + " private dirty", Value: mib(use.rss), Unit: "MB"}.atMost(fleetMemoryBudget),
		{What: "  event to reader, p50", Ours: fmt.Sprintf("p99 %s, %d seen", msText(quantile(lags, 0.99)), seen), Value: ms(quantile(lags, 0.5)), Unit: "ms"},
	}, errors.Join(err, f.trouble())
}

// fleet is what goes on in many sessions at once.
type fleet struct {
	plane      *plane
	sent, seen atomic.Int64 // events
	lags       delays       // from event to reader
	all        sync.WaitGroup

	mu  sync.Mutex
	err error
}

func (f *fleet) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *fleet) trouble() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// read follows sessions as people's browsers do.
func (f *fleet) read(ctx context.Context, some []*attempt) {
	for _, a := range some {
		f.all.Go(func() {
			for e, err := range f.plane.owner.Events(ctx, a.lease.Session, api.Follow{}) {
				if err != nil {
					f.fail(err)
					return
				}
				f.seen.Add(1)
				f.lags.add(time.Since(e.Time))
			}
		})
		a.watched = true
	}
}

// work has every session's events happen and be uploaded, until ctx ends.
func (f *fleet) work(ctx context.Context, all []*attempt) {
	for i, a := range all {
		f.all.Go(func() {
			// As the sessions of many people: not all at once.
			wait(ctx, time.Second*time.Duration(i)/time.Duration(len(all)))
			if err := f.session(ctx, a); err != nil && ctx.Err() == nil {
				f.fail(err)
			}
		})
	}
}

// session is one's work: what is due when an upload has ended is the next one.
func (f *fleet) session(ctx context.Context, a *attempt) error {
	began := time.Now()
	perUpload := 1
	if !a.watched {
		perUpload = int(time.Second / fleetEvery)
	}
	for done := 0; ; {
		due := int(time.Since(began) / fleetEvery)
		if due < done+perUpload {
			wait(ctx, time.Until(began.Add(time.Duration(done+perUpload)*fleetEvery)))
			if ctx.Err() != nil {
				return nil
			}
			continue
		}
		first := a.seq + 1
		a.body = a.body[:0]
		for ; done < due; done++ {
			a.body = a.eventLine(a.body, began.Add(time.Duration(done+1)*fleetEvery))
		}
		if err := a.upload(ctx, first); err != nil {
			return err
		}
		f.sent.Add(int64(a.seq + 1 - first))
	}
}
