package runner

import (
	"fmt"
	"path/filepath"

	"github.com/sprawlto/ratchetai-runner/internal/devcontainer"
	"github.com/sprawlto/ratchetai-runner/internal/workspace"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// checkMounts moves the mounts of c that are impossible in the workspace dir to what
// is not honoured, and makes those of guarded paths read-only.
func checkMounts(c *devcontainer.Config, dir string, allow []string) error {
	if len(c.Mounts) == 0 {
		return nil
	}
	plan, err := workspace.New(dir, allow, nil)
	if err != nil {
		return err
	}
	var possible []devcontainer.Mount
	for _, m := range c.Mounts {
		bound, err := plan.Bind(m.Source, m.ReadOnly)
		if err != nil {
			c.Ignore(m.Name, err.Error())
			continue
		}
		m.ReadOnly = bound.ReadOnly
		possible = append(possible, m)
	}
	c.Mounts = possible
	return nil
}

// bind adds list to plan and returns what the engine is to mount. The engine follows
// links on the host, and an agent that works in the same directory could put one in
// the place of what was looked at, for the moment of the start: there is no mount then.
func (r *Runner) bind(s *Session, plan *workspace.Plan, list []devcontainer.Mount) ([]sandbox.Mount, error) {
	if len(list) == 0 {
		return nil, nil
	}
	others, err := r.Store.beside(s.Record)
	if err != nil {
		return nil, err
	}
	if len(others) > 0 {
		s.emit(warning(fmt.Sprintf("the mounts of devcontainer.json are not honoured: session %s works in this directory and could replace what is mounted", others[0].ID)))
		return nil, nil
	}
	var mounts []sandbox.Mount
	for _, m := range list {
		bound, err := plan.Bind(m.Source, m.ReadOnly)
		if err != nil {
			return nil, fmt.Errorf("devcontainer: %s: %w", m.Name, err)
		}
		mounts = append(mounts, sandbox.Mount{Source: filepath.Join(s.Workspace, bound.Path), Target: m.Target, ReadOnly: bound.ReadOnly})
	}
	return mounts, nil
}
