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

// tokenCommand is device or token: what they make differs in who uses it.
func (a *app) tokenCommand(use, kind string) *cobra.Command {
	about := map[string]string{
		api.Devices:  "Make, list and revoke the tokens by which runners connect",
		api.Personal: "Make, list and revoke tokens for people's commands and scripts",
	}[kind]
	c := group(&cobra.Command{Use: use, Short: about})
	c.AddCommand(a.tokenAdd(kind), a.tokenLs(kind), a.tokenRevoke(kind))
	return c
}

func (a *app) tokenAdd(kind string) *cobra.Command {
	var n api.NewToken
	var expires time.Duration
	var asJSON bool
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a token and print it, this once",
		Args:  only(1, 1, "NAME"),
	}
	r := a.newRemote(c)
	c.RunE = r.with(func(ctx context.Context, client *api.Client, args []string) error {
		n.Name = args[0]
		if expires < 0 {
			return usageError{positive("--expires", expires)}
		}
		if expires > 0 {
			at := time.Now().Add(expires).UTC()
			n.ExpiresAt = &at
		}
		t, err := client.AddToken(ctx, kind, n)
		if err != nil {
			return err
		}
		if asJSON {
			return jsonLines(a.Out, []api.CreatedToken{t})
		}
		if _, err := fmt.Fprintln(a.Out, term.Line(t.Secret)); err != nil {
			return err
		}
		use := urlVariable + "=" + client.URL() + " " + tokenVariable + "=… " + name + " task ls"
		if kind == api.Devices {
			use = "RATCHET_URL=" + client.URL() + " RATCHET_DEVICE_TOKEN=… " + name + " connect"
		}
		fmt.Fprintf(a.Err, "it is not shown again; where it is used: %s\n", use)
		return nil
	})
	if kind == api.Devices {
		c.Flags().StringArrayVar(&n.Labels, "label", nil, "label that its runner has, whatever it says itself; repeatable")
	}
	c.Flags().DurationVar(&expires, "expires", 0, "how long it is valid, such as 720h (default: until it is revoked)")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func (a *app) tokenLs(kind string) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "ls", Short: "List tokens, without their secrets", Args: only(0, 0, "")}
	r := a.newRemote(c)
	c.RunE = r.with(func(ctx context.Context, client *api.Client, _ []string) error {
		all, err := client.Tokens(ctx, kind)
		if err != nil {
			return err
		}
		if asJSON {
			return jsonLines(a.Out, all.Tokens)
		}
		if len(all.Tokens) == 0 {
			fmt.Fprintln(a.Err, "no tokens")
			return nil
		}
		now := time.Now()
		var rows [][]term.Cell
		for _, t := range all.Tokens {
			used := "never"
			if t.UsedAt != nil {
				used = age(now.Sub(*t.UsedAt)) + " ago"
			}
			row := term.Cells(short(t.ID), t.Name, "", age(now.Sub(t.CreatedAt)), used, short(t.Runner))
			row[0].Whole, row[2] = true, tokenState(t, now)
			rows = append(rows, row)
		}
		head := []string{"TOKEN", "NAME", "STATE", "AGE", "USED", "RUNNER"}
		if kind == api.Personal {
			head = head[:5]
			for i := range rows {
				rows[i] = rows[i][:5]
			}
		}
		return a.table(head, rows)
	})
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per token")
	return c
}

func tokenState(t api.Token, now time.Time) term.Cell {
	switch {
	case t.RevokedAt != nil:
		return term.Cell{Text: "revoked", Level: term.Fail}
	case t.ExpiresAt != nil && !t.ExpiresAt.After(now):
		return term.Cell{Text: "expired", Level: term.Fail}
	case t.ExpiresAt != nil:
		return term.Cell{Text: "valid for " + age(t.ExpiresAt.Sub(now))}
	}
	return term.Cell{Text: "valid", Level: term.OK}
}

func (a *app) tokenRevoke(kind string) *cobra.Command {
	c := &cobra.Command{
		Use:   "revoke TOKEN...",
		Short: "End tokens at once",
		Long:  "End tokens at once. TOKEN is a token's name, or the beginning or the end of its id.",
		Args:  only(1, many, "TOKEN"),
	}
	r := a.newRemote(c)
	c.ValidArgsFunction = func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return r.complete(cmd, func(ctx context.Context, c *api.Client) (ids []string) {
			all, _ := c.Tokens(ctx, kind)
			for _, t := range all.Tokens {
				if t.RevokedAt == nil {
					ids = append(ids, short(t.ID)+"\t"+term.Line(t.Name))
				}
			}
			return ids
		})
	}
	c.RunE = r.with(func(ctx context.Context, client *api.Client, args []string) error {
		var problems []error
		for _, arg := range args {
			problems = append(problems, about1(arg, len(args), client.RevokeToken(ctx, kind, arg)))
		}
		return errors.Join(problems...)
	})
	return c
}
