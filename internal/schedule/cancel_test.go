package schedule

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

func (r *rig) cancelled(id string) task.Task {
	r.t.Helper()
	got, err := r.Cancel(r.t.Context(), id, "alice")
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func TestCancelQueued(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		id := r.add()
		if got := r.cancelled(id); got.Outcome != event.Cancelled || got.Reason != "cancelled by alice" {
			t.Fatalf("%+v", got)
		}
		r.cancelled(id) // again
		if a := r.box("nas", 1).hello(); len(a.Leases) != 0 {
			t.Fatalf("answer %+v", a)
		}
		if _, err := r.Retry(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		r.box("laptop", 1).take(task.Accepted)
	})
}

func TestCancelOfferedAndNotAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		id := r.add()
		b.take(task.Offered)
		r.cancelled(id)
		if a := b.hello(); len(a.Leases) != 0 || len(a.Stop) != 1 {
			t.Fatalf("answer %+v", a)
		}
		time.Sleep(OfferTime + 2*tick)
		r.want(id, task.Finished, event.Cancelled)
	})
}

func TestCancelAccepted(t *testing.T) {
	for _, end := range []task.SessionState{task.Returned, task.Declined, task.Ended} {
		t.Run(string(end), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				b := r.box("nas", 1)
				id := r.add()
				s := b.take(task.Accepted)
				r.cancelled(id)
				if a := b.hello(); len(a.Stop) != 1 {
					t.Fatalf("answer %+v", a)
				}
				r.restart()
				if a := b.hello(); len(a.Stop) != 1 {
					t.Fatalf("after a restart: %+v", a)
				}
				b.set(s, end)
				if a := b.hello(); len(a.Leases) != 0 {
					t.Fatalf("answer %+v", a)
				}
				if end == task.Ended {
					if err := b.finish(s, event.Cancelled); err != nil {
						t.Fatal(err)
					}
				}
				r.want(id, task.Finished, event.Cancelled)
				if a := b.hello(); len(a.Done) != 1 {
					t.Fatalf("answer %+v", a)
				}
			})
		})
	}
}

// The runner is told again and again, but not faster than it can act.
func TestCancelRunning(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		id := r.add()
		s := b.take(task.Active)
		poll := b.poll()
		r.cancelled(id)
		if a := <-poll; len(a.Stop) != 1 || a.Stop[0] != (api.Stop{Session: s, Outcome: event.Cancelled, Reason: "cancelled by alice"}) {
			t.Fatalf("answer %+v", a)
		}
		began := time.Now()
		for range 5 {
			if a := b.sync(); len(a.Stop) != 1 {
				t.Fatalf("answer %+v", a)
			}
		}
		if d := time.Since(began); d != 5*repeatAfter {
			t.Fatalf("told 5 times in %v", d)
		}
		r.cancelled(id) // again
		r.want(id, task.Running, "")
		// The agent was faster.
		if err := b.finish(s, event.Succeeded); err != nil {
			t.Fatal(err)
		}
		r.want(id, task.Finished, event.Succeeded)
		if _, err := r.Cancel(t.Context(), id, "alice"); !errors.Is(err, store.ErrConflict) {
			t.Fatal(err)
		}
	})
}

func TestCancelWhileItsRunnerIsAway(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		id := r.add()
		s := b.take(task.Active)
		time.Sleep(2 * time.Minute)
		r.cancelled(id)
		r.want(id, task.Running, "")
		time.Sleep(2 * time.Hour)
		r.want(id, task.Finished, event.Cancelled)
		// It comes back and is told to stop; what it did is kept, what became of the task stays.
		for range 2 {
			if a := b.hello(); len(a.Stop) != 1 || a.Stop[0].Fenced || a.Stop[0].Outcome != event.Cancelled {
				t.Fatalf("answer %+v", a)
			}
		}
		b.set(s, task.Ended)
		if err := b.finish(s, event.Cancelled); err != nil {
			t.Fatal(err)
		}
		r.want(id, task.Finished, event.Cancelled)
		if a := b.hello(); len(a.Done) != 1 || len(a.Stop) != 0 {
			t.Fatalf("answer %+v", a)
		}
	})
}

func TestCancelLostAndQueued(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		id := r.add()
		b.take(task.Active)
		time.Sleep(2 * time.Hour)
		r.want(id, task.Queued, "")
		r.cancelled(id)
		if a := b.hello(); len(a.Stop) != 1 || a.Stop[0].Outcome != event.Cancelled || len(a.Renewed) != 0 {
			t.Fatalf("answer %+v", a)
		}
		r.want(id, task.Finished, event.Cancelled)
	})
}

// A cancel and an offer at the same moment: one of them comes first, and the other sees that.
func TestCancelMeetsOffer(t *testing.T) {
	t.Parallel() // in real time: who waits for a mutex stops the virtual one
	db := newFake(t)
	db.slow = time.Millisecond
	r := &rig{t: t, db: db, fake: db, seen: &counts{}}
	r.start()
	defer r.stop()
	b := r.box("nas", 50, "shop")
	b.Workspaces[0].Shared = true
	b.WaitMS = 100
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			a := b.sync()
			for _, l := range a.Leases {
				b.set(l.Session, task.Accepted)
			}
			for _, s := range a.Stop {
				b.set(s.Session, task.Returned)
			}
		}
	})
	for i := range 200 {
		wg.Go(func() {
			id := r.add()
			time.Sleep(time.Duration(i%10) * 300 * time.Microsecond)
			if _, err := r.Cancel(ctx, id, "alice"); err != nil {
				t.Error(i, err)
			}
		})
		time.Sleep(time.Millisecond)
	}
	open := func() (n int) {
		db.mu.Lock()
		defer db.mu.Unlock()
		for _, t := range db.tasks {
			if t.Outcome != event.Cancelled {
				n++
			}
		}
		return n
	}
	for end := time.Now().Add(time.Minute); open() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d tasks are not cancelled", open())
		}
	}
	cancel()
	wg.Wait()
}
