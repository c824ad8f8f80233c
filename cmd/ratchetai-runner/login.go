package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"
	xterm "golang.org/x/term"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/term"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

func (a *app) loginCommand() *cobra.Command {
	var account string
	var addresses []string
	c := &cobra.Command{
		Use:   "login claude|codex",
		Short: "Log in with a vendor, for sessions only",
		Long: `Log in with a vendor, for sessions only.

The vendor's own login runs at this terminal, in a sandbox that reaches the vendor
and nothing else. The runner keeps the tokens and shares them with no other program
or machine, so that none of them can end the other's login.

run uses the account "default" where this user has no login of the vendor's CLI, and
any account that --account names.`,
		Example: `  ratchetai-runner login claude
  ratchetai-runner login codex --account work
  ratchetai-runner run --model codex --account work --prompt "fix the failing test"`,
		Args:      only(1, 1, "claude or codex"),
		ValidArgs: []string{credential.Claude, credential.Codex},
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := credential.Accounts("").Dir(args[0], account)
			permit, perr := permitted(addresses)
			if err = errors.Join(err, perr); err != nil {
				return usageError{err}
			}
			return a.login(cmd.Context(), agent.Kind(args[0]), account, permit)
		},
	}
	c.Flags().StringVar(&account, "account", credential.DefaultAccount, "name of the account")
	c.Flags().StringArrayVar(&addresses, "allow-address", nil, "private network, such as 10.1.0.0/16, that the vendor's hosts may resolve to; repeatable")
	return c
}

// login has a person log in, as credential.Accounts.Dir allows the names.
func (a *app) login(ctx context.Context, kind agent.Kind, account string, permit []netip.Prefix) error {
	if !xterm.IsTerminal(int(a.In.Fd())) || !xterm.IsTerminal(int(a.Out.Fd())) {
		return errors.New("login needs a terminal: a person has to follow an address and type a code; " +
			"without one, set CLAUDE_CODE_OAUTH_TOKEN (from `claude setup-token` elsewhere), ANTHROPIC_API_KEY or OPENAI_API_KEY")
	}
	store, err := a.store()
	if err = errors.Join(err, a.checkUpstream()); err != nil {
		return err
	}
	engine, err := a.engine(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	starting := newStarting(ctx)
	defer starting.release()
	image, err := a.image(starting.ctx, a.builder(engine), viewFlags{})
	if err != nil {
		return starting.explain(err)
	}
	if err := a.signIn(starting.ctx, store, engine, kind, account, image, permit); err != nil {
		return starting.explain(err)
	}
	src, err := store.Accounts().Find(string(kind), account)
	if err != nil {
		return err
	}
	info := credential.Describe(src, nil)
	fmt.Fprintf(a.Err, "logged in: account %s of %s%s\n", account, kind, subscription(info))
	if used, err := a.runner(store, engine).Login(runner.Task{Kind: kind}); err == nil && used.Account != account {
		fmt.Fprintf(a.Err, "hint: run uses %s; name this account with --account %s\n", term.Line(used.Describe()), account)
	}
	return nil
}

// signIn gives the vendor's CLI the terminal, every key of it.
func (a *app) signIn(ctx context.Context, store *runner.Store, engine *sandbox.Docker, kind agent.Kind, account, image string, permit []netip.Prefix) error {
	fd := int(a.In.Fd())
	before, err := xterm.MakeRaw(fd)
	if err != nil {
		return fmt.Errorf("take the terminal over: %w", err)
	}
	defer func() { _ = xterm.Restore(fd, before) }()
	name := a.getenv("TERM")
	if name == "" {
		name = "xterm"
	}
	size := func() (uint, uint) {
		w, h, err := xterm.GetSize(int(a.Out.Fd()))
		if err != nil || w <= 0 || h <= 0 {
			return 80, 24
		}
		return uint(w), uint(h)
	}
	return a.runner(store, engine).SignIn(ctx, engine, kind, account, image, name, permit, sandbox.Terminal{In: a.In, Out: a.Out, Size: size})
}

func subscription(i credential.Info) string {
	if i.Subscription == "" {
		return ""
	}
	return ", subscription " + term.Line(i.Subscription)
}
