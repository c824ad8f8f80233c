package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

func (a *app) sessionsCommand() *cobra.Command {
	c := group(&cobra.Command{Use: "sessions", Short: "List, show and remove the sessions of this machine"})
	c.AddCommand(a.sessionsLs(), a.sessionsShow(), a.sessionsRm())
	return c
}

func (a *app) sessionsLs() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "ls",
		Short: "List sessions, oldest first",
		Args:  only(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := a.store()
			if err != nil {
				return err
			}
			a.sweepNow(cmd.Context(), store)
			all, err := store.List()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Out, all...)
			}
			if len(all) == 0 {
				fmt.Fprintln(a.Err, "no sessions")
				return nil
			}
			return printTable(a.Out, all, time.Now())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per session")
	return c
}

// sweepNow ends what dead runners left behind, if there is an engine and
// something to end, so that the list shows how it ended.
func (a *app) sweepNow(ctx context.Context, store *runner.Store) {
	all, _ := store.List()
	orphaned := false
	for _, s := range all {
		orphaned = orphaned || s.State == runner.Orphaned
	}
	if !orphaned {
		return
	}
	engine, err := a.engine(ctx)
	if err != nil {
		a.log.WithError(err).Debug("nothing swept")
		return
	}
	defer engine.Close()
	a.sweep(ctx, a.runner(store, engine))(sweepMax)
}

func printJSON(w io.Writer, all ...runner.Summary) error {
	enc := json.NewEncoder(w)
	for _, s := range all {
		if err := enc.Encode(s); err != nil {
			return err
		}
	}
	return nil
}

func printTable(w io.Writer, all []runner.Summary, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SESSION\tSTATE\tAGENT\tAGE\tTOOK\tUSED\tTITLE")
	for _, s := range all {
		took, used := "", ""
		if s.End != nil {
			took = term.Duration(time.Duration(s.End.DurationMS) * time.Millisecond)
			if s.End.Usage != nil {
				used = term.Usage(*s.End.Usage)
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", short(s.ID), state(s), s.Agent.Kind,
			age(now.Sub(s.Created)), took, used, term.Line(s.Title))
	}
	return t.Flush()
}

// state is a session's outcome once it has one.
func state(s runner.Summary) string {
	if s.End != nil {
		return term.Outcome(s.End.Outcome)
	}
	return string(s.State)
}

func age(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
	d = max(d, 0).Truncate(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	if d < time.Hour {
		return fmt.Sprintf("%dm", int(d.Minutes()))
	}
	return fmt.Sprintf("%dh", int(d.Hours()))
}

func (a *app) sessionsShow() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:               "show SESSION",
		Short:             "Show what is known about a session",
		Args:              only(1, 1, "SESSION"),
		ValidArgsFunction: a.completeSessions,
		RunE: func(_ *cobra.Command, args []string) error {
			store, err := a.store()
			if err != nil {
				return err
			}
			rec, err := store.Load(args[0])
			if err != nil {
				return err
			}
			s, err := store.Summary(rec.ID)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Out, s)
			}
			return printSession(a.Out, s, store.Journal(s.ID))
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func printSession(w io.Writer, s runner.Summary, dir string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(key, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", key, term.Line(value))
		}
	}
	agent := string(s.Agent.Kind)
	if s.Agent.Model != "" {
		agent += ":" + s.Agent.Model
	}
	row("session", s.ID)
	row("title", s.Title)
	row("state", state(s))
	row("agent", agent)
	row("continues", s.Continues)
	row("workspace", s.Workspace)
	if s.From.Ref != "" {
		row("image", s.From.Ref+" ("+s.From.Digest+")")
	}
	row("user", s.User)
	row("allowed", strings.Join(s.Allow, ", "))
	row("created", s.Created.Local().Format(time.DateTime))
	if s.End == nil {
		row("deadline", s.Deadline.Local().Format(time.DateTime))
	}
	result := ""
	if end := s.End; end != nil {
		row("took", term.Duration(time.Duration(end.DurationMS)*time.Millisecond))
		if end.Usage != nil {
			row("used", term.Usage(*end.Usage))
		}
		row("reason", end.Reason)
		row("resets", end.ResetsAt)
		result = term.Clean(end.Result)
	}
	row("files", dir)
	if s.State == runner.Orphaned {
		row("next", name+" attach "+short(s.ID))
	}
	if err := t.Flush(); err != nil || result == "" {
		return err
	}
	_, err := fmt.Fprintf(w, "\n  %s\n", strings.ReplaceAll(strings.TrimSpace(result), "\n", "\n  "))
	return err
}

func (a *app) sessionsRm() *cobra.Command {
	var finished bool
	c := &cobra.Command{
		Use:   "rm SESSION...",
		Short: "Remove sessions with their events and transcripts",
		Long: `Remove sessions with their events and transcripts; the workspace stays as it is.
A session that a runner drives is not removed; the agent of an orphaned one is
ended.`,
		ValidArgsFunction: a.completeSessions,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case finished && len(args) > 0:
				return errors.New("name sessions or give --all-finished, not both")
			case !finished && len(args) == 0:
				return errors.New("missing argument: SESSION, or --all-finished")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := a.store()
			if err != nil {
				return err
			}
			ids, err := sessionIDs(store, args, finished)
			problems := []error{err}
			for _, id := range ids {
				problems = append(problems, a.removeSession(cmd.Context(), store, id))
			}
			return errors.Join(problems...)
		},
	}
	c.Flags().BoolVar(&finished, "all-finished", false, "all sessions that have ended")
	return c
}

// sessionIDs resolves args, or lists the finished sessions. What it returns
// beside an error is resolved.
func sessionIDs(store *runner.Store, args []string, finished bool) (ids []string, err error) {
	if !finished {
		for _, arg := range args {
			rec, lerr := store.Load(arg)
			if lerr != nil {
				err = errors.Join(err, lerr)
				continue
			}
			if !slices.Contains(ids, rec.ID) {
				ids = append(ids, rec.ID)
			}
		}
		return ids, err
	}
	all, err := store.List()
	for _, s := range all {
		if s.State == runner.Finished {
			ids = append(ids, s.ID)
		}
	}
	return ids, err
}

// removeSession removes a session, and first the container of an orphaned one,
// whose agent would otherwise go on in directories that are gone.
func (a *app) removeSession(ctx context.Context, store *runner.Store, id string) error {
	s, err := store.Summary(id)
	if err != nil {
		return err
	}
	if s.State == runner.Orphaned {
		engine, err := a.engine(ctx)
		if err != nil {
			return fmt.Errorf("session %s has no end, so its container may still run: %w", id, err)
		}
		defer engine.Close()
		if err := engine.Remove(ctx, id); err != nil {
			return fmt.Errorf("session %s: %w", id, err)
		}
	}
	return store.Remove(id)
}
