package connect

import (
	"context"
	"errors"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

// DefaultOrphanAfter is how long an agent works on without its daemon: a machine may restart,
// and nobody sits before it.
const DefaultOrphanAfter = time.Hour

// Errors that end a daemon.
var (
	// ErrRefused: the control plane does not accept this device, so that nothing can be
	// reported. Sessions have ended, and what it does not have of them is kept.
	ErrRefused = errors.New("the control plane refuses this device")
	// ErrInUse: another daemon has this state directory.
	ErrInUse = errors.New("another connect uses this state directory")
)

// Config says what the daemon offers, and to whom. Everything in it is the owner's word.
type Config struct {
	Client *api.Client
	Runner *runner.Runner // with its Engine
	Log    logrus.FieldLogger
	// Say tells people what happened, a line at a time.
	Say func(line string)
	// Notify tells a service manager; nil: there is none.
	Notify func(state string)

	Name, Version string
	Labels        []string
	Capacity      int           // sessions at a time
	Interval      time.Duration // between polls that are not held; 0: polls are held
	OrphanAfter   time.Duration // what sessions get; see runner.Task

	Workspaces []Workspace
	// Task returns what a session in the workspace gets unless its task says less.
	Task func(workspace string, kind agent.Kind) (runner.Task, error)
	// Image makes what t.From or the default names, and sets t.Image. It may take minutes.
	Image func(ctx context.Context, t *runner.Task) error
	Bounds
	Hooks

	AgentVersions map[agent.Kind]string
}

// Workspace is a directory that the owner offers by a name.
type Workspace struct {
	Name    string
	Dir     string
	Shared  bool // several sessions may work in it at once
	Default bool // of tasks that name none
}

// Bounds are what tasks may ask for beyond what Config.Task gives.
type Bounds struct {
	Images   []string // names of images; one that ends in * allows all that begin so
	Env      []string // names of variables that tasks may set
	Accounts []string
	// Lookup finds the runner's own value of a variable that a task only names.
	Lookup func(string) (string, bool)
}

// Hooks are programs of the owner's around each session, run by a shell on this machine.
type Hooks struct {
	HookBefore, HookAfter string
	HookTimeout           time.Duration // of each
}
