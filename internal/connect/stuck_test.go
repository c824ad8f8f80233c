package connect

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// TestStuck: a session that nobody can take over is not reported for ever, and its agent does not
// go on: at once, if its journal is damaged; else when it is cancelled.
func TestStuck(t *testing.T) {
	for name, file := range map[string]string{"damaged": journal.FileName, "cancelled": "secrets"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, func(string) string { return "" })
			first := l.start()
			id := l.plane.offer(task.Spec{})
			l.plane.untilState(id, task.Active)
			first.link.Cut()
			first.kill()
			_ = l.wait(first)
			file := filepath.Join(l.state, "sessions", id, file)
			if err := os.WriteFile(file, []byte("X\n{\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			next := l.start()
			reported := func() int {
				if l.plane.last.Instance != next.instance {
					return -1
				}
				return len(l.plane.last.Sessions)
			}
			if name == "cancelled" {
				l.plane.until("it is reported", func() bool { return reported() == 1 })
				l.plane.command(id, api.Command{Kind: api.CommandCancel})
			}
			l.plane.until("it is not reported", func() bool { return reported() == 0 })
			if left, err := l.engine.List(t.Context(), ""); len(left) > 0 || err != nil {
				t.Errorf("sandboxes %v are left: %v", left, err)
			}
			if _, err := os.Stat(file); err != nil {
				t.Error(err)
			}
			next.Drain(false)
			if err := l.wait(next); err != nil {
				t.Error(err)
			}
		})
	}
}
