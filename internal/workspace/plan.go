package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Plan is how one workspace is protected during one session.
type Plan struct {
	// Mounts are paths of the workspace to be mounted over themselves, parents
	// before what is in them.
	Mounts []Mount
	// Hold are absent directories: an empty read-only one is to be mounted
	// there. The mount needs a directory to cover, see Hold.
	Hold []string
	// Open are guarded paths that cannot be mounted, with the reason.
	Open []Change

	dir   string
	allow []string
	binds []Mount // see Bind
}

// Mount is a path of the workspace, relative to it.
type Mount struct {
	Path     string
	ReadOnly bool
	info     fs.FileInfo // when it was planned
}

// New looks at the workspace dir. Paths that are, hold or are below one of allow
// are left as they are. held are directories that other sessions hold: where
// they are still empty they are to be held, not mounted.
func New(dir string, allow, held []string) (Plan, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Plan{}, fmt.Errorf("protect the workspace: %w", err)
	}
	defer root.Close()
	b := planner{Plan: Plan{dir: dir, allow: allow}, root: root, held: held}
	b.repository()
	inUse := b.inUse()
	for _, r := range named() {
		b.guard(r, inUse)
	}
	return b.Plan, nil
}

type planner struct {
	Plan
	root *os.Root
	held []string
}

// repository guards the workspace's own repository, if it is one.
func (b *planner) repository() {
	info, err := b.root.Lstat(gitName)
	switch {
	case within(gitName, b.allow):
	case err == nil && info.IsDir():
		if isGitDir(b.root, gitName) {
			// Mounted over itself it cannot be renamed, so that no other takes its place.
			b.mount(gitName, false)
			b.git(gitName)
		}
	case err == nil:
		b.mount(gitName, true)
	case isGitDir(b.root, "."):
		b.git(".")
	}
}

// git guards a git directory and what its config names.
func (b *planner) git(dir string) {
	for _, name := range []string{"config", "config.worktree"} {
		b.guard(Rule{Path: path.Join(dir, name), Reason: whyConfig}, false)
	}
	b.guard(Rule{Path: path.Join(dir, "hooks"), Reason: whyHooks, Hold: true}, true)
	for _, r := range extras(b.root, b.dir, dir) {
		b.guard(r, false)
	}
}

// inUse reports whether anything but a repository is in the workspace. An empty
// one stays empty: tools that begin a project in it insist on that.
func (b *planner) inUse() bool {
	f, err := openDir(b.root, ".")
	if err != nil {
		return false
	}
	defer f.Close()
	for {
		names, err := f.Readdirnames(64)
		for _, name := range names {
			if name != gitName && !b.isHeld(name) {
				return true
			}
		}
		if err != nil {
			return false
		}
	}
}

// guard mounts r's path or, if it is absent and hold is set, has it held.
func (b *planner) guard(r Rule, hold bool) {
	if strings.HasPrefix(r.Path, "*") || touches(r.Path, b.allow) {
		return
	}
	_, err := b.root.Lstat(r.Path)
	absent := errors.Is(err, fs.ErrNotExist)
	switch {
	case absent && r.Hold && hold, b.isHeld(r.Path):
		b.Hold = append(b.Hold, r.Path)
	case !absent:
		b.mount(r.Path, true)
	}
}

// isHeld reports that another session made name and nobody has used it since.
func (b *planner) isHeld(name string) bool {
	return slices.Contains(b.held, name) && emptyDir(b.root, name)
}

// mount adds name. The engine follows links on the host, so none may be in it.
func (b *planner) mount(name string, readOnly bool) {
	info, problem := b.solid(name)
	if problem != "" {
		b.Open = append(b.Open, Change{Path: name, What: Unprotected, Reason: problem})
		return
	}
	b.Mounts = append(b.Mounts, Mount{Path: name, ReadOnly: readOnly, info: info})
}

// solid returns the file or directory at name, or why it cannot be mounted.
func (b *planner) solid(name string) (info fs.FileInfo, problem string) {
	for i := range len(name) + 1 {
		if i < len(name) && name[i] != '/' {
			continue
		}
		var err error
		info, err = b.root.Lstat(name[:i])
		switch {
		case err != nil:
			return nil, "it cannot be read: " + err.Error()
		case info.Mode()&fs.ModeSymlink != 0:
			return nil, name[:i] + " is a link, which cannot be mounted"
		case i == len(name) && !info.IsDir() && !info.Mode().IsRegular():
			return nil, "it is neither a file nor a directory"
		}
	}
	return info, ""
}

// Leave takes the mounts out for whose path keep is false: they are open for reason.
func (p *Plan) Leave(keep func(path string) bool, reason string) {
	p.Mounts = slices.DeleteFunc(p.Mounts, func(m Mount) bool {
		if keep(m.Path) {
			return false
		}
		p.Open = append(p.Open, Change{Path: m.Path, What: Unprotected, Reason: reason})
		return true
	})
}

// Verify reports a mount whose path leads elsewhere since New looked: something
// else works in the directory and replaced it before the engine mounted it.
func (p Plan) Verify() error {
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return fmt.Errorf("protect the workspace: %w", err)
	}
	defer root.Close()
	b := planner{root: root}
	for _, m := range slices.Concat(p.Mounts, p.binds) {
		info, problem := b.solid(m.Path)
		if problem == "" && !os.SameFile(info, m.info) {
			problem = "it was replaced"
		}
		if problem != "" {
			return fmt.Errorf("protect the workspace: %s changed while the sandbox started (%s); start the session again", m.Path, problem)
		}
	}
	return nil
}
