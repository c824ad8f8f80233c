//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

// TestKilledAtStart kills the runner before, while and after it makes the
// container. Whatever is left is then ended by a list or an attach.
func TestKilledAtStart(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		const rounds = 12
		b := setup(t, kind, modelapi.Text("ok").Repeat(-1))
		for i := range rounds {
			c := b.start(b.runArgs()...)
			time.Sleep(time.Duration(20+i*40+rand.IntN(40)) * time.Millisecond)
			_ = c.Process.Kill()
			_ = c.Wait()
		}
		b.run("sessions", "ls").want(t, 0)
		states := map[string]int{}
		for _, id := range b.sessions() {
			s, err := b.store.Summary(id)
			if err != nil && !exists(filepath.Join(b.store.Journal(id), "session.json")) {
				states["half made"]++
				continue
			}
			if err != nil {
				t.Errorf("session %s: %v", id, err)
				continue
			}
			if s.State == runner.Orphaned { // its agent still worked
				b.run("attach", id)
				states["attached"]++
			}
			if s, err = b.store.Summary(id); err != nil || s.State != runner.Finished {
				t.Errorf("session %s is %s, %v", id, s.State, err)
				continue
			}
			states[string(s.End.Outcome)]++
		}
		t.Logf("%d kills left %d sessions: %v", rounds, len(b.sessions()), states)
		good := states[string(event.Succeeded)] + states[string(event.Errored)] + states[string(event.Lost)]
		if good+states["half made"] != len(b.sessions()) {
			t.Errorf("outcomes %v", states)
		}
		b.sweep() // the engine may have made a container after its runner was killed
	})
}

// TestRunnerAway kills the runner while a tool runs and comes back much later.
// The agent's next request waits in the sandbox all the while.
func TestRunnerAway(t *testing.T) {
	away := setting(t, "RATCHETAI_AWAY", 20*time.Second, time.ParseDuration)
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind,
			modelapi.Shell("sleep 2; echo tool ran | tee ran.txt"),
			modelapi.Text("nobody noticed"))
		c := b.start(b.runArgs("--timeout", (away + sessionMax).String())...)
		b.awaitTool("sleep 2")
		_ = c.Process.Kill()
		_ = c.Wait()
		id := b.session()
		time.Sleep(away)
		if got := b.read("ran.txt"); got != "tool ran\n" {
			t.Errorf("the tool did not go on alone: %q", got)
		}
		before := len(b.api.Requests(b.token))
		b.run("attach", id).want(t, 0)
		end := all[event.SessionFinished](b, id)[0]
		if end.Outcome != event.Succeeded || end.Result != "nobody noticed" {
			t.Errorf("ended %+v", end)
		}
		if n := len(b.api.Requests(b.token)); n != before+1 {
			t.Errorf("%d requests after the runner was back, want 1", n-before)
		}
		for _, n := range all[event.Notice](b, id) {
			if n.Kind == "retry" {
				t.Logf("the agent noticed: %s", n.Text)
			}
		}
	})
}

// TestOrphan lets a session's runner stay away for good: the sandbox ends itself
// and the next runner records that the session is lost.
func TestOrphan(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Shell("echo $$ >pid.txt; sleep 300"), modelapi.Text("not reached"))
		c := b.start(b.runArgs("--orphan-after", "3s")...)
		b.awaitTool("sleep 300")
		_ = c.Process.Kill()
		_ = c.Wait()
		deadline := time.Now().Add(30 * time.Second)
		for {
			list := b.containers()
			if len(list) == 1 && list[0].State == "exited" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the sandbox still runs: %+v", list)
			}
			time.Sleep(200 * time.Millisecond)
		}
		r := b.run("sessions", "ls")
		r.want(t, 0)
		if !strings.Contains(r.stdout, string(event.Lost)) {
			t.Errorf("sessions ls: %s", r.stdout)
		}
		end := all[event.SessionFinished](b, b.session())[0]
		if end.Outcome != event.Lost || !strings.Contains(end.Reason, "runner") {
			t.Errorf("ended %+v", end)
		}
		b.run("attach", b.session()).want(t, 1)
	})
}

// TestSecondRunner attaches while another runner drives: it only watches, and
// takes over when the other dies.
func TestSecondRunner(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Shell("sleep 3; echo tool ran"), modelapi.Text("done by the second"))
		first := b.start(b.runArgs()...)
		b.awaitTool("sleep 3")
		second := b.start("attach", "--json", b.session())
		time.Sleep(500 * time.Millisecond)
		_ = first.Process.Kill()
		_ = first.Wait()
		r := b.finish(second)
		r.want(t, 0)
		b.sameEvents(r, b.session())
		if n := strings.Count(fmt.Sprint(r.stdout), `"session.finished"`); n != 1 {
			t.Errorf("%d ends were shown", n)
		}
	})
}
