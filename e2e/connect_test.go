//go:build e2e

package e2e

import (
	"syscall"
	"testing"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// TestTaskOfAControlPlane is a task's whole way, with real processes for all parts.
func TestTaskOfAControlPlane(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Shell("echo hi >made.txt"), modelapi.Text("all done"))
		p := b.controlPlane()
		c := p.connect()
		added := p.add(task.Spec{Workspace: "project"})
		d := p.finished(added.ID)
		if d.Outcome != event.Succeeded || len(d.Sessions) != 1 || b.read("made.txt") != "hi\n" {
			t.Errorf("task %+v, the file %q", d, b.read("made.txt"))
		}
		p.same(d.Task.Session)
		c.signal(syscall.SIGTERM)
		if r := b.finish(c); r.code != 0 {
			t.Errorf("exit code %d: %s", r.code, r.stderr)
		}
		t.Logf("%s", &c.stderr)
	})
}
