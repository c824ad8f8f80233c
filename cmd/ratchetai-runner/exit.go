package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/connect"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// The exit codes, as the package's documentation explains them.
const (
	exitSucceeded = 0
	exitFailed    = 1
	exitUsage     = 2
	exitErrored   = 3
	exitCancelled = 4
	exitBudget    = 5
	exitLimit     = 6
	exitDeadline  = 124 // as timeout(1) has it
)

// usageError is wrong use of the program.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// outcomeError is the end of a session that did not succeed. It has been shown.
type outcomeError struct{ outcome event.Outcome }

func (e outcomeError) Error() string { return "the session ended: " + string(e.outcome) }

// leftError is runner.ErrLeft of a session.
type leftError struct {
	error
	session string
}

func (e leftError) Unwrap() error { return e.error }

// errDetached: the person stopped watching a session that goes on.
var errDetached = errors.New("detached")

// errNotHeld: an attack got through, as has been shown.
var errNotHeld = errors.New("the sandbox did not hold")

// errUnwell: doctor found what keeps sessions from running, and has shown it.
var errUnwell = errors.New("something has to be put right")

// exitCode is the one table from how a command ended to its exit code.
func exitCode(err error) int {
	var outcome outcomeError
	var refused *api.Error
	switch {
	case err == nil:
		return exitSucceeded
	case errors.As(err, &outcome):
		return outcomeCode(outcome.outcome)
	case errors.As(err, new(usageError)), errors.Is(err, runner.ErrNoSession), errors.Is(err, errNotBegun), errors.Is(err, errNeverBegun):
		return exitUsage
	case errors.Is(err, context.Canceled), errors.Is(err, errDetached):
		return exitCancelled
	case errors.Is(err, errNotHeld):
		return exitFailed
	case errors.As(err, &refused):
		return remoteCode(refused)
	}
	return exitErrored
}

func outcomeCode(o event.Outcome) int {
	switch o {
	case event.Succeeded:
		return exitSucceeded
	case event.Failed, event.Lost, event.Stalled:
		return exitFailed
	case event.Cancelled:
		return exitCancelled
	case event.BudgetExceeded:
		return exitBudget
	case event.LimitReached:
		return exitLimit
	case event.TimedOut:
		return exitDeadline
	}
	return exitErrored
}

// ended is the error of a session with this outcome; nil if it succeeded.
func ended(o event.Outcome) error {
	if o == event.Succeeded {
		return nil
	}
	return outcomeError{o}
}

// isSilent reports an error that the person knows of.
func isSilent(err error) bool {
	return errors.As(err, new(outcomeError)) || errors.Is(err, errDetached) || errors.Is(err, errNotHeld) || errors.Is(err, errUnwell)
}

// hint says what to do about err, or nothing.
func (a *app) hint(cmd *cobra.Command, err error) string {
	var left leftError
	switch {
	case errors.As(err, new(usageError)):
		return fmt.Sprintf("try: %s --help", cmd.CommandPath())
	case errors.Is(err, runner.ErrNoSession):
		return fmt.Sprintf("try: %s sessions ls", name)
	case errors.As(err, &left):
		return fmt.Sprintf("the agent may still work; when the engine is back: %s attach %s", name, short(left.session))
	case errors.Is(err, connect.ErrInUse):
		return "hint: one connect or up serves a state directory; another needs its own RATCHETAI_STATE_DIR"
	case errors.Is(err, sandbox.ErrUnavailable):
		if host := a.getenv("DOCKER_HOST"); host != "" {
			return fmt.Sprintf("hint: DOCKER_HOST is %s; is an engine running there, and may this user use it?", host)
		}
		return "hint: is Docker running? is this user in the group docker? DOCKER_HOST names an engine elsewhere"
	}
	return remoteHint(err)
}
