package runner

import (
	"fmt"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

const (
	// warnPercent of a budget is when its use is warned of.
	warnPercent = 80
	// graceReplies of the model are what an agent that was told to finish gets at
	// most: one to call its last tools, one to sum up, one in reserve.
	graceReplies = 3
)

// Budget is what a session may use. A zero field is no bound.
type Budget struct {
	CostMicroUSD int64 `json:"cost_micro_usd,omitempty"`
	Tokens       int64 `json:"tokens,omitempty"`
	Turns        int64 `json:"turns,omitempty"` // replies of the model
}

// meter compares what a session used with its budget. It is a function of the
// session's events in the order of the journal, the runner's own included, so that
// a runner that takes over comes to the same decisions and repeats none.
type meter struct {
	budget Budget
	model  string
	used   event.Usage
	// working: the last that the agent did is a tool's call, so that another reply
	// follows. Claude states the usage of a reply when its tools begin, Codex when
	// they have ended.
	working bool
	warned  map[event.Budget]bool
	grace   bool  // the agent was told to finish
	told    int64 // replies when it was
}

func newMeter(b Budget) meter {
	return meter{budget: b, warned: map[event.Budget]bool{}}
}

// note takes an event in.
func (m *meter) note(d event.Data) {
	switch d := d.(type) {
	case event.SessionStarted:
		m.model = d.Model
	case event.UsageUpdated:
		m.used = d.Usage
	case event.TurnFinished:
		if d.Usage != nil {
			m.used = *d.Usage
		}
		m.working = false
	case event.Message:
		m.working = m.working && (d.Role != "assistant" || d.Parent != "")
	case event.ToolStarted, event.ToolFinished:
		m.working = true
	case event.BudgetWarned:
		m.warned[d.Budget] = true
	case event.SessionStopping:
		m.grace, m.told = d.GraceMS > 0, m.used.Replies
	}
}

// unpriced returns the session's model if a cost budget can not be kept with it.
func (m *meter) unpriced() (string, bool) {
	return m.model, m.budget.CostMicroUSD > 0 && m.model != "" && !agent.Priced(m.model)
}

// level is how much of a budget is used.
type level struct {
	budget      event.Budget
	used, limit int64
}

func (m *meter) levels() []level {
	return []level{
		{event.BudgetCost, m.used.CostMicroUSD, m.budget.CostMicroUSD},
		{event.BudgetTokens, m.used.TotalTokens(), m.budget.Tokens},
		{event.BudgetTurns, m.used.Replies, m.budget.Turns},
	}
}

// warnings returns the budgets that are nearly used up and not warned of yet.
func (m *meter) warnings() (due []event.Data) {
	for _, l := range m.levels() {
		if l.used < l.limit && l.used*100 >= l.limit*warnPercent && !m.warned[l.budget] {
			due = append(due, event.BudgetWarned{Budget: l.budget, Used: l.used, Limit: l.limit})
		}
	}
	return due
}

// exceeded returns the budget that is used up while the agent is going to go on. An
// agent whose last reply used up the budget is done anyway: to tell it so would
// only cost another reply.
func (m *meter) exceeded() (event.BudgetOverrun, bool) {
	if !m.working {
		return event.BudgetOverrun{}, false
	}
	for _, l := range m.levels() {
		if l.limit > 0 && l.used >= l.limit {
			return event.BudgetOverrun{Budget: l.budget, Used: l.used, Limit: l.limit}, true
		}
	}
	return event.BudgetOverrun{}, false
}

// graceOver reports that an agent that was told to finish has gone on for too long.
func (m *meter) graceOver() bool { return m.grace && m.used.Replies >= m.told+graceReplies }

// overrun says in words for people which budget is used up.
func overrun(b event.BudgetOverrun) string {
	switch b.Budget {
	case event.BudgetCost:
		return fmt.Sprintf("the cost budget is used up: %s of %s", dollars(b.Used), dollars(b.Limit))
	case event.BudgetTokens:
		return fmt.Sprintf("the token budget is used up: %d of %d", b.Used, b.Limit)
	}
	return fmt.Sprintf("the turn budget is used up: %d of %d", b.Used, b.Limit)
}

// dollars is an amount with as many digits as it needs, and two at least.
func dollars(microUSD int64) string {
	text := fmt.Sprintf("$%d.%06d", microUSD/1_000_000, microUSD%1_000_000)
	for range 4 {
		if text[len(text)-1] == '0' {
			text = text[:len(text)-1]
		}
	}
	return text
}
