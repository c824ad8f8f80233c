package schedule

import (
	"errors"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

func TestOfferThatNobodyAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		nas, laptop := r.box("nas", 2, "shop"), r.box("laptop", 1, "shop")
		id := r.add()
		first := nas.take(task.Offered) // and never comes back
		time.Sleep(10 * time.Second)
		if a := laptop.hello(); len(a.Leases) != 0 {
			t.Fatalf("offered twice at a time: %+v", a)
		}
		poll := laptop.poll()
		began := time.Now()
		a := <-poll
		if d := time.Since(began); len(a.Leases) != 1 || d < 5*time.Second || d > 6*time.Second {
			t.Fatalf("after %v: %+v", d, a)
		}
		if got := r.task(id); got.Attempts != 0 || got.State != task.Assigned {
			t.Fatalf("task %+v", got)
		}
		// The first one thought that it has the lease.
		nas.set(first, task.Accepted)
		if a := nas.hello(); len(a.Stop) != 1 || !a.Stop[0].Fenced {
			t.Fatalf("answer %+v", a)
		}
		if err := nas.finish(first, event.Succeeded); !errors.Is(err, store.ErrFenced) {
			t.Fatalf("events of a fenced session: %v", err)
		}
	})
}

// A runner whose connection is half dead does not get the task again before it speaks.
func TestSilentRunnerIsNotOfferedAgain(t *testing.T) {
	inMemory(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		r.add()
		if a := <-b.poll(); len(a.Leases) != 1 {
			t.Fatal(a)
		}
		time.Sleep(2 * time.Minute)
		for id, n := range r.fake.offers {
			if n != 1 {
				t.Fatalf("%s was offered %d times", id, n)
			}
		}
		if a := b.hello(); len(a.Leases) != 1 {
			t.Fatal(a)
		}
	})
}

func TestRunnerAwayForSeconds(t *testing.T) {
	for _, away := range []time.Duration{10 * time.Second, 61 * time.Second, time.Hour} {
		t.Run(away.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				b, other := r.box("nas", 1), r.box("laptop", 1)
				id := r.add()
				s := b.take(task.Active)
				for end := time.Now().Add(away); time.Now().Before(end); time.Sleep(time.Second) {
					if a := other.hello(); len(a.Leases) != 0 {
						t.Fatal("given to another runner while the agent may work")
					}
				}
				if got, want := r.Away(s), away > api.LeaseTime; got != want {
					t.Fatalf("away: %t", got)
				}
				if a := b.hello(); len(a.Renewed) != 1 || len(a.Stop) != 0 {
					t.Fatalf("answer %+v", a)
				}
				if r.Away(s) {
					t.Fatal("still away")
				}
				if err := b.finish(s, event.Succeeded); err != nil {
					t.Fatal(err)
				}
				r.want(id, task.Finished, event.Succeeded)
				if n := len(r.sessions(id)); n != 1 {
					t.Fatalf("%d sessions", n)
				}
			})
		})
	}
}

func TestRunnerAwayForDays(t *testing.T) {
	for _, away := range []time.Duration{2 * time.Hour, 72 * time.Hour} {
		t.Run(away.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				b := r.box("nas", 1)
				id := r.add()
				s := b.take(task.Active)
				time.Sleep(away)
				r.want(id, task.Queued, "")
				// Nobody else took it, so that its work counts.
				b.set(s, task.Ended)
				b.hello()
				r.want(id, task.Running, "")
				if err := b.finish(s, event.Succeeded); err != nil {
					t.Fatal(err)
				}
				r.want(id, task.Finished, event.Succeeded)
				if got := r.task(id); got.Attempts != 1 || len(r.sessions(id)) != 1 {
					t.Fatalf("%+v", got)
				}
				b.drop(s)
				if a := b.hello(); len(a.Leases) != 0 {
					t.Fatal("finished work is done again")
				}
			})
		})
	}
}

func TestLostTaskGoesToAnotherRunner(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b, other := r.box("nas", 1), r.box("laptop", 1)
		id := r.add()
		lost := b.take(task.Active)
		time.Sleep(api.LeaseTime + time.Hour + lostMargin + 2*tick)
		s := other.take(task.Active)
		if got := r.task(id); got.Attempts != 1 || got.State != task.Running {
			t.Fatalf("%+v", got)
		}
		// Two runners believe that they hold the lease.
		for range 3 {
			if a := b.hello(); len(a.Stop) != 1 || !a.Stop[0].Fenced || len(a.Renewed) != 0 {
				t.Fatalf("answer to who lost it: %+v", a)
			}
			if a := other.hello(); len(a.Renewed) != 1 || len(a.Stop) != 0 {
				t.Fatalf("answer to who has it: %+v", a)
			}
		}
		if err := b.finish(lost, event.Failed); !errors.Is(err, store.ErrFenced) {
			t.Fatal(err)
		}
		if err := other.finish(s, event.Succeeded); err != nil {
			t.Fatal(err)
		}
		r.want(id, task.Finished, event.Succeeded)
	})
}

func TestLostPolicyFinish(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		id := r.add(func(s *task.Spec) { s.OnLost = task.LostFinish })
		s := b.take(task.Active)
		time.Sleep(3 * time.Hour)
		r.want(id, task.Finished, event.Lost)
		if got, want := r.task(id).Reason, "nas was away for 1h2m0s"; got != want {
			t.Fatalf("reason %q, want %q", got, want)
		}
		b.hello() // it still works
		r.want(id, task.Running, "")
		if err := b.finish(s, event.Succeeded); err != nil {
			t.Fatal(err)
		}
		r.want(id, task.Finished, event.Succeeded)
	})
}

func TestRestartGivesLeasesTheirWholeTime(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 2, "shop", "blog")
		running := r.add()
		s := b.take(task.Active)
		offered := r.add(in("blog"))
		o := b.take(task.Offered)
		time.Sleep(50 * time.Second / 5)
		r.restart()
		time.Sleep(50 * time.Second)
		if r.Away(s) {
			t.Fatal("away before its time")
		}
		r.want(offered, task.Assigned, "")
		b.set(o, task.Active)
		if a := b.hello(); len(a.Renewed) != 2 {
			t.Fatalf("answer %+v", a)
		}
		r.want(offered, task.Running, "")
		r.want(running, task.Running, "")

		r.stop() // for three days
		time.Sleep(72 * time.Hour)
		r.start()
		if a := b.hello(); len(a.Renewed) != 2 {
			t.Fatalf("answer %+v", a)
		}
		// The runner never comes back: what it once said of its orphan time still counts.
		r.restart()
		time.Sleep(api.LeaseTime + time.Hour + lostMargin - 2*tick)
		r.want(running, task.Running, "")
		time.Sleep(4 * tick)
		r.want(running, task.Queued, "")
	})
}

func TestRunnerThatLostItsState(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 2, "shop", "blog")
		running := r.add()
		s := b.take(task.Active)
		accepted := r.add(in("blog"))
		b.take(task.Accepted)
		b.Sessions, b.Instance = nil, "nas-2"
		b.hello()
		r.want(running, task.Running, "")
		time.Sleep(OfferTime)
		a := b.hello()
		if len(a.Leases) != 2 {
			t.Fatalf("answer %+v", a)
		}
		if got := r.task(accepted); got.Attempts != 0 {
			t.Fatalf("%+v", got)
		}
		if got := r.task(running); got.Attempts != 1 {
			t.Fatalf("%+v", got)
		}
		if got, _ := r.db.Session(t.Context(), s); got.State != task.Gone || got.Reason != "nas no longer knows it" {
			t.Fatalf("%+v", got)
		}
	})
}

// A report that was sent before the session was accepted arrives after the one that
// accepted it.
func TestOldReportsEndNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		b.hello()
		old := *b
		id := r.add()
		s := b.take(task.Active)
		for range 20 {
			old.hello()
			time.Sleep(2 * time.Second)
			b.hello()
			time.Sleep(2 * time.Second)
		}
		for range 3 { // repeated on its way
			old.hello()
			time.Sleep(2 * time.Second)
		}
		r.want(id, task.Running, "")
		// Nor does an older state of the same session.
		old = *b
		old.Sessions = nil
		old.set(s, task.Accepted)
		b.set(s, task.Ended)
		b.hello()
		old.hello()
		r.want(id, task.Running, "")
		if err := b.finish(s, event.Succeeded); err != nil {
			t.Fatal(err)
		}
		old.hello()
		r.want(id, task.Finished, event.Succeeded)
	})
}
