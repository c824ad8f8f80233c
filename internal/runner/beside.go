package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/workspace"
)

// pinnedFile lists the paths of the workspace that are mounted in a session's
// sandbox, where nothing can rename or remove them.
const pinnedFile = "pinned.json"

// beside returns the sessions of this store that have not ended and work in the
// workspace of rec, in a directory that holds it or in one that it holds.
func (s *Store) beside(rec Record) ([]Record, error) {
	ids, err := s.current()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	unended := make(map[string]Record)
	var all []Record
	for _, id := range ids {
		if id == rec.ID || isFinished(s.dir(id)) {
			continue
		}
		other, known := s.unended[id]
		if !known {
			if other, err = s.load(id); err != nil {
				continue
			}
		}
		unended[id] = other
		if inside(other.Workspace, rec.Workspace) || inside(rec.Workspace, other.Workspace) {
			all = append(all, other)
		}
	}
	s.unended = unended
	return all, nil
}

// inside reports whether the directory a is b or in it.
func inside(a, b string) bool {
	return strings.HasPrefix(a+"/", strings.TrimSuffix(b, "/")+"/")
}

// errShared: another session's agent could replace what is mounted.
var errShared = errors.New("another session works in this directory")

// share takes out of plan what the agent of another session could replace by a link
// while the engine, which follows links on the host, mounts it.
func (r *Runner) share(s *Session, plan *workspace.Plan) error {
	others, err := r.Store.beside(s.Record)
	if err == nil {
		err = alone(s.Record, others)
	}
	if err != nil {
		return err
	}
	plan.Leave(func(path string) bool { return r.Store.safe(s.Record, others, path) },
		"another session works here and could replace it while the sandbox starts")
	var paths []string
	for _, m := range plan.Mounts {
		paths = append(paths, m.Path)
	}
	if len(paths) == 0 {
		return nil
	}
	return writeJSON(filepath.Join(r.Store.dir(s.ID), pinnedFile), paths)
}

// unshared returns errShared, wrapped, if a session has come while s started and
// could have replaced what was mounted; binds are mounts that nobody else has.
func (r *Runner) unshared(s *Session, plan workspace.Plan, binds int) error {
	others, err := r.Store.beside(s.Record)
	if err == nil {
		err = alone(s.Record, others)
	}
	safe := binds == 0 || len(others) == 0
	for _, m := range plan.Mounts {
		safe = safe && r.Store.safe(s.Record, others, m.Path)
	}
	if err == nil && !safe {
		err = fmt.Errorf("%w (%s): start the session again", errShared, others[0].ID)
	}
	return err
}

// alone refuses a workspace in another session's: its agent could replace it whole.
func alone(rec Record, others []Record) error {
	for _, o := range others {
		if o.Workspace != rec.Workspace && inside(rec.Workspace, o.Workspace) {
			return fmt.Errorf("%w: %s has %s and could replace what is in it while the sandbox starts; wait for its end", errShared, o.ID, o.Workspace)
		}
	}
	return nil
}

// safe reports that none of others can replace path in rec's workspace: each has it
// pinned, or works elsewhere in it.
func (s *Store) safe(rec Record, others []Record, path string) bool {
	for _, o := range others {
		switch {
		case o.Workspace == rec.Workspace && !isPinned(path, s.pinned(o.ID)):
			return false
		case o.Workspace != rec.Workspace && inside(filepath.Join(rec.Workspace, path), o.Workspace):
			return false
		}
	}
	return true
}

// pinned are the paths in the session's pinnedFile; none if that cannot be read.
func (s *Store) pinned(id string) []string {
	var paths []string
	data, err := os.ReadFile(filepath.Join(s.dir(id), pinnedFile))
	if err != nil || json.Unmarshal(data, &paths) != nil {
		return nil
	}
	return paths
}

// isPinned reports whether path and every directory on the way to it is pinned: the
// parent of a mount can be renamed.
func isPinned(path string, pinned []string) bool {
	for i := range len(path) + 1 {
		if (i == len(path) || path[i] == '/') && !slices.Contains(pinned, path[:i]) {
			return false
		}
	}
	return true
}
