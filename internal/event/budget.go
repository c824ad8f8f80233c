package event

// Budget names what a session may use up.
type Budget string

// The budgets, with the unit of Used and Limit in the events about them.
const (
	BudgetCost   Budget = "cost"   // millionths of a US dollar
	BudgetTokens Budget = "tokens" // all kinds, see Usage.TotalTokens
	BudgetTurns  Budget = "turns"  // replies of the model, see Usage.Replies
	BudgetTime   Budget = "time"   // milliseconds since the session was created
)

// BudgetWarned says, once per budget, that most of it is used.
//
//	{"budget":"cost","used":812000,"limit":1000000}
type BudgetWarned struct {
	Budget Budget `json:"budget"`
	Used   int64  `json:"used"`
	Limit  int64  `json:"limit"`
}

// BudgetOverrun says that a budget is used up while the agent still works. A
// session has it at most once: the agent is then told to finish.
type BudgetOverrun struct {
	Budget Budget `json:"budget"`
	Used   int64  `json:"used"`
	Limit  int64  `json:"limit"`
}

// SessionStopping says who or what ends the session before its agent does. It is
// the session's outcome from then on, also for a runner that takes over.
//
//	{"outcome":"budget_exceeded","reason":"the cost budget is used up: $1.02 of $1.00","grace_ms":120000}
type SessionStopping struct {
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason"`
	// GraceMS is what the agent gets to finish by itself; 0 is nothing.
	GraceMS int64 `json:"grace_ms,omitempty"`
}

func (BudgetWarned) EventType() Type    { return TypeBudgetWarned }
func (BudgetOverrun) EventType() Type   { return TypeBudgetExceeded }
func (SessionStopping) EventType() Type { return TypeSessionStopping }
