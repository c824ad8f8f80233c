package workspace

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fill makes a workspace: a name with / at its end is a directory, content that
// begins with -> makes a link, and "fifo" a FIFO.
func fill(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		full := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			mustDir(t, full)
			continue
		}
		mustDir(t, filepath.Dir(full))
		var err error
		if target, ok := strings.CutPrefix(text, "->"); ok {
			err = os.Symlink(target, full)
		} else if text == "fifo" {
			err = syscall.Mkfifo(full, 0o644)
		} else {
			err = os.WriteFile(full, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// repo adds a git repository's files below prefix.
func repo(files map[string]string, prefix, config string) map[string]string {
	for _, name := range []string{"objects/", "refs/", "hooks/"} {
		files[prefix+name] = ""
	}
	files[prefix+"HEAD"], files[prefix+"config"] = "ref: x", config
	return files
}

// shown is a plan in short: ro or rw and the path, hold and the path, open and the path.
func shown(p Plan) []string {
	var list []string
	for _, m := range p.Mounts {
		mode := "rw "
		if m.ReadOnly {
			mode = "ro "
		}
		list = append(list, mode+m.Path)
	}
	for _, h := range p.Hold {
		list = append(list, "hold "+h)
	}
	for _, c := range p.Open {
		list = append(list, "open "+c.Path)
	}
	return list
}

func TestNew(t *testing.T) {
	t.Parallel()
	const hooks = "[core]\n\tbare = false\n\thooksPath = .githooks # ours\n[include]\n\tpath = ../.gitconfig\n[includeIf \"gitdir:x\"]\npath=/etc/x\n"
	allHeld := []string{"hold .claude", "hold .cursor", "hold .devcontainer", "hold .gemini", "hold .husky", "hold .idea", "hold .vscode", "hold .zed"}
	join := func(a []string, more ...string) []string { return append(more, a...) }
	for name, test := range map[string]struct {
		files       map[string]string
		allow, held []string
		want        []string
	}{
		"empty stays empty":            {want: nil},
		"new repository":               {files: repo(map[string]string{}, ".git/", ""), want: []string{"rw .git", "ro .git/config", "ro .git/hooks"}},
		"in use":                       {files: map[string]string{"code": ""}, want: allHeld},
		"no hooks":                     {files: map[string]string{".git/HEAD": "", ".git/objects/": "", ".git/refs/": "", ".git/config": ""}, want: []string{"rw .git", "ro .git/config", "hold .git/hooks"}},
		"worktree":                     {files: map[string]string{".git": "gitdir: x"}, want: []string{"ro .git"}},
		"bare":                         {files: repo(map[string]string{}, "", ""), want: join(allHeld, "ro config", "ro hooks")},
		"no repository":                {files: map[string]string{".git/x": ""}, want: nil},
		"config of the worktree":       {files: repo(map[string]string{".git/config.worktree": ""}, ".git/", ""), want: []string{"rw .git", "ro .git/config", "ro .git/config.worktree", "ro .git/hooks"}},
		"paths of the config":          {files: repo(map[string]string{".githooks/x": "", ".gitconfig": ""}, ".git/", hooks), want: join(allHeld, "rw .git", "ro .git/config", "ro .git/hooks", "ro .githooks", "ro .gitconfig")},
		"links":                        {files: map[string]string{".git": "->/x", ".vscode": "->/etc", ".mcp.json": "->x"}, allow: []string{".claude", ".cursor", ".devcontainer", ".gemini", ".husky", ".idea", ".zed"}, want: []string{"open .git", "open .vscode", "open .mcp.json"}},
		"link in the config's path":    {files: repo(map[string]string{"a": "->b", "b/hooks/x": ""}, ".git/", "[core]\nhooksPath=a/hooks\n"), want: append(join(allHeld, "rw .git", "ro .git/config", "ro .git/hooks"), "open a/hooks")},
		"allowed":                      {files: repo(map[string]string{".vscode/": "", ".mcp.json": ""}, ".git/", ""), allow: []string{".git/hooks/x", ".vscode/tasks.json", ".mcp.json", ".claude", ".cursor", ".devcontainer", ".gemini", ".husky", ".idea", ".zed"}, want: []string{"rw .git", "ro .git/config"}},
		"allowed repository":           {files: repo(map[string]string{}, ".git/", ""), allow: []string{".git"}, want: nil},
		"held by another":              {files: map[string]string{".vscode/": ""}, held: []string{".vscode"}, want: []string{"hold .vscode"}},
		"no longer held":               {files: map[string]string{".vscode/x": ""}, held: []string{".vscode"}, allow: []string{".claude", ".cursor", ".devcontainer", ".gemini", ".husky", ".idea", ".zed"}, want: []string{"ro .vscode"}},
		"the person's empty directory": {files: map[string]string{".vscode/": ""}, allow: []string{".claude", ".cursor", ".devcontainer", ".gemini", ".husky", ".idea", ".zed"}, want: []string{"ro .vscode"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := New(fill(t, test.files), test.allow, test.held)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, shown(p)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVerifySeesReplacement(t *testing.T) {
	t.Parallel()
	for name, swap := range map[string]func(path string) error{
		"another directory": func(path string) error { return os.Mkdir(path, 0o755) },
		"a link":            func(path string) error { return os.Symlink("/etc", path) },
		"nothing":           func(string) error { return nil },
	} {
		dir := fill(t, map[string]string{".vscode/x": ""})
		p, err := New(dir, nil, nil)
		if err != nil || p.Verify() != nil {
			t.Fatal(err, p.Verify())
		}
		path := filepath.Join(dir, ".vscode")
		if err := os.Rename(path, path+".old"); err != nil {
			t.Fatal(err)
		}
		if err := swap(path); err != nil {
			t.Fatal(err)
		}
		if err := p.Verify(); err == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
}

func TestHoldAndRelease(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	dir := fill(t, map[string]string{"mine/": "", "file": "x", "link": "->" + outside, "code": ""})
	paths := []string{"new", "mine", "file", "link", "no/parent", "../out"}
	held, err := Hold(dir, paths, -1, -1)
	if diff := cmp.Diff([]string{"new", "mine"}, held); diff != "" || err != nil {
		t.Errorf("held %v, %v", diff, err)
	}
	mustFile(t, filepath.Join(dir, "mine", "x"), "put there meanwhile")
	for range 2 { // a second time there is nothing to do
		if err := Release(dir, paths); err != nil {
			t.Error(err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	if diff := cmp.Diff([]string{"code", "file", "link", "mine"}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
	if err := Release(filepath.Join(dir, "gone"), paths); err != nil {
		t.Errorf("the workspace is gone: %v", err)
	}
}

func TestAllowPath(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		".vscode": ".vscode", "./a/../.git/hooks/": ".git/hooks", "/ws/x": "x",
		"": "", ".": "", "..": "", "../x": "", "/ws": "", "/wsx/y": "", "/": "", "/ws/../etc": "",
	} {
		got, err := AllowPath("/ws", name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", name, got, err, want)
		}
	}
}
