package connect

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// TestDamagedJournal: a session that nobody can take over any more is not reported for ever, and
// its agent does not go on.
func TestDamagedJournal(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(string) string { return "" })
	first := l.start()
	id := l.plane.offer(task.Spec{})
	l.plane.untilState(id, task.Active)
	first.link.Cut()
	first.kill()
	_ = l.wait(first)
	name := filepath.Join(l.state, "sessions", id, journal.FileName)
	data, err := os.ReadFile(name)
	if err == nil {
		data[1] = 'X'
		err = os.WriteFile(name, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	next := l.start()
	l.plane.until("it is not reported", func() bool { return l.plane.last.Instance == next.instance && len(l.plane.last.Sessions) == 0 })
	if left, err := l.engine.List(t.Context(), ""); len(left) > 0 || err != nil {
		t.Errorf("sandboxes %v are left: %v", left, err)
	}
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
	next.Drain(false)
	if err := l.wait(next); err != nil {
		t.Error(err)
	}
}
