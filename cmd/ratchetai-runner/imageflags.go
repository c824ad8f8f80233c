package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/devcontainer"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/term"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// imageFlags say what a session starts from.
type imageFlags struct {
	ref, pull    string
	devcontainer bool
}

func (f *imageFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.ref, "image", "", "image that the session starts from, NAME[:TAG] or NAME@sha256:…, to which the agent is added (default: one with common tools)")
	flags.StringVar(&f.pull, "pull", string(runner.PullMissing), "when to fetch --image from its registry: always, missing, never")
	flags.BoolVar(&f.devcontainer, "devcontainer", false, "start from what the directory's devcontainer.json says; builds the repository's Dockerfile on this engine")
	_ = c.RegisterFlagCompletionFunc("pull", cobra.FixedCompletions([]string{"always", "missing", "never"}, cobra.ShellCompDirectiveNoFileComp))
}

func (f *imageFlags) check() error {
	var problems []error
	switch runner.Pull(f.pull) {
	case runner.PullAlways, runner.PullMissing, runner.PullNever:
	default:
		problems = append(problems, fmt.Errorf("--pull: %q is none of always, missing, never", f.pull))
	}
	if f.ref != "" {
		_, err := sandbox.Registry(f.ref)
		problems = append(problems, prefix("--image", err))
	}
	if f.ref != "" && f.devcontainer {
		problems = append(problems, errors.New("--image and --devcontainer exclude each other"))
	}
	return errors.Join(problems...)
}

// taskImage makes the image that task starts from, if it is not there.
func (a *app) taskImage(ctx context.Context, b runner.Builder, view viewFlags, from imageFlags, task *runner.Task) error {
	var dev devcontainer.Config
	if from.devcontainer {
		var err error
		if dev, err = runner.Devcontainer(task.Workspace, task.AllowPaths); err != nil {
			return err
		}
		a.announce(dev)
		task.From.Ref = dev.Image
		task.Prepare = runner.Prepare{Env: dev.Env, Mounts: dev.Mounts, Command: dev.Prepare}
	}
	return a.showImage(ctx, b, view, func(b runner.Builder) (err error) {
		pull := runner.Pull(from.pull)
		if dev.Build != nil {
			if task.From.Ref, err = b.BuildDevcontainer(ctx, task.Workspace, *dev.Build); err != nil {
				return err
			}
			pull = runner.PullNever
		}
		if task.From.Ref == "" {
			task.Image, err = b.Ensure(ctx)
			return err
		}
		task.From, err = b.EnsureFrom(ctx, task.From.Ref, pull, task.Kind)
		task.Image = task.From.Tag
		return err
	})
}

// announce says what of the repository's will take effect, and what not.
func (a *app) announce(c devcontainer.Config) {
	say := func(what, text string) { fmt.Fprintf(a.Err, "%s: %s %s\n", term.Line(c.Path), what, term.Line(text)) }
	if c.Build != nil {
		say("builds on this engine, with its network:", c.Build.Dockerfile)
	} else {
		say("starts from image", c.Image)
	}
	for _, m := range c.Mounts {
		mode := ""
		if m.ReadOnly {
			mode = ", read-only"
		}
		say("mounts in the sandbox:", m.Source+" at "+m.Target+mode)
	}
	if c.Prepare != "" {
		say("runs in the sandbox, before the agent:", c.Prepare)
	}
	if len(c.Ignored) > 0 {
		say("not honoured:", strings.Join(c.Ignored, ", "))
	}
}

func (a *app) registryLogin(ctx context.Context, host string) (sandbox.RegistryLogin, error) {
	return runner.RegistryLogin(ctx, host, a.getenv, a.home())
}
