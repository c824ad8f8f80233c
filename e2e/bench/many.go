package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

const sessions = 32

// measureMany runs many sessions at once, each from its prompt to its end, against
// containers of the bare engine that only write, a few at a time. The best of three
// rounds counts, of both.
func measureMany(ctx context.Context, l *lab) ([]row, error) {
	best, bestAt := 0.0, 0
	succeeded, ours := int64(sessions), 0.0
	for _, atOnce := range []int{4, 6, 8} {
		rate, err := l.manyBare(ctx, atOnce)
		if err != nil {
			return nil, err
		}
		if rate > best {
			best, bestAt = rate, atOnce
		}
		ok, rate, err := l.manySessions(ctx)
		if err != nil {
			return nil, err
		}
		succeeded, ours = min(succeeded, ok), max(ours, rate)
	}
	return []row{
		row{What: fmt.Sprintf("%d sessions at once: succeeded", sessions), Value: float64(succeeded)}.atLeast(sessions),
		row{
			What: "rate of whole sessions", Bare: fmt.Sprintf("%.1f/s, %d at once", best, bestAt), Ours: fmt.Sprintf("%.1f/s", ours),
			Value: ours / best, Unit: "x",
		}.atLeast(1),
	}, nil
}

// manyBare returns how many containers per second start, write and are gone.
func (l *lab) manyBare(ctx context.Context, atOnce int) (float64, error) {
	slots := make(chan struct{}, atOnce)
	errs := make(chan error, sessions)
	start := time.Now()
	for range sessions {
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			errs <- l.bare.run(ctx, io.Discard, "lines", "20", "200")
		}()
	}
	for range sessions {
		if err := <-errs; err != nil {
			return 0, err
		}
	}
	return sessions / time.Since(start).Seconds(), nil
}

// manySessions starts all sessions at once and returns how many succeeded, and how
// many per second.
func (l *lab) manySessions(ctx context.Context) (succeeded int64, rate float64, err error) {
	r, _, err := l.runner("turn")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(r.Home)
	var ok atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for range sessions {
		t, err := probeTask(l.dir, l.bare.image, l.user)
		if err != nil {
			return 0, 0, err
		}
		all.Go(func() {
			s, err := r.Start(ctx, t)
			if err != nil {
				fmt.Fprintln(os.Stderr, "bench:", err)
				return
			}
			end := s.Result()
			if end.Outcome != event.Succeeded {
				fmt.Fprintln(os.Stderr, "bench:", end.Outcome, end.Reason)
				return
			}
			ok.Add(1)
		})
	}
	all.Wait()
	return ok.Load(), sessions / time.Since(start).Seconds(), nil
}
