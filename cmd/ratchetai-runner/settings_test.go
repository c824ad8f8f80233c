package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// sample returns a value that the flag accepts and that is not its default.
func sample(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "bool":
		return map[string]string{"true": "false", "false": "true"}[f.DefValue]
	case "duration":
		return "7m0s"
	case "int", "int64", "uint64":
		return "7"
	case "float64":
		return "1.5"
	case "USD":
		return "2.5"
	case "SIZE":
		return "512MiB"
	}
	return "sample"
}

// Every flag of every command can be set by a variable and by the file, and the
// command line wins over both.
func TestEveryFlagHasTwins(t *testing.T) {
	t.Parallel()
	tested := 0
	check := func(owner, cmd *cobra.Command, f *pflag.Flag) {
		tested++
		command := strings.TrimSpace(strings.TrimPrefix(owner.CommandPath(), name))
		t.Run(strings.TrimSpace(command+" --"+f.Name), func(t *testing.T) {
			value := sample(f)
			if err := tryFlag(f, []string{value}); err != nil {
				t.Fatalf("no sample for a %s: %v", f.Value.Type(), err)
			}
			file := filepath.Join(t.TempDir(), "config.yaml")
			text := "'" + f.Name + "': '" + value + "'\n"
			parts := strings.Fields(command)
			for i := range parts {
				part := parts[len(parts)-1-i]
				text = part + ":\n  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for source, env := range map[string]map[string]string{
				file:               {"RATCHETAI_CONFIG": file},
				variable(f.Name):   {"RATCHETAI_CONFIG": file, variable(f.Name): value},
				"the command line": {"RATCHETAI_CONFIG": file, variable(f.Name): value},
			} {
				before := currentValues(f)
				a := &app{lookup: func(key string) (string, bool) { v, ok := env[key]; return v, ok }}
				f.Changed = source == "the command line"
				err := a.configure(cmd)
				want := []string{value}
				if f.Changed {
					want = before
				}
				if d := cmp.Diff(want, currentValues(f)); d != "" || err != nil {
					t.Errorf("set by %s: %v, %s", source, err, d)
				}
				if err := setFlag(f, before); len(before) > 0 && err != nil {
					t.Fatal(err)
				}
				f.Changed = false
			}
		})
	}
	root := (&app{lookup: func(string) (string, bool) { return "", false }}).root()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if settable(cmd, f.Name) != nil {
				check(cmd, cmd, f)
			}
		})
		for _, sub := range cmd.Commands() {
			if configurable(sub) {
				walk(sub)
			}
		}
	}
	for _, sub := range root.Commands() {
		if configurable(sub) {
			walk(sub)
		}
	}
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if settable(root, f.Name) != nil {
			version, _, err := root.Find([]string{"version"})
			if err != nil {
				t.Fatal(err)
			}
			check(root, version, f)
		}
	})
	if tested < 20 {
		t.Errorf("only %d flags were found", tested)
	}
}

func currentValues(f *pflag.Flag) []string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return list.GetSlice()
	}
	return []string{f.Value.String()}
}
