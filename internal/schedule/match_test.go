package schedule

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

func TestPriorityThenAge(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		var ids []string
		for _, p := range []int{0, 5, 0, -3, 5} {
			ids = append(ids, r.add(func(s *task.Spec) { s.Priority = p }))
			time.Sleep(time.Second)
		}
		r.restart()
		b := r.box("nas", 1)
		for _, i := range []int{1, 4, 0, 2, 3} {
			s := b.take(task.Active)
			if got := b.lease(s).Task.ID; got != ids[i] {
				t.Fatalf("took %s (priority %d), want the %d. one", got, b.lease(s).Task.Priority, i)
			}
			b.set(s, task.Ended)
			if err := b.finish(s, event.Succeeded); err != nil {
				t.Fatal(err)
			}
			b.drop(s)
		}
	})
}

func TestNobodyStarvesBehindWhatNobodyCanTake(t *testing.T) {
	inMemory(t, func(t *testing.T, r *rig) {
		for range 3000 {
			r.add(in("nowhere"), func(s *task.Spec) { s.Priority = 9 })
		}
		r.restart() // and all of them are read again
		id := r.add()
		b := r.box("nas", 1)
		if got := b.lease(b.take(task.Accepted)).Task.ID; got != id {
			t.Fatalf("took %s", got)
		}
		if n := len(r.queue.list); n != 3000 {
			t.Fatalf("%d are queued", n)
		}
	})
}

func TestMostFreeRunnerIsChosen(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		small, large := r.box("a-small", 2, "x", "y", "z"), r.box("large", 3, "x", "y", "z")
		sp, lp := small.poll(), large.poll()
		r.add(in("x"))
		if a := <-lp; len(a.Leases) != 1 {
			t.Fatalf("answer %+v", a)
		}
		lp = large.poll()
		r.add(in("y")) // 2 free places each: the first by id
		if a := <-sp; len(a.Leases) != 1 {
			t.Fatalf("answer %+v", a)
		}
		large.Capacity = 1 // it is full now
		for _, id := range large.offered() {
			large.set(id, task.Accepted)
		}
		large.hello()
		<-lp
		large.poll()
		sp = small.poll()
		if a := <-sp; len(a.Leases) != 1 {
			t.Fatalf("answer %+v", a)
		}
		r.add(in("z"))
		if a := small.hello(); len(a.Leases) != 2 {
			t.Fatalf("answer %+v", a)
		}
	})
}

func TestWorkspaceIsExclusive(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 4, "shop", "blog")
		b.Workspaces[1].Shared = true
		first := r.add(in("shop"))
		s := b.take(task.Active)
		second := r.add() // the default workspace is shop
		blogs := []string{r.add(in("blog")), r.add(in("blog"))}
		if a := b.hello(); len(a.Leases) != 2 {
			t.Fatalf("answer %+v", a)
		}
		for _, id := range blogs {
			r.want(id, task.Assigned, "")
		}
		r.wantWhy(second, "workspace shop on nas is taken by session "+s)
		for _, id := range b.offered() {
			b.set(id, task.Active)
		}
		b.hello()
		// It is away, and its agent may still write.
		time.Sleep(2 * time.Minute)
		r.wantWhy(second, "nas is away since 00:00 UTC")
		poll := b.poll()
		b.set(s, task.Ended)
		b.hello()
		<-poll
		if a := b.hello(); len(a.Leases) != 1 || a.Leases[0].Task.ID != second {
			t.Fatalf("answer %+v", a)
		}
		if err := b.finish(s, event.Succeeded); err != nil {
			t.Fatal(err)
		}
		r.want(first, task.Finished, event.Succeeded)
	})
}

// A session that lost its lease keeps others out for as long as its runner reports it.
func TestFencedSessionHoldsItsWorkspace(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b, other := r.box("nas", 1), r.box("laptop", 1)
		r.add()
		s := b.take(task.Active)
		time.Sleep(2 * time.Hour)
		other.take(task.Active)
		next := r.add(func(s *task.Spec) { s.Runner = "nas" })
		for range 3 {
			if a := b.hello(); len(a.Leases) != 0 || len(a.Stop) != 1 || !a.Stop[0].Fenced {
				t.Fatalf("answer %+v", a)
			}
		}
		r.wantWhy(next, "the only place of nas is taken")
		b.drop(s)
		if a := b.hello(); len(a.Leases) != 1 {
			t.Fatalf("answer %+v", a)
		}
	})
}

func TestErroredTaskGoesToAnotherRunner(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b, other := r.box("a", 9), r.box("z", 1)
		id := r.add()
		s := b.take(task.Active)
		b.set(s, task.Ended)
		op, bp := other.poll(), b.poll()
		if err := b.finish(s, event.Errored); err != nil {
			t.Fatal(err)
		}
		if a := <-op; len(a.Leases) != 1 || a.Leases[0].Attempt != 2 {
			t.Fatalf("answer %+v", a)
		}
		<-bp
		b.Sessions = nil
		bp = b.poll()
		// There, too; and now there is nobody else.
		for _, l := range other.offered() {
			other.set(l, task.Ended)
			other.hello()
			if err := other.finish(l, event.Errored); err != nil {
				t.Fatal(err)
			}
		}
		if a := <-bp; len(a.Leases) != 1 || a.Leases[0].Attempt != 3 {
			t.Fatalf("answer %+v", a)
		}
		s = b.take(task.Active)
		if err := b.finish(s, event.Errored); err != nil {
			t.Fatal(err)
		}
		r.want(id, task.Finished, event.Errored)
		if n := len(r.sessions(id)); n != 3 {
			t.Fatalf("%d sessions", n)
		}
	})
}

// The only runner gets it again, but not at once: what was wrong may be over then.
func TestErroredTaskRests(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		id := r.add()
		for _, pause := range []time.Duration{failedPause, 2 * failedPause} {
			s := b.take(task.Active)
			if err := b.finish(s, event.Errored); err != nil {
				t.Fatal(err)
			}
			b.drop(s)
			began := time.Now()
			if a := b.hello(); len(a.Leases) > 0 {
				t.Fatalf("offered again at once: %+v", a)
			}
			if why := r.why(id); !strings.HasPrefix(why, "nas could not run it and tries again in ") {
				t.Errorf("why %q", why)
			}
			for len(b.hello().Leases) == 0 {
				time.Sleep(tick / 4)
			}
			if d := time.Since(began); d < pause || d > pause+2*tick {
				t.Errorf("again after %s instead of %s", d, pause)
			}
		}
	})
}

func TestErroredTaskTriesEveryRunner(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		id := r.add()
		boxes := []*box{r.box("a", 9), r.box("b", 5), r.box("c", 1)}
		used := map[string]bool{}
		for range boxes {
			for _, b := range boxes {
				b.hello()
			}
			for _, b := range boxes {
				if a := b.hello(); len(a.Leases) == 1 {
					used[b.Name] = true
					s := a.Leases[0].Session
					b.set(s, task.Ended)
					b.hello()
					if err := b.finish(s, event.Errored); err != nil {
						t.Fatal(err)
					}
					b.drop(s)
					b.hello()
					break
				}
			}
		}
		if r.want(id, task.Finished, event.Errored); len(used) != 3 {
			t.Fatalf("tried on %v", used)
		}
	})
}

// The runner to be spared is the one that is there when the other has gone.
func TestSparedRunnerIsUsedWhenTheOtherIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b, other := r.box("a", 1), r.box("z", 1)
		r.add()
		s := b.take(task.Active)
		other.hello()
		if err := b.finish(s, event.Errored); err != nil {
			t.Fatal(err)
		}
		b.Sessions = nil
		began := time.Now()
		for {
			if a := b.sync(); len(a.Leases) == 1 {
				break
			}
			if time.Since(began) > 2*api.LeaseTime {
				t.Fatal("never offered again")
			}
		}
		if d := time.Since(began); d < api.LeaseTime || d > api.LeaseTime+2*tick {
			t.Fatalf("offered after %v", d)
		}
	})
}

func TestDeclinedTask(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 2, "shop")
		id := r.add(func(s *task.Spec) { s.Image = "evil" })
		s := b.take(task.Offered)
		b.set(s, task.Declined, "image evil is not allowed")
		for range 2 {
			if a := b.hello(); len(a.Done) != 1 || len(a.Leases) != 0 {
				t.Fatalf("answer %+v", a)
			}
		}
		b.drop(s)
		b.alive(time.Minute)
		r.want(id, task.Queued, "")
		if n := r.task(id).Attempts; n != 0 {
			t.Fatalf("%d attempts", n)
		}
		r.wantWhy(id, "nas declined it: image evil is not allowed")
		if _, err := r.Retry(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		s = b.take(task.Offered)
		b.set(s, task.Declined, strings.Repeat("ä", 5000)) // no reason to refuse the report
		b.hello()
		if n := len(r.why(id)); n > 2*textMax || !utf8.ValidString(r.why(id)) {
			t.Fatalf("%d bytes of reason", n)
		}
		b.drop(s)
		b.hello()
		b.Labels = []string{"new"} // its owner has changed its configuration
		b.take(task.Accepted)
	})
}

func TestReturnedTaskRestsAWhile(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		id := r.add()
		s := b.take(task.Accepted)
		b.set(s, task.Returned, "is full")
		if a := b.hello(); len(a.Done) != 1 || len(a.Leases) != 0 {
			t.Fatalf("answer %+v", a)
		}
		b.drop(s)
		r.want(id, task.Queued, "")
		began := time.Now()
		if a := b.sync(); len(a.Leases) != 1 {
			t.Fatalf("answer %+v", a)
		}
		if d := time.Since(began); d < returnedPause || d > returnedPause+2*tick {
			t.Fatalf("offered after %v", d)
		}
	})
}

func TestNotBefore(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		id := r.add(func(s *task.Spec) { s.NotBefore = at(18 * time.Hour) })
		r.wantWhy(id, "not before 18:00 UTC")
		b.hello()
		time.Sleep(6 * time.Hour)
		r.restart()
		time.Sleep(12*time.Hour - 20*time.Second)
		began := time.Now()
		if a := b.sync(); len(a.Leases) != 1 {
			t.Fatalf("answer %+v", a)
		}
		if d := time.Since(began); d < 20*time.Second || d > 22*time.Second {
			t.Fatalf("offered after %v", d)
		}
		if len(r.seen.queued) != 1 || r.seen.queued[0] > 2*time.Second {
			t.Fatalf("waited %v", r.seen.queued)
		}
	})
}

func TestDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		running := r.add(func(s *task.Spec) { s.Deadline = at(time.Minute) })
		s := b.take(task.Active)
		queued := r.add(func(s *task.Spec) { s.Deadline = at(time.Minute) })
		began := time.Now()
		var a api.SyncAnswer
		for len(a.Stop) == 0 && time.Since(began) < 2*time.Minute {
			a = b.sync()
		}
		if d := time.Since(began); len(a.Stop) != 1 || a.Stop[0].Outcome != event.TimedOut || d > 62*time.Second {
			t.Fatalf("after %v: %+v", d, a)
		}
		r.want(queued, task.Finished, event.TimedOut)
		if _, err := r.Cancel(t.Context(), running, "alice"); err != nil { // too late
			t.Fatal(err)
		}
		if a = b.hello(); a.Stop[0].Outcome != event.TimedOut {
			t.Fatalf("answer %+v", a)
		}
		if err := b.finish(s, event.TimedOut); err != nil {
			t.Fatal(err)
		}
		r.want(running, task.Finished, event.TimedOut)
	})
}

func TestRequestKeyDispatchesOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 4, "shop")
		b.Workspaces[0].Shared = true
		for i := range 3 {
			if _, added, err := r.Add(t.Context(), prompt(), "alice", "key"); err != nil || added != (i == 0) {
				t.Fatal(added, err)
			}
		}
		b.take(task.Accepted)
		if a := b.hello(); len(a.Leases) != 0 {
			t.Fatalf("answer %+v", a)
		}
	})
}
