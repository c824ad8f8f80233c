package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/mcp"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// mcpFile holds the MCP servers of a running session, secrets expanded, in the form
// of its agent.
const mcpFile = "mcp"

// placeMCP returns the mount by which the session's agent finds its MCP servers at
// target. pass names the variables that their commands get besides their own.
func (r *Runner) placeMCP(s *Session, c mcp.Config, target string, pass []string) ([]sandbox.Mount, error) {
	if len(c.Servers) == 0 {
		return nil, nil
	}
	content := c.JSON()
	if s.Agent.Kind == agent.Codex {
		content = c.TOML(pass, s.Agent.Permissions != nil)
	}
	owner, err := ownerFor(s.User)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(r.Store.dir(s.ID), mcpFile)
	if err = writeFileOnce(name, content); err == nil && owner != nil {
		err = os.Lchown(name, owner.UID, owner.GID)
	}
	if err != nil {
		return nil, fmt.Errorf("place MCP servers: %w", err)
	}
	return []sandbox.Mount{{Source: name, Target: target, ReadOnly: true}}, nil
}

// variables returns the names in env.
func variables(env []string) []string {
	names := make([]string, len(env))
	for i, e := range env {
		names[i], _, _ = strings.Cut(e, "=")
	}
	return names
}
