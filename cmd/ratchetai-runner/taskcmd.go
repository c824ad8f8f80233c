package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

// many is enough arguments of one command line.
const many = 1000

func (a *app) taskCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use:   "task",
		Short: "Queue tasks at a control plane, and see what became of them",
		Long: `Queue tasks at a control plane, and see what became of them.

A task waits there until a runner can take it. Each attempt at it is a session, which
follow and logs show. TASK is the beginning or the end of a task's id.`,
	})
	c.AddCommand(a.taskAdd(), a.taskFollow(), a.taskLs(), a.taskShow(), a.taskEnd("cancel", "End tasks, wherever they stand", (*api.Client).CancelTask),
		a.taskEnd("retry", "Queue finished tasks again", (*api.Client).RetryTask))
	return c
}

func (a *app) taskLs() *cobra.Command {
	var state string
	var limit int
	var asJSON bool
	c := &cobra.Command{
		Use:   "ls",
		Short: "List tasks, oldest first",
		Args:  only(0, 0, ""),
	}
	r := a.newRemote(c)
	c.RunE = r.with(func(ctx context.Context, client *api.Client, _ []string) error {
		if s := task.State(state); state != "" && !slices.Contains([]task.State{task.Queued, task.Assigned, task.Running, task.Finished}, s) {
			return usageError{fmt.Errorf("--state: %q is none of queued, assigned, running, finished", state)}
		}
		all, err := pages(limit, func(p api.Page) ([]task.Task, string, error) {
			p.State = state
			got, err := client.Tasks(ctx, p)
			return got.Tasks, got.Next, err
		})
		if err != nil {
			return err
		}
		if asJSON {
			return jsonLines(a.Out, all)
		}
		if len(all) == 0 {
			fmt.Fprintln(a.Err, "no tasks")
			return nil
		}
		return a.printTasks(all, time.Now())
	})
	c.Flags().StringVar(&state, "state", "", "only tasks that are queued, assigned, running or finished")
	c.Flags().IntVar(&limit, "limit", 50, "how many of the newest")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per task")
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"queued", "assigned", "running", "finished"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// pages collects at most limit things of a list that comes in pages, newest first, and
// returns them oldest first.
func pages[T any](limit int, get func(api.Page) (all []T, next string, err error)) ([]T, error) {
	if limit < 1 {
		return nil, usageError{errors.New("--limit: at least 1 is needed")}
	}
	var all []T
	for before := ""; len(all) < limit; {
		got, next, err := get(api.Page{Limit: min(limit-len(all), 500), Before: before})
		if err != nil {
			return nil, err
		}
		all = append(all, got...)
		if next == "" || len(got) == 0 {
			break
		}
		before = next
	}
	slices.Reverse(all)
	return all, nil
}

func jsonLines[T any](w io.Writer, all []T) error {
	enc := json.NewEncoder(w)
	for _, v := range all {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printTasks(all []task.Task, now time.Time) error {
	var rows [][]term.Cell
	for _, t := range all {
		note := t.Why
		if t.State == task.Finished {
			note = t.Reason
		}
		row := term.Cells(short(t.ID), "", agentOf(t.Spec), age(now.Sub(t.CreatedAt)), t.Name(), note)
		row[0].Whole, row[1] = true, taskState(t)
		rows = append(rows, row)
	}
	return a.table([]string{"TASK", "STATE", "AGENT", "AGE", "TITLE", "NOTE"}, rows)
}

// table prints a table on stdout.
func (a *app) table(head []string, rows [][]term.Cell) error {
	o := a.display()
	return term.Table(o.Out, o.Columns(), head, rows...)
}

func agentOf(s task.Spec) string {
	agent := s.Agent
	if agent == "" {
		agent = "claude"
	}
	if s.Model != "" {
		agent += ":" + s.Model
	}
	return agent
}

// taskState is a task's outcome once it has one.
func taskState(t task.Task) term.Cell {
	if t.State == task.Finished {
		return outcomeCell(t.Outcome)
	}
	return term.Cell{Text: string(t.State)}
}

func outcomeCell(o event.Outcome) term.Cell {
	c := term.Cell{Text: term.Outcome(o), Level: term.Fail}
	switch o {
	case event.Succeeded:
		c.Level = term.OK
	case event.Cancelled, event.LimitReached, event.BudgetExceeded, event.TimedOut:
		c.Level = term.Warn
	}
	return c
}

// taskEnd is a command that does one thing to each of several tasks.
func (a *app) taskEnd(use, about string, do func(*api.Client, context.Context, string) (task.Task, error)) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   use + " TASK...",
		Short: about,
		Args:  only(1, many, "TASK"),
	}
	r := a.newRemote(c)
	c.ValidArgsFunction = r.completeTasks
	c.RunE = r.with(func(ctx context.Context, client *api.Client, args []string) error {
		var problems []error
		for _, id := range args {
			t, err := do(client, ctx, id)
			switch {
			case err != nil:
				problems = append(problems, about1(id, len(args), err))
			case asJSON:
				problems = append(problems, jsonLines(a.Out, []task.Task{t}))
			default:
				fmt.Fprintln(a.Out, term.Line(short(t.ID)+" "+taskNow(t)))
			}
		}
		return errors.Join(problems...)
	})
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per task")
	return c
}

// about1 names the argument that an error is about, if there are several.
func about1(arg string, of int, err error) error {
	if of < 2 || err == nil {
		return err
	}
	return fmt.Errorf("%s: %w", arg, err)
}

// taskNow says where a task stands.
func taskNow(t task.Task) string {
	switch {
	case t.State == task.Finished && t.Reason != "":
		return term.Outcome(t.Outcome) + ": " + t.Reason
	case t.State == task.Finished:
		return term.Outcome(t.Outcome)
	case t.Why != "":
		return string(t.State) + ": " + t.Why
	}
	return string(t.State)
}
