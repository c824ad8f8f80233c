package runner

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// TestMeter feeds events and checks after each what the meter wants: nothing, a
// warning, or that the agent be told to finish.
func TestMeter(t *testing.T) {
	t.Parallel()
	used := func(tokens, replies, cost int64) event.Data {
		return event.UsageUpdated{Usage: event.Usage{InputTokens: tokens, Replies: replies, CostMicroUSD: cost}}
	}
	begin, done := event.ToolStarted{Call: "1"}, event.ToolFinished{Call: "1"}
	says := event.Message{Role: "assistant"}
	type step struct {
		d    event.Data
		want string
	}
	for name, test := range map[string]struct {
		budget Budget
		steps  []step
	}{
		"no budget": {Budget{}, []step{{begin, ""}, {used(1<<40, 1<<40, 1<<40), ""}}},
		"warns once, tells while a tool runs": {Budget{Tokens: 100}, []step{
			{used(79, 1, 0), ""}, {begin, ""}, {used(80, 2, 0), "warn tokens"}, {used(99, 3, 0), ""}, {used(100, 4, 0), "tell tokens"},
		}},
		"each budget of its own": {Budget{Tokens: 100, CostMicroUSD: 1000, Turns: 5}, []step{
			{begin, ""}, {used(80, 4, 800), "warn cost, warn tokens, warn turns"}, {used(81, 5, 900), "tell turns"},
		}},
		"a tool that has ended means another reply": {Budget{Turns: 2}, []step{{begin, ""}, {done, ""}, {used(1, 2, 0), "tell turns"}}},
		"a tool that begins after the usage":        {Budget{Turns: 2}, []step{{used(1, 2, 0), ""}, {begin, "tell turns"}}},
		"the last words may use it up":              {Budget{Turns: 2}, []step{{begin, ""}, {done, ""}, {says, ""}, {used(9, 2, 0), ""}, {event.TurnFinished{}, ""}}},
		"a subagent's words are not the last":       {Budget{Turns: 2}, []step{{begin, ""}, {event.Message{Role: "assistant", Parent: "1"}, ""}, {used(9, 2, 0), "tell turns"}}},
		"what a dead runner warned of":              {Budget{Turns: 5}, []step{{event.BudgetWarned{Budget: event.BudgetTurns}, ""}, {used(1, 4, 0), ""}}},
		"grace is a few replies": {Budget{Turns: 2}, []step{
			{used(1, 2, 0), ""}, {begin, "tell turns"}, {event.SessionStopping{GraceMS: 1}, ""}, {used(1, 4, 0), ""}, {used(1, 5, 0), "over"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMeter(test.budget)
			for i, s := range test.steps {
				m.note(s.d)
				if got := m.wants(); got != s.want {
					t.Fatalf("step %d: %q, want %q", i+1, got, s.want)
				}
			}
		})
	}
}

// wants does for the meter what a session does.
func (m *meter) wants() (text string) {
	add := func(s string) {
		if text != "" {
			text += ", "
		}
		text += s
	}
	for _, w := range m.warnings() {
		m.note(w)
		add(fmt.Sprint("warn ", w.(event.BudgetWarned).Budget))
	}
	over, told := m.exceeded()
	switch {
	case m.graceOver():
		add("over")
	case told && !m.grace:
		add(fmt.Sprint("tell ", over.Budget))
	}
	return text
}

func TestDollars(t *testing.T) {
	t.Parallel()
	got := []string{dollars(0), dollars(1_000_000), dollars(1_234_500), dollars(7)}
	if want := []string{"$0.00", "$1.00", "$1.2345", "$0.000007"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
