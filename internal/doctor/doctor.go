// Package doctor looks at this machine and says what keeps sessions from running
// well: `ratchetai-runner doctor`.
//
// It only looks. Login files are read, no agent is started, no image is built and
// no directory is made. All checks run at once and each has a bound, so that an
// engine or a network disk that does not answer costs a second and a half.
package doctor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// checkMax bounds one check.
const checkMax = 1500 * time.Millisecond

// Level says how much a finding matters.
type Level string

// The levels. With a Fail, sessions do not run, or not safely.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Finding is what one check found.
//
//	{"check":"login claude","level":"fail","what":"the login has expired","remedy":"run `claude` once"}
type Finding struct {
	Check  string `json:"check"`
	Level  Level  `json:"level"`
	What   string `json:"what"`
	Remedy string `json:"remedy,omitempty"` // what to do, unless all is well
}

// Options says what to look at.
type Options struct {
	Getenv func(string) string
	Home   string // of the user, where the logins are
	State  string // directory of the sessions, which need not be there
	// Engine connects to the container engine.
	Engine func(context.Context) (*sandbox.Docker, error)
	// Builder knows which images are wanted; its Engine is set here.
	Builder runner.Builder
	Now     func() time.Time // nil: time.Now
}

// check is a name and a function that returns what it found: nothing, one
// finding or several.
type check struct {
	name string
	look func(context.Context, Options) []Finding
}

// Run returns the findings in a fixed order, within two seconds.
func Run(ctx context.Context, o Options) []Finding {
	if o.Now == nil {
		o.Now = time.Now
	}
	checks := []check{
		{"engine", engine}, {"login", logins}, {"agents", versions}, {"state", state},
		{"disk", stateDisk}, {"sessions", sessions}, {"CA", certificates}, {"clock", programClock},
	}
	found := make([][]Finding, len(checks))
	var running sync.WaitGroup
	for i, c := range checks {
		running.Go(func() { found[i] = c.run(ctx, o) })
	}
	running.Wait()
	var all []Finding
	for _, f := range found {
		all = append(all, f...)
	}
	return all
}

// run bounds a check. One that hangs in a system call is left to hang.
func (c check) run(ctx context.Context, o Options) []Finding {
	ctx, cancel := context.WithTimeout(ctx, checkMax)
	defer cancel()
	done := make(chan []Finding, 1)
	go func() { done <- c.look(ctx, o) }()
	select {
	case f := <-done:
		return f
	case <-time.After(checkMax + 200*time.Millisecond): // a moment for those that follow ctx
		return []Finding{{c.name, Fail, fmt.Sprintf("no answer within %s", checkMax), "see whether its disk or service hangs"}}
	}
}

// Unwell reports whether any finding is a Fail.
func Unwell(all []Finding) bool {
	for _, f := range all {
		if f.Level == Fail {
			return true
		}
	}
	return false
}

func size(bytes int64) string {
	if bytes >= 10<<30 {
		return fmt.Sprintf("%d GB", bytes/1e9)
	}
	if bytes >= 1e9 {
		return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
	}
	return fmt.Sprintf("%d MB", bytes/1e6)
}
