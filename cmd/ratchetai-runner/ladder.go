package main

import (
	"os"
	"sync"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// controls is what a person can do to a running session.
type controls interface {
	Steer(text string, p agent.Priority) (string, error)
	Withdraw() (string, error)
	Interrupt(stay bool) error
	End(outcome event.Outcome, reason string)
	Kill(outcome event.Outcome, reason string)
}

// ladder makes of repeated signals ever stronger ways to stop a session. It is
// safe for concurrent use.
//
//	Ctrl-C   interrupt the agent's turn; on a terminal it then waits for a message
//	again    end the session; SIGTERM begins here
//	again    kill it
type ladder struct {
	session controls
	stay    bool         // after an interrupt, somebody can tell the agent what to do
	distant bool         // a runner elsewhere drives it, for a task
	say     func(string) // must not block

	mu    sync.Mutex
	steps int
}

// signal takes the next step.
func (l *ladder) signal(sig os.Signal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.steps++; sig != os.Interrupt && l.steps < 2 {
		l.steps = 2
	}
	switch l.steps {
	case 1:
		l.interrupt()
	case 2:
		l.session.End(event.Cancelled, reason(sig))
		l.say(l.either("ending the session; Ctrl-C kills it", "ending the task; Ctrl-C stops watching"))
	case 3:
		l.session.Kill(event.Cancelled, reason(sig))
		l.say(l.either("killed", "no longer watched"))
	}
}

func (l *ladder) either(here, distant string) string {
	if l.distant {
		return distant
	}
	return here
}

func (l *ladder) interrupt() {
	err := l.session.Interrupt(l.stay)
	switch {
	case err != nil:
		l.say("not interrupted: " + err.Error() + l.either("; Ctrl-C again ends the session", "; Ctrl-C again ends the task"))
	case l.stay:
		l.say("interrupted: type what to do instead, or press Ctrl-C again to end the " + l.either("session", "task"))
	default:
		l.say(l.either("interrupted: the agent stops and the session ends; Ctrl-C again if it does not", "ending the task; Ctrl-C again if it does not end"))
	}
}

// typed does what a typed line says and reports whether that could be done. An
// interrupt is over with a message: the next Ctrl-C interrupts again.
func (l *ladder) typed(line string) bool {
	in, err := parseTyped(line)
	if err != nil {
		l.say(err.Error())
		return false
	}
	if in.withdraw {
		if _, err := l.session.Withdraw(); err != nil {
			l.say("not withdrawn: " + err.Error())
			return false
		}
		return true
	}
	if _, err := l.session.Steer(in.text, in.priority); err != nil {
		l.say("not sent: " + err.Error())
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.steps == 1 {
		l.steps = 0
	}
	return true
}

// killed reports that the last step was taken.
func (l *ladder) killed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.steps >= 3
}

func reason(sig os.Signal) string {
	if sig == os.Interrupt {
		return "cancelled by the person at the terminal"
	}
	return "cancelled: the runner was asked to end (" + sig.String() + ")"
}
