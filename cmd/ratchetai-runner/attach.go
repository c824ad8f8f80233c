package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

// retry is the pause before a session that just changed hands is looked at again.
const retry = 300 * time.Millisecond

func (a *app) attachCommand() *cobra.Command {
	var view viewFlags
	var tail int
	c := &cobra.Command{
		Use:   "attach SESSION",
		Short: "Take over a session whose runner is gone, or watch one",
		Long: `Take over a session whose runner is gone: show what happened so far, then
follow it as run does. A session that another runner drives is only shown, until
that runner is gone. SESSION is the beginning or the end of its id.`,
		Args:              only(1, 1, "SESSION"),
		ValidArgsFunction: a.completeSessions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := view.check(); err != nil {
				return err
			}
			return a.attach(cmd.Context(), args[0], view, tail)
		},
	}
	c.Flags().IntVar(&tail, "tail", -1, "show only so many of the earlier events (default: all)")
	c.Flags().BoolVar(&view.json, "json", false, "print events on stdout, one JSON object per line")
	c.Flags().BoolVar(&view.quiet, "quiet", false, "print only the agent's final message")
	return c
}

func (a *app) attach(ctx context.Context, id string, view viewFlags, tail int) error {
	ignorePipe()
	store, err := a.store()
	if err != nil {
		return err
	}
	rec, err := store.Load(id)
	if err != nil {
		return err
	}
	w := a.newWatch(store, rec.ID, view)
	w.keyboard = true
	from, err := tailFrom(store.Journal(rec.ID), tail)
	if err != nil {
		return err
	}
	w.skipTo(from)
	starting := newStarting(ctx)
	defer starting.release()
	for {
		err := a.attachOnce(starting, w)
		switch {
		case errors.Is(err, runner.ErrBusy), errors.Is(err, runner.ErrFinished):
			select { // somebody was faster; see what there is now
			case <-time.After(retry):
			case <-starting.ctx.Done():
				return starting.explain(err)
			}
		case errors.Is(err, errOrphaned):
			w.note("the runner that drove this session is gone: taking it over")
		default:
			return err
		}
	}
}

// attachOnce does what the session's state asks for.
func (a *app) attachOnce(starting *starting, w *watch) error {
	sum, err := w.store.Summary(w.id)
	if err != nil {
		return err
	}
	switch sum.State {
	case runner.Finished:
		if err := w.show(w.stored(starting.ctx)); err != nil {
			return err
		}
		if w.outcome == "" {
			return starting.explain(errors.New("the session's end cannot be read"))
		}
		return ended(w.outcome)
	case runner.Running:
		w.note("another runner drives session " + w.id + ": watching only; Ctrl-C stops watching, not the session")
		signals, early := starting.handOver()
		if len(early) > 0 {
			return errDetached
		}
		return w.elsewhere(context.WithoutCancel(starting.ctx), signals)
	}
	engine, err := a.engine(starting.ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	r := a.runner(w.store, engine)
	s, err := r.Attach(starting.ctx, w.id)
	if err != nil {
		return starting.explain(err)
	}
	defer a.sweep(context.WithoutCancel(starting.ctx), r)(probeMax)
	signals, early := starting.handOver()
	w.asks, w.rules = s.Agent.Attended, rulesFile{s.RulesFile, s.Workspace}
	return w.drive(context.WithoutCancel(starting.ctx), s, signals, early)
}
