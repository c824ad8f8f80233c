//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
)

// startAnswerable starts the binary with a stdin that takes answers.
func (b *bundle) startAnswerable(args ...string) (*child, io.Writer) {
	b.t.Helper()
	c := &child{Cmd: b.command(args...), started: time.Now()}
	c.Stdout, c.Stderr = &c.stdout, &c.stderr
	in, err := c.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	return c, in
}

// awaitAsk waits for the n-th ask, from 1, that waits for a person.
func (b *bundle) awaitAsk(n int) (o event.AskOpened) {
	b.t.Helper()
	b.await(func(e journal.Entry) bool {
		if e.Type != string(event.TypeAskOpened) {
			return false
		}
		o = event.AskOpened{}
		if err := json.Unmarshal(e.Data, &o); err != nil {
			b.t.Fatal(err)
		}
		if o.Default != "" {
			n--
		}
		return n == 0
	})
	return o
}

// answers writes one answer for each ask that comes.
func (b *bundle) answers(in io.Writer, all ...event.Answer) (asked []event.AskOpened) {
	b.t.Helper()
	for i, a := range all {
		o := b.awaitAsk(i + 1)
		asked = append(asked, o)
		a.Ask = o.Ask
		line, err := json.Marshal(a)
		if err != nil {
			b.t.Fatal(err)
		}
		if _, err := fmt.Fprintf(in, "%s\n", line); err != nil {
			b.t.Fatal(err)
		}
	}
	return asked
}

// TestAsks answers in every way that leaves the turn running.
func TestAsks(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind,
			modelapi.Shell("echo one >one.txt"),
			modelapi.Shell("echo two >>two.txt"),
			modelapi.Shell("echo two >>two.txt"), // the same again
			modelapi.Shell("echo three >three.txt"),
			modelapi.WriteFile("four.txt", "four\n"),
			modelapi.Shell("echo five >five.txt"),
			modelapi.Text("all asked"))
		edit := event.Answer{Decision: event.DecideAllow}
		third := "three\n"
		if kind == agent.Claude { // Codex cannot run another command than it asked for
			edit.Input, third = json.RawMessage(`{"command":"echo edited >three.txt"}`), "edited\n"
		}
		c, in := b.startAnswerable(b.runArgs("--permissions", "ask")...)
		asked := b.answers(in,
			event.Answer{Decision: event.DecideAllow}, event.Answer{Decision: event.DecideSession}, edit,
			event.Answer{Decision: event.DecideAllow}, event.Answer{Decision: event.DecideDeny, Message: "not <<this way>>"})
		r := b.finish(c)
		r.want(t, 0)
		for name, want := range map[string]string{
			"one.txt": "one\n", "two.txt": "two\ntwo\n", "three.txt": third, "four.txt": "four\n", "five.txt": "",
		} {
			if got := b.read(name); got != want {
				t.Errorf("%s holds %q, want %q", name, got, want)
			}
		}
		if got := asked[0]; got.Command != "echo one >one.txt" || got.ToolKind != event.KindShell || got.ExpiresAt == "" {
			t.Errorf("asked %+v", got)
		}
		if got := asked[3]; len(got.Paths) != 1 || filepath.Base(got.Paths[0]) != "four.txt" || !strings.Contains(got.Diff, "+four\n") {
			t.Errorf("asked %+v", got)
		}
		id := b.session()
		end := all[event.SessionFinished](b, id)[0]
		if end.Result != "all asked" {
			t.Errorf("ended %+v", end)
		}
		if n := b.said("not <<this way>>"); n != 1 {
			t.Errorf("the model read the message %d times", n)
		}
		if n := len(b.asksAnswered(id, event.ByPerson)); n != len(asked) {
			t.Errorf("%d answers of %d asks", n, len(asked))
		}
		if u := all[event.Unparsed](b, id); len(u) > 0 {
			t.Errorf("not understood: %+v", u)
		}
		b.delivered(id)
	})
}

// TestAllowAlways allows a command always: the next session is not asked about that
// one, but still about what only begins like it. Claude's is allowed on stdin, Codex's at
// the terminal.
func TestAllowAlways(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		const line = `echo "one  *" >>one.txt && echo two >>two.txt`
		b := setup(t, kind, modelapi.Shell(line), modelapi.Shell(line), modelapi.Text("first"))
		args := b.runArgs("--permissions", "ask")
		if kind == agent.Claude {
			c, in := b.startAnswerable(args...)
			b.answers(in, event.Answer{Decision: event.DecideAlways})
			b.finish(c).want(t, 0)
		} else {
			c, screen := b.startTerminal(append([]string{"run"}, args[2:]...)...) // without --json
			b.awaitAsk(1)
			screen.awaitPrompt(t, 0)
			screen.press(t, "A\r")
			b.finish(c).want(t, 0)
			<-screen.done
			if shown := screen.shown(); !strings.Contains(shown, "A: always") || !strings.Contains(shown, "allowed from now on, in every workspace: rule 1 of") {
				t.Errorf("the terminal got %q", shown)
			}
		}
		first := b.session()
		if asked := b.asksAnswered(first, event.ByPerson); len(asked) != 1 || asked[0].Decision != event.DecideSession {
			t.Errorf("answered %+v", asked)
		}
		b.delivered(first)

		b.api.Script(b.token, modelapi.Shell(line), modelapi.Shell(line+" && touch three.txt"), modelapi.Text("second"))
		b.run(b.runArgs("--permissions", "ask", "--ask-timeout", "1s")...).want(t, 0)
		if got := b.read("one.txt") + b.read("two.txt"); got != strings.Repeat("one  *\n", 3)+strings.Repeat("two\n", 3) || exists(filepath.Join(b.ws, "three.txt")) {
			t.Errorf("files hold %q", got)
		}
		var second string
		for _, id := range b.sessions() {
			if id != first {
				second = id
			}
		}
		ruled := b.asksAnswered(second, event.ByPolicy)
		if len(ruled) != 1 || ruled[0].Decision != event.DecideAllow || ruled[0].Rule != 1 {
			t.Errorf("decided %+v", ruled)
		}
		if gone := all[event.AskExpired](b, second); len(gone) != 1 {
			t.Errorf("asked in vain %d times", len(gone))
		}
	})
}

func (b *bundle) asksAnswered(id, by string) (some []event.AskAnswered) {
	for _, a := range all[event.AskAnswered](b, id) {
		if a.By == by {
			some = append(some, a)
		}
	}
	return some
}

// delivered checks that the agent has each answer once.
func (b *bundle) delivered(id string) {
	b.t.Helper()
	for _, c := range all[event.CommandQueued](b, id) {
		if c.Answer == nil {
			continue
		}
		if n := b.receipts(id, event.TypeCommandDelivered, c.Command); n != 1 {
			b.t.Errorf("the answer %+v was delivered %d times", c.Answer, n)
		}
	}
}

// TestAskStop denies and stops: the turn is over, and with nobody to go on, so is the
// session.
func TestAskStop(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Shell("echo one >one.txt"), modelapi.Text("not reached"))
		c, in := b.startAnswerable(b.runArgs("--permissions", "ask")...)
		b.answers(in, event.Answer{Decision: event.DecideStop})
		b.finish(c).want(t, 4)
		end := all[event.SessionFinished](b, b.session())[0]
		if end.Outcome != event.Cancelled || b.read("one.txt") != "" {
			t.Errorf("ended %+v", end)
		}
	})
}

// TestAskExpires lets an ask wait in vain.
func TestAskExpires(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Shell("echo one >one.txt"), modelapi.Text("gave up"))
		b.run(b.runArgs("--permissions", "ask", "--ask-timeout", "1s")...).want(t, 0)
		id := b.session()
		gone := all[event.AskExpired](b, id)
		if len(gone) != 1 || gone[0].Reason != event.ExpiredTimeout || b.read("one.txt") != "" {
			t.Errorf("expired %+v", gone)
		}
		if n := b.said("Nobody answered in time"); n != 1 {
			t.Errorf("the model read %d times why", n)
		}
		b.delivered(id)
	})
}

// TestAskSurvivesRunner kills the runner while an ask waits, and again right after an
// answer: both are taken up by the next runner, and the command runs once.
func TestAskSurvivesRunner(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Shell("echo one >>one.txt"), modelapi.Shell("echo two >>two.txt"), modelapi.Text("survived"))
		kill := func(c *child) {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
		c, _ := b.startAnswerable(b.runArgs("--permissions", "ask")...)
		first := b.awaitAsk(1)
		kill(c)
		c, in := b.startAnswerable("attach", "--json", b.session())
		b.answers(in, event.Answer{Decision: event.DecideAllow})
		b.await(func(e journal.Entry) bool { return e.Type == string(event.TypeAskAnswered) })
		kill(c)
		c, in = b.startAnswerable("attach", "--json", b.session())
		second := b.awaitAsk(2)
		fmt.Fprintf(in, `{"ask":%q,"decision":"allow"}`+"\n", second.Ask)
		r := b.finish(c)
		r.want(t, 0)
		if got := b.read("one.txt") + b.read("two.txt"); got != "one\ntwo\n" {
			t.Errorf("files hold %q", got)
		}
		if shown := strings.Count(r.stdout, `"ask.opened"`); shown != 2 || first.Ask == second.Ask {
			t.Errorf("%d asks were shown", shown)
		}
		id := b.session()
		if n := len(b.asksAnswered(id, event.ByPerson)); n != 2 {
			t.Errorf("%d answers", n)
		}
		b.delivered(id)
	})
}

// TestRules runs without a person: rules decide, and the default denies.
func TestRules(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind,
			modelapi.Shell("touch one.txt && touch two.txt"),
			modelapi.Shell("touch three.txt; rm -f one.txt"),
			modelapi.Shell("touch four.txt $(touch five.txt)"),
			modelapi.WriteFile("docs/six.md", "six\n"),
			modelapi.WriteFile("seven.txt", "seven\n"),
			modelapi.Text("ruled"))
		b.write("rules.yaml", `
rules:
  - {decision: deny, command: rm *, message: keep <<what is there>>}
  - {decision: allow, command: touch *}
  - {decision: allow, kind: edit, path: docs/**}
default: deny
`)
		b.run(b.runArgs("--permission-rules", filepath.Join(b.ws, "rules.yaml"))...).want(t, 0)
		for name, want := range map[string]bool{
			"one.txt": true, "two.txt": true, "three.txt": false, "four.txt": false, "five.txt": false, "docs/six.md": true, "seven.txt": false,
		} {
			if got := exists(filepath.Join(b.ws, name)); got != want {
				t.Errorf("%s exists: %v, want %v", name, got, want)
			}
		}
		var decided []string
		for _, a := range b.asksAnswered(b.session(), event.ByPolicy) {
			decided = append(decided, fmt.Sprintf("%s by %d", a.Decision, a.Rule))
		}
		if got := strings.Join(decided, ", "); got != "allow by 2, deny by 1, deny by 0, allow by 3, deny by 0" {
			t.Errorf("decided: %s", got)
		}
		if n := b.said("keep <<what is there>>"); n != 1 {
			t.Errorf("the model read the rule's message %d times", n)
		}
	})
}

// TestAskTerminal answers at the terminal: a command, a denial, and a question.
func TestAskTerminal(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind,
			modelapi.Shell("echo one >one.txt # \u202egnihton"),
			modelapi.Shell("echo two >two.txt"),
			modelapi.Ask("Which colour?", "red", "blue"),
			modelapi.Shell("echo three >three.txt"),
			modelapi.Text("as you typed"))
		args := b.runArgs("--permissions", "ask")
		c, screen := b.startTerminal(append([]string{"run"}, args[2:]...)...) // without --json
		for i, keys := range []string{"y\r", "n better <<not>>\r", "2\r", "s\r"} {
			b.awaitAsk(i + 1)
			screen.awaitPrompt(t, i)
			screen.press(t, keys)
		}
		b.await(func(e journal.Entry) bool { return e.Type == string(event.TypeTurnFinished) })
		screen.press(t, "then say it\r")
		r := b.finish(c)
		if r.code != 0 {
			t.Fatalf("exit code %d: %s", r.code, screen.shown())
		}
		if got := b.read("one.txt") + b.read("two.txt") + b.read("three.txt"); got != "one\n" {
			t.Errorf("files hold %q", got)
		}
		for _, text := range []string{"better <<not>>", "then say it"} {
			if n := b.said(text); n != 1 {
				t.Errorf("the model read %q %d times", text, n)
			}
		}
		want := map[agent.Kind]string{agent.Claude: `"Which colour?"="blue"`, agent.Codex: `{"answers":{"question":{"answers":["blue"]}}}`}[kind]
		if n := b.said(want); n != 1 {
			t.Errorf("the model read the answer %d times", n)
		}
		<-screen.done
		if shown := screen.shown(); !strings.Contains(shown, `\u202egnihton`) || strings.Contains(shown, "\u202e") {
			t.Errorf("the terminal got %q", shown)
		}
	})
}

// awaitPrompt waits until the prompt of ask n, from 0, is on the screen.
func (s *terminal) awaitPrompt(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), sessionMax)
	defer cancel()
	for strings.Count(s.shown(), "\x1b[33m? ") < 2*(n+1) { // what is asked, and how to answer
		select {
		case <-ctx.Done():
			t.Fatalf("prompt %d is not shown: …%q", n, s.shown()[max(0, len(s.shown())-1000):])
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestQuestionWithNobodyThere is declined at once, so that the session goes on.
func TestQuestionWithNobodyThere(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Ask("Which colour?", "red", "blue"), modelapi.Text("decided myself"))
		r := b.run(b.runArgs()...)
		r.want(t, 0)
		if end := all[event.SessionFinished](b, b.session())[0]; end.Result != "decided myself" {
			t.Errorf("ended %+v", end)
		}
		for _, o := range all[event.AskOpened](b, b.session()) {
			if o.Default != "" {
				t.Errorf("it waited for %+v", o)
			}
		}
	})
}
