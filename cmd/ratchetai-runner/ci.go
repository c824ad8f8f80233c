package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

// stopCommands keeps GitHub Actions from obeying the agent until the function it
// returns is called: a line of a step's output that begins with "::", blanks
// before it or not, is a command to the job there. Elsewhere it does nothing.
func (a *app) stopCommands(view viewFlags) (resume func()) {
	if a.getenv("GITHUB_ACTIONS") != "true" {
		return func() {}
	}
	out := io.Writer(a.Out)
	if view.json || view.quiet { // which belongs to the events, or the answer
		out = a.Err
	}
	token := rand.Text() // the agent must not know it
	fmt.Fprintf(out, "::stop-commands::%s\n", token)
	return func() { fmt.Fprintf(out, "::%s::\n", token) }
}

// stepSummary appends the session to the page that GitHub Actions shows of the
// job, if there is one.
func (a *app) stepSummary(entries iter.Seq2[journal.Entry, error], id string) error {
	path := a.getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	var s term.Summary
	for e, err := range entries {
		if err != nil {
			return err
		}
		if d, err := event.Decode(event.Type(e.Type), e.Data); err == nil { // else of a later version
			s.Add(d)
		}
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(s.Markdown(id)); err != nil {
		return err
	}
	return f.Close()
}
