package world

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

// World is a control plane and the machines that know it.
type World struct {
	testing.TB
	*Script
	Plane  *Plane
	People *api.Client
	// Patience is how long anything may take that is waited for.
	Patience time.Duration

	log      *logrus.Logger
	way      *Way // of people
	machines []*Machine
}

// New makes a world with a control plane that runs and no machine.
func New(t testing.TB) *World {
	t.Helper()
	return NewIn(t, t.TempDir())
}

// NewIn is New with a data directory of the control plane.
func NewIn(t testing.TB, data string) *World {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	w := &World{TB: t, Script: &Script{}, Patience: time.Minute, log: log}
	w.Plane = &Plane{dir: data, log: log}
	if err := w.Plane.Start(); err != nil {
		t.Fatal(err)
	}
	secret, err := w.Plane.token(store.PersonalToken, "person")
	if err != nil {
		t.Fatal(err)
	}
	w.way = newWay(w.Plane.dial)
	if w.People, err = api.NewClient("http://127.0.0.1:1", secret, nil); err != nil {
		t.Fatal(err)
	}
	w.People.SetTransport(w.way)
	t.Cleanup(w.close)
	return w
}

// Verbose writes to t what the daemons and the control plane log.
func (w *World) Verbose() {
	w.log.SetOutput(w.Output())
	w.log.SetLevel(logrus.DebugLevel)
}

// close ends everything, so that a bubble can end.
func (w *World) close() {
	for _, m := range w.machines {
		if m.daemon != nil {
			m.daemon.cancel()
			_ = m.Wait()
		}
		for _, c := range w.sandboxes(m) {
			_ = m.Engine.Remove(context.Background(), c)
		}
		m.Way.close()
	}
	w.way.close()
	if err := w.Plane.Stop(); err != nil {
		w.Error("stop:", err)
	}
	w.log.SetOutput(io.Discard)
}

// Machine adds a machine without a daemon.
func (w *World) Machine(name string) *Machine {
	w.Helper()
	m := w.machine(name)
	if err := m.Enrol(name); err != nil {
		w.Fatal(err)
	}
	return m
}

func (w *World) machine(name string) *Machine {
	dir := w.TempDir()
	m := &Machine{Name: name, w: w, state: filepath.Join(dir, "state"), work: w.TempDir(), Way: newWay(w.Plane.dial)}
	m.Engine = &sandboxtest.Fake{Programs: map[string]sandboxtest.Program{"/opt/ratchetai/claude/claude": m.claude}}
	w.machines = append(w.machines, m)
	return m
}

// Copy adds a machine with a copy of another's state, and an engine of its own.
func (w *World) Copy(of *Machine) *Machine {
	w.Helper()
	m := w.machine(of.Name + " copied")
	m.secret = of.secret
	if err := os.CopyFS(m.state, os.DirFS(of.state)); err != nil {
		w.Fatal(err)
	}
	return m
}

// Add adds a task for an order.
func (w *World) Add(o Order) string { return w.AddSpec(task.Spec{Title: o.Name, Prompt: o.Prompt()}) }

// AddSpec adds a task.
func (w *World) AddSpec(s task.Spec) string {
	w.Helper()
	t, err := w.People.AddTask(context.Background(), s, "")
	if err != nil {
		w.Fatal(err)
	}
	return t.ID
}

// Task reads a task.
func (w *World) Task(id string) (task.Task, []task.Session) {
	w.Helper()
	t, all, err := w.Plane.Store().Task(context.Background(), id)
	if err != nil {
		w.Fatal(err)
	}
	return t, all
}

// Until waits until ok.
func (w *World) Until(what string, ok func() bool) {
	w.Helper()
	for began := time.Now(); !ok(); {
		waited := time.Since(began)
		if waited > w.Patience {
			w.tell()
			w.Fatalf("waited for %s: %s", w.Patience, what)
		}
		time.Sleep(min(time.Millisecond+waited/20, time.Minute))
	}
}

// tell logs where everything stands.
func (w *World) tell() {
	if w.Plane.current() == nil {
		return
	}
	all, _, _ := w.Plane.Store().Tasks(context.Background(), store.TaskFilter{})
	for _, t := range all {
		_, sessions, _ := w.Plane.Store().Task(context.Background(), t.ID)
		w.Logf("task %s: %s %s %q, attempts %d", t.Title, t.State, t.Outcome, t.Reason, t.Attempts)
		for _, s := range sessions {
			w.Logf("  session %s on %s: %s %s %q, %d events", s.ID, s.RunnerName, s.State, s.Outcome, s.Reason, s.LastSeq)
		}
	}
	for _, m := range w.machines {
		w.Logf("%s: sandboxes %v, faults %v", m.Name, w.sandboxes(m), m.Way.Met())
	}
}

// UntilFinished waits until tasks have ended with an outcome.
func (w *World) UntilFinished(want event.Outcome, tasks ...string) {
	w.Helper()
	for _, id := range tasks {
		w.Until("task "+id+" finished", func() bool { t, _ := w.Task(id); return t.State == task.Finished })
		if t, _ := w.Task(id); t.Outcome != want {
			w.tell()
			w.Errorf("task %s ended as %s (%s), want %s", t.Title, t.Outcome, t.Reason, want)
		}
	}
}

// UntilState waits until a task is in a state.
func (w *World) UntilState(want task.State, id string) {
	w.Helper()
	w.Until(fmt.Sprintf("task %s %s", id, want), func() bool { t, _ := w.Task(id); return t.State == want })
}

// Session is the newest one of a task.
func (w *World) Session(taskID string) task.Session {
	w.Helper()
	_, all := w.Task(taskID)
	if len(all) == 0 {
		return task.Session{}
	}
	return all[0]
}
