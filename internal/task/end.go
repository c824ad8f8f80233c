package task

import (
	"fmt"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// End is what becomes of a task when an attempt at it is over.
type End struct {
	State   State         // Queued or Finished
	Outcome event.Outcome // of a finished task
	Reason  string
	// Counts: the attempt counts against MaxAttempts.
	Counts bool
}

// After decides what becomes of t, of which attempts counted so far, when its newest
// session ended with outcome and reason. Only what is not the agent's fault is tried
// again by itself: an outcome errored or, unless t says otherwise, lost.
func After(t Spec, attempts int, outcome event.Outcome, reason string) End {
	again := outcome == event.Errored || outcome == event.Lost && t.OnLost != LostFinish
	if !again {
		return End{State: Finished, Outcome: outcome, Reason: reason, Counts: true}
	}
	tries := t.MaxAttempts
	if tries == 0 {
		tries = DefaultTries
	}
	if attempts+1 < tries {
		return End{State: Queued, Reason: reason, Counts: true}
	}
	if tries > 1 {
		reason = fmt.Sprintf("%s (attempt %d of %d)", reason, tries, tries)
	}
	return End{State: Finished, Outcome: outcome, Reason: reason, Counts: true}
}

// GivenBack is what becomes of a task whose runner declined or returned it: it costs
// no attempt.
func GivenBack(reason string) End { return End{State: Queued, Reason: reason} }
