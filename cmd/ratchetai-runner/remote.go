package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

// The variables that name a control plane to people's commands, besides the flags'
// own twins.
const (
	urlVariable   = "RATCHET_URL"
	tokenVariable = "RATCHET_TOKEN"
)

// remote says which control plane a command talks to. Its flags are those of every
// command that does.
type remote struct {
	app        *app
	url, token string
}

func (a *app) newRemote(c *cobra.Command) *remote {
	r := &remote{app: a}
	c.Flags().StringVar(&r.url, "url", "", "address of the control plane (default: "+urlVariable+", else the one of `up` on this machine)")
	c.Flags().StringVar(&r.token, "token", "", "personal token, rp_… (default: "+tokenVariable+", which other users of this machine cannot see)")
	c.Flags().Lookup("url").Usage = strings.ReplaceAll(c.Flags().Lookup("url").Usage, "`up`", "up")
	return r
}

// Errors about the choice of a control plane.
var (
	errNoControlPlane = errors.New("no control plane is named, and none was started here")
	errNoToken        = errors.New("no token")
	errDeviceToken    = errors.New("a device token (rt_…) is for runners; this takes a personal one (rp_…)")
)

// client returns a client for the control plane that the flags, the environment or up
// name. Nothing is dialled yet.
func (r *remote) client() (*api.Client, error) {
	at := r.app.localPlane()
	address, token := r.url, r.token
	if address == "" {
		address = r.app.getenv(urlVariable)
	}
	if token == "" {
		token = r.app.getenv(tokenVariable)
	}
	switch {
	case address == "" && at.URL == "":
		return nil, errNoControlPlane
	case address == "":
		address = at.URL
	}
	if token == "" && strings.TrimRight(address, "/") == at.URL {
		token = at.Token
	}
	switch {
	case token == "":
		return nil, fmt.Errorf("%w for %s", errNoToken, plainURL(address))
	case strings.HasPrefix(token, "rt_"):
		return nil, usageError{errDeviceToken}
	case strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		return nil, usageError{errors.New("the token has characters that no token has")}
	}
	c, err := api.NewClient(address, token, throughProxy)
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// with makes the body of a command that talks to the control plane.
func (r *remote) with(f func(ctx context.Context, c *api.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		defer c.Close()
		return f(cmd.Context(), c, args)
	}
}

// throughProxy is the machine's own proxy, for https only: a plain request would show
// it the token.
func throughProxy(r *http.Request) (*url.URL, error) {
	if r.URL.Scheme != "https" {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

// plainURL is an address without a password that somebody put there.
func plainURL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the address that was given"
	}
	return u.Redacted()
}

// localPlane is what up tells people's commands on the same machine.
type localPlane struct {
	URL    string `json:"url"`
	Token  string `json:"token"`            // a personal one
	Device string `json:"device,omitempty"` // of the runner here
}

// localPlaneFile is where, in the control plane's directory.
const localPlaneFile = "local.json"

// localPlane reads what up wrote; empty if there is nothing of use.
func (a *app) localPlane() localPlane {
	var at localPlane
	dir, err := a.stateDir()
	if err != nil {
		return at
	}
	data, err := os.ReadFile(filepath.Join(dir, "control-plane", localPlaneFile))
	if err == nil {
		err = json.Unmarshal(data, &at)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			a.log.WithError(err).Warn("the control plane that up started here cannot be read")
		}
		return localPlane{}
	}
	return at
}

// configured reports that a control plane is named somewhere.
func (r *remote) configured() bool {
	return r.url != "" || r.app.getenv(urlVariable) != "" || r.app.localPlane().URL != ""
}
