package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/images"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/connect"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/term"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// connectFlags are what the owner of this machine offers to a control plane.
type connectFlags struct {
	url, token string
	name       string
	labels     []string
	capacity   int
	interval   int64 // ms
	onDrain    string
	workspaces []string
	owner      taskFlags // what sessions get
	images     []string
	envNames   []string
	accounts   []string
	hooks      connect.Hooks
	status     string
}

func (a *app) connectCommand() *cobra.Command {
	var f connectFlags
	c := &cobra.Command{
		Use:   "connect --url URL --token TOKEN",
		Short: "Run the sessions of a control plane on this machine",
		Long: `Run the sessions of a control plane on this machine.

Tasks name a workspace, which --cwd or --workspace define here, and never a path. The
flags say what sessions get, and are bounds: a task that asks for more is declined.

SIGTERM or Ctrl-C ends this program when its sessions have ended; a second time ends
the sessions, whose tasks are then tried again; a third time does not wait for that.
After a crash agents work on, and the next connect takes them over.
docs/CONNECT.md says more.`,
		Example: `  RATCHET_DEVICE_TOKEN=rt_… ratchetai-runner connect --url https://plane.example.org --workspace shop=~/shop`,
		Args:    only(0, 0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.connect(cmd.Context(), f) },
	}
	f.add(c)
	return c
}

// connect serves a control plane until it is told to end.
func (a *app) connect(ctx context.Context, f connectFlags) error {
	d, closing, err := a.newDaemon(f)
	if err != nil {
		return err
	}
	defer closing()
	return a.driveDaemon(ctx, d, f.onDrain)
}

// driveDaemon runs d until it ends, and lets signals end it: ever more so.
func (a *app) driveDaemon(ctx context.Context, d *connect.Daemon, onDrain string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 4) // more than a person sends in a moment
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	for n := 1; ; n++ {
		select {
		case err := <-ended:
			return err
		case <-signals:
		}
		switch n {
		case 1:
			a.say("draining: no new sessions; ends when those that run have ended (again: end them)")
			d.Drain(onDrain == "hand-back")
		case 2:
			a.say("ending the sessions (again: do not wait for that)")
			d.Stop()
		case 3:
			cancel()
			err := <-ended
			a.log.WithError(err).Debug("left the sessions alone")
			return errDetached
		}
	}
}

// say tells people one line of what the daemon does.
func (a *app) say(line string) {
	fmt.Fprintf(a.Err, "%s %s\n", time.Now().Format(time.TimeOnly), term.Line(line))
}

// newDaemon makes a daemon of f; closing is called after its Run.
func (a *app) newDaemon(f connectFlags) (d *connect.Daemon, closing func(), err error) {
	client, err := a.planeClient(f.url, f.token)
	workspaces, werr := a.workspaces(f)
	if err = errors.Join(err, werr, f.check()); err != nil {
		return nil, nil, usageError{err}
	}
	for _, w := range workspaces {
		_, terr := a.ownersTask(f, w.Dir, agent.Claude)
		err = errors.Join(err, terr)
	}
	if err != nil {
		return nil, nil, usageError{err}
	}
	store, err := a.store()
	if err = errors.Join(err, a.checkUpstream()); err != nil {
		return nil, nil, err
	}
	engine, err := sandbox.NewDocker(a.engineHost())
	if err != nil {
		return nil, nil, err
	}
	for _, w := range workspaces {
		if err := engine.OnHost(context.Background(), w.Dir); errors.Is(err, sandbox.ErrNotOnHost) {
			engine.Close()
			return nil, nil, usageError{fmt.Errorf("workspace %s: %w", w.Name, err)}
		}
	}
	d, err = connect.New(a.daemonConfig(f, client, store, engine, workspaces))
	var shown func()
	if err == nil {
		shown, err = a.serveStatus(d, f.status)
	}
	if err != nil {
		engine.Close()
		return nil, nil, err
	}
	return d, func() { shown(); client.Close(); engine.Close() }, nil
}

// daemonConfig is what the flags say.
func (a *app) daemonConfig(f connectFlags, client *api.Client, store *runner.Store, engine *sandbox.Docker, all []connect.Workspace) connect.Config {
	name, _ := os.Hostname()
	byName := map[string]string{}
	for _, w := range all {
		byName[w.Name] = w.Dir
	}
	return connect.Config{
		Client: client, Runner: a.runner(store, engine), Log: a.log, Say: a.say, Notify: a.notify(),
		Name: cmp.Or(f.name, name, "runner"), Version: version, Labels: f.labels,
		Capacity: cmp.Or(f.capacity, capacity()), Interval: time.Duration(f.interval) * time.Millisecond,
		OrphanAfter: f.owner.orphanAfter, Workspaces: all,
		Task: func(workspace string, kind agent.Kind) (runner.Task, error) {
			return a.ownersTask(f, byName[workspace], kind)
		},
		Image:  a.sessionImage(engine, f.owner.image),
		Bounds: connect.Bounds{Images: f.images, Env: f.envNames, Accounts: f.accounts, Lookup: a.lookup},
		Hooks:  f.hooks,
		AgentVersions: map[agent.Kind]string{
			agent.Claude: cmp.Or(a.getenv("RATCHETAI_CLAUDE_VERSION"), images.Claude().Version),
			agent.Codex:  cmp.Or(a.getenv("RATCHETAI_CODEX_VERSION"), images.Codex().Version),
		},
	}
}

// planeClient is for the control plane that the flags or the environment name.
func (a *app) planeClient(address, token string) (*api.Client, error) {
	address, token = cmp.Or(address, a.getenv("RATCHET_URL")), cmp.Or(token, a.getenv("RATCHET_DEVICE_TOKEN"))
	switch {
	case address == "":
		return nil, errors.New("no control plane: name one with --url URL or RATCHET_URL")
	case token == "":
		return nil, errors.New("no device token: give it with RATCHET_DEVICE_TOKEN or --token rt_…; the control plane makes one: device add")
	}
	return api.NewClient(address, token, func(r *http.Request) (*url.URL, error) { return upstream(r.URL) })
}

// sessionImage makes the images of sessions, one at a time: the second finds what the first
// has built.
func (a *app) sessionImage(engine *sandbox.Docker, from imageFlags) func(context.Context, *runner.Task) error {
	var mu sync.Mutex
	return func(ctx context.Context, t *runner.Task) error {
		mu.Lock()
		defer mu.Unlock()
		own := from
		own.devcontainer = own.devcontainer && t.From.Ref == from.ref
		return a.taskImage(ctx, a.builder(engine), viewFlags{quiet: true}, own, t)
	}
}

// capacity is how many sessions this machine runs well at a time.
func capacity() int {
	n := runtime.NumCPU()
	if memory := totalMemory(); memory > 0 {
		n = min(n, int(memory/(4<<30)))
	}
	return max(n, 1)
}
