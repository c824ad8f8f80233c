package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

// completeMax is how long a shell waits for the control plane.
const completeMax = 2 * time.Second

// complete offers what list finds to the shell; nothing if the control plane is away.
func (r *remote) complete(cmd *cobra.Command, list func(context.Context, *api.Client) []string) ([]string, cobra.ShellCompDirective) {
	_ = r.app.configure(cmd) // which cobra leaves out here
	c, err := r.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), completeMax)
	defer cancel()
	return list(ctx, c), cobra.ShellCompDirectiveNoFileComp
}

func (r *remote) completeTasks(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return r.complete(cmd, func(ctx context.Context, c *api.Client) (ids []string) {
		page, _ := c.Tasks(ctx, api.Page{Limit: 50})
		for _, t := range page.Tasks {
			ids = append(ids, short(t.ID)+"\t"+term.Line(t.Name()))
		}
		return ids
	})
}

// completeRunners offers what is known of runners, each name once.
func (r *remote) completeRunners(cmd *cobra.Command, of func(api.Runner) []string) ([]string, cobra.ShellCompDirective) {
	return r.complete(cmd, func(ctx context.Context, c *api.Client) (names []string) {
		all, _ := c.Runners(ctx)
		for _, one := range all.Runners {
			for _, name := range of(one) {
				names = append(names, term.Line(name))
			}
		}
		slices.Sort(names)
		return slices.Compact(names)
	})
}

// completeSessions offers the sessions of this machine and the control plane's newest tasks.
func (r *remote) completeSessions(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	ids, _ := r.app.completeSessions(cmd, args, prefix)
	if !r.configured() {
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
	more, directive := r.completeTasks(cmd, args, prefix)
	return slices.Concat(ids, more), directive
}
