package schedule

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// crowd is runners that poll, take what they are offered and end it at once.
type crowd struct {
	d       *Dispatcher
	db      *fake
	arrived chan string // tasks
	stop    context.CancelFunc
	wg      sync.WaitGroup
}

func (c *crowd) close() {
	c.stop()
	c.wg.Wait()
}

func newCrowd(tb testing.TB, db *fake, runners int) *crowd {
	ctx, stop := context.WithCancel(tb.Context())
	d, err := New(ctx, db, silentLog(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	c := &crowd{d: d, db: db, arrived: make(chan string, 1), stop: stop}
	c.wg.Go(func() { d.Run(ctx) })
	for i := range runners {
		c.wg.Go(func() { c.run(ctx, i) })
	}
	for polling := 0; polling < runners; time.Sleep(10 * time.Millisecond) {
		d.mu.Lock()
		polling = 0
		for _, r := range d.runners {
			if r.poll != nil {
				polling++
			}
		}
		d.mu.Unlock()
	}
	return c
}

func (c *crowd) run(ctx context.Context, i int) {
	device := store.Caller{Token: fmt.Sprint("token-", i), Kind: store.DeviceToken}
	for ctx.Err() == nil {
		a, err := c.d.Sync(ctx, device, api.Sync{
			Runner: fmt.Sprintf("runner-%036d", i), Instance: "one", Name: fmt.Sprint("runner-", i), Version: "v1.2.3", Protocol: 1, Capacity: 2,
			Labels: []string{"linux", "amd64"}, Workspaces: []api.Workspace{{Name: "shop", Default: true}, {Name: "blog"}},
			Agents: []api.Agent{{Kind: "claude", Version: "2.1.197", Login: "ready"}, {Kind: "codex", Version: "0.169.0", Login: "ready"}},
			Health: api.Health{Ready: true}, WaitMS: 30_000, LostAfterMS: 3_600_000,
		})
		if err != nil {
			return
		}
		for _, l := range a.Leases {
			c.arrived <- l.Task.ID
		}
	}
}

// dispatch measures from a task's creation until a runner has it; the store takes no time.
func dispatch(b *testing.B, runners, queued int) {
	db := newFake(b)
	for i := range queued {
		spec := prompt(in(fmt.Sprint("nowhere-", i)), func(s *task.Spec) { s.Priority = 1 })
		if _, _, err := db.AddTask(b.Context(), spec, "alice", "", time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	c := newCrowd(b, db, runners)
	defer c.close()
	took := make([]time.Duration, 0, b.N)
	for b.Loop() {
		began := time.Now()
		t, _, err := c.d.Add(b.Context(), prompt(), "alice", "")
		if err != nil {
			b.Fatal(err)
		}
		if id := <-c.arrived; id != t.ID {
			b.Fatalf("%s came instead of %s", id, t.ID)
		}
		took = append(took, time.Since(began))
		c.end(b, t.ID)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// end cancels a task whose offer was not accepted.
func (c *crowd) end(b *testing.B, id string) {
	if _, err := c.d.Cancel(b.Context(), id, "alice"); err != nil {
		b.Fatal(err)
	}
	c.d.mu.Lock()
	var h *held
	for _, one := range c.d.held {
		if one.Task.ID == id {
			h = one
		}
	}
	c.d.mu.Unlock()
	if h != nil {
		c.d.end(b.Context(), h, "over", func() bool { return true })
	}
}

func BenchmarkDispatch2000Runners(b *testing.B)             { dispatch(b, 2000, 0) }
func BenchmarkDispatch10000TasksNobodyCanTake(b *testing.B) { dispatch(b, 10, 10_000) }
func BenchmarkDispatchBoth(b *testing.B)                    { dispatch(b, 2000, 10_000) }

// BenchmarkRunnerComesBack is a runner whose state changes while tasks wait that nobody can take.
func BenchmarkRunnerComesBack(b *testing.B) {
	db := newFake(b)
	for i := range 10_000 {
		if _, _, err := db.AddTask(b.Context(), prompt(in(fmt.Sprint("nowhere-", i))), "alice", "", time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	c := newCrowd(b, db, 1)
	defer c.close()
	for b.Loop() {
		c.d.mu.Lock()
		for _, r := range c.d.runners {
			r.scanned = 0
			c.d.fill(r, time.Now())
		}
		c.d.mu.Unlock()
	}
}

// BenchmarkTick is one look at 2,000 idle runners and 10,000 tasks that wait.
func BenchmarkTick(b *testing.B) {
	db := newFake(b)
	for i := range 10_000 {
		if _, _, err := db.AddTask(b.Context(), prompt(in(fmt.Sprint("nowhere-", i))), "alice", "", time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	c := newCrowd(b, db, 2000)
	defer c.close()
	b.ReportAllocs()
	for b.Loop() {
		c.d.expire(b.Context())
	}
}

// BenchmarkQueuedTask is what one more queued task costs in memory; its prompt is not kept.
func BenchmarkQueuedTask(b *testing.B) {
	const n = 10_000
	for b.Loop() {
		var before, after runtime.MemStats
		q := newQueue()
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range n {
			t := task.Task{ID: fmt.Sprintf("%036d", i), Spec: prompt(in("shop")), CreatedAt: time.Now()}
			t.Prompt = strings.Repeat("fix it ", 1000)
			q.insert(newEntry(&t, time.Now()))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(q)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/task")
	}
}

// BenchmarkIdleRunner is what one more runner costs in memory while its poll is held, the
// goroutine that holds it included.
func BenchmarkIdleRunner(b *testing.B) {
	const n = 2000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		c := newCrowd(b, newFake(b), n)
		runtime.GC()
		runtime.ReadMemStats(&after)
		c.close()
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/runner")
		b.ReportMetric(float64(after.StackInuse-before.StackInuse)/n, "stack-B/runner")
	}
}
