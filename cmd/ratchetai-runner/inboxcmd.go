package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

func (a *app) inboxCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use:   "inbox",
		Short: "What needs a person: asks, failed tasks, tasks that no runner can take",
	})
	c.AddCommand(a.inboxLs(), a.inboxDismiss())
	return c
}

func (a *app) inboxLs() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "ls",
		Short: "List what needs a person, oldest first",
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
	return c
}

func (a *app) printInbox(items []api.InboxItem, now time.Time) error {
	var rows [][]term.Cell
	for _, it := range items {
		row := term.Cells("", age(now.Sub(it.Since)), it.Title, it.Text, inboxNext(it))
		row[0] = inboxKind(it)
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
func inboxNext(it api.InboxItem) string {
	switch {
	case it.Kind == api.InboxAsk && it.Ask != nil:
		return "answer " + short(it.Ask.Ask)
	case it.Kind == api.InboxOutcome:
		return "inbox dismiss " + short(it.Task)
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

// completeInbox offers the items of a kind to the shell.
func (r *remote) completeInbox(cmd *cobra.Command, kind api.InboxKind) ([]string, cobra.ShellCompDirective) {
	return r.complete(cmd, func(ctx context.Context, c *api.Client) (ids []string) {
		inbox, _ := c.Inbox(ctx)
		for _, it := range inbox.Items {
			switch {
			case it.Kind != kind:
			case it.Ask != nil:
				ids = append(ids, short(it.Ask.Ask)+"\t"+term.Line(it.Text))
			default:
				ids = append(ids, short(it.Task)+"\t"+term.Line(it.Title))
			}
		}
		return ids
	})
}

// pick returns the item of a kind that id means: of the item itself, its ask, its session
// or its task, the beginning or the end.
func pick(items []api.InboxItem, kind api.InboxKind, id string) (api.InboxItem, error) {
	means := func(whole string) bool { return strings.HasPrefix(whole, id) || strings.HasSuffix(whole, id) }
	found := slices.DeleteFunc(slices.Clone(items), func(it api.InboxItem) bool {
		ask := ""
		if it.Ask != nil {
			ask = it.Ask.Ask
		}
		return it.Kind != kind || id == "" || !slices.ContainsFunc([]string{it.ID, ask, it.Session, it.Task}, means)
	})
	missing := func(format string, args ...any) (api.InboxItem, error) {
		return api.InboxItem{}, &api.Error{Status: 404, Code: api.CodeNotFound, Message: fmt.Sprintf(format, args...), Hint: name + " inbox ls lists them"}
	}
	switch len(found) {
	case 0:
		return missing("nothing in the inbox is %s %q", map[api.InboxKind]string{api.InboxAsk: "an ask of", api.InboxOutcome: "the outcome of"}[kind], id)
	case 1:
		return found[0], nil
	}
	var ids []string
	for _, it := range found {
		ids = append(ids, short(itemID(it)))
	}
	return missing("%d things in the inbox are of %q: %s", len(found), id, strings.Join(ids, ", "))
}

func itemID(it api.InboxItem) string {
	if it.Ask != nil {
		return it.Ask.Ask
	}
	return it.Task
}
