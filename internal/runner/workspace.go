package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sprawlto/ratchetai-runner/internal/workspace"
)

// instructionsMax bounds the AGENTS.md that is passed on, in bytes.
const instructionsMax = 64 << 10

// CheckWorkspace returns dir as an absolute path without links, if an agent may
// work in it: a directory that is neither home, nor above it, nor the root.
// anywhere lifts the second condition.
func CheckWorkspace(dir, home string, anywhere bool) (string, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return "", fmt.Errorf("workspace %s: %w", dir, errors.Unwrap(err))
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", fmt.Errorf("workspace %s: %w", dir, err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("workspace %s: not a directory", dir)
	}
	if resolved, err := filepath.EvalSymlinks(home); err == nil {
		home = resolved
	}
	if !anywhere && (abs == "/" || home == abs || strings.HasPrefix(home, abs+"/")) {
		return "", fmt.Errorf("workspace %s: an agent could change everything in it, your login included; "+
			"choose the project's directory, or insist with --anywhere", abs)
	}
	return abs, nil
}

// WorkspaceUser returns "UID:GID" of dir's owner. A directory of root's is
// refused: whoever wants an agent to be root says so.
func WorkspaceUser(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("workspace owner: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("workspace %s: its owner is unknown here; name one with --user UID:GID", dir)
	}
	if st.Uid == 0 {
		return "", fmt.Errorf("workspace %s belongs to root; name the agent's user with --user UID:GID (0:0 for root), "+
			"or give the directory to its user with chown", dir)
	}
	return fmt.Sprintf("%d:%d", st.Uid, st.Gid), nil
}

// fileUser returns "UID:GID" of the owner of the file at path.
func fileUser(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("the owner of %s is unknown here", path)
	}
	return fmt.Sprintf("%d:%d", st.Uid, st.Gid), nil
}

// instructions returns the workspace's AGENTS.md, or "" without one. The file is
// hostile: links out of the workspace and anything but regular files are ignored.
func instructions(dir string) string {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return ""
	}
	defer root.Close()
	text, err := workspace.ReadFile(root, "AGENTS.md", instructionsMax)
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(string(text), "\uFFFD")
}
