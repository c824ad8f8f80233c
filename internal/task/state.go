package task

import (
	"fmt"
	"slices"
)

// State says where a task stands.
type State string

// The states of a task.
const (
	Queued   State = "queued"   // waits for a runner, or for its time
	Assigned State = "assigned" // offered to a runner, or accepted by it
	Running  State = "running"  // its agent works
	Finished State = "finished" // Outcome says how
)

// SessionState says where an attempt stands.
type SessionState string

// The states of a session.
const (
	Offered  SessionState = "offered"  // the runner has not answered yet
	Accepted SessionState = "accepted" // the runner prepares it
	Active   SessionState = "running"
	// Ended: its last event is stored.
	Ended SessionState = "finished"
	// Declined: the runner's own policy or state does not allow it.
	Declined SessionState = "declined"
	// Returned: the runner gave it back before its agent ran.
	Returned SessionState = "returned"
	// Gone: the runner stayed away until its agent must have ended. A report that
	// comes all the same still counts, unless another attempt was made meanwhile.
	Gone SessionState = "lost"
)

var (
	taskMoves = map[State][]State{
		Queued:   {Assigned, Finished, Running}, // Running: a lost session is back
		Assigned: {Running, Queued, Finished},
		Running:  {Queued, Finished},
		Finished: {Queued, Finished, Running}, // retry; a late report of a lost session
	}
	sessionMoves = map[SessionState][]SessionState{
		Offered:  {Accepted, Active, Ended, Declined, Returned, Gone},
		Accepted: {Active, Ended, Declined, Returned, Gone},
		Active:   {Ended, Returned, Gone},
		Gone:     {Active, Ended},
	}
)

// Check returns an error if a task may not go from s to next.
func (s State) Check(next State) error {
	if !slices.Contains(taskMoves[s], next) {
		return fmt.Errorf("a task that is %s does not become %s", s, next)
	}
	return nil
}

// Check returns an error if a session may not go from s to next.
func (s SessionState) Check(next SessionState) error {
	if !slices.Contains(sessionMoves[s], next) {
		return fmt.Errorf("a session that is %s does not become %s", s, next)
	}
	return nil
}

// Open reports whether a runner may still work at a session in this state.
func (s SessionState) Open() bool { return s == Offered || s == Accepted || s == Active }
