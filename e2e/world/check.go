package world

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Counts is what [World.Check] has looked at.
type Counts struct{ Tasks, Sessions, Events, Artifacts, Runs int }

func (c Counts) String() string {
	return fmt.Sprintf("%d tasks, %d sessions, %d agents, %d events, %d artifacts", c.Tasks, c.Sessions, c.Runs, c.Events, c.Artifacts)
}

// Add adds up.
func (c *Counts) Add(d Counts) {
	c.Tasks += d.Tasks
	c.Sessions += d.Sessions
	c.Events += d.Events
	c.Artifacts += d.Artifacts
	c.Runs += d.Runs
}

// Check waits until nothing is left to do on any machine, then checks that nothing was lost,
// repeated or left over:
//
//   - the stored events of every session are those of its journal, in order, once
//   - the lines in the journal are those that the agent printed
//   - every task has one outcome, that of its last session
//   - nothing that was finished was done again, unless the session that did it was lost
//   - no sandbox and no lease is left
func (w *World) Check() (c Counts) {
	w.Helper()
	w.Until("nothing is left on the machines", func() bool { return w.left() == "" })
	all, next, err := w.Plane.Store().Tasks(context.Background(), store.TaskFilter{Limit: 1000})
	if err != nil || next != "" {
		w.Fatalf("tasks: %v, more %q", err, next)
	}
	for _, t := range all {
		c.Tasks++
		n, err := w.checkTask(t)
		if err != nil {
			w.tell()
			w.Errorf("task %s: %v", t.Title, err)
		}
		c.Add(n)
	}
	return c
}

// left says what is on the machines that should not be there.
func (w *World) left() string {
	for _, m := range w.machines {
		if m.gone {
			continue
		}
		if all := w.sandboxes(m); len(all) > 0 {
			return fmt.Sprintf("sandboxes of %s: %v", m.Name, all)
		}
		if all, _ := filepath.Glob(filepath.Join(m.state, "sessions", "*", "lease.json")); len(all) > 0 {
			return fmt.Sprintf("leases of %s: %v", m.Name, all)
		}
	}
	return ""
}

func (w *World) sandboxes(m *Machine) (ids []string) {
	all, _ := m.Engine.List(context.Background(), "")
	for _, c := range all {
		ids = append(ids, c.ID)
	}
	return ids
}

func (w *World) checkTask(t task.Task) (c Counts, err error) {
	_, sessions := w.Task(t.ID)
	if t.State != task.Finished {
		err = fmt.Errorf("it is %s", t.State)
	}
	var runs [][][sha256.Size]byte // lines of each session whose agent ran, oldest first
	lost := 0
	counted := 0
	for _, s := range slices.Backward(sessions) {
		r, serr := w.checkSession(s)
		if serr != nil {
			err = errors.Join(err, fmt.Errorf("session %s (%s): %w", s.ID, s.State, serr))
		}
		c.Sessions++
		c.Events += r.Events
		c.Artifacts += r.Artifacts
		if len(r.Lines) > 0 {
			runs = append(runs, r.Lines)
		}
		if s.State == task.Gone {
			lost++
		}
		if s.State == task.Gone || s.State == task.Ended {
			counted++
		}
	}
	if counted != t.Attempts {
		err = errors.Join(err, fmt.Errorf("%d attempts are counted, %d were made", t.Attempts, counted))
	}
	if len(sessions) > 0 {
		if last := sessions[0]; last.Outcome != t.Outcome && t.Outcome != event.Cancelled && t.Outcome != event.TimedOut {
			err = errors.Join(err, fmt.Errorf("its outcome is %s, its last session's %s", t.Outcome, last.Outcome))
		}
	}
	did := w.Runs(t.Title)
	c.Runs = len(did)
	return c, errors.Join(err, sameLines(did, runs), again(did, lost))
}

// checkSession compares what is stored of a session with its journal.
func (w *World) checkSession(s task.Session) (Compared, error) {
	var dir string
	for _, m := range w.machines {
		if m.id != s.Runner {
			continue
		}
		if dir = m.Journal(s.ID); exists(dir) {
			break // else a copy of that machine may have it
		}
	}
	switch {
	case dir == "":
		return Compared{}, fmt.Errorf("no machine has the runner %s", s.Runner)
	case !exists(dir) && s.LastSeq == 0 && s.State != task.Ended:
		return Compared{}, nil // nothing was begun
	}
	c, err := Compare(dir, w.stored(s.ID))
	switch {
	case err != nil:
	case uint64(c.Events) != s.LastSeq:
		err = fmt.Errorf("%d events, but the session's last is %d", c.Events, s.LastSeq)
	case s.State.Open():
		err = errors.New("it is still open")
	case s.State != task.Ended:
	case c.Missing > 0:
		err = fmt.Errorf("%d events at the end are not stored", c.Missing)
	case c.End == nil:
		err = errors.New("the journal has no end")
	case c.End.Outcome != s.Outcome || c.End.Reason != s.Reason:
		err = fmt.Errorf("its outcome is %s (%s), the journal's %s (%s)", s.Outcome, s.Reason, c.End.Outcome, c.End.Reason)
	}
	return c, err
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func (w *World) stored(session string) Stored {
	ctx, db := context.Background(), w.Plane.Store()
	return Stored{
		Events: func(yield func(api.Event, error) bool) {
			stopped := errors.New("stopped")
			err := db.Events(ctx, session, 0, true, 0, func(e *api.Event) error {
				if !yield(*e, nil) {
					return stopped
				}
				return nil
			})
			if err != nil && !errors.Is(err, stopped) {
				yield(api.Event{}, err)
			}
		},
		Artifact: func(name string) (io.ReadCloser, error) {
			f, _, err := db.OpenArtifact(ctx, session, name)
			return f, err
		},
	}
}

// sameLines holds what agents printed against what their journals hold.
func sameLines(did []Run, journals [][][sha256.Size]byte) error {
	if len(did) != len(journals) {
		return fmt.Errorf("%d agents worked at it, %d journals have lines", len(did), len(journals))
	}
	for i, r := range did {
		for n := range max(len(r.Lines), len(journals[i])) {
			if n >= len(r.Lines) || n >= len(journals[i]) || r.Lines[n] != journals[i][n] {
				return fmt.Errorf("agent %d printed %d lines, the journal has %d; line %d is the first that differs", i+1, len(r.Lines), len(journals[i]), n+1)
			}
		}
	}
	return nil
}

// again returns an error if an agent worked after another that had finished. After each lost
// session one may.
func again(did []Run, lost int) error {
	after := 0
	for i, r := range did {
		if i > 0 && did[i-1].Done {
			after++
		}
		_ = r
	}
	if after > lost {
		return fmt.Errorf("%d agents worked at it after one that had finished; %d sessions were lost", after, lost)
	}
	return nil
}
