package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/egress"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/term"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// viewFlags say how a session is shown.
type viewFlags struct{ json, quiet bool }

func (v viewFlags) check() error {
	if v.json && v.quiet {
		return usageError{errors.New("--json and --quiet exclude each other")}
	}
	return nil
}

func (a *app) runCommand() *cobra.Command {
	var f taskFlags
	var view viewFlags
	var plane planeFlags
	c := &cobra.Command{
		Use:   "run --prompt TEXT",
		Short: "Run one session now and follow it",
		Long: `Run one session now and follow it.

The agent works in --cwd, inside a container that sees nothing else of this
machine and reaches no host but its own API and those of --allow-host.

While it works, a line typed on the terminal is sent to it: it reads TEXT or
/next TEXT in its turn, between two steps, /now TEXT at once, which stops its
turn, and /later TEXT when its turn has ended. /withdraw takes the last message
back that it has not read; //TEXT sends /TEXT, a command of its own. Ctrl-C
interrupts it; once more ends the session; a third time kills it.

With --permissions ask or rules, what is asked is answered on the terminal. With
--json, or without a terminal, a line on stdin answers: {"ask":ID,"decision":D} with
D one of allow, allow_session, allow_always (also adds a rule to the rules file),
deny (and "message"), stop; see docs/PERMISSIONS.md.`,
		Example: `  ratchetai-runner run --prompt "fix the failing test" --allow-host packages
  git diff | ratchetai-runner run --model codex --prompt-file - --quiet`,
		Args: only(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			task, err := a.task(cmd.Context(), f, cmd.Flags().Changed)
			reports, perr := a.reporting(plane, cmd.Flags().Changed("url"))
			if err = errors.Join(view.check(), err, perr); err != nil {
				return usageError{err}
			}
			task.Attended = task.Permissions != nil || reports != nil ||
				f.promptFile != "-" && !view.json && !view.quiet && canType(a.In)
			return a.runTask(cmd.Context(), task, f.image, view, f.promptFile == "-", reports)
		},
	}
	var presets []string
	for _, p := range egress.Presets() {
		presets = append(presets, p.Name)
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.prompt, "prompt", "", "what the agent is to do")
	flags.StringVar(&f.promptFile, "prompt-file", "", "file with the prompt, - for stdin")
	flags.StringVar(&f.model, "model", "claude", "claude, codex, claude:MODEL or codex:MODEL")
	flags.StringVar(&f.title, "title", "", "name of the session in lists (default: the prompt's first line)")
	flags.StringVar(&f.cwd, "cwd", ".", "directory that the agent works in, the only one it sees")
	flags.BoolVar(&f.anywhere, "anywhere", false, "allow --cwd to be /, the home directory or above it")
	f.image.add(c)
	flags.StringArrayVar(&f.allowHosts, "allow-host", nil, "host[:port], *.domain[:port] or preset ("+strings.Join(presets, ", ")+") that the session may reach; repeatable")
	flags.StringArrayVar(&f.allowAddresses, "allow-address", nil, "private network, such as 10.1.0.0/16, that allowed hosts may resolve to; repeatable")
	flags.StringArrayVar(&f.allowPaths, "allow-path", nil, "path of --cwd, such as .vscode, that the agent may change though this machine runs or trusts it; repeatable")
	flags.StringVar(&f.permissions, "permissions", "allow", "what the agent may do: allow (everything), ask (before it changes, runs or reaches something), rules (of --permission-rules)")
	flags.StringVar(&f.rulesFile, "permission-rules", "", "file with permission rules, YAML or JSON; implies --permissions rules (default: permission-rules.yaml beside the configuration file, which --permissions ask reads, too)")
	flags.DurationVar(&f.askTimeout, "ask-timeout", runner.DefaultAskTimeout, "deny what was asked when nobody answered for this time")
	flags.StringArrayVar(&f.env, "env", nil, "KEY=VALUE, or KEY with its value here, for the session; repeatable")
	flags.StringArrayVar(&f.mcpConfig, "mcp-config", nil, "JSON file with MCP servers ({\"mcpServers\": …}) for the agent; ${NAME} in it is an --env value; repeatable")
	flags.StringVar(&f.credentials, "credentials", "auto", "the agent's login: mount (a login file, without its refresh token), host-dir (its whole directory, read-only), env (a variable), auto (what is there)")
	flags.StringVar(&f.account, "account", "", "account that login made (default: this user's own login, else the account default)")
	flags.StringVar(&f.user, "user", "", "UID:GID that the agent runs as (default: the directory's owner)")
	flags.StringVar(&f.resume, "resume", "", "continue the conversation of this session, or of a session's directory from elsewhere")
	flags.StringVar(&f.fork, "fork", "", "likewise, in a copy: the earlier conversation stays as it is")
	flags.DurationVar(&f.timeout, "timeout", runner.DefaultTimeout, "end the session after this time")
	f.bounds.add(flags)
	flags.DurationVar(&f.orphanAfter, "orphan-after", runner.DefaultOrphanAfter, "end the agent when no runner was there for this time")
	flags.StringVar(&f.runtime, "runtime", "", "OCI runtime of the engine, such as runsc (default: the engine's)")
	flags.StringVar(&plane.url, "url", "", "report the session to this control plane, also RATCHET_URL, and take what it says to it")
	flags.StringVar(&plane.token, "token", "", "this device's token there, rt_…; better in RATCHET_DEVICE_TOKEN")
	flags.BoolVar(&view.json, "json", false, "print events on stdout, one JSON object per line")
	flags.BoolVar(&view.quiet, "quiet", false, "print only the agent's final message")
	_ = c.RegisterFlagCompletionFunc("model", cobra.FixedCompletions([]string{"claude", "codex"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("permissions", cobra.FixedCompletions([]string{"allow", "ask", "rules"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("credentials", cobra.FixedCompletions([]string{"auto", "mount", "host-dir", "env"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("allow-host", cobra.FixedCompletions(presets, cobra.ShellCompDirectiveNoFileComp))
	_ = c.MarkFlagDirname("cwd")
	_ = c.MarkFlagFilename("mcp-config", "json")
	return c
}

// runTask starts a session and follows it to its end.
func (a *app) runTask(ctx context.Context, task runner.Task, from imageFlags, view viewFlags, stdinUsed bool, reports *api.Client) error {
	ignorePipe()
	store, err := a.store()
	if err != nil {
		return err
	}
	r := a.runner(store, nil)
	r.Getenv = withLogin(a.getenv, task.Env)
	_, err = r.Login(task) // before an image is built, which takes minutes
	if err := errors.Join(a.checkUpstream(), err); err != nil {
		return err
	}
	engine, err := a.engine(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	r.Engine = engine
	defer a.sweep(ctx, r)(probeMax)

	starting := newStarting(ctx)
	defer starting.release()
	if err := a.taskImage(starting.ctx, a.builder(engine), view, from, &task); err != nil {
		return starting.explain(err)
	}
	s, err := r.Start(starting.ctx, task)
	if err != nil {
		return starting.explain(err)
	}
	signals, early := starting.handOver()
	w := a.newWatch(store, s.ID, view)
	reported := a.reportSession(ctx, reports, w, s, task)
	w.keyboard, w.asks = !stdinUsed, s.Agent.Attended
	w.rules = rulesFile{s.RulesFile, s.Workspace}
	if s.Agent.Permissions != nil && stdinUsed && reports == nil {
		w.note("the prompt came on stdin, so nobody can answer here: what is asked is denied after " + s.AskTimeout.String())
	}
	err = w.drive(ctx, s, signals, early)
	reported()
	return err
}

// builder builds images with the agents' versions of the environment, or the
// pinned ones.
func (a *app) builder(engine *sandbox.Docker) runner.Builder {
	program, _ := os.Executable() // where the system does not say, what needs it fails
	return runner.Builder{
		Engine: engine, Program: program, CA: runner.SystemCA(a.getenv), Login: a.registryLogin,
		ClaudeVersion: a.getenv("RATCHETAI_CLAUDE_VERSION"), CodexVersion: a.getenv("RATCHETAI_CODEX_VERSION"),
	}
}

// image returns the tag of the default image for sandboxes, which is built if necessary.
func (a *app) image(ctx context.Context, b runner.Builder, view viewFlags) (tag string, err error) {
	err = a.showImage(ctx, b, view, func(b runner.Builder) (err error) {
		tag, err = b.Ensure(ctx)
		return err
	})
	return tag, err
}

// showImage shows how ensure builds an image with b, if that is necessary.
func (a *app) showImage(ctx context.Context, b runner.Builder, view viewFlags, ensure func(runner.Builder) error) error {
	o := a.display()
	o.Live = o.Live && !view.json && !view.quiet
	o.Quiet = view.quiet
	progress := term.NewProgress(o, "preparing the sandbox image")
	if !a.verbose {
		progress.Plain = func(line string) bool {
			return strings.HasPrefix(line, "building ") || strings.HasPrefix(line, "pulling ") || strings.HasPrefix(line, "Step ")
		}
	}
	var mu sync.Mutex
	locked := func(f func()) {
		mu.Lock()
		defer mu.Unlock()
		f()
	}
	b.Progress = func(line string) { locked(func() { progress.Line(line) }) }
	stop := every(tick, func() { locked(progress.Tick) })
	err := ensure(b)
	stop()
	if err != nil {
		if !errors.Is(err, sandbox.ErrUnavailable) && ctx.Err() == nil {
			progress.Fail()
		}
		return err
	}
	progress.Done("prepared the sandbox image")
	return nil
}

// every calls f at an interval until the function it returns is called, which
// waits for the last call.
func every(interval time.Duration, f func()) (stop func()) {
	quit := make(chan struct{}) // closed by stop
	done := make(chan struct{}) // closed when the goroutine has ended
	go func() {
		defer close(done)
		t := time.NewTicker(interval)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				f()
			case <-quit:
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// ignorePipe lets writes to a closed stdout fail instead of ending the program:
// whoever reads may leave, the session goes on.
func ignorePipe() { signal.Ignore(syscall.SIGPIPE) }
