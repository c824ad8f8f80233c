package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

func (a *app) inboxCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "inbox",
		Short: "List what needs a person: asks, failed tasks, tasks that no runner can take",
		Args:  only(0, 0, ""),
	}
	r := a.newRemote(c)
	c.RunE = r.with(func(ctx context.Context, client *api.Client, _ []string) error {
		inbox, err := client.Inbox(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			return jsonLines(a.Out, inbox.Items)
		}
		if len(inbox.Items) == 0 {
			fmt.Fprintln(a.Err, "nothing needs you")
			return nil
		}
		return a.printInbox(inbox.Items, time.Now())
	})
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per item")
	c.AddCommand(a.inboxDismiss())
	return c
}

func (a *app) printInbox(items []api.InboxItem, now time.Time) error {
	var rows [][]term.Cell
	for _, it := range items {
		row := term.Cells("", age(now.Sub(it.Since)), it.Title, it.Text, inboxNext(it, items))
		row[0], row[4].Whole = inboxKind(it), true
		rows = append(rows, row)
	}
	return a.table([]string{"WHAT", "AGE", "TITLE", "TEXT", "NEXT"}, rows)
}

func inboxKind(it api.InboxItem) term.Cell {
	switch it.Kind {
	case api.InboxAsk:
		return term.Cell{Text: "asks", Level: term.Warn}
	case api.InboxOutcome:
		return outcomeCell(it.Outcome)
	}
	return term.Cell{Text: string(it.Kind), Level: term.Warn}
}

// inboxNext is the command that deals with an item.
func inboxNext(it api.InboxItem, all []api.InboxItem) string {
	switch it.Kind {
	case api.InboxAsk:
		return "answer " + itemName(it, all)
	case api.InboxOutcome:
		return "inbox dismiss " + itemName(it, all)
	}
	return "task show " + short(it.Task)
}

func (a *app) inboxDismiss() *cobra.Command {
	c := &cobra.Command{
		Use:   "dismiss TASK...",
		Short: "Remove tasks that ended without success from the inbox",
		Args:  only(1, many, "TASK"),
	}
	r := a.newRemote(c)
	c.ValidArgsFunction = func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return r.completeInbox(cmd, api.InboxOutcome)
	}
	c.RunE = r.with(func(ctx context.Context, client *api.Client, args []string) error {
		inbox, err := client.Inbox(ctx)
		if err != nil {
			return err
		}
		var problems []error
		for _, id := range args {
			it, err := pick(inbox.Items, api.InboxOutcome, id)
			if err == nil {
				err = client.Dismiss(ctx, it.ID)
			}
			problems = append(problems, about1(id, len(args), err))
		}
		return errors.Join(problems...)
	})
	return c
}
