package connect

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/egress"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// declined is why a task is not taken, in words that complete "nas …".
type declined struct{ error }

func decline(format string, args ...any) error { return declined{fmt.Errorf(format, args...)} }

// workspace returns the one that a task names.
func (c *Config) workspace(name string) (Workspace, error) {
	i := slices.IndexFunc(c.Workspaces, func(w Workspace) bool { return w.Name == name || name == "" && w.Default })
	switch {
	case i >= 0:
		return c.Workspaces[i], nil
	case name == "":
		return Workspace{}, decline("has no default workspace")
	}
	return Workspace{}, decline("has no workspace %q", name)
}

// sessionTask makes a session's task of what somebody asked for. What the owner does not allow is
// declined; what is not asked for is as the owner has it.
func (c *Config) sessionTask(spec task.Spec) (runner.Task, error) {
	if err := spec.Check(); err != nil {
		return runner.Task{}, declined{err}
	}
	w, err := c.workspace(spec.Workspace)
	if err != nil {
		return runner.Task{}, err
	}
	kind := agent.Kind(cmp.Or(spec.Agent, string(agent.Claude)))
	t, err := c.Task(w.Name, kind)
	if err != nil {
		return t, decline("cannot start sessions in the workspace %s: %w", w.Name, err)
	}
	t.Title, t.Prompt, t.Kind, t.Model = spec.Name(), spec.Prompt, kind, cmp.Or(spec.Model, t.Model)
	t.Attended, t.Orphan = true, c.OrphanAfter
	err = errors.Join(c.image(&t, spec), hosts(&t, spec), c.env(&t, spec), c.account(&t, spec), bounds(&t, spec), permissions(&t, spec))
	if err != nil {
		err = declined{errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))}
	}
	return t, err
}

func (c *Config) image(t *runner.Task, spec task.Spec) error {
	if spec.Image == "" || spec.Image == t.From.Ref {
		return nil
	}
	for _, allowed := range c.Images {
		begin, any := strings.CutSuffix(allowed, "*")
		if spec.Image == allowed || any && strings.HasPrefix(spec.Image, begin) {
			t.From = runner.Image{Ref: spec.Image}
			return nil
		}
	}
	return fmt.Errorf("does not allow the image %s", spec.Image)
}

// hosts lets a task reach some of what the owner allows, by their names.
func hosts(t *runner.Task, spec task.Spec) error {
	if len(spec.AllowHosts) == 0 {
		return nil
	}
	asked, err := egress.Parse(spec.AllowHosts...)
	if err != nil {
		return fmt.Errorf("does not understand the allowed hosts: %w", err)
	}
	owners, err := egress.Parse(t.Allow...)
	if err != nil {
		return err
	}
	if missing := owners.Lacks(asked); len(missing) > 0 {
		return fmt.Errorf("does not allow to reach %s", strings.Join(missing, ", "))
	}
	t.Allow = spec.AllowHosts
	return nil
}

func (c *Config) env(t *runner.Task, spec task.Spec) error {
	var problems []error
	for _, e := range spec.Env {
		key, value, given := strings.Cut(e, "=")
		owners := slices.ContainsFunc(t.Env, func(have string) bool { return strings.HasPrefix(have, key+"=") })
		switch {
		case owners && !given:
			continue // it has it
		case !slices.Contains(c.Env, key):
			problems = append(problems, fmt.Errorf("does not allow to set the variable %s", key))
			continue
		case !given:
			if value, given = c.Lookup(key); !given {
				problems = append(problems, fmt.Errorf("has no variable %s", key))
				continue
			}
		}
		t.Env = append(slices.Clone(t.Env), key+"="+value)
	}
	return errors.Join(problems...)
}

func (c *Config) account(t *runner.Task, spec task.Spec) error {
	if spec.Account == "" || spec.Account == t.Account {
		return nil
	}
	if !slices.Contains(c.Accounts, spec.Account) {
		return fmt.Errorf("does not allow the account %s", spec.Account)
	}
	t.Account, t.Login = spec.Account, ""
	return nil
}

// bounds are the owner's unless the task's are narrower.
func bounds(t *runner.Task, spec task.Spec) error {
	var problems []error
	narrow := func(have *int64, asked int64, show func(int64) string, what string) {
		switch {
		case asked == 0:
		case *have > 0 && asked > *have:
			problems = append(problems, fmt.Errorf("allows a session %s %s, not %s", show(*have), what, show(asked)))
		default:
			*have = asked
		}
	}
	number := func(n int64) string { return fmt.Sprint(n) }
	dollars := func(n int64) string { return fmt.Sprintf("%.2f", float64(n)/1e6) }
	narrow(&t.Budget.CostMicroUSD, spec.MaxCostMicro, dollars, "US dollars")
	narrow(&t.Budget.Tokens, spec.MaxTokens, number, "tokens")
	narrow(&t.Budget.Turns, spec.MaxTurns, number, "turns")
	timeout := t.Timeout.Milliseconds()
	narrow(&timeout, spec.TimeoutMS, func(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }, "of time")
	t.Timeout = time.Duration(timeout) * time.Millisecond
	return errors.Join(problems...)
}

// permissions are the owner's or stricter.
func permissions(t *runner.Task, spec task.Spec) error {
	switch {
	case spec.Permissions == "":
		return nil
	case spec.Permissions == "allow" && t.Permissions != nil:
		return errors.New("lets no agent do everything without asking")
	case spec.Permissions != "ask":
		return nil
	}
	ask := permission.AskFirst()
	if owners := t.Permissions; owners != nil {
		// What the owner denies stays denied; what the owner allows is asked about.
		strict := slices.DeleteFunc(slices.Clone(owners.Rules), func(r permission.Rule) bool { return r.Decision == permission.Allow })
		ask.Rules = append(strict, ask.Rules...)
		if owners.Default == permission.Deny {
			ask.Default = permission.Deny
		}
	}
	t.Permissions = &ask
	return nil
}
