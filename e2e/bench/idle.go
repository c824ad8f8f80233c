package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

const (
	idleRunners      = 2000
	idleTime         = 42 * time.Second // every poll ends once and is renewed
	idleMemoryBudget = 120              // MB
	idleCoreBudget   = 3                // % of a core
)

// measureRunners has runners connected that have nothing to do.
func measureRunners(ctx context.Context, l *lab) ([]row, error) {
	if why := tooFewFiles(2 * idleRunners); why != "" {
		return []row{note(fmt.Sprintf("%d idle runners", idleRunners), why)}, nil
	}
	p, err := l.plane(ctx)
	if err != nil {
		return nil, err
	}
	defer p.close()
	all, err := p.devices(ctx, idleRunners, 2)
	if err != nil {
		return nil, err
	}
	stop, err := connectAll(ctx, all, func(*device, api.Lease) {})
	if err != nil {
		return nil, err
	}
	defer stop()
	wait(ctx, 2*time.Second) // until the polls are held
	use, err := p.during(ctx, idleTime)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("%d idle runners: ", idleRunners)
	return []row{
		row{What: what + "memory", Ours: figure(mib(use.dirty), "MB") + " private dirty", Value: mib(use.rss), Unit: "MB"}.atMost(idleMemoryBudget),
		row{What: what + "share of a core", Value: use.cores * 100, Unit: "%"}.atMost(idleCoreBudget),
	}, nil
}

// during measures the control plane for a time.
func (p *plane) during(ctx context.Context, d time.Duration) (watched, error) {
	used := watch(p.cmd.Process.Pid)
	wait(ctx, d)
	return used()
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// tooFewFiles says why so many connections cannot be, if so.
func tooFewFiles(n uint64) string {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil && limit.Cur < n+100 {
		return fmt.Sprintf("needs ulimit -n %d", n+100)
	}
	return ""
}
