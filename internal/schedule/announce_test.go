package schedule

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

const ownSession = "0198c3a0-0000-7000-8000-000000000001"

func TestAnnouncedSession(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 1)
		a := api.Announce{Runner: b.Runner, Name: b.Name, Session: ownSession, Spec: prompt(in("home"))}
		l, err := r.Announce(t.Context(), b.device, a) // it has never connected
		if err != nil || l.Session != ownSession || l.Token == 0 || l.Attempt != 1 {
			t.Fatalf("%+v, %v", l, err)
		}
		b.leases.Store(l.Session, l)
		if again, err := r.Announce(t.Context(), b.device, a); err != nil || again.Token != l.Token {
			t.Fatalf("%+v, %v", again, err)
		}
		thief := r.box("laptop", 1)
		thief.hello()
		if _, err := r.Announce(t.Context(), thief.device, a); !errors.Is(err, ErrDevice) {
			t.Fatal(err)
		}
		a.Runner = thief.Runner
		if _, err := r.Announce(t.Context(), thief.device, a); !errors.Is(err, store.ErrConflict) {
			t.Fatal(err)
		}

		// It takes nobody's place, and the daemon beside it does not know it.
		other := r.add(func(s *task.Spec) { s.Runner = "nas" })
		r.restart()
		b.take(task.Active)
		for range 20 {
			b.hello()
			r.Appended(ownSession, store.Appended{})
			time.Sleep(10 * time.Second)
		}
		r.want(other, task.Running, "")
		r.want(l.Task.ID, task.Running, "")
		if r.Away(ownSession) {
			t.Fatal("uploads do not renew its lease")
		}
		if err := b.finish(ownSession, event.Errored); err != nil {
			t.Fatal(err)
		}
		r.want(l.Task.ID, task.Finished, event.Errored) // nobody can do it again
		a.Runner = b.Runner
		if again, err := r.Announce(t.Context(), b.device, a); err != nil || again.Token != l.Token { // the answer was lost
			t.Fatalf("%+v, %v", again, err)
		}
		all, err := r.Runners(t.Context())
		if i := slices.IndexFunc(all, func(x api.Runner) bool { return x.ID == b.Runner }); err != nil || all[i].Running != 1 {
			t.Fatalf("%+v, %v", all, err) // the other
		}
	})
}

// `run` without a daemon polls for its own commands.
func TestAnnouncedSessionIsSteered(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 0)
		l, err := r.Announce(t.Context(), b.device, api.Announce{Runner: b.Runner, Name: b.Name, Session: ownSession, Spec: prompt()})
		if err != nil {
			t.Fatal(err)
		}
		b.leases.Store(l.Session, l)
		b.set(ownSession, task.Active)
		poll := b.poll()
		if _, err := r.Command(t.Context(), ownSession, api.NewCommand{Kind: api.CommandMessage, Text: "hi"}, "alice"); err != nil {
			t.Fatal(err)
		}
		if a := <-poll; len(a.Commands) != 1 || len(a.Renewed) != 1 {
			t.Fatalf("answer %+v", a)
		}
		r.cancelled(l.Task.ID)
		if a := b.hello(); len(a.Stop) != 1 {
			t.Fatalf("answer %+v", a)
		}
	})
}

// What is kept of a task while it waits or runs does not keep its prompt.
func TestPromptIsNotKept(t *testing.T) {
	long := task.Task{Spec: task.Spec{Prompt: strings.Repeat("x", 50) + "\n" + strings.Repeat("y", 1000)}}
	e := newEntry(&long, time.Now())
	if e.name != long.Name() || unsafe.StringData(e.name) == unsafe.StringData(long.Prompt) {
		t.Fatal("the title is a part of the prompt's memory")
	}
}

// The clock of the machine was wrong when a task was added, and is right now.
func TestClockThatJumpsBackHoldsNoTask(t *testing.T) {
	now := time.Now()
	e := newEntry(&task.Task{CreatedAt: now.Add(time.Hour)}, now.Add(time.Hour))
	if !e.ready(now) {
		t.Fatal("the task waits for the time at which it was added")
	}
}

// A task that could not be assigned in its rest is looked at again after it.
func TestRestOutlivesPause(t *testing.T) {
	now := time.Now()
	e := newEntry(&task.Task{CreatedAt: now}, now)
	e.failed("nas", now)
	e.pause(now, retryPause)
	if !e.looks(now.Add(retryPause)) || e.looks(now.Add(retryPause)) || !e.looks(now.Add(failedPause)) || e.looks(now.Add(time.Hour)) {
		t.Fatal("it is not looked at after its pause, and after its rest")
	}
}
