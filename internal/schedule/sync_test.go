package schedule

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

func TestTaskFromAddedToFinished(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1, "shop")
		poll := b.poll()
		began := time.Now()
		id := r.add()
		a := <-poll
		if d := time.Since(began); d != 0 || len(a.Leases) != 1 {
			t.Fatalf("after %v: %+v", d, a)
		}
		l := a.Leases[0]
		if l.Task.Prompt != "fix it" || l.Attempt != 1 || l.Task.ID != id || l.ExpiresInMS != OfferTime.Milliseconds() {
			t.Fatalf("lease %+v", l)
		}
		r.want(id, task.Assigned, "")
		time.Sleep(time.Second)
		b.set(l.Session, task.Accepted)
		b.hello()
		r.want(id, task.Assigned, "")
		b.set(l.Session, task.Active)
		a = b.hello()
		want := []api.Renewal{{Session: l.Session, ExpiresInMS: 60_000, UploadMS: 1000}}
		if diff := cmp.Diff(want, a.Renewed); diff != "" {
			t.Fatal(diff)
		}
		r.want(id, task.Running, "")
		b.set(l.Session, task.Ended)
		poll = b.poll()
		if err := b.finish(l.Session, event.Succeeded); err != nil {
			t.Fatal(err)
		}
		if a := <-poll; len(a.Done) != 1 {
			t.Fatalf("answer %+v", a)
		}
		r.want(id, task.Finished, event.Succeeded)
		if a := b.hello(); len(a.Done) != 1 {
			t.Fatalf("a lost answer is not repeated: %+v", a)
		}
		b.drop(l.Session)
		if a := b.hello(); len(a.Done)+len(a.Renewed)+len(a.Stop) != 0 {
			t.Fatalf("answer %+v", a)
		}
		if len(r.seen.queued) != 1 || len(r.seen.picked) != 1 || r.seen.picked[0] != time.Second || len(r.seen.outcomes) != 1 {
			t.Fatalf("observed %+v", r.seen)
		}
	})
}

func TestPollIsHeldUntilThereIsSomething(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		began := time.Now()
		b.sync()
		if d := time.Since(began); d != 30*time.Second {
			t.Fatalf("held for %v", d)
		}
		b.WaitMS = 3_600_000
		began = time.Now()
		b.sync()
		if d := time.Since(began); d != api.WaitMax {
			t.Fatalf("held for %v", d)
		}
		r.add()
		s := b.take(task.Active)

		poll := b.poll()
		time.Sleep(time.Second)
		cmd, err := r.Command(t.Context(), s, api.NewCommand{ID: "c1", Kind: api.CommandMessage, Text: "hi"}, "alice")
		if err != nil || cmd.Seq != 1 {
			t.Fatal(cmd, err)
		}
		if a := <-poll; len(a.Commands) != 1 || a.Commands[0].Text != "hi" {
			t.Fatalf("answer %+v", a)
		}
		b.Sessions[0].Acked = 1

		poll = b.poll()
		release := r.Watch(s)
		if a := <-poll; len(a.Renewed) != 1 || a.Renewed[0].UploadMS != watchedMS {
			t.Fatalf("answer %+v", a)
		}
		began = time.Now()
		if a := b.sync(); time.Since(began) != api.WaitMax || len(a.Commands) != 0 {
			t.Fatalf("after %v: %+v", time.Since(began), a)
		}
		release()
		if a := b.hello(); a.Renewed[0].UploadMS != unwatchedMS {
			t.Fatalf("answer %+v", a)
		}

		poll = b.poll()
		if _, err := r.Cancel(t.Context(), r.task(r.taskOf(s)).ID, "alice"); err != nil {
			t.Fatal(err)
		}
		if a := <-poll; len(a.Stop) != 1 || a.Stop[0].Outcome != event.Cancelled || a.Stop[0].Fenced {
			t.Fatalf("answer %+v", a)
		}
	})
}

// taskOf is the task of a session.
func (r *rig) taskOf(session string) string {
	s, err := r.db.Session(r.t.Context(), session)
	if err != nil {
		r.t.Fatal(err)
	}
	return s.Task
}

// An answer that was lost is repeated, but a runner that does not act on it does not get it
// without a pause.
func TestAnswersRepeat(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		b.hello()
		r.add()
		first := b.sync() // lost
		began := time.Now()
		again := b.sync()
		if d := time.Since(began); d != repeatAfter {
			t.Fatalf("repeated after %v", d)
		}
		if len(first.Leases) != 1 || len(again.Leases) != 1 || first.Leases[0].Session != again.Leases[0].Session || first.Leases[0].Token != again.Leases[0].Token {
			t.Fatalf("%+v, then %+v", first, again)
		}
		s := again.Leases[0].Session
		b.set(s, task.Active)
		b.hello()
		for range 30 {
			if _, err := r.Command(t.Context(), s, api.NewCommand{Kind: api.CommandMessage, Text: "hi"}, "alice"); err != nil {
				t.Fatal(err)
			}
		}
		var got []int64
		for len(got) < 30 {
			a := b.sync()
			for _, c := range a.Commands {
				got = append(got, c.Seq)
			}
			b.Sessions[0].Acked = got[len(got)-1]
		}
		for i, seq := range got {
			if seq != int64(i+1) {
				t.Fatalf("commands %v", got)
			}
		}
	})
}

// A poll whose connection is dead is no reason that the next one waits.
func TestNewerPollReleasesOlder(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 2)
		old := b.poll()
		next := b.poll()
		<-old
		id := r.add()
		if a := <-next; len(a.Leases) != 1 || a.Leases[0].Task.ID != id {
			t.Fatalf("answer %+v", a)
		}
	})
}

func TestCallerGoesAway(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, err := r.Sync(ctx, b.device, b.Sync); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		cancel()
		<-done
		id := r.add()
		r.want(id, task.Queued, "") // nobody is there to take it
		if a := b.hello(); len(a.Leases) != 1 {
			t.Fatalf("answer %+v", a)
		}
	})
}

func TestNewestInstanceIsTheRunner(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		r.add()
		s := b.take(task.Active)
		held := make(chan error, 1)
		go func() {
			_, err := b.call()
			held <- err
		}()
		synctest.Wait()
		next := *b
		next.Instance = "nas-2"
		if a := next.hello(); len(a.Renewed) != 1 || a.Renewed[0].Session != s {
			t.Fatalf("answer %+v", a)
		}
		if err := <-held; !errors.Is(err, ErrSuperseded) {
			t.Fatalf("held poll: %v", err)
		}
		if _, err := b.call(); !errors.Is(err, ErrSuperseded) {
			t.Fatalf("old instance: %v", err)
		}
		next.hello()
	})
}

func TestDeviceTokenIsBoundToOneRunner(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		b.hello()
		other := r.box("laptop", 1)
		other.device = b.device // a copied token that the server has not looked up again
		if _, err := other.call(); !errors.Is(err, ErrDevice) {
			t.Fatalf("another runner: %v", err)
		}
		other.device.Runner = b.Runner
		if _, err := other.call(); !errors.Is(err, ErrDevice) {
			t.Fatalf("another runner: %v", err)
		}
		thief := r.box("nas", 1)
		thief.device, thief.Instance = r.device("thief"), "x"
		if _, err := thief.call(); !errors.Is(err, ErrDevice) {
			t.Fatalf("another device: %v", err)
		}
		if all, _ := r.Runners(t.Context()); len(all) != 1 || all[0].Name != "nas" || !all[0].Connected {
			t.Fatalf("runners %+v", all)
		}
		b.hello() // is the runner still
	})
}

func TestRemovedRunner(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		r.add()
		s := b.take(task.Active)
		if err := r.Remove(t.Context(), b.Runner); !errors.Is(err, store.ErrConflict) {
			t.Fatalf("a runner that works: %v", err)
		}
		if err := b.finish(s, event.Succeeded); err != nil {
			t.Fatal(err)
		}
		b.Sessions = nil
		poll := b.poll()
		if err := r.Remove(t.Context(), b.Runner); err != nil {
			t.Fatal(err)
		}
		<-poll // is over
		if all, _ := r.Runners(t.Context()); len(all) != 0 {
			t.Fatalf("runners %+v", all)
		}
		if err := r.Remove(t.Context(), b.Runner); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		r.restart()
		b.hello() // its token was not revoked
		r.restart()
		if all, _ := r.Runners(t.Context()); len(all) != 1 || all[0].Connected {
			t.Fatalf("runners %+v", all)
		}
	})
}

func TestLabelsOfDeviceTokenCount(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		b.Labels = []string{"linux"}
		b.device.Labels = []string{"gpu", "linux"}
		id := r.add(func(s *task.Spec) { s.Labels = []string{"gpu", "linux"} })
		b.take(task.Accepted)
		r.want(id, task.Assigned, "")
		if all, _ := r.Runners(t.Context()); len(all[0].Labels) != 2 {
			t.Fatalf("labels %v", all[0].Labels)
		}
	})
}

func TestIdleRunnersWriteOnceAMinute(t *testing.T) {
	inMemory(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		r.add()
		b.take(task.Active)
		before := r.fake.writes
		for range 120 { // an hour
			b.sync()
		}
		if n := r.fake.writes - before; n < 59 || n > 61 {
			t.Fatalf("%d writes in an hour", n)
		}
	})
}

// Leases do not need the disk.
func TestBrokenDisk(t *testing.T) {
	inMemory(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 2, "home", "shop")
		id := r.add()
		s := b.take(task.Active)
		r.fake.breakDown(errBroken)
		b.Labels = []string{"new"}
		b.alive(2 * time.Minute)
		if a := b.hello(); len(a.Renewed) != 1 || r.Away(s) {
			t.Fatalf("answer %+v", a)
		}
		if _, _, err := r.Add(t.Context(), prompt(), "alice", ""); !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		r.fake.breakDown(nil)
		second := r.add(in("shop"))
		poll := b.poll()
		a := <-poll
		if len(a.Leases) != 1 || a.Leases[0].Task.ID != second {
			t.Fatalf("answer %+v", a)
		}
		r.want(id, task.Running, "")
	})
}

// A task that the store could not assign is tried again.
func TestOfferThatFailsIsRepeated(t *testing.T) {
	inMemory(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		b.hello()
		id := r.add()
		r.fake.breakDown(errBroken)
		poll := b.poll()
		time.Sleep(5 * time.Second)
		r.fake.breakDown(nil)
		began := time.Now()
		if a := <-poll; len(a.Leases) != 1 || time.Since(began) > 2*time.Second {
			t.Fatalf("after %v: %+v", time.Since(began), a)
		}
		r.want(id, task.Assigned, "")
	})
}

func TestReportsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for name, spoil := range map[string]func(*api.Sync){
			"no runner":        func(s *api.Sync) { s.Runner = "" },
			"no instance":      func(s *api.Sync) { s.Instance = "" },
			"negative wait":    func(s *api.Sync) { s.WaitMS = -1 },
			"long name":        func(s *api.Sync) { s.Name = string(make([]byte, textMax+1)) },
			"many labels":      func(s *api.Sync) { s.Labels = make([]string, listMax+1) },
			"many sessions":    func(s *api.Sync) { s.Sessions = make([]api.SessionReport, sessionsMax+1) },
			"negative lostfor": func(s *api.Sync) { s.LostAfterMS = -1 },
		} {
			b := r.box("nas", 1)
			spoil(&b.Sync)
			if _, err := b.call(); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if all, _ := r.Runners(t.Context()); len(all) != 0 {
			t.Errorf("runners %+v", all)
		}
	})
}
