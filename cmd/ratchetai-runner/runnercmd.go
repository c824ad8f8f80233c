package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

func (a *app) runnerCommand() *cobra.Command {
	c := group(&cobra.Command{Use: "runner", Short: "List and remove the runners of a control plane"})
	c.AddCommand(a.runnerLs(), a.runnerRm())
	return c
}

func (a *app) runnerLs() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "ls", Short: "List runners: who is there, and what they can do", Args: only(0, 0, "")}
	r := a.newRemote(c)
	c.RunE = r.with(func(ctx context.Context, client *api.Client, _ []string) error {
		all, err := client.Runners(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			return jsonLines(a.Out, all.Runners)
		}
		if len(all.Runners) == 0 {
			fmt.Fprintf(a.Err, "no runners; `%s device add NAME` makes a token for one\n", name)
			return nil
		}
		var rows [][]term.Cell
		for _, r := range all.Runners {
			row := term.Cells(r.Name, "", fmt.Sprintf("%d/%d", r.Running, r.Capacity), agents(r.Agents), workspaces(r.Workspaces), strings.Join(r.Labels, ", "), r.Version)
			row[0].Whole, row[1] = true, runnerState(r, time.Now())
			rows = append(rows, row)
		}
		return a.table([]string{"RUNNER", "STATE", "BUSY", "AGENTS", "WORKSPACES", "LABELS", "VERSION"}, rows)
	})
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per runner")
	return c
}

func runnerState(r api.Runner, now time.Time) term.Cell {
	switch {
	case !r.Connected && r.SeenAt.IsZero():
		return term.Cell{Text: "never seen", Level: term.Fail}
	case !r.Connected:
		return term.Cell{Text: "away for " + age(now.Sub(r.SeenAt)), Level: term.Fail}
	case !r.Health.Ready:
		return term.Cell{Text: strings.Join(r.Health.Reasons, "; "), Level: term.Warn}
	}
	return term.Cell{Text: "ready", Level: term.OK}
}

func agents(all []api.Agent) string {
	var texts []string
	for _, g := range all {
		text := g.Kind
		if g.Login != "ready" {
			text += " (" + strings.ReplaceAll(g.Login, "_", " ") + ")"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

func workspaces(all []api.Workspace) string {
	var texts []string
	for _, w := range all {
		text := w.Name
		if w.Default {
			text += "*"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

func (a *app) runnerRm() *cobra.Command {
	c := &cobra.Command{
		Use:   "rm RUNNER...",
		Short: "Forget runners that are gone for good",
		Long:  "Forget runners that are gone for good. RUNNER is a name, or the beginning or the end of an id.",
		Args:  only(1, many, "RUNNER"),
	}
	r := a.newRemote(c)
	c.ValidArgsFunction = func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return r.completeRunners(cmd, func(one api.Runner) []string { return []string{one.Name} })
	}
	c.RunE = r.with(func(ctx context.Context, client *api.Client, args []string) error {
		all, err := client.Runners(ctx)
		if err != nil {
			return err
		}
		var problems []error
		for _, arg := range args {
			id, err := runnerID(all.Runners, arg)
			if err == nil {
				err = client.RemoveRunner(ctx, id)
			}
			problems = append(problems, about1(arg, len(args), err))
		}
		return errors.Join(problems...)
	})
	return c
}

// runnerID is the id of the one runner with this name, or whose id begins or ends so.
func runnerID(all []api.Runner, arg string) (string, error) {
	var ids []string
	for _, r := range all {
		if r.Name == arg || r.ID == arg || arg != "" && (strings.HasPrefix(r.ID, arg) || strings.HasSuffix(r.ID, arg)) {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) == 1 {
		return ids[0], nil
	}
	return "", &api.Error{Status: 404, Code: api.CodeNotFound, Message: fmt.Sprintf("%d runners are %q", len(ids), arg), Hint: name + " runner ls --json shows their ids"}
}
