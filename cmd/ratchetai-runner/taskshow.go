package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

func (a *app) taskShow() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show TASK",
		Short: "Show a task: what it waits for, and every attempt at it",
		Args:  only(1, 1, "TASK"),
	}
	r := a.newRemote(c)
	c.ValidArgsFunction = r.completeTasks
	c.RunE = r.with(func(ctx context.Context, client *api.Client, args []string) error {
		t, err := client.Task(ctx, args[0])
		if err != nil {
			return err
		}
		if asJSON {
			return jsonLines(a.Out, []api.TaskDetail{t})
		}
		return a.printTask(t, time.Now())
	})
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func (a *app) printTask(t api.TaskDetail, now time.Time) error {
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	row := func(key, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", key, term.Line(value))
		}
	}
	number := func(key string, n int64, text string) {
		if n != 0 {
			row(key, text)
		}
	}
	at := func(key string, when *time.Time) {
		if when != nil {
			row(key, when.Local().Format(time.DateTime))
		}
	}
	row("task", t.ID)
	row("title", t.Name())
	row("state", taskNow(t.Task))
	row("agent", agentOf(t.Spec))
	row("workspace", t.Workspace)
	row("runner", t.Runner)
	row("labels", strings.Join(t.Labels, ", "))
	number("priority", int64(t.Priority), fmt.Sprint(t.Priority))
	row("created", t.CreatedAt.Local().Format(time.DateTime)+" by "+t.CreatedBy)
	at("not before", t.NotBefore)
	at("deadline", t.Deadline)
	number("timeout", t.TimeoutMS, (time.Duration(t.TimeoutMS) * time.Millisecond).String())
	row("permissions", t.Permissions)
	row("allowed", strings.Join(t.AllowHosts, ", "))
	row("image", t.Image)
	row("account", t.Account)
	number("max cost", t.MaxCostMicro, term.Cost(t.MaxCostMicro))
	number("max tokens", t.MaxTokens, term.Tokens(t.MaxTokens))
	number("max turns", t.MaxTurns, fmt.Sprint(t.MaxTurns))
	number("attempts", int64(t.Attempts), fmt.Sprintf("%d of %d", t.Attempts, cmp.Or(t.MaxAttempts, task.DefaultTries)))
	at("finished", t.FinishedAt)
	if err := w.Flush(); err != nil {
		return err
	}
	if strings.TrimSpace(t.Prompt) != t.Name() {
		fmt.Fprintf(a.Out, "\n  %s\n", strings.ReplaceAll(strings.TrimSpace(term.Clean(t.Prompt)), "\n", "\n  "))
	}
	if len(t.Sessions) == 0 {
		return nil
	}
	fmt.Fprintln(a.Out)
	return a.printSessions(t.Sessions, now)
}

// printSessions prints attempts, which come newest first.
func (a *app) printSessions(newest []task.Session, now time.Time) error {
	var rows [][]term.Cell
	for _, s := range slices.Backward(newest) {
		took, used := "", ""
		if s.StartedAt != nil {
			end := now
			if s.FinishedAt != nil {
				end = *s.FinishedAt
			}
			took = term.Duration(end.Sub(*s.StartedAt))
		}
		if s.Usage != nil {
			used = term.Usage(*s.Usage)
		}
		row := term.Cells(short(s.ID), "", cmp.Or(s.RunnerName, s.Runner), s.Workspace, age(now.Sub(s.OfferedAt)), took, used, s.Reason)
		row[0].Whole, row[1] = true, sessionCell(s)
		rows = append(rows, row)
	}
	return a.table([]string{"SESSION", "STATE", "RUNNER", "WORKSPACE", "AGE", "TOOK", "USED", "REASON"}, rows)
}

// sessionCell is a session's outcome once it has one.
func sessionCell(s task.Session) term.Cell {
	switch {
	case s.Outcome != "":
		return outcomeCell(s.Outcome)
	case s.Away:
		return term.Cell{Text: string(s.State) + ", away", Level: term.Warn}
	}
	return term.Cell{Text: string(s.State)}
}
