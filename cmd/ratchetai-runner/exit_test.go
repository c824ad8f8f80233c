package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	wrap := func(err error) error { return fmt.Errorf("doing something: %w", err) }
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{ended(event.Succeeded), 0},
		{ended(event.Failed), 1},
		{ended(event.Lost), 1},
		{ended(event.Stalled), 1},
		{ended(event.Errored), 3},
		{ended(event.Cancelled), 4},
		{ended(event.BudgetExceeded), 5},
		{ended(event.LimitReached), 6},
		{ended(event.TimedOut), 124},
		{ended("of a later version"), 3},
		{usageError{errors.New("x")}, 2},
		{wrap(usageError{errors.New("x")}), 2},
		{errors.Join(errors.New("y"), wrap(runner.ErrNoSession)), 2},
		{wrap(sandbox.ErrUnavailable), 3},
		{wrap(credential.ErrNoLogin), 3},
		{wrap(runner.ErrBusy), 3},
		{leftError{wrap(runner.ErrLeft), "id"}, 3},
		{errors.New("anything else"), 3},
		{wrap(context.Canceled), 4},
		{errDetached, 4},
		{errGivenUp, 4},
	} {
		if got := exitCode(tc.err); got != tc.want {
			t.Errorf("%v: exit code %d, want %d", tc.err, got, tc.want)
		}
	}
}

// The package's documentation lists every code that there is.
func TestExitCodesAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []int{exitSucceeded, exitFailed, exitUsage, exitErrored, exitCancelled, exitBudget, exitLimit, exitDeadline} {
		if !strings.Contains(string(text), fmt.Sprintf("\n//\t%d ", code)) {
			t.Errorf("exit code %d is not documented", code)
		}
	}
}
