//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/e2e/world"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// stored is a session as people can read it.
func (p *controlPlane) stored(session string) world.Stored {
	get := func(path, accept string) (io.ReadCloser, error) {
		r, err := p.person.Send(p.b.t.Context(), http.MethodGet, "/api/v1/sessions/"+session+path, http.Header{"Accept": {accept}}, nil)
		if err != nil {
			return nil, err
		}
		return r.Body, nil
	}
	return world.Stored{
		Events: func(yield func(api.Event, error) bool) {
			body, err := get("/events?raw=1", "application/x-ndjson")
			if err != nil {
				yield(api.Event{}, err)
				return
			}
			defer body.Close()
			for lines := bufio.NewReaderSize(body, 1<<20); ; {
				line, err := lines.ReadBytes('\n')
				if errors.Is(err, io.EOF) && len(line) == 0 {
					return
				}
				var e api.Event
				if err == nil && len(bytes.TrimSpace(line)) > 0 {
					err = json.Unmarshal(line, &e)
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
		},
		Artifact: func(name string) (io.ReadCloser, error) { return get("/artifacts/"+name, "*/*") },
	}
}

// onslaught counts what a test under fire did.
type onslaught struct {
	daemons, planes, both, away, tasks, sessions, events, artifacts int
}

func (o onslaught) String() string {
	return fmt.Sprintf("%d kills of the daemon (%d times it stayed away), %d of the control plane, %d of both; %d tasks, %d sessions, %d events and %d artifacts compared",
		o.daemons, o.away, o.planes, o.both, o.tasks, o.sessions, o.events, o.artifacts)
}

// TestKilledUnderLoad keeps three sessions at work while the daemon, the control plane or both
// are killed with -9 at any moment, and stay away for a while. Every task is done once, and every
// event is stored once, as it is in the journal.
func TestKilledUnderLoad(t *testing.T) {
	length := setting(t, "RATCHETAI_ONSLAUGHT", 12*time.Second, time.ParseDuration)
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind)
		p := b.controlPlane()
		c := p.connect()
		var o onslaught
		var tasks []string
		add := func() {
			key := fmt.Sprintf("load-%s-%d", kind, o.tasks)
			o.tasks++
			b.api.Script(key, loadScript(key)...)
			tasks = append(tasks, p.add(task.Spec{Title: key, Prompt: fmt.Sprintf("Do what the script [[%s]] says.", key)}).ID)
		}
		for range 3 {
			add()
		}
		next := 0 // of the tasks that are waited for
		for end := time.Now().Add(length); time.Now().Before(end) && !t.Failed(); {
			time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
			plane, daemon := rand.IntN(5) < 2, rand.IntN(5) < 4
			if plane {
				p.stop(syscall.SIGKILL)
				o.planes++
			}
			if daemon {
				_ = c.Process.Kill()
				_ = c.Wait()
				o.daemons++
			}
			if plane && daemon {
				o.both++
			}
			if rand.IntN(4) == 0 {
				time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
				o.away++
			}
			if plane {
				p.start()
			}
			if daemon {
				c = p.connect()
			}
			for ; next < len(tasks); next++ {
				if d, err := p.person.Task(t.Context(), tasks[next]); err != nil || d.State != task.Finished {
					break
				}
				add()
			}
		}
		for _, id := range tasks {
			p.inspectTask(id, &o)
		}
		c.signal(syscall.SIGTERM)
		b.finish(c).want(t, 0)
		t.Logf("%s: %s", kind, o)
	})
}

// loadScript is a turn of some seconds, with lines of all lengths.
func loadScript(key string) []modelapi.Turn {
	return []modelapi.Turn{
		modelapi.Text(key + modelapi.TextBytes(killTextSize).Text).With(modelapi.Shell("seq 2000; sleep 0.5")),
		modelapi.Shell("echo " + key + " >>trace.txt; sleep 0.5"),
		modelapi.Text(modelapi.TextBytes(400_000).Text).With(modelapi.Shell("sleep 0.5")),
		modelapi.Text("done: " + key),
	}
}

// inspectTask waits for a task's end and checks that it was done once, and all of it is stored.
func (p *controlPlane) inspectTask(id string, o *onslaught) {
	p.b.t.Helper()
	d := p.finished(id)
	if d.Outcome != event.Succeeded {
		p.b.t.Errorf("task %s ended as %s (%s)", d.Title, d.Outcome, d.Reason)
	}
	ran := 0
	for _, s := range d.Sessions {
		o.sessions++
		if s.State == task.Returned && s.LastSeq == 0 {
			continue // the daemon was killed before the session began
		}
		got, err := world.Compare(p.b.store.Journal(s.ID), p.stored(s.ID))
		o.events += got.Events
		o.artifacts += got.Artifacts
		if len(got.Lines) > 0 { // else it was killed before the agent ran
			ran++
		}
		if err != nil || got.Missing > 0 || got.End == nil || got.End.Outcome != s.Outcome {
			p.b.t.Errorf("session %s (%s, %s): %v; %d events are missing, the journal's end is %+v", s.ID, s.State, s.Outcome, err, got.Missing, got.End)
		}
	}
	if ran != 1 {
		p.b.t.Errorf("task %s was worked at in %d sessions: %+v", d.Title, ran, d.Sessions)
	}
}
