package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/engineproxy"
)

func (a *app) engineProxyCommand() *cobra.Command {
	var o engineproxy.Options
	c := &cobra.Command{
		Use:   "engine-proxy",
		Short: "Give a runner as much of the container engine as sandboxes need",
		Long: `Give a runner as much of the container engine as sandboxes need.

Whoever has the engine's socket is root on the machine. This listens on another
socket, for a runner with DOCKER_HOST=unix://SOCKET, and passes on what sandboxes
need: containers of an ordinary user without capabilities, network or devices, which
mount nothing but --dir and what is in it, or what the runner's own container has
mounted (--mounts-of). docs/SECURITY.md says what remains.`,
		Example: `  ratchetai-runner engine-proxy --listen /run/ratchetai/engine.sock --dir /srv/projects --dir /var/lib/ratchetai-runner`,
		Args:    only(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(o.Dirs) == 0 && o.MountsOf == "" {
				return usageError{errors.New("no sandbox could mount anything: name directories with --dir or --mounts-of")}
			}
			if o.MountsOf != "" && !strings.Contains(strings.TrimPrefix(o.MountsOf, "="), "=") {
				return usageError{fmt.Errorf("--mounts-of: %q is not LABEL=VALUE", o.MountsOf)}
			}
			var err error
			if o.Listen, err = filepath.Abs(o.Listen); err != nil {
				return usageError{err}
			}
			o.Log = a.log
			return a.engineProxy(cmd, o)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.Listen, "listen", "/run/ratchetai/engine.sock", "socket to make; everybody who reaches its directory may use it")
	flags.StringVar(&o.Socket, "socket", "/var/run/docker.sock", "the engine's socket")
	flags.StringArrayVar(&o.Dirs, "dir", nil, "directory of the engine's machine that sandboxes may mount; repeatable")
	flags.StringArrayVar(&o.Users, "user", nil, "UID:GID that sandboxes may run as; repeatable (default: any but root's)")
	flags.StringVar(&o.MountsOf, "mounts-of", "", "label, KEY=VALUE, of the runner's own container: sandboxes may mount what it has mounted")
	return c
}

func (a *app) engineProxy(cmd *cobra.Command, o engineproxy.Options) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p, err := engineproxy.New(o)
	if err != nil {
		return usageError{err}
	}
	defer p.Close()
	l, err := engineproxy.Listen(o.Listen)
	if err != nil {
		return fmt.Errorf("engine proxy: %w", err)
	}
	a.log.WithFields(logrus.Fields{"listen": o.Listen, "socket": o.Socket}).Info("serving")
	return p.Serve(ctx, l)
}
