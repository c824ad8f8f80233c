package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// imageFlags say what a session starts from.
type imageFlags struct{ ref, pull string }

func (f *imageFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.ref, "image", "", "image that the session starts from, NAME[:TAG] or NAME@sha256:…, to which the agent is added (default: one with common tools)")
	flags.StringVar(&f.pull, "pull", string(runner.PullMissing), "when to fetch --image from its registry: always, missing, never")
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
	return errors.Join(problems...)
}

// taskImage makes the image that task starts from, if it is not there.
func (a *app) taskImage(ctx context.Context, b runner.Builder, view viewFlags, from imageFlags, task *runner.Task) error {
	return a.showImage(ctx, b, view, func(b runner.Builder) (err error) {
		if task.From.Ref == "" {
			task.Image, err = b.Ensure(ctx)
			return err
		}
		task.From, err = b.EnsureFrom(ctx, task.From.Ref, runner.Pull(from.pull), task.Kind)
		task.Image = task.From.Tag
		return err
	})
}

func (a *app) registryLogin(ctx context.Context, host string) (sandbox.RegistryLogin, error) {
	return runner.RegistryLogin(ctx, host, a.getenv, a.home())
}
