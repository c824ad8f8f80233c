package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// healthMax bounds the wait for an answer.
const healthMax = 5 * time.Second

// healthCommand is what a container's health check runs: its image has no shell and
// no curl.
func (a *app) healthCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "health URL",
		Short:  "Say whether a control plane or an engine proxy answers",
		Hidden: true,
		Example: `  ratchetai-runner health http://127.0.0.1:7717/readyz
  ratchetai-runner health unix:///run/ratchetai/engine.sock`,
		Args: only(1, 1, "an address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := url.Parse(args[0])
			if err != nil {
				return usageError{err}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), healthMax)
			defer cancel()
			return health(ctx, u)
		},
	}
}

// health asks the address u, or the engine's API at a socket, for anything but an error.
func health(ctx context.Context, u *url.URL) error {
	client := http.Client{Transport: &http.Transport{}} // of this machine: no proxy
	address := u.String()
	if u.Scheme == "unix" {
		address = "http://engine/_ping"
		client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", u.Path)
		}}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return usageError{err}
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", u, resp.Status)
	}
	return nil
}
