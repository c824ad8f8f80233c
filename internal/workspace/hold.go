package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Hold makes the directories paths in the workspace dir and gives them to
// uid:gid, if this process may. It returns those that are there now: where none
// can be made, an agent that is the same user cannot make one either. What it
// makes must be on record before: see Release.
func Hold(dir string, paths []string, uid, gid int) ([]string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("hold paths of the workspace: %w", err)
	}
	defer root.Close()
	var made []string
	for _, p := range paths {
		switch err := root.Mkdir(p, 0o755); {
		case err == nil:
			_ = root.Lchown(p, uid, gid)
		case !errors.Is(err, fs.ErrExist):
			continue
		}
		if emptyDir(root, p) {
			made = append(made, p)
		}
	}
	return made, nil
}

// Release removes the directories that Hold made and that are still empty. One
// that is gone, or in which somebody put something, is no error.
func Release(dir string, paths []string) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("release paths of the workspace: %w", err)
	}
	defer root.Close()
	var errs []error
	for _, p := range paths {
		if !emptyDir(root, p) { // Remove would also take a file
			continue
		}
		if err := root.Remove(p); err != nil && emptyDir(root, p) {
			errs = append(errs, fmt.Errorf("release paths of the workspace: %w", err))
		}
	}
	return errors.Join(errs...)
}
