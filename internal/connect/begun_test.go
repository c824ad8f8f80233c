package connect

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/task"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// TestKilledBeforeTheSandboxRan starts a daemon on what another had on its disk when it was killed
// while the engine made the container. The session costs no attempt.
func TestKilledBeforeTheSandboxRan(t *testing.T) {
	l := newLab(t, func(string) string { return "hello" })
	making, killed := make(chan string, 1), make(chan struct{})
	l.engine.Fault = func(op, id string) error {
		if op != "start" {
			return nil
		}
		select {
		case making <- id:
		case <-killed:
		}
		<-killed
		return sandbox.ErrUnavailable
	}
	first := l.start()
	id := l.plane.offer(task.Spec{})
	<-making
	l.plane.untilState(id, task.Accepted)
	copied := filepath.Join(t.TempDir(), "state")
	if err := os.CopyFS(copied, os.DirFS(l.state)); err != nil {
		t.Fatal(err)
	}
	first.kill()
	close(killed)
	_ = l.wait(first)
	l.state = copied
	l.start()
	l.plane.untilState(id, task.Returned)
	l.plane.mu.Lock()
	defer l.plane.mu.Unlock()
	if reason := l.plane.sessions[id].reason; reason != "restarted before the agent ran" {
		t.Errorf("given back because it %s", reason)
	}
}
