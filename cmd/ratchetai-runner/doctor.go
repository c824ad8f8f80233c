package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/doctor"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

// checkNameWidth is the longest name of a check.
const checkNameWidth = 12

func (a *app) doctorCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what on this machine keeps sessions from running well",
		Long: `Say what on this machine keeps sessions from running well: the engine and its
limits, images, logins and their end, disks, clocks, certificates, sessions that
lost their runner. It only looks, for two seconds at most, and starts nothing.

The exit code is 3 if anything fails, else 0.`,
		Args: only(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings, err := a.examine(cmd)
			if err != nil {
				return err
			}
			if err := a.showFindings(findings, asJSON); err != nil {
				return err
			}
			if doctor.Unwell(findings) {
				return errUnwell
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per finding")
	return c
}

func (a *app) examine(cmd *cobra.Command) ([]doctor.Finding, error) {
	state, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	return doctor.Run(cmd.Context(), doctor.Options{
		Getenv: a.getenv, Home: a.home(), State: state, Engine: a.engine, Builder: a.builder(nil),
	}), nil
}

func (a *app) showFindings(findings []doctor.Finding, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(a.Out)
		for _, f := range findings {
			if err := out.Encode(f); err != nil {
				return err
			}
		}
		return nil
	}
	o := a.display()
	for _, f := range findings {
		c := term.Check{Level: term.Level(f.Level), Name: f.Check, What: f.What, Remedy: f.Remedy}
		term.Report(o.Out, o.Columns(), checkNameWidth, c)
	}
	return nil
}
