package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (a *app) configCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use:   "config",
		Short: "Check and show the settings of this machine",
		Long: `Check and show the settings of this machine.

Every flag can be set in the environment (RATCHETAI_ALLOW_HOST for --allow-host,
several values one a line) and in the configuration file, by command:

  verbose: true
  run:
    model: codex
  policy:
    run:
      allow-host: [packages, github]

The command line wins over the environment, which wins over the file. What stands
under policy is the last word: neither can set it. The file is
--config, $RATCHETAI_CONFIG or ~/.config/ratchetai-runner/config.yaml.`,
	})
	check := &cobra.Command{
		Use:   "check",
		Short: "Report every problem of the configuration file",
		Args:  only(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := a.readConfig(cmd.Root())
			if err != nil {
				return usageError{err}
			}
			fmt.Fprintf(a.Out, "%s: %d settings, no problem\n", file.path, len(file.settings))
			return nil
		},
	}
	var effective, asJSON bool
	show := &cobra.Command{
		Use:   "show",
		Short: "Show what the environment and the file set",
		Args:  only(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := a.readConfig(cmd.Root())
			if err != nil {
				return usageError{err}
			}
			return printSettings(a.Out, a.allSettings(cmd.Root(), file, effective), asJSON)
		},
	}
	show.Flags().BoolVar(&effective, "effective", false, "show every setting, with its default where nothing else is set")
	show.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per setting")
	c.AddCommand(check, show)
	return c
}

// allSettings are the settings of all commands.
func (a *app) allSettings(root *cobra.Command, file configFile, defaults bool) []effectiveSetting {
	var all []effectiveSetting
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, s := range a.effective(cmd, file) {
			if (s.command != "" || !cmd.HasParent()) && (defaults || s.source != fromDefault) {
				all = append(all, s)
			}
		}
		for _, sub := range cmd.Commands() {
			if configurable(sub) {
				walk(sub)
			}
		}
	}
	walk(root)
	return all
}

func printSettings(w io.Writer, all []effectiveSetting, asJSON bool) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	lines := json.NewEncoder(w)
	for _, s := range all {
		values := make([]string, 0, len(s.values))
		for _, v := range s.values {
			if key, _, ok := strings.Cut(v, "="); ok && s.flag.Name == "env" {
				v = key + "=…" // often a secret
			}
			if s.flag.Name == "token" && v != "" {
				v = "…"
			}
			values = append(values, v)
		}
		var err error
		if asJSON {
			err = lines.Encode(struct {
				Command  string   `json:"command,omitempty"`
				Flag     string   `json:"flag"`
				Values   []string `json:"values"`
				Source   string   `json:"source"`
				Variable string   `json:"variable"`
			}{s.command, s.flag.Name, values, s.source, variable(s.flag.Name)})
		} else {
			_, err = fmt.Fprintf(table, "%s\t%s\t%s\n", strings.TrimSpace(s.command+" --"+s.flag.Name), strings.Join(values, ", "), s.source)
		}
		if err != nil {
			return err
		}
	}
	return table.Flush()
}
