package world

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/connect"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// in plays a test in a bubble, where a day is nothing.
func in(t *testing.T, play func(w *World)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := New(t)
		w.Patience = 30 * 24 * time.Hour
		play(w)
	})
}

// TestControlPlaneAway: it is killed while sessions work, some of which end meanwhile, and comes
// back after an hour or three days. Nothing is lost, and nothing is done again.
func TestControlPlaneAway(t *testing.T) {
	for _, away := range []time.Duration{time.Second, time.Hour, 3 * 24 * time.Hour} {
		t.Run(away.String(), func(t *testing.T) {
			in(t, func(w *World) {
				w.Machine("nas").Start()
				tasks := []string{
					w.Add(Order{Name: "ends meanwhile", Lines: 100, Pause: 10 * time.Second}),
					w.Add(Order{Name: "goes on", Lines: 100, Pause: away / 90, Long: 400_000}),
					w.Add(Order{Name: "waits", Lines: 10, Gate: "later"}),
				}
				for _, id := range tasks {
					w.UntilState(task.Running, id)
				}
				if err := w.Plane.Kill(); err != nil {
					w.Fatal(err)
				}
				w.Plane.Unplug(away > time.Hour)
				time.Sleep(away)
				if err := w.Plane.Start(); err != nil {
					w.Fatal(err)
				}
				back := time.Now()
				w.Until("the runner is back", func() bool {
					all, err := w.People.Runners(w.Context())
					return err == nil && all.Runners[0].Connected
				})
				w.Logf("connected after %s", time.Since(back))
				if d := time.Since(back); d > 2*time.Second && away <= time.Hour { // else it waits for a dial
					w.Errorf("the runner was back after %s", d)
				}
				w.Open("later")
				w.UntilFinished(event.Succeeded, tasks...)
				w.once(3)
			})
		})
	}
}

// once checks, and that n sessions were enough.
func (w *World) once(n int) {
	w.Helper()
	got := w.Check()
	w.Log(got)
	if got.Sessions != n || got.Runs != n {
		w.Errorf("%d sessions, %d agents; want %d", got.Sessions, got.Runs, n)
	}
}

// TestRunnerAway: a runner is killed while its agents work. It comes back at once, after minutes, or
// after its leases ran out, and goes on.
func TestRunnerAway(t *testing.T) {
	for _, away := range []time.Duration{0, 3 * time.Minute, 50 * time.Minute} {
		t.Run(away.String(), func(t *testing.T) {
			in(t, func(w *World) {
				m := w.Machine("nas")
				m.Start()
				tasks := []string{w.Add(Order{Name: "ends meanwhile", Lines: 100, Pause: time.Second}), w.Add(Order{Name: "goes on", Lines: 100, Pause: time.Minute})}
				for _, id := range tasks {
					w.Until("it prints", func() bool { return w.Session(id).LastSeq > 10 })
				}
				m.Kill()
				time.Sleep(away)
				m.Start()
				w.UntilFinished(event.Succeeded, tasks...)
				w.once(2)
			})
		})
	}
}

// TestEngineAway: the engine restarts under a daemon, with its sandboxes at work, or is away for
// minutes; the daemon takes them over when it is back.
func TestEngineAway(t *testing.T) {
	for _, away := range []time.Duration{time.Millisecond, 3 * time.Second, 5 * time.Minute} {
		t.Run(away.String(), func(t *testing.T) {
			in(t, func(w *World) {
				m := w.Machine("nas")
				m.Start()
				tasks := []string{w.Add(Order{Name: "ends meanwhile", Lines: 100, Pause: time.Second}), w.Add(Order{Name: "goes on", Lines: 100, Pause: 10 * time.Second})}
				for _, id := range tasks {
					w.Until("it prints", func() bool { return w.Session(id).LastSeq > 10 })
				}
				m.daemon.link.Cut()
				time.Sleep(away)
				m.daemon.link.Mend()
				w.UntilFinished(event.Succeeded, tasks...)
				w.once(2)
			})
		})
	}
}

// TestRunnerLost: a runner is killed and stays away until its agents have ended. Its tasks go to
// another; when it is back, what it has is stored as far as it may be, and not more.
func TestRunnerLost(t *testing.T) {
	in(t, func(w *World) {
		nas, box := w.Machine("nas"), w.Machine("box")
		nas.Start()
		id := w.Add(Order{Name: "moves", Lines: 100, Pause: time.Minute})
		w.Until("it prints", func() bool { return w.Session(id).LastSeq > 10 })
		nas.Kill()
		box.Start()
		time.Sleep(connect.DefaultOrphanAfter)
		if _, all := w.Task(id); len(all) != 1 {
			w.Errorf("%d sessions while the first agent may still work", len(all))
		}
		w.Until("another session", func() bool { _, all := w.Task(id); return len(all) == 2 })
		nas.Start()
		w.UntilFinished(event.Succeeded, id)
		got := w.Check()
		w.Log(got)
		if got.Sessions != 2 || got.Runs != 2 {
			w.Errorf("%d sessions, %d agents", got.Sessions, got.Runs)
		}
	})
}

// TestLateReport: a runner was thought lost with a session that its agent had finished. Nobody else
// took the task, so that the result counts.
func TestLateReport(t *testing.T) {
	in(t, func(w *World) {
		m := w.Machine("nas")
		m.Start()
		id := w.Add(Order{Name: "late", Lines: 100, Pause: time.Second})
		w.UntilState(task.Running, id)
		m.Way.open(false)
		time.Sleep(10 * time.Hour)
		if s := w.Session(id); s.State != task.Gone {
			w.Errorf("the session is %s", s.State)
		}
		m.Way.open(true)
		w.UntilFinished(event.Succeeded, id)
		w.once(1)
	})
}

// TestTwoRunnersOneTask: a runner is cut off, works on and believes in its lease, while another
// has got the task. The later attempt counts, and the first one's events change nothing.
func TestTwoRunnersOneTask(t *testing.T) {
	in(t, func(w *World) {
		nas, box := w.Machine("nas"), w.Machine("box")
		nas.Config = func(c *connect.Config) { c.OrphanAfter = 10 * time.Minute }
		nas.Start()
		id := w.Add(Order{Name: "twice", Lines: 200, Pause: time.Minute})
		w.Until("it prints", func() bool { return w.Session(id).LastSeq > 10 })
		box.Start()
		nas.Way.open(false)
		w.Until("another session prints", func() bool { _, all := w.Task(id); return len(all) == 2 && all[0].LastSeq > 20 })
		if len(w.sandboxes(nas)) != 1 {
			w.Error("the first agent does not work any more")
		}
		first := func() task.Session { _, all := w.Task(id); return all[1] }
		before := first().LastSeq
		nas.Way.open(true)
		w.Until("the first agent was stopped", func() bool { return len(w.sandboxes(nas)) == 0 })
		w.UntilFinished(event.Succeeded, id)
		if n := first().LastSeq; n != before || first().State != task.Gone {
			w.Errorf("the first session is %s with %d events, it had %d", first().State, n, before)
		}
		w.Log(w.Check())
	})
}

// TestCopiedRunner: the state directory of a runner was copied, as with a virtual machine, and
// both are started. The newer one is the runner, and the older one ends and says why.
func TestCopiedRunner(t *testing.T) {
	in(t, func(w *World) {
		m := w.Machine("nas")
		first := m.Start()
		w.UntilFinished(event.Succeeded, w.Add(Order{Name: "one", Lines: 20}))
		w.Until("nothing is left", func() bool { return w.left() == "" })
		copied := w.Copy(m)
		copied.Start()
		time.Sleep(time.Second)
		second := w.Add(Order{Name: "two", Lines: 20})
		if err := m.Wait(); !errors.Is(err, connect.ErrRefused) {
			w.Errorf("the first ended with %v", err)
		} else {
			w.Log(err)
		}
		w.UntilFinished(event.Succeeded, second)
		if n := len(w.sandboxes(m)); n > 0 || first != m.daemon {
			w.Errorf("%d sandboxes on the first", n)
		}
		m.daemon = nil
		w.once(2)
	})
}

// TestDeviceRevoked: a device token is revoked while sessions work. They end, their events stay,
// and arrive when the owner gives the runner another token.
func TestDeviceRevoked(t *testing.T) {
	in(t, func(w *World) {
		m := w.Machine("nas")
		d := m.Start()
		id := w.Add(Order{Name: "goes on", Lines: 60, Pause: time.Second})
		w.Until("it prints", func() bool { return w.Session(id).LastSeq > 10 })
		if err := w.People.RevokeToken(w.Context(), "devices", "nas"); err != nil {
			w.Fatal(err)
		}
		w.Until("the daemon ends", func() bool {
			select {
			case <-d.ended:
				return true
			default:
				return false
			}
		})
		m.daemon = nil
		if n := w.Session(id).LastSeq; n > 40 {
			w.Errorf("%d events came after the token was revoked", n)
		}
		w.Log("the daemon:", d.err)
		if err := m.Enrol(fmt.Sprint("nas", 2)); err != nil {
			w.Fatal(err)
		}
		m.Start()
		w.UntilFinished(event.Succeeded, id)
		w.once(1)
	})
}
