package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"
)

//go:embed ratchetai-runner.service
var unitFile string

func (a *app) systemdCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "systemd -- up|connect|serve [FLAGS]",
		Short: "Print a systemd unit that runs up, connect or serve",
		Long: `Print a systemd unit that runs up, connect or serve, as the user who asks.

Sessions outlive the service: it can be restarted, upgraded or killed at any time.`,
		Example: `  ratchetai-runner systemd -- up --workspace shop=~/shop | sudo tee /etc/systemd/system/ratchetai-runner.service`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || !slices.Contains([]string{"up", "connect", "serve"}, args[0]) {
				return errors.New("missing argument: up, connect or serve")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			dir, err := os.Getwd()
			if err != nil {
				return fmt.Errorf("find this directory: %w", err)
			}
			unit, err := unit(program, a.userName(), dir, args)
			if err != nil {
				return err
			}
			fmt.Fprint(a.Out, unit)
			return nil
		},
	}
}

// unit is the unit that runs program with args in dir, as they would run there now.
func unit(program, user, dir string, args []string) (string, error) {
	if strings.ContainsAny(dir, "\n\x00") {
		return "", fmt.Errorf("%q cannot be in a unit", dir)
	}
	if !filepath.IsAbs(program) {
		return "", fmt.Errorf("%s is not absolute", program)
	}
	words := make([]string, 0, 1+len(args))
	for _, word := range append([]string{program}, args...) {
		if strings.ContainsAny(word, "\n\x00") {
			return "", usageError{fmt.Errorf("%q cannot be in a unit", word)}
		}
		words = append(words, unitWord(word))
	}
	var text strings.Builder
	err := template.Must(template.New("").Parse(unitFile)).Execute(&text, map[string]string{
		"Command": strings.Join(words, " "), "User": user, "Directory": strings.ReplaceAll(dir, "%", "%%"),
	})
	return text.String(), err
}

// unitWord quotes a word of a command line for systemd, which knows specifiers,
// variables and quotes.
func unitWord(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$").Replace(s)
	if s == "" || strings.ContainsAny(s, " \t;'\"\\") {
		return `"` + s + `"`
	}
	return s
}
