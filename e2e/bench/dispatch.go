package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

const (
	dispatchTasks = 200
	dispatchEvery = 20 * time.Millisecond
	dispatchP50   = 10 // ms
	dispatchP99   = 50 // ms
)

// measureDispatch adds tasks, fifty a second, to a control plane whose runners are free
// and wait for one. The time is from before the request that adds a task until a runner
// has decoded the answer to its poll; two commits lie between. Beside it is what the
// machine needs for that much at least: a request, and two times a page on the disk.
func measureDispatch(ctx context.Context, l *lab) ([]row, error) {
	var rows []row
	for _, n := range []int{1, 100, 2000} {
		what := fmt.Sprintf("task to runner, %d connected", n)
		if why := tooFewFiles(2 * uint64(n)); why != "" {
			rows = append(rows, note(what, why))
			continue
		}
		took, bare, err := l.dispatch(ctx, n)
		if err != nil {
			return rows, err
		}
		p50, p99 := quantile(took, 0.5), quantile(took, 0.99)
		worst := fmt.Sprintf("%d tasks, worst %s", len(took), msText(took[len(took)-1]))
		rows = append(rows,
			row{What: what + ": p50", Bare: msText(quantile(bare, 0.5)), Ours: worst, Value: ms(p50), Unit: "ms"}.atMost(dispatchP50),
			row{What: what + ": p99", Bare: msText(quantile(bare, 0.99)), Value: ms(p99), Unit: "ms"}.atMost(dispatchP99))
	}
	return rows, nil
}

// dispatch returns how long each of the tasks took, sorted, and the least of it.
func (l *lab) dispatch(ctx context.Context, runners int) (took, bare []time.Duration, err error) {
	p, err := l.plane(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer p.close()
	list, err := p.devices(ctx, runners, max(4, 100/runners)) // nobody waits for a place
	if err != nil {
		return nil, nil, err
	}
	var (
		times  delays
		added  sync.Map // when, by title
		got    sync.WaitGroup
		finish = make(chan *attempt, dispatchTasks)
	)
	got.Add(dispatchTasks)
	stop, err := connectAll(ctx, list, func(d *device, o api.Lease) {
		if when, ok := added.LoadAndDelete(o.Task.Title); ok {
			times.add(time.Since(when.(time.Time)))
			finish <- &attempt{device: d, lease: o}
			got.Done()
		}
	})
	if err != nil {
		return nil, nil, err
	}
	defer stop()
	wait(ctx, time.Second) // until the polls are held
	if bare, err = p.least(ctx, dispatchTasks); err != nil {
		return nil, nil, err
	}
	var finishing sync.WaitGroup
	defer finishing.Wait()
	defer close(finish)
	finishing.Go(func() {
		for a := range finish { // as sessions end all the time
			if err := a.finish(ctx); err != nil {
				fmt.Fprintln(os.Stderr, "bench: a session's end:", err)
			}
		}
	})
	errs := make([]error, dispatchTasks)
	var adding sync.WaitGroup
	tick := time.NewTicker(dispatchEvery)
	defer tick.Stop()
	for i := range dispatchTasks {
		<-tick.C
		adding.Go(func() {
			title := fmt.Sprintf("task %d", i)
			added.Store(title, time.Now())
			_, errs[i] = p.owner.AddTask(ctx, task.Spec{Title: title, Prompt: "fix the failing test"}, "")
		})
	}
	adding.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	there := make(chan struct{})
	go func() { got.Wait(); close(there) }()
	select {
	case <-there:
		return times.take(), bare, nil
	case <-time.After(20 * time.Second):
		return nil, nil, fmt.Errorf("%d of %d tasks have a runner", len(times.take()), dispatchTasks)
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// least is how long a request that does nothing takes with two commits of a file, sorted.
func (p *plane) least(ctx context.Context, n int) ([]time.Duration, error) {
	f, err := os.Create(filepath.Join(p.dir, "pages"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var took delays
	page := make([]byte, 4<<10)
	for range n {
		began := time.Now()
		resp, err := p.owner.Send(ctx, http.MethodGet, "/healthz", nil, nil)
		if err != nil {
			return nil, err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		for range 2 {
			if _, err := f.Write(page); err != nil {
				return nil, err
			}
			if err := f.Sync(); err != nil {
				return nil, err
			}
		}
		took.add(time.Since(began))
		wait(ctx, 2*time.Millisecond)
	}
	return took.take(), nil
}
