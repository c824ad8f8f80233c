package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

func (a *app) logsCommand() *cobra.Command {
	var follow, asJSON bool
	c := &cobra.Command{
		Use:   "logs SESSION",
		Short: "Print what happened in a session",
		Long: `Print what happened in a session of this machine, or else of the control plane, if
there is one. SESSION is the beginning or the end of its id; at a control plane it may be
that of a task, whose newest session is meant.`,
		Example: `  ratchetai-runner logs -f 4f2a91c07b3e
  ratchetai-runner logs --json 4f2a91c07b3e --url https://ratchet.example.org`,
		Args: only(1, 1, "SESSION"),
	}
	r := a.newRemote(c)
	c.ValidArgsFunction = r.completeSessions
	c.RunE = func(cmd *cobra.Command, args []string) error {
		err := runner.ErrNoSession
		if !cmd.Flags().Changed("url") {
			err = a.logs(cmd.Context(), args[0], follow, asJSON)
		}
		if !errors.Is(err, runner.ErrNoSession) || !r.configured() {
			return err
		}
		return r.with(func(ctx context.Context, client *api.Client, args []string) error {
			return a.remoteLogs(ctx, client, args[0], follow, asJSON)
		})(cmd, args)
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "wait for more until the session has ended")
	c.Flags().BoolVar(&asJSON, "json", false, "print events, one JSON object per line")
	return c
}

// logSink prints a session on stdout.
func (a *app) logSink(session string, asJSON bool) sink {
	if asJSON {
		return &jsonSink{out: a.Out, err: a.Err, session: session}
	}
	o := a.display()
	o.Err, o.Live = o.Out, false
	return &humanSink{printer: term.New(o)}
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
	out := a.logSink(rec.ID, asJSON)
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
