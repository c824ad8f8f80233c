package runner

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/devcontainer"
	"github.com/sprawlto/ratchetai-runner/internal/workspace"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// errShared: another session works in the same directory.
var errShared = errors.New("another session works in this directory")

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
	if err := r.alone(s); errors.Is(err, errShared) {
		s.emit(warning("the mounts of devcontainer.json are not honoured: " + err.Error() + " and could replace what is mounted"))
		return nil, nil
	} else if err != nil {
		return nil, err
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

// alone returns errShared, wrapped, if the agent of another session of this store may
// be at work in s's workspace, in one that holds it or in one that it holds.
func (r *Runner) alone(s *Session) error {
	ids, err := r.Store.ids()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if id == s.ID || finished(r.Store.dir(id)) != nil {
			continue
		}
		rec, err := r.Store.load(id)
		if err == nil && (inside(rec.Workspace, s.Workspace) || inside(s.Workspace, rec.Workspace)) {
			return fmt.Errorf("%w (%s)", errShared, id)
		}
	}
	return nil
}

// inside reports whether the directory a is b or in it.
func inside(a, b string) bool {
	return strings.HasPrefix(a+"/", strings.TrimSuffix(b, "/")+"/")
}
