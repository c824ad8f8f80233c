package runner

import (
	"errors"
	"fmt"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// end is everything that the outcome depends on.
type end struct {
	stop   *stopped            // somebody ended the session
	turn   *event.TurnFinished // the last turn; nil while one was running, or without any
	result sandbox.Result
	lost   error  // the sandbox's end is unknown
	fault  error  // the journal failed
	stderr string // the last line

	prepare bool // a command ran before the agent
}

// outcome decides how the session ended. The agent's own terminal event comes
// before its exit code, which is no verdict: both vendors exit with 0 after
// failures and with 1 after finished work.
func (e end) outcome() (event.Outcome, string) {
	switch {
	case errors.Is(e.fault, errFlood):
		return event.Failed, tooMuch
	case e.fault != nil:
		return event.Errored, "the journal cannot be written: " + e.fault.Error()
	case e.stop != nil:
		return e.stop.outcome, e.stop.reason
	case e.turn != nil:
		return e.ofTurn()
	case e.lost != nil:
		return event.Errored, e.lost.Error()
	}
	return e.ofResult()
}

const tooMuch = "the agent wrote more output than a session may and was killed"

func (e end) ofTurn() (event.Outcome, string) {
	switch e.turn.Status {
	case event.TurnCompleted:
		return event.Succeeded, ""
	case event.TurnInterrupted:
		return event.Cancelled, "interrupted"
	}
	switch e.turn.Reason {
	case event.ReasonUsageLimit:
		return event.LimitReached, e.turn.Error
	case event.ReasonBudget, event.ReasonMaxTurns:
		return event.BudgetExceeded, e.turn.Error
	case event.ReasonAuth:
		return event.Errored, "the vendor refuses the login: " + e.turn.Error
	}
	return event.Failed, e.turn.Error
}

func (e end) ofResult() (event.Outcome, string) {
	switch e.result.Cause {
	case sandbox.OutOfMemory:
		return event.Failed, "the agent used more memory than the sandbox has and was killed"
	case sandbox.StdoutLimit:
		return event.Failed, tooMuch
	case sandbox.Orphaned:
		return event.Lost, "no runner came back in time, so the sandbox ended the agent"
	case sandbox.NotStarted, sandbox.Broken:
		return event.Errored, e.withStderr("the agent could not be started")
	}
	if e.prepare && e.result.ExitCode == prepareFailed {
		return event.Errored, e.stderr
	}
	return event.Lost, e.withStderr(fmt.Sprintf("the agent ended without a result, with exit code %d", e.result.ExitCode))
}

func (e end) withStderr(reason string) string {
	if e.stderr == "" {
		return reason
	}
	return reason + ": " + e.stderr
}
