//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

const (
	killSteps    = 16 // replies of the model in one session
	killTextSize = 50_000
)

// setting returns a number or duration of the environment, as doc.go lists them.
func setting[T any](t *testing.T, name string, def T, parse func(string) (T, error)) T {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return def
	}
	v, err := parse(s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// TestKilledRunners kills the runner with -9 again and again, at any moment,
// while the agent writes long lines, runs tools, and messages are on their way
// to it. Every session then ends as if nothing had happened.
func TestKilledRunners(t *testing.T) {
	kills := setting(t, "RATCHETAI_KILLS", 200, strconv.Atoi)
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		var sum tally
		for n := 0; sum.kills < (kills+1)/2; n++ {
			t.Run(fmt.Sprint("session ", n+1), func(t *testing.T) { sum.add(killSession(t, kind)) })
			if t.Failed() {
				break
			}
		}
		t.Logf("%s: %s", kind, sum)
	})
}

// tally counts what a kill loop did.
type tally struct {
	sessions, kills, driving, messages, late, steps, dropped int

	killed map[int]time.Time // by the runner's pid; of one session
}

func (a *tally) add(b tally) {
	a.sessions++
	a.kills += b.kills
	a.driving += b.driving
	a.messages += b.messages
	a.late += b.late
	a.steps += b.steps
	a.dropped += b.dropped
}

func (a tally) String() string {
	return fmt.Sprintf("%d sessions, %d kills (%d while the runner drove the session), %d messages (%d of them given to the agent by a later runner than the one that took them), %d tool calls, %d dropped by the agent with a cut reply",
		a.sessions, a.kills, a.driving, a.messages, a.late, a.steps, a.dropped)
}

// killScript is a long turn: each reply says a line of 50 KB and runs a command
// that leaves a trace, or writes a file.
func killScript() []modelapi.Turn {
	filler := modelapi.TextBytes(killTextSize).Text
	turns := make([]modelapi.Turn, 0, killSteps+1)
	for i := range killSteps {
		step := modelapi.Shell(fmt.Sprintf("echo %s >>trace.txt; sleep 0.2; echo %s", mark("run", i), mark("out", i)))
		switch {
		case i%5 == 0:
			step = modelapi.Text(mark("text", i) + filler).With(step)
		case i%7 == 0:
			step = modelapi.Text(mark("text", i)).With(modelapi.WriteFile(fmt.Sprintf("file%d.txt", i), mark("file", i)+filler+"\n"))
		}
		turns = append(turns, step)
	}
	return append(turns, modelapi.Text("survived"))
}

// mark is a text that occurs nowhere else.
func mark(what string, i int) string { return fmt.Sprintf("@%s-%03d@", what, i) }

// killSession runs one session to its end under fire.
func killSession(t *testing.T, kind agent.Kind) (sum tally) {
	sum.killed = map[int]time.Time{}
	b := setup(t, kind, killScript()...)
	first := b.start(b.runArgs("--timeout", "10m")...)
	b.await(func(e journal.Entry) bool { return e.Type == string(event.TypeSessionStarted) })
	id := b.session()
	sum.kill(b, first.Cmd, id)
	log := filepath.Join(b.base, "messages")
	for b.api.Left(b.token) > 2 && !t.Failed() {
		// Every other runner is this test, which also sends messages.
		next := b.command("attach", "--json", id)
		if rand.IntN(2) == 0 {
			next = b.hand(id, log)
		}
		if err := next.Start(); err != nil {
			t.Fatal(err)
		}
		sum.kill(b, next, id)
	}
	r := b.run("attach", id)
	r.want(t, 0)
	b.inspectTexts(id, &sum)
	b.inspectMessages(id, log, &sum)
	b.inspectProcesses()
	return sum
}

// kill ends a runner after a moment.
func (a *tally) kill(b *bundle, cmd *exec.Cmd, id string) {
	life := 5 + rand.IntN(396)
	if rand.IntN(6) == 0 {
		life += 600 // else nothing would get on: an attach takes some 150 ms
	}
	time.Sleep(time.Duration(life) * time.Millisecond)
	if s, err := b.store.Summary(id); err == nil && s.State == runner.Running {
		a.driving++
	}
	_ = cmd.Process.Kill()
	at := time.Now()
	_ = cmd.Wait()
	if !cmd.ProcessState.Exited() {
		a.kills++
		a.killed[cmd.Process.Pid] = at
	} else if s, err := b.store.Summary(id); err == nil && s.State != runner.Finished {
		b.t.Errorf("%v ended by itself: %s", cmd.Args, cmd.ProcessState)
	}
}

// inspectTexts compares the journal with what the agent itself believes to have
// heard and done, which its last request tells: each thing once in both. A reply
// that was cut off by a kill is in neither.
func (b *bundle) inspectTexts(id string, sum *tally) {
	b.t.Helper()
	var texts, outputs strings.Builder
	for _, m := range all[event.Message](b, id) {
		if m.Role == "assistant" {
			texts.WriteString(m.Text)
		}
	}
	for _, f := range all[event.ToolFinished](b, id) {
		outputs.WriteString(f.Output)
	}
	request, trace := b.lastRequest().Body, b.read("trace.txt")
	filler := modelapi.TextBytes(killTextSize).Text
	for i := range killSteps {
		text, out := mark("text", i), mark("out", i)
		if got, want := strings.Count(texts.String(), text), countSaid(request, text); got != want || got > 1 {
			b.t.Errorf("%s: %d times in the journal, %d times in the agent's memory", text, got, want)
		}
		if got := strings.Count(texts.String(), text); got == 1 && i%5 == 0 && !strings.Contains(texts.String(), text+filler) {
			b.t.Errorf("%s: the journal's text is not the model's", text)
		}
		got := strings.Count(outputs.String(), out)
		// Codex forgets a command that it ran for a reply that was cut off later.
		forgets := b.kind == agent.Codex && got == 1
		if want := countSaid(request, out) - countSaid(request, "echo "+out); got != want && !forgets || got > 1 {
			b.t.Errorf("%s: %d times in the journal, %d times in the agent's memory", out, got, want)
		}
		ran := strings.Count(trace, mark("run", i))
		// It also drops the output of one whose reply is cut while it runs: neither
		// we nor its model ever hear of it. That no byte of stdout was lost is checked at every
		// attach by the checksum, and by inspectJournal.
		if b.kind == agent.Codex && ran == 1 && got == 0 && countSaid(request, out) == countSaid(request, "echo "+out) {
			sum.dropped++
			continue
		}
		if ran != got {
			b.t.Errorf("%s: the command ran %d times, its output came %d times", out, ran, got)
		}
		sum.steps += got
		if name := fmt.Sprintf("file%d.txt", i); exists(filepath.Join(b.ws, name)) && b.read(name) != mark("file", i)+filler+"\n" {
			b.t.Errorf("%s is not what the model wrote", name)
		}
	}
	if sum.dropped > sum.kills { // a kill cuts one reply
		b.t.Errorf("the outputs of %d commands never came, after %d kills", sum.dropped, sum.kills)
	}
	if sum.steps < killSteps/4 {
		b.t.Errorf("only %d of %d commands ran", sum.steps, killSteps)
	}
	if end := all[event.SessionFinished](b, id)[0]; end.Outcome != event.Succeeded {
		b.t.Errorf("ended %+v", end)
	}
}

// inspectMessages checks that each accepted message was consumed and read once,
// and that one whose sender was killed came at most once.
func (b *bundle) inspectMessages(id, log string, sum *tally) {
	b.t.Helper()
	data, err := os.ReadFile(log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.t.Fatal(err)
	}
	request := b.lastRequest().Body
	accepted := map[string]string{} // text -> command
	for _, c := range all[event.CommandQueued](b, id) {
		if c.Kind == string(agent.Message) && strings.HasPrefix(c.Text, "<<message") {
			if accepted[c.Text] != "" {
				b.t.Errorf("%s is in the journal twice", c.Text)
			}
			accepted[c.Text] = c.Command
		}
	}
	for _, s := range strings.Fields(string(data)) {
		what, text, _ := strings.Cut(s, "=")
		switch command := accepted[text]; {
		case what == "sent" && command == "":
			b.t.Errorf("%s was accepted and is not in the journal", text)
		case what == "sent":
			sum.messages++
			if sum.deliveredLate(b, id, text, command) {
				sum.late++
			}
		case what == "try" && command == "":
			if n := countSaid(request, text); n > 0 {
				b.t.Errorf("%s was read %d times and is not in the journal", text, n)
			}
		}
	}
	for text, command := range accepted {
		if n := b.receipts(id, event.TypeCommandConsumed, command); n != 1 {
			b.t.Errorf("%s was consumed %d times", text, n)
		}
		if n := countSaid(request, text); n != 1 {
			b.t.Errorf("the model read %s %d times", text, n)
		}
	}
}

// deliveredLate reports whether the runner that took a message was killed before
// the agent had it.
func (a *tally) deliveredLate(b *bundle, id, text, command string) bool {
	var pid, n int
	if _, err := fmt.Sscanf(text, "<<message-%d-%d>>", &pid, &n); err != nil {
		b.t.Fatal(err)
	}
	for _, e := range b.entries(id) {
		var d event.CommandDelivered
		if e.Type == string(event.TypeCommandDelivered) && json.Unmarshal(e.Data, &d) == nil && d.Command == command {
			at, ok := a.killed[pid]
			return ok && e.Time.After(at)
		}
	}
	return false
}

// handEnv makes this test binary a runner, see hand.
const handEnv = "RATCHETAI_E2E_HAND"

// handTask is what the hand is told.
type handTask struct {
	State, Session, Log string
	Env                 map[string]string
}

// hand prepares a runner that takes the session over and sends it messages until
// it is killed.
func (b *bundle) hand(id, log string) *exec.Cmd {
	b.t.Helper()
	task, err := json.Marshal(handTask{State: filepath.Join(b.base, "state"), Session: id, Log: log, Env: b.env})
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), handEnv+"="+string(task))
	cmd.Stderr = os.Stderr
	return cmd
}

func hand(text string) int {
	var task handTask
	err := json.Unmarshal([]byte(text), &task)
	if err == nil {
		err = task.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hand:", err)
		return 1
	}
	return 0
}

func (h handTask) run() error {
	store, err := runner.OpenStore(h.State)
	if err != nil {
		return err
	}
	engine, err := sandbox.NewDocker(h.Env["DOCKER_HOST"])
	if err != nil {
		return err
	}
	log, err := os.OpenFile(h.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	s, err := newRunner(engine, store, h.Env).Attach(context.Background(), h.Session)
	if err != nil {
		return err
	}
	for n := range 3 {
		text := fmt.Sprintf("<<message-%d-%d>>", os.Getpid(), n)
		fmt.Fprintf(log, "try=%s\n", text)
		if _, err := s.Message(text); errors.Is(err, sandbox.ErrEnded) {
			break // the script is used up, and the agent was asked to leave
		} else if err != nil {
			return err
		}
		fmt.Fprintf(log, "sent=%s\n", text)
		select {
		case <-s.Done():
			return nil
		case <-time.After(time.Duration(20+rand.IntN(150)) * time.Millisecond):
		}
	}
	<-s.Done()
	return nil
}
