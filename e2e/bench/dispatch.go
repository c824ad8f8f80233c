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

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

const (
	dispatchRounds = 3
	dispatchTasks  = 100 // of a round
	dispatchEvery  = 20 * time.Millisecond
	dispatchP50    = 10 // ms
	dispatchP99    = 50 // ms
)

// measureDispatch adds tasks, fifty a second, to a control plane whose runners are free
// and wait for one. The time is from before the request that adds a task until a runner
// has decoded the answer to its poll; two commits lie between. Beside it is what the
// machine needs for that much at least: a request, and two times a page on the disk. Both
// are medians of the rounds' quantiles.
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
		worst := time.Duration(0)
		for _, round := range took {
			worst = max(worst, round[len(round)-1])
		}
		tasks := fmt.Sprintf("%d tasks, worst %s", dispatchRounds*dispatchTasks, msText(worst))
		rows = append(rows,
			row{What: what + ": p50", Bare: msText(middle(bare, 0.5)), Ours: tasks, Value: ms(middle(took, 0.5)), Unit: "ms"}.atMost(dispatchP50),
			row{What: what + ": p99", Bare: msText(middle(bare, 0.99)), Value: ms(middle(took, 0.99)), Unit: "ms"}.atMost(dispatchP99))
	}
	return rows, nil
}

// middle is the median of the rounds' quantiles.
func middle(rounds [][]time.Duration, q float64) time.Duration {
	var all []time.Duration
	for _, r := range rounds {
		all = append(all, quantile(r, q))
	}
	return median(all)
}

// dispatch returns how long the tasks of each round took, sorted, and the least of it.
func (l *lab) dispatch(ctx context.Context, runners int) (took, bare [][]time.Duration, err error) {
	p, err := l.plane(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer p.close()
	list, err := p.devices(ctx, runners, max(4, 100/runners)) // nobody waits for a place
	if err != nil {
		return nil, nil, err
	}
	d := &dispatched{plane: p, there: make(chan struct{}, dispatchTasks)}
	stop, err := connectAll(ctx, list, func(by *device, o api.Lease) { d.offered(ctx, by, o) })
	if err != nil {
		return nil, nil, err
	}
	defer d.ending.Wait()
	defer stop()
	wait(ctx, time.Second) // until the polls are held
	for range dispatchRounds {
		least, err := p.least(ctx, dispatchTasks)
		if err != nil {
			return nil, nil, err
		}
		if err := d.round(ctx); err != nil {
			return nil, nil, err
		}
		took, bare = append(took, d.times.take()), append(bare, least)
	}
	return took, bare, nil
}

// dispatched is tasks on their way to runners.
type dispatched struct {
	plane  *plane
	times  delays
	added  sync.Map      // when, by title
	there  chan struct{} // one for each task that a runner has; has room for a round
	ending sync.WaitGroup
}

// offered notes how long the task took, and ends its session as sessions end all the time.
func (d *dispatched) offered(ctx context.Context, by *device, o api.Lease) {
	when, ok := d.added.LoadAndDelete(o.Task.Title)
	if !ok {
		return
	}
	d.times.add(time.Since(when.(time.Time)))
	d.there <- struct{}{}
	d.ending.Go(func() {
		a := &attempt{device: by, lease: o}
		if err := a.finish(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "bench: a session's end:", err)
		}
	})
}

// round adds tasks and returns when all have a runner.
func (d *dispatched) round(ctx context.Context) error {
	errs := make([]error, dispatchTasks)
	var adding sync.WaitGroup
	tick := time.NewTicker(dispatchEvery)
	defer tick.Stop()
	for i := range dispatchTasks {
		<-tick.C
		adding.Go(func() {
			title := uuid.NewString()
			d.added.Store(title, time.Now())
			_, errs[i] = d.plane.owner.AddTask(ctx, task.Spec{Title: title, Prompt: "fix the failing test"}, "")
		})
	}
	adding.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	late := time.After(20 * time.Second)
	for i := range dispatchTasks {
		select {
		case <-d.there:
		case <-late:
			return fmt.Errorf("%d of %d tasks have a runner", i, dispatchTasks)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
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
