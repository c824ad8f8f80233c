package event

// Outcome is the verdict on a session. Exactly one is recorded, in the last
// event of the journal.
type Outcome string

// The outcomes. Failed is the agent's, Errored is ours (infrastructure), the
// others name who or what stopped the session.
const (
	Succeeded      Outcome = "succeeded"
	Failed         Outcome = "failed"
	Errored        Outcome = "errored"
	Cancelled      Outcome = "cancelled"
	TimedOut       Outcome = "timed_out"
	Stalled        Outcome = "stalled" // the agent printed nothing for too long
	BudgetExceeded Outcome = "budget_exceeded"
	LimitReached   Outcome = "limit_reached"
	Lost           Outcome = "lost" // the agent ended without saying how; retried by policy
)

// SessionFinished is the last event of every session.
//
//	{"outcome":"succeeded","exit_code":0,"result":"all done","usage":{"input_tokens":2000,"output_tokens":100},"duration_ms":8123}
type SessionFinished struct {
	Outcome    Outcome `json:"outcome"`
	Reason     string  `json:"reason,omitempty"`    // for people: what happened and what to do
	ExitCode   *int    `json:"exit_code,omitempty"` // of the agent's process; nil if it never ran
	Result     string  `json:"result,omitempty"`    // the agent's closing message
	Usage      *Usage  `json:"usage,omitempty"`
	ResetsAt   string  `json:"resets_at,omitempty"` // of the limit that was reached
	DurationMS int64   `json:"duration_ms"`
}

// EventType implements Data.
func (SessionFinished) EventType() Type { return TypeSessionFinished }
