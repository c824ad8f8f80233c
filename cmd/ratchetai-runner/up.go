package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"syscall"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/connect"
)

func (a *app) upCommand() *cobra.Command {
	var s serveFlags
	var f connectFlags
	c := &cobra.Command{
		Use:   "up",
		Short: "Run a control plane and a runner on this machine, with no set-up",
		Long: `Run a control plane and a runner on this machine, with no set-up: serve and connect in one.

Sessions work in --cwd, or in the --workspace that their task names. The database is in
the state directory, and so is the token that task, send, inbox and the others use here.
The link that is printed lets a browser in; runners elsewhere get a token from device add.

Ctrl-C ends this program when its sessions have ended; a second time ends the sessions,
whose tasks are then tried again; a third time ends at once, and the agents work on: the
next up takes them over, as it does after a crash.`,
		Example: `  ratchetai-runner up
  ratchetai-runner task add --follow --prompt "fix the failing test"   # in another terminal`,
		Args: only(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.up(cmd.Context(), s, f) },
	}
	s.addListen(c)
	f.addOwner(c)
	return c
}

// up serves and connects until it is told to end.
func (a *app) up(ctx context.Context, s serveFlags, f connectFlags) error {
	config, err := a.controlPlaneConfig(s)
	if err != nil {
		return err
	}
	if !a.verbose {
		a.log.SetLevel(logrus.WarnLevel) // what the runner says is enough
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cp, err := startControlPlane(context.WithoutCancel(ctx), config)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: does another up or serve run? --listen names another address", err)
	}
	if err != nil {
		return err
	}
	failed := make(chan error, 1) // one, when the control plane has ended
	go func() {
		failed <- cp.Wait()
		cancel()
	}()
	err = a.upRunner(ctx, cp, config.Data, f)
	cp.Stop()
	return errors.Join(<-failed, err)
}

// upRunner connects this machine to its own control plane, until it is told to end.
func (a *app) upRunner(ctx context.Context, cp *controlPlane, dir string, f connectFlags) error {
	at, err := a.keepTokens(ctx, cp, dir)
	if err != nil {
		return err
	}
	f.url, f.token = at.URL, at.Device
	d, closing, err := a.newDaemon(f)
	if err != nil {
		return err
	}
	defer closing()
	if err := a.greet(ctx, cp, d.Workspaces); err != nil {
		return err
	}
	return a.driveDaemon(ctx, d, f.onDrain)
}

// greet says where everything is and what to type next.
func (a *app) greet(ctx context.Context, cp *controlPlane, all []connect.Workspace) error {
	link, err := cp.Server.SetupLink(ctx)
	if err != nil {
		return err
	}
	address := strings.TrimRight(cp.URL.String(), "/")
	var texts []string
	for _, w := range all {
		texts = append(texts, fmt.Sprintf("%s (%s)", w.Name, w.Dir))
	}
	line := func(what, text string) { fmt.Fprintf(a.Out, "%-15s%s\n", what, text) }
	line("control plane", address)
	line("workspaces", strings.Join(texts, ", "))
	if link != "" {
		line("browser, once", address+link)
	}
	line("next", name+` task add --follow --prompt "…"`)
	fmt.Fprintln(a.Out)
	return nil
}

// userName is who uses this machine.
func (a *app) userName() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	if name := a.getenv("USER"); name != "" {
		return name
	}
	return fmt.Sprintf("user %d", os.Getuid())
}
