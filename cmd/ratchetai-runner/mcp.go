package main

import (
	"errors"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/egress"
	"github.com/sprawlto/ratchetai-runner/internal/mcp"
)

// mcpServers reads the files of --mcp-config. Their variables are those of env,
// KEY=VALUE lines, the last of a key counting.
func mcpServers(files, env []string) (mcp.Config, error) {
	values := map[string]string{}
	for _, e := range env {
		key, value, _ := strings.Cut(e, "=")
		values[key] = value
	}
	c, err := mcp.Read(files, func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	})
	problems := []error{err}
	for _, s := range c.Servers {
		if host := s.Host(); host != "" {
			_, err := egress.Parse(host)
			problems = append(problems, prefix(s.Where()+": url", err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return mcp.Config{}, prefix("--mcp-config", err)
	}
	return c, nil
}
