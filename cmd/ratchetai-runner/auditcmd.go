package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

func (a *app) auditCommand() *cobra.Command {
	var limit int
	var asJSON bool
	c := &cobra.Command{Use: "audit", Short: "Show who did what at a control plane, oldest first", Args: only(0, 0, "")}
	r := a.newRemote(c)
	c.RunE = r.with(func(ctx context.Context, client *api.Client, _ []string) error {
		all, err := pages(limit, func(p api.Page) ([]api.AuditEntry, string, error) {
			got, err := client.Audit(ctx, p)
			return got.Entries, got.Next, err
		})
		if err != nil {
			return err
		}
		if asJSON {
			return jsonLines(a.Out, all)
		}
		if len(all) == 0 {
			fmt.Fprintln(a.Err, "nothing was done")
			return nil
		}
		var rows [][]term.Cell
		for _, e := range all {
			rows = append(rows, term.Cells(e.Time.Local().Format(time.DateTime), e.Actor, e.Action, e.Target, e.From, e.Detail))
		}
		return a.table([]string{"TIME", "WHO", "WHAT", "TARGET", "FROM", "DETAIL"}, rows)
	})
	c.Flags().IntVar(&limit, "limit", 100, "how many of the newest")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per entry")
	return c
}
