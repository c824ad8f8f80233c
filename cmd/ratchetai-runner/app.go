package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	xterm "golang.org/x/term"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

const name = "ratchetai-runner"

// streams are the program's own.
type streams struct {
	In, Err *os.File
	Out     *stdout
}

// app is what all commands share.
type app struct {
	streams
	lookup  func(string) (string, bool) // the environment
	log     *logrus.Logger
	verbose bool
	config  string // --config
	started bool   // a command's own code runs: errors are no longer about its use
}

// run is the program: it returns the exit code.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), std streams) int {
	a := &app{streams: std, lookup: lookup, log: logrus.New()}
	a.log.SetOutput(std.Err)
	a.log.SetLevel(logrus.WarnLevel)
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.started {
		err = usageError{err}
	}
	a.report(cmd, err)
	if lost := std.Out.lost(); lost != nil && (err == nil || isSilent(err)) {
		a.report(cmd, fmt.Errorf("not everything is on stdout: %w", lost))
		err = cmp.Or(err, lost)
	}
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	c := &cobra.Command{
		Use:           name,
		Short:         "Run AI coding agents unattended, each session in a container of its own",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.configure(cmd); err != nil {
				return err
			}
			a.started = true
			if a.verbose {
				a.log.SetLevel(logrus.DebugLevel)
			}
			return nil
		},
	}
	c.SetIn(a.In)
	c.SetOut(a.Out)
	c.SetErr(a.Err)
	c.PersistentFlags().BoolVar(&a.verbose, "verbose", false, "show all of the tools' output, of diffs and of the agent's stderr, and log what the runner does")
	c.PersistentFlags().StringVar(&a.config, "config", "", "configuration file (default: ~/.config/ratchetai-runner/config.yaml)")
	addGroup(c, "Sessions on this machine:", a.runCommand(), a.attachCommand(), a.sessionsCommand(), a.logsCommand(), a.loginCommand(),
		a.loginsCommand(), a.imagesCommand(), a.decodeCommand(), a.configCommand(), a.doctorCommand(), a.selftestCommand())
	addGroup(c, "A control plane:", a.upCommand(), a.serveCommand(), a.connectCommand(), a.systemdCommand(), a.engineProxyCommand())
	addGroup(c, "What people do at one:", a.taskCommand(), a.sendCommand(), a.interruptCommand(), a.answerCommand(), a.inboxCommand(),
		a.runnerCommand(), a.tokenCommand("device", api.Devices), a.tokenCommand("token", api.Personal), a.auditCommand())
	c.AddCommand(a.versionCommand(), a.manCommand(), a.healthCommand())
	return c
}

// addGroup adds commands that the help shows under one title.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, c := range commands {
		c.GroupID = title
	}
	root.AddCommand(commands...)
}

// report prints err for people, with what to do next.
func (a *app) report(cmd *cobra.Command, err error) {
	if err == nil || isSilent(err) {
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line = term.Line(line); line != "" {
			fmt.Fprintf(a.Err, "%s: %s\n", name, line)
		}
	}
	if hint := a.hint(cmd, err); hint != "" {
		fmt.Fprintln(a.Err, hint)
	}
}

func (a *app) getenv(key string) string {
	v, _ := a.lookup(key)
	return v
}

// home is the user's home directory, or "".
func (a *app) home() string {
	if h := a.getenv("HOME"); h != "" {
		return h
	}
	h, _ := os.UserHomeDir()
	return h
}

// store opens the state directory.
func (a *app) store() (*runner.Store, error) {
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	return runner.OpenStore(dir)
}

// stateDir is where sessions are kept, whether it is there or not.
func (a *app) stateDir() (string, error) {
	dir := a.getenv("RATCHETAI_STATE_DIR")
	if dir == "" {
		state := a.getenv("XDG_STATE_HOME")
		if !filepath.IsAbs(state) { // which the XDG specification says to ignore
			home := a.home()
			if home == "" {
				return "", fmt.Errorf("no home directory: set RATCHETAI_STATE_DIR to where sessions are kept")
			}
			state = filepath.Join(home, ".local", "state")
		}
		dir = filepath.Join(state, name)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("state directory: %w", err)
	}
	return dir, nil
}

// display says how to show things on the program's streams.
func (a *app) display() term.Options {
	dumb := a.getenv("TERM") == "dumb"
	color := !dumb && a.getenv("NO_COLOR") == ""
	stream := func(f interface {
		io.Writer
		Fd() uintptr
	}) term.Stream {
		terminal := xterm.IsTerminal(int(f.Fd()))
		return term.Stream{W: f, Terminal: terminal, Color: terminal && color}
	}
	o := term.Options{Out: stream(a.Out), Err: stream(a.Err), Verbose: a.verbose}
	o.Live = o.Err.Terminal && !dumb && (!o.Out.Terminal || sameFile(a.Out.File, a.Err))
	o.Width = func() int {
		for _, f := range []*os.File{a.Err, a.Out.File} {
			if w, _, err := xterm.GetSize(int(f.Fd())); err == nil {
				return w
			}
		}
		return 0
	}
	return o
}

// sameFile reports that two streams are the same terminal, as they are but for a
// person who sends one of them to another.
func sameFile(a, b *os.File) bool {
	x, err := a.Stat()
	y, err2 := b.Stat()
	return err == nil && err2 == nil && os.SameFile(x, y)
}

// group makes c a command that only holds others, which cobra does not insist on.
func group(c *cobra.Command) *cobra.Command {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	return c
}

// only allows a number of arguments between low and high.
func only(low, high int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < low:
			return fmt.Errorf("missing argument: %s", what)
		case len(args) > high && high == 0:
			return fmt.Errorf("unexpected argument %q", args[0])
		case len(args) > high:
			return fmt.Errorf("unexpected argument %q: only %s is expected", args[high], what)
		}
		return nil
	}
}

// completeSessions offers the ids of sessions to the shell.
func (a *app) completeSessions(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	store, err := a.store()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, _ := store.List()
	ids := make([]string, 0, len(all))
	for _, s := range all {
		ids = append(ids, short(s.ID)+"\t"+term.Line(s.Title))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// short is the end of a session's id: its beginning is the time, which sessions
// share.
func short(id string) string { return id[strings.LastIndexByte(id, '-')+1:] }
