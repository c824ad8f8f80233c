package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

// addFlags describe a task for a control plane.
type addFlags struct {
	prompt, promptFile  string
	model               string
	notBefore, deadline string
	timeout             time.Duration
	onLost              string
	cost                dollars
	spec                task.Spec // what flags set as it is
}

func (a *app) taskAdd() *cobra.Command {
	var f addFlags
	var view viewFlags
	var follow bool
	c := &cobra.Command{
		Use:   "add --prompt TEXT",
		Short: "Queue a task for a runner, and print its id",
		Long: `Queue a task for a runner, and print its id.

Everything but the prompt may be left open: then a runner's own defaults hold. What is
asked for can only narrow what the runner's owner allows there.

With --follow the session is shown as run shows one, with the same keys and the
same exit code: a typed line goes to the agent, Ctrl-C interrupts it, once more ends
the task. A time is like 2026-01-31T18:00:00Z, 18:00 (the next one here) or 90m (from now).`,
		Example: `  ratchetai-runner task add --prompt "fix the failing test" --workspace shop --follow
  git diff | ratchetai-runner task add --prompt-file - --model codex --not-before 02:00
  id=$(ratchetai-runner task add --prompt-file task.md) && ratchetai-runner task follow $id`,
		Args: only(0, 0, ""),
	}
	r := a.newRemote(c)
	c.RunE = r.with(func(ctx context.Context, client *api.Client, _ []string) error {
		spec, err := a.spec(f, time.Now())
		if view.quiet && !follow {
			err = errors.Join(err, errors.New("--quiet is for --follow"))
		}
		if err = errors.Join(view.check(), err); err != nil {
			return usageError{err}
		}
		return a.addTask(ctx, client, spec, follow, view, f.promptFile == "-")
	})
	f.add(c, r)
	flags := c.Flags()
	flags.BoolVarP(&follow, "follow", "f", false, "show the session live; the exit code is its outcome's")
	flags.BoolVar(&view.json, "json", false, "print the task as one JSON object, or with --follow the session's events, one per line")
	flags.BoolVar(&view.quiet, "quiet", false, "with --follow: print only the agent's final message")
	return c
}

func (f *addFlags) add(c *cobra.Command, r *remote) {
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.prompt, "prompt", "", "what the agent is to do")
	flags.StringVar(&f.promptFile, "prompt-file", "", "file with the prompt, - for stdin")
	flags.StringVar(&f.model, "model", "claude", "claude, codex, claude:MODEL or codex:MODEL")
	flags.StringVar(&f.spec.Title, "title", "", "name of the task in lists (default: the prompt's first line)")
	flags.StringVar(&f.spec.Workspace, "workspace", "", "name of the workspace to work in (default: the runner's default one)")
	flags.StringVar(&f.spec.Runner, "runner", "", "name or id of the only runner that may take it")
	flags.StringArrayVar(&f.spec.Labels, "label", nil, "label that the runner must have; repeatable")
	flags.IntVar(&f.spec.Priority, "priority", 0, "the higher the earlier")
	flags.StringVar(&f.notBefore, "not-before", "", "time before which it does not begin")
	flags.StringVar(&f.deadline, "deadline", "", "time at which it ends, wherever it stands")
	flags.DurationVar(&f.timeout, "timeout", 0, "end a session after this time (default: the runner's)")
	flags.IntVar(&f.spec.MaxAttempts, "max-attempts", task.DefaultTries, "how often it is begun when a runner is lost or cannot run it")
	flags.StringVar(&f.onLost, "on-lost", string(task.LostRequeue), "when a runner stays away: requeue (another attempt) or finish (as lost)")
	flags.Var(&f.cost, "max-cost", "end the session when it has cost so many US dollars at the vendor's list prices, such as 2.50")
	flags.Int64Var(&f.spec.MaxTokens, "max-tokens", 0, "end the session when it has used so many tokens, cached ones included")
	flags.Int64Var(&f.spec.MaxTurns, "max-turns", 0, "end the session after so many replies of the model")
	flags.StringArrayVar(&f.spec.AllowHosts, "allow-host", nil, "host[:port], *.domain[:port] or preset that the session may reach, as far as the runner allows it; repeatable")
	flags.StringVar(&f.spec.Permissions, "permissions", "", "what the agent may do: allow (everything) or ask (default: the runner's)")
	flags.StringArrayVar(&f.spec.Env, "env", nil, "KEY=VALUE, or KEY with its value on the runner, for the session; repeatable")
	flags.StringVar(&f.spec.Image, "image", "", "image that the session starts from (default: the runner's)")
	flags.StringVar(&f.spec.Account, "account", "", "account of the runner's that the agent logs in with")
	fixed := func(flag string, values ...string) {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	known := func(flag string, of func(api.Runner) []string) {
		_ = c.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return r.completeRunners(cmd, of)
		})
	}
	known("runner", func(r api.Runner) []string { return []string{r.Name} })
	known("label", func(r api.Runner) []string { return r.Labels })
	known("workspace", func(r api.Runner) (names []string) {
		for _, w := range r.Workspaces {
			names = append(names, w.Name)
		}
		return names
	})
	fixed("model", "claude", "codex")
	fixed("permissions", "allow", "ask")
	fixed("on-lost", string(task.LostRequeue), string(task.LostFinish))
}

// spec makes a task of the flags. The error lists every problem.
func (a *app) spec(f addFlags, now time.Time) (task.Spec, error) {
	s := f.spec
	var problems []error
	note := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	kind, model, err := agent.ParseModel(f.model)
	note(prefix("--model", err))
	s.Agent, s.Model = string(kind), model
	s.NotBefore, err = moment(f.notBefore, now)
	note(prefix("--not-before", err))
	s.Deadline, err = moment(f.deadline, now)
	note(prefix("--deadline", err))
	if s.Deadline != nil && !s.Deadline.After(now) {
		note(fmt.Errorf("--deadline: %s is over", f.deadline))
	}
	_, err = allowed(s.AllowHosts)
	note(err)
	for _, e := range s.Env {
		if key, _, _ := strings.Cut(e, "="); !envKeyForm.MatchString(key) {
			note(fmt.Errorf("--env: %q is not KEY or KEY=VALUE", key))
		}
	}
	if f.timeout < 0 {
		note(positive("--timeout", f.timeout))
	}
	s.TimeoutMS, s.OnLost, s.MaxCostMicro = f.timeout.Milliseconds(), task.LostPolicy(f.onLost), int64(f.cost)
	source := taskFlags{prompt: f.prompt, promptFile: f.promptFile}
	note(source.checkPrompt())
	if len(problems) > 0 {
		return s, errors.Join(problems...)
	}
	if s.Prompt, err = a.readPrompt(source); err != nil {
		return s, err
	}
	return s, s.Check()
}

// moment reads a time: RFC 3339, the next one of the clock, or from now. It returns nil
// for "".
func moment(text string, now time.Time) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return &t, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		t := now.Add(d).UTC()
		return &t, nil
	}
	clock, err := time.Parse("15:04", text)
	if err != nil {
		return nil, fmt.Errorf("%q is not like 2026-01-31T18:00:00Z, 18:00 or 90m", text)
	}
	t := time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(), 0, 0, now.Location())
	if !t.After(now) {
		t = time.Date(now.Year(), now.Month(), now.Day()+1, clock.Hour(), clock.Minute(), 0, 0, now.Location())
	}
	t = t.UTC()
	return &t, nil
}

func (a *app) taskFollow() *cobra.Command {
	var view viewFlags
	c := &cobra.Command{
		Use:   "follow TASK",
		Short: "Show a task's session live, and take part",
		Long: `Show a task's session live, from its beginning, and take part as in run: a typed line
goes to the agent, Ctrl-C interrupts it, once more ends the task. The exit code is its
outcome's. To only look, use logs -f.`,
		Args: only(1, 1, "TASK"),
	}
	r := a.newRemote(c)
	c.ValidArgsFunction = r.completeTasks
	c.RunE = r.with(func(ctx context.Context, client *api.Client, args []string) error {
		if err := view.check(); err != nil {
			return err
		}
		t, err := client.Task(ctx, args[0])
		if err != nil {
			return err
		}
		return a.followTask(ctx, client, t.Task, view, false)
	})
	c.Flags().BoolVar(&view.json, "json", false, "print the session's events, one JSON object per line")
	c.Flags().BoolVar(&view.quiet, "quiet", false, "print only the agent's final message")
	return c
}

// addTask queues spec and says where it went.
func (a *app) addTask(ctx context.Context, client *api.Client, spec task.Spec, follow bool, view viewFlags, stdinUsed bool) error {
	t, err := client.AddTask(ctx, spec, rand.Text())
	if err != nil {
		return err
	}
	switch {
	case follow:
		return a.followTask(ctx, client, t, view, stdinUsed)
	case view.json:
		return jsonLines(a.Out, []task.Task{t})
	}
	_, err = fmt.Fprintln(a.Out, term.Line(t.ID))
	fmt.Fprintf(a.Err, "%s; %s task follow %s shows it\n", term.Line(taskNow(t)), name, term.Line(short(t.ID)))
	return err
}
