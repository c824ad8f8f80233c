//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
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

// TestKilledConnect kills the daemon with -9 again and again while a session runs, and the
// control plane now and then, while messages are on their way. The task then ends as if nothing
// had happened: one attempt, every event once, every message read once.
func TestKilledConnect(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, killScript()...)
		p := b.controlPlane()
		added := p.add(task.Spec{Workspace: "project"})
		c := p.connect("--timeout", "10m")
		d := p.until(added.ID, "running", func(d api.TaskDetail) bool { return d.State == task.Running })
		id := d.Task.Session
		var sum tally
		sum.killed = map[int]time.Time{}
		sent := map[string]string{} // text -> id of the command
		planes := 0
		for b.api.Left(b.token) > 2 && !t.Failed() {
			time.Sleep(time.Duration(50+rand.IntN(900)) * time.Millisecond)
			_ = c.Process.Kill()
			_ = c.Wait()
			sum.kills++
			text, command := fmt.Sprintf("<<message-%d>>", sum.kills), uuid.NewString()
			if _, err := p.person.Command(t.Context(), id, api.NewCommand{ID: command, Kind: api.CommandMessage, Text: text}); err == nil {
				sent[text] = command
			} else {
				t.Logf("not sent: %v", err)
			}
			if rand.IntN(4) == 0 {
				p.stop(syscall.SIGKILL)
				p.start()
				planes++
			}
			c = p.connect("--timeout", "10m")
		}
		d = p.finished(added.ID)
		if d.Outcome != event.Succeeded || len(d.Sessions) != 1 {
			t.Errorf("ended %+v", d)
		}
		p.same(id)
		b.inspectTexts(id, &sum)
		c.signal(syscall.SIGTERM)
		b.finish(c).want(t, 0)
		p.stop(syscall.SIGTERM)
		b.inspectProcesses()
		request := b.lastRequest().Body
		for text, command := range sent {
			if n := b.receipts(id, event.TypeCommandQueued, command); n > 1 {
				t.Errorf("%s was taken %d times", text, n)
			}
			took := b.receipts(id, event.TypeCommandQueued, command)
			if n := countSaid(request, text); n != took {
				t.Errorf("the model read %s %d times, the runner took it %d times", text, n, took)
			}
		}
		t.Logf("%d kills of the daemon, %d of the control plane, %d messages, %d commands", sum.kills, planes, len(sent), sum.steps)
	})
}

// TestKilledConnectAtStart kills the daemon around the moment at which it takes a task: before,
// while and after it makes the container. The next one brings every task to its end.
func TestKilledConnectAtStart(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		const rounds = 12
		b := setup(t, kind, modelapi.Text("ok").Repeat(-1))
		p := b.controlPlane()
		attempts := 0
		for i := range rounds {
			c := p.connect()
			added := p.add(task.Spec{})
			time.Sleep(time.Duration(i*60+rand.IntN(60)) * time.Millisecond)
			_ = c.Process.Kill()
			_ = c.Wait()
			c = p.connect()
			d := p.finished(added.ID)
			if d.Outcome != event.Succeeded {
				t.Errorf("round %d ended %+v", i, d)
			}
			attempts += len(d.Sessions)
			p.same(d.Task.Session)
			p.heard(c) // the task may have ended before it was killed
			c.signal(syscall.SIGTERM)
			b.finish(c).want(t, 0)
		}
		t.Logf("%d tasks took %d sessions", rounds, attempts)
	})
}

// TestRunReports: a session that run starts shows at the control plane, which can speak to it,
// though the control plane dies in between. What it misses, the next connect uploads.
func TestRunReports(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Shell("sleep 4"), modelapi.Text("all done"))
		p := b.controlPlane()
		b.env["RATCHET_DEVICE_TOKEN"] = p.device
		c := b.start(b.runArgs("--url", p.url)...)
		b.await(func(e journal.Entry) bool { return e.Type == string(event.TypeToolStarted) })
		id := b.session()
		sent := api.NewCommand{ID: uuid.NewString(), Kind: api.CommandMessage, Text: "a hint"}
		if _, err := p.person.Command(t.Context(), id, sent); err != nil {
			t.Error(err)
		}
		b.await(func(e journal.Entry) bool { return strings.Contains(string(e.Data), sent.ID) })
		p.stop(syscall.SIGKILL)
		p.start()
		b.finish(c).want(t, 0)
		p.same(id)
		if s, err := p.person.Session(t.Context(), id); err != nil || s.Outcome != event.Succeeded || s.RunnerName == "" {
			t.Errorf("session %+v, %v", s, err)
		}
	})
}

// TestRunReportsLater: the control plane is away all the time, and run is killed before it is
// back. The next connect uploads the session.
func TestRunReportsLater(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Text("unseen"))
		p := b.controlPlane()
		p.stop(syscall.SIGTERM)
		b.env["RATCHET_DEVICE_TOKEN"] = p.device
		c := b.start(b.runArgs("--url", p.url)...)
		b.await(func(e journal.Entry) bool { return e.Type == string(event.TypeSessionFinished) })
		time.Sleep(1500 * time.Millisecond)
		c.signal(syscall.SIGKILL)
		_ = c.Wait()
		p.start()
		later := p.connect()
		id := b.session()
		for deadline := time.Now().Add(sessionMax); ; time.Sleep(50 * time.Millisecond) {
			if s, err := p.person.Session(t.Context(), id); err == nil && s.Outcome != "" {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("session %+v, %v", s, err)
			}
		}
		p.same(id)
		later.signal(syscall.SIGTERM)
		b.finish(later).want(t, 0)
	})
}

// TestConnectSignals: the first signal lets sessions end, a second ends them, a third does not
// wait for that: the next daemon brings them to their end.
func TestConnectSignals(t *testing.T) {
	t.Parallel()
	for signals, want := range map[int]struct{ sessions, code int }{1: {1, 0}, 2: {2, 0}, 3: {2, 4}} {
		t.Run(fmt.Sprint(signals), func(t *testing.T) {
			t.Parallel()
			b := setup(t, agent.Claude, modelapi.Shell("sleep 5"), modelapi.Text("done"), modelapi.Text("done again"))
			p := b.controlPlane()
			c := p.connect()
			added := p.add(task.Spec{})
			b.await(func(e journal.Entry) bool { return e.Type == string(event.TypeToolStarted) })
			for range signals {
				c.signal(syscall.SIGTERM)
				time.Sleep(100 * time.Millisecond)
			}
			late := p.add(task.Spec{})
			if r := b.finish(c); r.code != want.code {
				t.Errorf("exit code %d: %s", r.code, r.stderr)
			}
			if d, err := p.person.Task(t.Context(), late.ID); err != nil || d.State != task.Queued || d.Why == "" {
				t.Errorf("a task for a runner that ends is %s (%s), %v", d.State, d.Why, err)
			}
			next := p.connect()
			d := p.finished(added.ID)
			if d.Outcome != event.Succeeded || len(d.Sessions) != want.sessions {
				t.Errorf("ended %+v", d)
			}
			p.finished(late.ID)
			for _, s := range d.Sessions {
				p.same(s.ID)
			}
			next.signal(syscall.SIGTERM)
			b.finish(next).want(t, 0)
		})
	}
}

// TestRevokedDevice: a daemon whose token ends lets its session end, keeps it, and says what to
// do; with a new token the next one uploads it.
func TestRevokedDevice(t *testing.T) {
	t.Parallel()
	b := setup(t, agent.Claude, modelapi.Shell("sleep 3"), modelapi.Text("done"))
	p := b.controlPlane()
	c := p.connect()
	added := p.add(task.Spec{})
	b.await(func(e journal.Entry) bool { return e.Type == string(event.TypeToolStarted) })
	if err := p.person.RevokeToken(t.Context(), api.Devices, p.deviceID); err != nil {
		t.Fatal(err)
	}
	r := b.finish(c)
	if r.code != 3 || !strings.Contains(r.stderr, "device add") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
	made, err := p.person.AddToken(t.Context(), api.Devices, api.NewToken{Name: "nas again"})
	if err != nil {
		t.Fatal(err)
	}
	p.device = made.Secret
	next := p.connect()
	if d := p.finished(added.ID); d.Outcome != event.Succeeded || len(d.Sessions) != 1 {
		t.Errorf("ended %+v", d)
	}
	p.same(b.session())
	next.signal(syscall.SIGTERM)
	b.finish(next).want(t, 0)
}

// TestSteeredFromElsewhere: what the agent asks waits in the inbox and is answered there; an
// interrupted agent waits for a message.
func TestSteeredFromElsewhere(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Shell("echo asked >asked.txt"), modelapi.Shell("sleep 60"), modelapi.Text("told"))
		p := b.controlPlane()
		c := p.connect("--permissions", "ask")
		added := p.add(task.Spec{})
		answered := map[string]bool{}
		answer := func(want int) {
			t.Helper()
			for deadline := time.Now().Add(sessionMax); len(answered) < want; time.Sleep(20 * time.Millisecond) {
				in, err := p.person.Inbox(t.Context())
				if err != nil || time.Now().After(deadline) {
					t.Fatalf("inbox %+v, %v", in, err)
				}
				for _, i := range in.Items {
					if i.Kind != api.InboxAsk || answered[i.Ask.Ask] {
						continue
					}
					answered[i.Ask.Ask] = true
					n := api.NewCommand{Kind: api.CommandAnswer, Answer: &event.Answer{Ask: i.Ask.Ask, Decision: event.DecideAllow}}
					if _, err := p.person.Command(t.Context(), i.Session, n); err != nil {
						t.Error(err)
					}
				}
			}
		}
		answer(1)
		b.await(func(e journal.Entry) bool { return e.Type == string(event.TypeToolFinished) })
		answer(2)
		b.awaitTool("sleep 60")
		id := b.session()
		for _, n := range []api.NewCommand{{Kind: api.CommandInterrupt}, {Kind: api.CommandMessage, Text: "do something else"}} {
			if _, err := p.person.Command(t.Context(), id, n); err != nil {
				t.Error(err)
			}
		}
		d := p.finished(added.ID)
		if d.Outcome != event.Succeeded || b.read("asked.txt") != "asked\n" {
			t.Errorf("ended %+v, the file %q", d, b.read("asked.txt"))
		}
		if !strings.Contains(string(b.lastRequest().Body), "do something else") {
			t.Error("the model did not read the message")
		}
		p.same(id)
		c.signal(syscall.SIGTERM)
		b.finish(c).want(t, 0)
	})
}
