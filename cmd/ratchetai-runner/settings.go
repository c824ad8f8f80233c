package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A flag's value comes from the policy of the configuration file, which nothing may
// contradict, else from the command line, else from its variable, else from the
// rest of the file, else it is the default.

// variable is the environment's twin of a flag: RATCHETAI_ALLOW_HOST of
// --allow-host, for every command that has the flag. A repeatable flag takes
// several values, one a line.
func variable(flag string) string {
	return "RATCHETAI_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// configure sets the flags of cmd that the command line leaves open.
func (a *app) configure(cmd *cobra.Command) error {
	for c := cmd; c.HasParent(); c = c.Parent() {
		if !configurable(c) {
			return nil // a broken file must not keep `config check` from saying so
		}
	}
	file, err := a.readConfig(cmd.Root())
	if err != nil {
		return usageError{err}
	}
	var problems []error
	for _, s := range a.effective(cmd, file) {
		if s.policy && (s.flag.Changed || a.getenv(variable(s.flag.Name)) != "") {
			problems = append(problems, fmt.Errorf("--%s is this machine's policy (%s) and cannot be set", s.flag.Name, s.source))
		}
		if s.flag.Changed || s.source == fromDefault {
			continue
		}
		if err := setFlag(s.flag, s.values); err != nil {
			problems = append(problems, fmt.Errorf("%s: %s: %w", s.source, s.flag.Name, err))
		}
		s.flag.Changed = s.policy // an earlier session's value does not replace it either
	}
	if err := errors.Join(problems...); err != nil {
		return usageError{err}
	}
	return nil
}

const fromDefault = "default"

// effectiveSetting is a flag of a command with the value that it would have.
type effectiveSetting struct {
	command string
	flag    *pflag.Flag
	values  []string
	source  string // a variable, a line of the file, or fromDefault
	policy  bool
}

// effective returns the settable flags of cmd, those of every command first.
func (a *app) effective(cmd *cobra.Command, file configFile) []effectiveSetting {
	var all []effectiveSetting
	add := func(owner *cobra.Command, flags *pflag.FlagSet) {
		command := strings.TrimSpace(strings.TrimPrefix(owner.CommandPath(), name))
		flags.VisitAll(func(f *pflag.Flag) {
			if settable(owner, f.Name) != nil {
				all = append(all, a.valueOf(command, f, file))
			}
		})
	}
	add(cmd.Root(), cmd.Root().PersistentFlags())
	if cmd.HasParent() {
		add(cmd, cmd.LocalNonPersistentFlags())
	}
	return all
}

func (a *app) valueOf(command string, f *pflag.Flag, file configFile) effectiveSetting {
	s := effectiveSetting{command: command, flag: f}
	for _, set := range file.settings {
		if set.command == command && set.flag == f.Name && (s.source == "" || set.policy) {
			s.values, s.source, s.policy = set.values, fmt.Sprintf("%s:%d", file.path, set.line), set.policy
		}
	}
	if v := a.getenv(variable(f.Name)); v != "" && !s.policy {
		s.values, s.source = []string{v}, variable(f.Name)
		if _, ok := f.Value.(pflag.SliceValue); ok {
			s.values = strings.Split(strings.TrimSpace(v), "\n")
		}
	}
	if s.source != "" {
		return s
	}
	s.values, s.source = []string{f.DefValue}, fromDefault
	if list, ok := f.Value.(pflag.SliceValue); ok {
		s.values = list.GetSlice()
	}
	return s
}
