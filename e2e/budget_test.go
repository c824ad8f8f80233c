//go:build e2e

package e2e

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
)

// works is a tool that takes long enough for a message to arrive meanwhile. Each
// reply of the scripted API has 1000 tokens in and 50 out.
var works = modelapi.Shell("sleep 1.5; echo worked")

// priced are models whose prices are known: a reply costs $0.00375 and $0.0065.
var priced = map[agent.Kind]string{agent.Claude: "claude:claude-sonnet-4-6", agent.Codex: "codex:gpt-5.5"}

// TestBudgets uses up each budget with the fourth reply. The agent is told to
// finish, does, and what it says then is the result.
func TestBudgets(t *testing.T) {
	cost := map[agent.Kind]string{agent.Claude: "0.0135", agent.Codex: "0.024"}
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		for budget, flags := range map[event.Budget][]string{
			event.BudgetTurns:  {"--max-turns", "4"},
			event.BudgetTokens: {"--max-tokens", "3900"},
			event.BudgetCost:   {"--max-cost", cost[kind]},
		} {
			t.Run(string(budget), func(t *testing.T) {
				b := setup(t, kind, works.Repeat(4), modelapi.Text("summed up").Repeat(-1))
				r := b.run(b.runArgs(append(flags, "--model", priced[kind])...)...)
				r.want(t, 5)
				id := b.session()
				end := all[event.SessionFinished](b, id)[0]
				if end.Outcome != event.BudgetExceeded || end.Result != "summed up" || !strings.Contains(end.Reason, "budget is used up") {
					t.Errorf("ended %+v", end)
				}
				b.heard("ends this session", end.Reason)
				over := all[event.BudgetOverrun](b, id)
				if len(over) != 1 || over[0].Budget != budget || over[0].Used < over[0].Limit {
					t.Errorf("exceeded: %+v", over)
				}
				warned := all[event.BudgetWarned](b, id)
				// Three replies of four are less than 80 %.
				if want := map[event.Budget]int{event.BudgetCost: 1, event.BudgetTokens: 1}[budget]; len(warned) != want {
					t.Errorf("warned: %+v", warned)
				}
				// Codex states usage when it has sent its next request already.
				if n := end.Usage.Replies; n < 5 || n > 6 {
					t.Errorf("%d replies, want 5 or 6", n)
				}
			})
		}
	})
}

// TestBudgetIgnored has an agent that goes on after it was told to finish.
func TestBudgetIgnored(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, works.Repeat(-1))
		b.run(b.runArgs("--max-turns", "2")...).want(t, 5)
		end := all[event.SessionFinished](b, b.session())[0]
		if end.Outcome != event.BudgetExceeded || end.Usage.Replies > 7 {
			t.Errorf("ended %+v", end)
		}
	})
}

// TestBudgetSuffices is a session that needs all of its budget and no more.
func TestBudgetSuffices(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, works, modelapi.Text("done"))
		b.run(b.runArgs("--max-turns", "2", "--max-tokens", "2100")...).want(t, 0)
		if over := all[event.BudgetOverrun](b, b.session()); len(over) > 0 {
			t.Errorf("exceeded: %+v", over)
		}
	})
}

// TestBudgetAcrossRunners kills the runner after it has warned, and the next one
// after it has told the agent to finish: neither happens twice.
func TestBudgetAcrossRunners(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		slow := modelapi.Shell("sleep 4; echo worked")
		b := setup(t, kind, slow.Repeat(4), modelapi.Text("summed up").Repeat(-1))
		c := b.start(b.runArgs("--max-tokens", "3900")...)
		for _, killedAfter := range []event.Type{event.TypeBudgetWarned, event.TypeSessionStopping} {
			b.await(func(e journal.Entry) bool { return e.Type == string(killedAfter) })
			_ = c.Process.Kill()
			_ = c.Wait()
			c = b.start("attach", "--json", b.session())
		}
		b.finish(c).want(t, 5)
		id := b.session()
		if end := all[event.SessionFinished](b, id)[0]; end.Outcome != event.BudgetExceeded || end.Result != "summed up" {
			t.Errorf("ended %+v", end)
		}
		counts := map[event.Type]int{}
		told := 0
		for _, e := range b.entries(id) {
			counts[event.Type(e.Type)]++
			if e.Type == string(event.TypeCommandQueued) && bytes.Contains(e.Data, []byte("ends this session")) {
				told++
			}
		}
		if counts[event.TypeBudgetWarned] != 1 || counts[event.TypeBudgetExceeded] != 1 || counts[event.TypeSessionStopping] != 1 || told != 1 {
			t.Errorf("told %d times, events %v", told, counts)
		}
		if n := b.said("ends this session"); n != 1 {
			t.Errorf("the model was told %d times", n)
		}
	})
}

// TestUnpriced is a cost budget for models that have no price.
func TestUnpriced(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, works, modelapi.Text("not reached"))
		r := b.run(b.runArgs("--max-cost", "1", "--model", string(kind)+":nonesuch-9")...)
		r.want(t, 2)
		if !strings.Contains(r.stderr, "--max-tokens") || len(b.sessions()) > 0 {
			t.Errorf("%d sessions, stderr: %s", len(b.sessions()), r.stderr)
		}
		r = b.run(b.runArgs("--max-cost", "1", "--model", string(kind)+":nonesuch")...)
		r.want(t, 3) // a name that could be an alias is known when the session starts
		if end := all[event.SessionFinished](b, b.session())[0]; end.Outcome != event.Errored || !strings.Contains(end.Reason, "nonesuch") {
			t.Errorf("ended %+v", end)
		}
	})
}

// TestDeadlineWarns lets the agent finish shortly before the deadline.
func TestDeadlineWarns(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Shell("sleep 9.5; echo worked").Repeat(4), modelapi.Text("summed up").Repeat(-1))
		b.run(b.runArgs("--timeout", "30s")...).want(t, 124)
		id := b.session()
		end := all[event.SessionFinished](b, id)[0]
		if end.Outcome != event.TimedOut {
			t.Errorf("ended %+v", end)
		}
		if w := all[event.BudgetWarned](b, id); len(w) != 1 || w[0].Budget != event.BudgetTime {
			t.Errorf("warned %+v", w)
		}
		if s := all[event.SessionStopping](b, id); len(s) != 1 || s[0].GraceMS == 0 {
			t.Errorf("stopping %+v", s)
		}
	})
}
