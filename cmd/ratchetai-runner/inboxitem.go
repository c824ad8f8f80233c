package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

// itemName is what a person calls an item of the inbox: an ask by its session, with the
// ask's own id if the session has more; all else by its task.
func itemName(it api.InboxItem, all []api.InboxItem) string {
	if it.Kind != api.InboxAsk || it.Ask == nil {
		return short(it.Task)
	}
	asks := 0
	for _, other := range all {
		if other.Kind == api.InboxAsk && other.Session == it.Session {
			asks++
		}
	}
	if asks < 2 {
		return short(it.Session)
	}
	return short(it.Session) + "/" + it.Ask.Ask
}

// pick returns the item of a kind that name means: an itemName, or the beginning or the
// end of its session's or task's id. Asks' own ids are the vendors', and some are just numbers.
func pick(items []api.InboxItem, kind api.InboxKind, name string) (api.InboxItem, error) {
	id, ask, named := strings.Cut(name, "/")
	means := func(whole string) bool {
		return id != "" && (strings.HasPrefix(whole, id) || strings.HasSuffix(whole, id))
	}
	var found []api.InboxItem
	for _, it := range items {
		if it.Kind == kind && (means(it.Session) || means(it.Task)) && (!named || it.Ask != nil && it.Ask.Ask == ask) {
			found = append(found, it)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	what := map[api.InboxKind]string{api.InboxAsk: "an ask of", api.InboxOutcome: "the outcome of"}[kind]
	e := &api.Error{Status: 404, Code: api.CodeNotFound, Message: fmt.Sprintf("nothing in the inbox is %s %q", what, name), Hint: "inbox lists what is there"}
	if len(found) > 1 {
		var names []string
		for _, it := range found {
			names = append(names, itemName(it, items))
		}
		e.Message = fmt.Sprintf("%d things in the inbox are %s %q: %s", len(found), what, name, strings.Join(names, ", "))
		e.Hint = ""
	}
	return api.InboxItem{}, e
}

// completeInbox offers the items of a kind to the shell.
func (r *remote) completeInbox(cmd *cobra.Command, kind api.InboxKind) ([]string, cobra.ShellCompDirective) {
	return r.complete(cmd, func(ctx context.Context, c *api.Client) (names []string) {
		inbox, _ := c.Inbox(ctx)
		items := slices.DeleteFunc(inbox.Items, func(it api.InboxItem) bool { return it.Kind != kind })
		for _, it := range items {
			names = append(names, itemName(it, items)+"\t"+term.Line(it.Text))
		}
		return names
	})
}
