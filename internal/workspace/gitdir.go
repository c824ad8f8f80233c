package workspace

import (
	"os"
	"path"
)

// gitMark are the names that make a directory a git directory.
type gitMark struct{ head, objects, refs, common bool }

func (m *gitMark) see(name string) {
	switch name {
	case "HEAD":
		m.head = true
	case "objects":
		m.objects = true
	case "refs":
		m.refs = true
	case "commondir":
		m.common = true
	}
}

// repository is git's own test (2.39, is_git_directory), less its look at HEAD's
// content.
func (m gitMark) repository() bool { return m.head && (m.common || m.objects && m.refs) }

func isGitDir(root *os.Root, dir string) bool {
	var m gitMark
	for _, name := range []string{"HEAD", "objects", "refs", "commondir"} {
		if _, err := root.Lstat(path.Join(dir, name)); err == nil {
			m.see(name)
		}
	}
	return m.repository()
}

// modulesDeepMax bounds the nesting of submodules' names in .git/modules.
const modulesDeepMax = 16

// recordGit records the .git at name: a git directory, a link to one, or a file
// that names one. Another directory is nothing to git.
func (t *taker) recordGit(to *Top, name string) {
	if info, err := t.root.Stat(name); err != nil || !info.IsDir() {
		t.record(to, name, 0)
		return
	}
	if target, err := t.root.Readlink(name); err == nil {
		t.put(to, name, "link "+printable(target))
	}
	if isGitDir(t.root, name) {
		t.gitDir(to, name, 0)
	}
}

// gitDir records what git runs or obeys in the git directory dir, its
// submodules' and worktrees' included, and that it is there at all.
func (t *taker) gitDir(to *Top, dir string, deep int) {
	t.put(to, path.Join(dir, "HEAD"), "git directory")
	for _, name := range []string{"config", "config.worktree", "commondir", "gitdir", "hooks"} {
		t.record(to, path.Join(dir, name), 0)
	}
	t.gitDirs(to, path.Join(dir, "worktrees"), deep+1)
	t.gitDirs(to, path.Join(dir, "modules"), deep+1)
}

// gitDirs looks for git directories in dir, whose names may have slashes.
func (t *taker) gitDirs(to *Top, dir string, deep int) {
	if deep > modulesDeepMax {
		t.cutShort("git directories are nested too deeply in " + dir)
		return
	}
	t.list(t.root, dir, func(e os.DirEntry) {
		name := path.Join(dir, e.Name())
		switch {
		case !e.IsDir() || within(name, t.allow):
		case isGitDir(t.root, name):
			t.gitDir(to, name, deep)
		default:
			t.gitDirs(to, name, deep+1)
		}
	})
}
