package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	ingestTime   = 3 * time.Second
	ingestBatch  = 100    // events
	ingestBudget = 20_000 // events per second
)

// measureIngest uploads events as fast as they are taken, each session a batch at a
// time, and each as soon as the one before is acknowledged, which is: on the disk.
func measureIngest(ctx context.Context, l *lab) ([]row, error) {
	var rows []row
	for _, n := range []int{1, 20, 200} {
		r, err := l.ingest(ctx, n)
		if err != nil {
			return rows, err
		}
		what := fmt.Sprintf("%d sessions, batches of %d", n, ingestBatch)
		made := row{What: what, Ours: r.text(), Value: r.perSecond, Unit: "/s"}
		if n > 1 {
			made = made.atLeast(ingestBudget)
		}
		rows = append(rows, made, row{What: "  the control plane's processor time per event", Value: r.cpuPerEvent, Unit: "us"})
	}
	return rows, nil
}

// ingested is what came of it.
type ingested struct {
	perSecond   float64
	cpuPerEvent float64 // microseconds, of the control plane
	use         watched
	load        float64 // cores that the load itself took
}

// text names what there was of the processors: the load shares them.
func (i ingested) text() string {
	return fmt.Sprintf("%.2f cores, the load %.2f, %s", i.use.cores, i.load, figure(mib(i.use.rss), "MB"))
}

func (l *lab) ingest(ctx context.Context, sessions int) (ingested, error) {
	p, err := l.plane(ctx)
	if err != nil {
		return ingested{}, err
	}
	defer p.close()
	all, stop, err := p.attempts(ctx, min(sessions, 50), sessions)
	if err != nil {
		return ingested{}, err
	}
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 4*ingestTime)
	defer cancel()
	var events atomic.Int64
	var end atomic.Bool
	errs := make([]error, len(all))
	var uploads sync.WaitGroup
	used := watch(p.cmd.Process.Pid)
	own, began := processorTime(), time.Now()
	time.AfterFunc(ingestTime, func() { end.Store(true) })
	for i, a := range all {
		uploads.Go(func() {
			for !end.Load() && errs[i] == nil {
				errs[i] = a.send(ctx, ingestBatch)
				events.Add(ingestBatch)
			}
		})
	}
	uploads.Wait()
	took := time.Since(began)
	use, err := used()
	n := float64(events.Load())
	return ingested{
		perSecond: n / took.Seconds(), cpuPerEvent: use.cpu.Seconds() * 1e6 / n,
		use: use, load: (processorTime() - own).Seconds() / took.Seconds(),
	}, errors.Join(append(errs, err)...)
}
