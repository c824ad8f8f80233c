package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/workspace"
)

const (
	// holdFile records what is made in the workspace to be covered by a mount. It
	// is there before anything is made and until that is removed.
	holdFile = "hold.json"
	// emptyDir is what is mounted there.
	emptyDir = "empty"
)

// hold is the content of holdFile.
type hold struct {
	Workspace string   `json:"workspace"`
	Paths     []string `json:"paths"`
}

// hold makes the directories paths and returns those that are there.
func (r *Runner) hold(s *Session, paths []string, owner *credential.Owner) ([]string, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	dir := r.Store.dir(s.ID)
	err := os.Mkdir(filepath.Join(dir, emptyDir), 0o755)
	if err == nil {
		err = writeJSON(filepath.Join(dir, holdFile), hold{s.Workspace, paths})
	}
	if err != nil {
		return nil, fmt.Errorf("hold paths of the workspace: %w", err)
	}
	uid, gid := -1, -1 // as they are
	if owner != nil {
		uid, gid = owner.UID, owner.GID
	}
	return workspace.Hold(s.Workspace, paths, uid, gid)
}

// release removes what session id holds in its workspace, unless another session
// works there: the last one removes what all of them held, because a directory
// that one found there may have been another's.
func (s *Store) release(id string) error {
	own, ok := readHold(filepath.Join(s.dir(id), holdFile))
	if !ok || len(s.held(own.Workspace, id)) > 0 {
		return nil
	}
	ids, err := s.current()
	if err != nil {
		return err
	}
	for _, other := range ids {
		file := filepath.Join(s.dir(other), holdFile)
		h, ok := readHold(file)
		if !ok || h.Workspace != own.Workspace || other != id && !isFinished(s.dir(other)) {
			continue
		}
		if err := workspace.Release(h.Workspace, h.Paths); err != nil {
			return err
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("release paths of the workspace: %w", err)
		}
	}
	return nil
}

// held are the paths of dir that sessions other than id hold and that have not
// ended.
func (s *Store) held(dir, id string) []string {
	ids, err := s.current()
	if err != nil {
		return nil
	}
	var paths []string
	for _, other := range ids {
		if other == id {
			continue
		}
		if h, ok := readHold(filepath.Join(s.dir(other), holdFile)); ok && h.Workspace == dir && !isFinished(s.dir(other)) {
			paths = append(paths, h.Paths...)
		}
	}
	return paths
}

// releaseEnded removes what ended sessions left in workspaces because their
// runners died before they came to it.
func (s *Store) releaseEnded() error {
	ids, err := s.current()
	for _, id := range ids {
		if _, ok := readHold(filepath.Join(s.dir(id), holdFile)); ok && isFinished(s.dir(id)) {
			err = errors.Join(err, s.release(id))
		}
	}
	return err
}

func readHold(file string) (h hold, ok bool) {
	data, err := os.ReadFile(file)
	return h, err == nil && json.Unmarshal(data, &h) == nil
}

// writeJSON creates a file that holds v.
func writeJSON(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFileOnce(name, data)
}
