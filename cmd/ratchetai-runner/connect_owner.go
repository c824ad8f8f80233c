package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/connect"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

func (f *connectFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.url, "url", "", "the control plane's address, also RATCHET_URL")
	flags.StringVar(&f.token, "token", "", "this device's token, rt_…; better in RATCHET_DEVICE_TOKEN, where no one on this machine sees it")
	f.addOwner(c)
	flags.Int64Var(&f.interval, "interval", 0, "ask the control plane every so many milliseconds, where it cannot hold a request; 0: it holds them, and tasks come at once")
}

// addOwner adds what the owner offers, to whatever control plane.
func (f *connectFlags) addOwner(c *cobra.Command) {
	o, flags := &f.owner, c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.name, "name", "", "name of this runner (default: the machine's)")
	flags.StringArrayVar(&f.labels, "label", nil, "label that tasks can ask for; repeatable")
	flags.IntVar(&f.capacity, "capacity", 0, "sessions at a time (default: by processors and memory, 4 GiB each)")
	flags.StringVar(&f.onDrain, "on-drain", "finish", "what becomes, on the first SIGTERM, of sessions whose agent does not run yet: finish, hand-back")
	flags.StringVar(&o.cwd, "cwd", ".", "directory of the default workspace, which has its name")
	flags.StringArrayVar(&f.workspaces, "workspace", nil, "NAME=DIR[,shared], a workspace that tasks can name; shared: for several sessions at once; repeatable (then without --cwd the first is the default)")
	flags.BoolVar(&o.anywhere, "anywhere", false, "allow workspaces to be /, the home directory or above it")
	o.image.add(c)
	flags.StringArrayVar(&f.images, "allow-image", nil, "image that tasks may ask for instead, or the beginning of its name and *; repeatable")
	flags.StringArrayVar(&o.allowHosts, "allow-host", nil, "what sessions may reach, as in run; tasks can ask for less; repeatable")
	flags.StringArrayVar(&o.allowAddresses, "allow-address", nil, "as in run; repeatable")
	flags.StringArrayVar(&o.allowPaths, "allow-path", nil, "as in run; repeatable")
	flags.StringVar(&o.permissions, "permissions", "allow", "what agents may do: allow, ask, rules, as in run; tasks can ask for ask")
	flags.StringVar(&o.rulesFile, "permission-rules", "", "as in run")
	flags.DurationVar(&o.askTimeout, "ask-timeout", runner.DefaultAskTimeout, "deny what was asked when nobody answered for this time")
	flags.StringArrayVar(&o.env, "env", nil, "KEY=VALUE, or KEY with its value here, for all sessions; repeatable")
	flags.StringArrayVar(&f.envNames, "allow-env", nil, "KEY that tasks may set; repeatable")
	flags.StringArrayVar(&o.mcpConfig, "mcp-config", nil, "as in run; repeatable")
	flags.StringVar(&o.credentials, "credentials", "auto", "as in run")
	flags.StringVar(&o.account, "account", "", "account of the sessions (default: this user's own login, else the account default)")
	flags.StringArrayVar(&f.accounts, "allow-account", nil, "account that tasks may ask for instead; repeatable")
	flags.StringVar(&o.user, "user", "", "UID:GID that agents run as (default: the directory's owner)")
	flags.DurationVar(&o.timeout, "timeout", runner.DefaultTimeout, "end a session after this time; tasks can ask for less")
	o.bounds.add(flags)
	flags.DurationVar(&o.orphanAfter, "orphan-after", connect.DefaultOrphanAfter, "end an agent when this program was not there for this time")
	flags.StringVar(&f.hooks.HookBefore, "hook-before", "", "shell command to run on this machine, in the workspace, before each session, which ends as errored if it fails; RATCHET_SESSION, _TASK, _TITLE, _WORKSPACE, _WORKSPACE_DIR tell it more")
	flags.StringVar(&f.hooks.HookAfter, "hook-after", "", "likewise after each session, with RATCHET_OUTCOME")
	flags.DurationVar(&f.hooks.HookTimeout, "hook-timeout", connect.DefaultHookTimeout, "end a hook after this time")
	flags.StringVar(&f.status, "status", "", "address, such as :7718 for this machine only, at which to show /status, /metrics and /healthz")
	flags.StringVar(&o.runtime, "runtime", "", "OCI runtime of the engine, such as runsc (default: the engine's)")
	_ = c.RegisterFlagCompletionFunc("permissions", cobra.FixedCompletions([]string{"allow", "ask", "rules"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("on-drain", cobra.FixedCompletions([]string{"finish", "hand-back"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.MarkFlagDirname("cwd")
}

func (f *connectFlags) check() error {
	var problems []error
	if f.onDrain != "finish" && f.onDrain != "hand-back" {
		problems = append(problems, fmt.Errorf("--on-drain: %q is neither finish nor hand-back", f.onDrain))
	}
	if f.capacity < 0 || f.interval < 0 {
		problems = append(problems, errors.New("--capacity, --interval: less than 0"))
	}
	return errors.Join(append(problems, f.owner.image.check(), positive("--timeout", f.owner.timeout), positive("--orphan-after", f.owner.orphanAfter), positive("--hook-timeout", f.hooks.HookTimeout))...)
}

// ownersTask is what a session of kind in dir gets at most. It is made anew for each one:
// directories, rules and logins may have changed.
func (a *app) ownersTask(c connectFlags, dir string, kind agent.Kind) (runner.Task, error) {
	f := c.owner
	t := runner.Task{Kind: kind, Timeout: f.timeout, Runtime: f.runtime, Account: f.account, AskTimeout: f.askTimeout}
	var problems []error
	note := func(err error) { problems = append(problems, err) }
	var err error
	t.Login, err = credentialMode(f.credentials)
	note(err)
	t.Workspace, err = runner.CheckWorkspace(dir, a.home(), f.anywhere)
	note(err)
	t.User, err = taskUser(f.user, t.Workspace)
	note(err)
	t.Env, err = a.taskEnv(f.env)
	note(err)
	t.MCP, err = mcpServers(f.mcpConfig, t.Env)
	note(err)
	t.BaseURL, t.Env, err = baseURL(kind, t.Env)
	note(err)
	t.Allow, err = allowed(f.allowHosts)
	note(err)
	t.Permit, err = permitted(f.allowAddresses)
	note(err)
	t.AllowPaths, err = allowedPaths(t.Workspace, f.allowPaths)
	note(err)
	t.Permissions, t.RulesFile, err = a.permissions(f.permissions, f.rulesFile, t.Workspace)
	note(err)
	note(f.bounds.task(&t))
	note(positive("--ask-timeout", f.askTimeout))
	t.From.Ref = f.image.ref
	return t, errors.Join(problems...)
}

// workspaces are those of --workspace, and the one of --cwd.
func (a *app) workspaces(f connectFlags) ([]connect.Workspace, error) {
	var all []connect.Workspace
	var problems []error
	names := map[string]bool{}
	add := func(flag, name, dir string, shared bool) {
		abs, err := runner.CheckWorkspace(a.expand(dir), a.home(), f.owner.anywhere)
		if err == nil && (name == "" || len(name) > 200 || names[name]) {
			err = fmt.Errorf("the name %q is used already, empty or too long", name)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", flag, err))
			return
		}
		names[name] = true
		all = append(all, connect.Workspace{Name: name, Dir: abs, Shared: shared, Default: len(all) == 0})
	}
	if f.owner.cwd != "." || len(f.workspaces) == 0 {
		abs, err := filepath.Abs(a.expand(f.owner.cwd))
		if err != nil {
			return nil, err
		}
		add("--cwd", filepath.Base(abs), abs, false)
	}
	for _, w := range f.workspaces {
		name, dir, ok := strings.Cut(w, "=")
		if !ok {
			problems = append(problems, fmt.Errorf("--workspace: %q is not NAME=DIR or NAME=DIR,shared", w))
			continue
		}
		dir, shared := strings.CutSuffix(dir, ",shared")
		add("--workspace "+name, name, dir, shared)
	}
	return all, errors.Join(problems...)
}

// expand is dir with the home directory for ~, which a shell leaves alone behind NAME=.
func (a *app) expand(dir string) string {
	if rest, ok := strings.CutPrefix(dir, "~/"); ok && a.home() != "" {
		return filepath.Join(a.home(), rest)
	}
	return dir
}

// totalMemory is the machine's memory in bytes; 0: unknown.
func totalMemory() int64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemTotal:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}
