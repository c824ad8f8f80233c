package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

func (a *app) loginsCommand() *cobra.Command {
	c := group(&cobra.Command{Use: "logins", Short: "List and remove the logins that sessions can use"})
	var asJSON bool
	ls := &cobra.Command{
		Use:   "ls",
		Short: "List the logins that sessions can use, and which one run takes without --account",
		Args:  only(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			store, err := a.store()
			if err != nil {
				return err
			}
			all := a.logins(store)
			switch {
			case asJSON:
				enc := json.NewEncoder(a.Out)
				for _, l := range all {
					if err := enc.Encode(l); err != nil {
						return err
					}
				}
				return nil
			case len(all) == 0:
				fmt.Fprintf(a.Err, "no logins; try: %s login claude\n", name)
				return nil
			}
			return printLogins(a.Out, all, time.Now())
		},
	}
	ls.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per login")
	rm := &cobra.Command{
		Use:   "rm AGENT ACCOUNT",
		Short: "Remove an account that login made, its tokens included",
		Long: `Remove an account that login made, its tokens included. Sessions that use it go on
until their token ends. The vendor is not told: to end the login there, use the
vendor's own pages.`,
		Args: only(2, 2, "AGENT ACCOUNT"),
		RunE: func(_ *cobra.Command, args []string) error {
			store, err := a.store()
			if err != nil {
				return err
			}
			if _, err := store.Accounts().Dir(args[0], args[1]); err != nil {
				return usageError{err}
			}
			return store.Accounts().Remove(args[0], args[1])
		},
	}
	c.AddCommand(ls, rm)
	return c
}

// loginLine is a login as logins ls shows it.
type loginLine struct {
	credential.Info
	Used bool `json:"used"` // by run, unless told otherwise
}

// logins are the host's logins, the runner's accounts, and variables.
func (a *app) logins(store *runner.Store) []loginLine {
	var all []loginLine
	r := a.runner(store, nil)
	own := store.Accounts().List()
	for _, kind := range []string{credential.Claude, credential.Codex} {
		used, _ := r.Login(runner.Task{Kind: agent.Kind(kind)}) // none: the zero value
		add := func(i credential.Info) {
			where := credential.Describe(used, nil).Where
			all = append(all, loginLine{i, i.Problem == "" && i.Where == where && i.Account == used.Account})
		}
		if src, err := credential.FindMount(kind, a.getenv, a.home()); src.Path != "" {
			add(credential.Describe(src, err))
		}
		for _, i := range own {
			if i.Agent == kind {
				add(i)
			}
		}
		if src, err := credential.FindEnv(kind, a.getenv); err == nil {
			add(credential.Describe(src, nil))
		}
	}
	return all
}

func printLogins(w io.Writer, all []loginLine, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "AGENT\tACCOUNT\tSUBSCRIPTION\tTOKEN ENDS\tUSED\tWHERE")
	for _, l := range all {
		account, plan, used := l.Account, l.Subscription, ""
		if account == "" {
			account = "(host)"
		}
		if plan == "" {
			plan = "-"
		}
		if l.Used {
			used = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", l.Agent, account, term.Line(plan), ends(l.Info, now), used, term.Line(l.Where))
	}
	return t.Flush()
}

// ends says when a login's token ends, and whether somebody renews it then.
func ends(i credential.Info, now time.Time) string {
	switch {
	case i.Expires.IsZero() && i.Problem != "":
		problem, _, _ := strings.Cut(i.Problem, ";")
		return term.Line(problem)
	case i.Expires.IsZero():
		return "-"
	case i.Renewable && now.After(i.Expires):
		return "ended, renewed at the next run"
	case now.After(i.Expires):
		return "ended"
	case i.Renewable:
		return "in " + age(i.Expires.Sub(now)) + ", renewed"
	}
	return "in " + age(i.Expires.Sub(now))
}
