package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/connect"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

const daemonCommand = "connect-child"

// errand is what a daemon is to be: a line of JSON on its stdin.
type errand struct {
	URL, Token string
	Dir        string // of its own
	Image      string
	User       string
	Capacity   int
	Args       []string // of the probe
}

// runDaemon is what connect is, with the probe as agent, until ctx ends or stdin does.
func runDaemon(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	in := json.NewDecoder(stdin)
	var e errand
	if err := in.Decode(&e); err != nil {
		return err
	}
	engine, err := sandbox.NewDocker("")
	if err != nil {
		return err
	}
	defer engine.Close()
	r, _, err := newRunner(engine, e.Dir, e.Args...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, io.MultiReader(in.Buffered(), stdin))
	}()
	d, closing, err := newDaemon(e, r, func(line string) { fmt.Fprintln(stdout, line) })
	if err != nil {
		return err
	}
	defer closing()
	return d.Run(ctx)
}

// newDaemon makes a daemon of e on r; closing is called after its Run.
func newDaemon(e errand, r *runner.Runner, say func(string)) (d *connect.Daemon, closing func(), err error) {
	client, err := api.NewClient(e.URL, e.Token, nil)
	if err != nil {
		return nil, nil, err
	}
	log := logrus.New()
	log.SetLevel(logrus.ErrorLevel) // the control plane goes away
	workspace, err := os.MkdirTemp(e.Dir, "workspace-")
	if err != nil {
		return nil, nil, err
	}
	d, err = connect.New(connect.Config{
		Client: client, Runner: r, Log: log, Say: say, Name: "bench", Version: "bench", Capacity: e.Capacity, OrphanAfter: time.Minute,
		Workspaces: []connect.Workspace{{Name: "shop", Dir: workspace, Default: true, Shared: true}},
		Task: func(string, agent.Kind) (runner.Task, error) {
			return runner.Task{Workspace: workspace, User: e.User, Timeout: 10 * time.Minute}, nil
		},
		Image: func(_ context.Context, t *runner.Task) error { t.Image = e.Image; return nil },
	})
	return d, client.Close, err
}
