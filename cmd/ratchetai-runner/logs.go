package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

func (a *app) logsCommand() *cobra.Command {
	var follow, asJSON bool
	c := &cobra.Command{
		Use:               "logs SESSION",
		Short:             "Print what happened in a session",
		Long:              "Print what happened in a session. SESSION is the beginning or the end of its id.",
		Args:              only(1, 1, "SESSION"),
		ValidArgsFunction: a.completeSessions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.logs(cmd.Context(), args[0], follow, asJSON)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "wait for more until the session has ended")
	c.Flags().BoolVar(&asJSON, "json", false, "print events, one JSON object per line")
	return c
}

func (a *app) logs(ctx context.Context, id string, follow, asJSON bool) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	rec, err := store.Load(id)
	if err != nil {
		return err
	}
	var out sink = &jsonSink{out: a.Out, err: a.Err, session: rec.ID}
	if !asJSON {
		o := a.display()
		o.Err, o.Live = o.Out, false
		out = &humanSink{printer: term.New(o)}
	}
	defer a.stopCommands(viewFlags{json: asJSON})()
	defer out.close()
	dir := store.Journal(rec.ID)
	entries := journal.Read(dir, 1)
	if follow {
		entries = journal.Follow(ctx, dir, 1, string(event.TypeSessionFinished))
	}
	for e, err := range entries {
		if err != nil {
			return err
		}
		out.entry(e)
	}
	return nil
}
