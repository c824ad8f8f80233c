package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/images"
)

// version is set by the linker: -X main.version=…
var version = "dev"

// versions is what `version --json` prints.
//
//	{"version":"v0.1.0","go":"go1.26.0","platform":"linux/amd64","agents":{"claude":"2.1.330","codex":"0.169.0"}}
type versions struct {
	Version  string            `json:"version"`
	Go       string            `json:"go"`
	Platform string            `json:"platform"`
	Agents   map[string]string `json:"agents"`
}

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of this program and of the agents that it installs",
		Args:  only(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			v := versions{
				Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
				Agents: map[string]string{"claude": images.Claude().Version, "codex": images.Codex().Version},
			}
			if asJSON {
				return json.NewEncoder(a.Out).Encode(v)
			}
			_, err := fmt.Fprintf(a.Out, "%s %s (%s %s)\nclaude %s\ncodex %s\n",
				name, v.Version, v.Go, v.Platform, v.Agents["claude"], v.Agents["codex"])
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}
