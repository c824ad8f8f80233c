package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/attack"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

// attackNameWidth is the longest name of an attempt.
const attackNameWidth = 24

func (a *app) selftestCommand() *cobra.Command {
	var attacks, asJSON bool
	c := &cobra.Command{
		Use:   "selftest --attack",
		Short: "Attack a sandbox from inside and show what held",
		Long: `Attack a sandbox from inside and show what held: every known way out of it, from
a sandbox that is started as a session's is, on this machine and this engine. It
needs no login, leaves nothing behind and takes less than a minute. What nothing
keeps a session from, by design, is listed at the end.

The exit code is 0 if everything held, 1 if something did not, and 3 without an
engine.`,
		Args: only(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !attacks {
				return usageError{errors.New("say what to test: --attack")}
			}
			return a.selftest(cmd.Context(), asJSON)
		},
	}
	c.Flags().BoolVar(&attacks, "attack", false, "attack a sandbox from inside")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per attempt, then one with what remains possible")
	return c
}

func (a *app) selftest(ctx context.Context, asJSON bool) error {
	ignorePipe()
	store, err := a.store()
	if err != nil {
		return err
	}
	engine, err := a.engine(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	starting := newStarting(ctx)
	defer starting.release()
	b := a.builder(engine)
	image, err := a.image(starting.ctx, b, viewFlags{json: asJSON})
	if err != nil {
		return starting.explain(err)
	}
	o := attack.Options{
		Runner: *a.runner(store, engine), Dir: store.Root(), Image: image, Program: b.Program, Progress: a.showAttempt(asJSON),
	}
	report, err := attack.Run(starting.ctx, o)
	if err != nil {
		return starting.explain(err)
	}
	if err := a.showReport(report, asJSON); err != nil {
		return err
	}
	if len(report.Failed()) > 0 {
		return errNotHeld
	}
	return nil
}

func (a *app) showAttempt(asJSON bool) func(attack.Result) {
	if asJSON {
		out := json.NewEncoder(a.Out)
		return func(r attack.Result) { _ = out.Encode(r) } // whoever reads may leave
	}
	o := a.display()
	return func(r attack.Result) {
		c := term.Check{Level: term.OK, Name: r.Name, What: r.Tried + " → " + r.Happened}
		if !r.Held {
			c.Level = term.Fail
		}
		term.Report(o.Out, o.Columns(), attackNameWidth, c)
	}
}

func (a *app) showReport(r attack.Report, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(a.Out).Encode(map[string][]string{"remains": r.Remains})
	}
	failed := r.Failed()
	fmt.Fprintf(a.Out, "\n%d of %d held\n", len(r.Results)-len(failed), len(r.Results))
	for _, f := range failed {
		fmt.Fprintf(a.Out, "  did not hold: %s\n", term.Line(f.Name))
	}
	fmt.Fprint(a.Out, "\nwhat a session can do by design:\n")
	for _, text := range r.Remains {
		fmt.Fprintf(a.Out, "  - %s\n", text)
	}
	return nil
}
