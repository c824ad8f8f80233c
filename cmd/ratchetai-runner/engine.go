package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/egress"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

const (
	// probeMax is how long somebody without an engine waits to hear so.
	probeMax = 2 * time.Second
	// sweepMax is how long a list of sessions waits for what is left to be ended.
	sweepMax = 5 * time.Second
)

// engine returns the container engine after it has accepted a connection.
func (a *app) engine(ctx context.Context) (*sandbox.Docker, error) {
	host := a.engineHost()
	if err := probe(ctx, host); err != nil {
		return nil, err
	}
	return sandbox.NewDocker(host)
}

// engineHost is DOCKER_HOST or the first socket that is there; "" is the default.
func (a *app) engineHost() string {
	if host := a.getenv("DOCKER_HOST"); host != "" {
		return host
	}
	sockets := []string{"/var/run/docker.sock"}
	if dir := a.getenv("XDG_RUNTIME_DIR"); dir != "" { // rootless
		sockets = append(sockets, filepath.Join(dir, "docker.sock"))
	}
	if home := a.home(); home != "" { // desktops
		sockets = append(sockets, filepath.Join(home, ".docker/run/docker.sock"), filepath.Join(home, ".colima/default/docker.sock"))
	}
	for _, s := range sockets {
		if info, err := os.Stat(s); err == nil && info.Mode()&os.ModeSocket != 0 {
			return "unix://" + s
		}
	}
	return ""
}

// probe connects to the engine's address, because its client waits far longer
// for one that does not answer. Addresses of other kinds are the client's matter.
func probe(ctx context.Context, host string) error {
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	u, err := url.Parse(host)
	if err != nil {
		return usageError{fmt.Errorf("DOCKER_HOST: %w", err)}
	}
	network, address := u.Scheme, u.Host
	switch u.Scheme {
	case "unix":
		address = u.Path
	case "tcp", "http", "https":
		network = "tcp"
		if u.Port() == "" {
			return nil
		}
	default:
		return nil
	}
	d := net.Dialer{Timeout: probeMax}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return fmt.Errorf("%w: %w", sandbox.ErrUnavailable, err)
	}
	return c.Close()
}

// runner wires what executes sessions.
func (a *app) runner(store *runner.Store, engine sandbox.Engine) *runner.Runner {
	return &runner.Runner{
		Store: store, Engine: engine, Log: a.log, Getenv: a.getenv, Home: a.home(), CA: runner.SystemCA(a.getenv),
		Upstream: upstream,
	}
}

// upstream is the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for u.
func upstream(u *url.URL) (*url.URL, error) {
	return http.ProxyFromEnvironment(&http.Request{URL: u})
}

// checkUpstream fails before a session begins that could reach nothing, or would go
// past a proxy whose URL cannot be read.
func (a *app) checkUpstream() error {
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY"} {
		value := cmp.Or(a.getenv(name), a.getenv(strings.ToLower(name)))
		if value == "" {
			continue
		}
		if !strings.Contains(value, "://") {
			value = "http://" + value
		}
		proxy, err := url.Parse(value)
		if err != nil {
			return fmt.Errorf("%s is not the URL of a proxy", name) // err may hold its password
		}
		if err := egress.CheckUpstream(proxy); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// sweep ends in the background what dead runners left behind. The function it
// returns waits for that, at most as long as it is told.
func (a *app) sweep(ctx context.Context, r *runner.Runner) (wait func(time.Duration)) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{}) // closed when the sweep has ended
	go func() {
		defer close(done)
		n, err := r.Sweep(ctx)
		if err != nil && !errors.Is(err, context.Canceled) {
			a.log.WithError(err).Debug("what dead runners left behind could not all be ended")
		}
		a.log.WithField("ended", n).Debug("swept")
	}()
	return func(most time.Duration) {
		defer cancel()
		select {
		case <-done:
		case <-time.After(most):
		}
	}
}
