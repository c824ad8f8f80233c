package workspace

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// take looks at dir and passes the snapshot through JSON, as a session does.
func take(t *testing.T, dir string, allow ...string) Snapshot {
	t.Helper()
	s, err := Take(t.Context(), dir, allow)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var stored Snapshot
	if err := json.Unmarshal(data, &stored); err != nil {
		t.Fatal(err)
	}
	return stored
}

// compared are the changes that do makes in a workspace of files, in short.
func compared(t *testing.T, files map[string]string, do func(dir string), allow ...string) []string {
	t.Helper()
	dir := fill(t, files)
	before := take(t, dir, allow...)
	do(dir)
	var list []string
	for _, c := range Compare(before, take(t, dir, allow...)) {
		if c.Reason == "" {
			t.Errorf("no reason for %s", c.Path)
		}
		list = append(list, c.Path+" "+string(c.What))
	}
	return list
}

func TestCompare(t *testing.T) {
	t.Parallel()
	write := func(names ...string) func(string) {
		return func(dir string) {
			for _, name := range names {
				mustDir(t, filepath.Dir(filepath.Join(dir, name)))
				mustFile(t, filepath.Join(dir, name), "evil")
			}
		}
	}
	remove := func(name string) func(string) {
		return func(dir string) { _ = os.RemoveAll(filepath.Join(dir, name)) }
	}
	move := func(from, to string) func(string) {
		return func(dir string) {
			if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
				t.Error(err)
			}
		}
	}
	link := func(target, name string) func(string) {
		return func(dir string) {
			_ = os.Remove(filepath.Join(dir, name))
			if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
		}
	}
	for name, test := range map[string]struct {
		files map[string]string
		do    func(string)
		allow []string
		want  []string
	}{
		"nothing":                       {files: map[string]string{".vscode/a": "x"}, do: func(string) {}},
		"other files":                   {do: write("a", "b/c", ".config/x", "git", "HEAD")},
		"every name, anywhere":          {do: write(".envrc", "a/.mcp.json", "a/b/x.code-workspace", "a/.VSCode/tasks.json"), want: []string{".envrc created", "a/.VSCode created", "a/.mcp.json created", "a/b/x.code-workspace created"}},
		"file in a directory":           {files: map[string]string{"a/.vscode/x": "x"}, do: write("a/.vscode/y", "a/.vscode/x"), want: []string{"a/.vscode/x changed", "a/.vscode/y created"}},
		"mode":                          {files: map[string]string{".husky/x": ""}, do: func(dir string) { _ = os.Chmod(filepath.Join(dir, ".husky/x"), 0o755) }, want: []string{".husky/x changed"}},
		"same content, new file":        {files: map[string]string{".husky/x": "evil"}, do: write(".husky/x")},
		"deleted":                       {files: map[string]string{".husky/x": "", ".husky/y": "", ".mcp.json": ""}, do: func(dir string) { remove(".mcp.json")(dir); remove(".husky/x")(dir) }, want: []string{".husky/x deleted", ".mcp.json deleted"}},
		"deleted whole":                 {files: map[string]string{".husky/x": "", ".husky/y": ""}, do: remove(".husky"), want: []string{".husky deleted"}},
		"empty directories are nothing": {files: map[string]string{".vscode/": ""}, do: func(dir string) { remove(".vscode")(dir); mustDir(t, filepath.Join(dir, ".zed")) }},
		"renamed parent":                {files: map[string]string{"x/.vscode/a": ""}, do: move("x", "y"), want: []string{"x/.vscode deleted", "y/.vscode created"}},
		"renamed into place":            {files: map[string]string{"x/a": ""}, do: move("x", ".vscode"), want: []string{".vscode created"}},
		"packages of others":            {do: write("node_modules/a/.vscode/x", "node_modules/a/.envrc")},
		"git in packages of others":     {do: write("node_modules/a/.git"), want: []string{"node_modules/a/.git created"}},
		"link to what is allowed":       {files: map[string]string{"a/x": ""}, do: link("a", ".vscode"), want: []string{".vscode created"}},
		"behind a link":                 {files: map[string]string{"a/x": "", ".vscode": "->a"}, do: write("a/x", "a/y"), want: []string{".vscode/x changed", ".vscode/y created"}},
		"link elsewhere":                {files: map[string]string{".vscode": "->/etc"}, do: link("/usr", ".vscode"), want: []string{".vscode changed"}},
		"outside of the workspace":      {files: map[string]string{".mcp.json": "->/proc/uptime"}, do: func(string) { time.Sleep(20 * time.Millisecond) }},
		"file instead of a directory":   {files: map[string]string{".vscode/x": ""}, do: func(dir string) { remove(".vscode")(dir); write(".vscode")(dir) }, want: []string{".vscode changed"}},
		"allowed":                       {do: write(".vscode/a", ".mcp.json", "x/.envrc"), allow: []string{".vscode", "x"}, want: []string{".mcp.json created"}},
		"allowed file in a directory":   {do: write(".vscode/a", ".vscode/b"), allow: []string{".vscode/a"}, want: []string{".vscode created"}},
		"the IDE's own state":           {files: map[string]string{".idea/workspace.xml": "x"}, do: write(".idea/workspace.xml")},

		"git config, hook, commondir": {files: repo(map[string]string{".git/hooks/a": ""}, ".git/", ""), do: write(".git/config", ".git/hooks/a", ".git/hooks/b", ".git/commondir", ".git/index", ".git/HEAD"), want: []string{".git/commondir created", ".git/config changed", ".git/hooks/a changed", ".git/hooks/b created"}},
		"new repository":              {do: write("a/.git/HEAD", "a/.git/config", "a/.git/refs/x", "a/.git/objects/x"), want: []string{"a/.git created"}},
		"repository by commondir":     {do: write("a/.git/HEAD", "a/.git/commondir"), want: []string{"a/.git created"}},
		"no repository":               {do: write("a/.git/HEAD", "a/.git/config")},
		"bare":                        {do: write("a/HEAD", "a/config", "a/refs/x", "a/objects/x"), want: []string{"a created"}},
		"bare, by one file":           {files: map[string]string{"a/objects/x": "", "a/refs/x": ""}, do: write("a/HEAD"), want: []string{"a created"}},
		"bare, in the workspace":      {do: write("HEAD", "refs/x", "objects/x"), want: []string{". created"}},
		"bare's config":               {files: repo(map[string]string{}, "a/", ""), do: write("a/config"), want: []string{"a/config changed"}},
		"worktree":                    {files: repo(map[string]string{}, ".git/", ""), do: write("a/.git", ".git/worktrees/a/HEAD", ".git/worktrees/a/commondir", ".git/worktrees/a/gitdir"), want: []string{".git/worktrees/a/HEAD created", ".git/worktrees/a/commondir created", ".git/worktrees/a/gitdir created", "a/.git created"}},
		"submodule":                   {files: repo(repo(map[string]string{"s/.git": "x"}, ".git/modules/a/s/", ""), ".git/", ""), do: write(".git/modules/a/s/config", "s/.git"), want: []string{".git/modules/a/s/config changed", "s/.git changed"}},
		"file for a directory":        {files: repo(map[string]string{}, ".git/", ""), do: func(dir string) { remove(".git")(dir); write(".git")(dir) }, want: []string{".git changed"}},
		"link to a repository":        {files: repo(map[string]string{".git": "->g"}, "g/", ""), do: write("g/config", "g/index", "g/objects/x"), want: []string{".git/config changed", "g/config changed"}},
		"hooks of the config":         {files: repo(map[string]string{"dev/hooks/x": ""}, ".git/", "[core]\nhookspath = \"dev/hooks\""), do: write("dev/hooks/x"), want: []string{"dev/hooks/x changed"}},
		"included config":             {files: repo(map[string]string{}, ".git/", "[include]\npath = ../my.config"), do: write("my.config"), want: []string{"my.config created"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, compared(t, test.files, test.do, test.allow...)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// Nothing in a workspace keeps the runner waiting or leads it outside.
func TestHostileWorkspace(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		".envrc": "fifo", ".vscode/fifo": "fifo", ".vscode/loop": "->.", ".vscode/self": "->self", ".claude": "->.claude",
		".zed": "->..", ".husky": "->/", ".mcp.json": "->/dev/zero", ".git": "->/proc/self", "a/.git": "->..",
		"\xff/.vscode/\xfe": "x", "\xfe/.vscode/\xfe": "x", "b/HEAD": "fifo", "b/objects": "fifo", "b/refs": "fifo", "b/config": "fifo",
		".cursor": "->a/b/c", "x": "->/etc",
	}
	dir := fill(t, files)
	deep := dir
	for range 100 {
		deep = filepath.Join(deep, "d")
	}
	mustDir(t, deep)
	big, err := os.Create(filepath.Join(dir, "mise.toml"))
	if err != nil || big.Truncate(1<<40) != nil {
		t.Fatal(err)
	}
	big.Close()
	done := make(chan Snapshot, 1)
	go func() { done <- take(t, dir) }()
	select {
	case s := <-done:
		if s.Cut == "" {
			t.Error("it does not say that something was left out")
		}
		if diff := Compare(s, take(t, dir)); len(diff) > 0 {
			t.Errorf("nothing changed, and it says: %v", diff)
		}
		if len(s.Tops) < 12 {
			t.Errorf("found only %d: %v", len(s.Tops), s.Tops)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it hangs")
	}
}

func TestTakeEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := Take(ctx, fill(t, map[string]string{"a/b": ""}), nil)
	if err != nil || s.Cut == "" {
		t.Errorf("%v, %v", s, err)
	}
	if _, err := Take(t.Context(), "/nowhere", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no workspace: %v", err)
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	dir := fill(t, map[string]string{"a": "text", "fifo": "fifo", "in": "->a", "out": "->/etc/passwd", "dir/": "", "dev": "->/dev/zero"})
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, want := range map[string]string{"a": "tex", "in": "tex", "fifo": "", "out": "", "dir": "", "dev": "", "none": ""} {
		got, err := ReadFile(root, name, 3)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := ReadFile(root, "fifo", 1); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a FIFO: %v", err)
	}
	for _, name := range []string{"fifo", "a", "out", "none"} {
		if d, err := openDir(root, name); err == nil {
			t.Errorf("%s is opened as a directory: %v", name, d.Name())
		}
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	var seen []string
	for _, r := range Rules() {
		if r.Reason == "" || strings.HasPrefix(r.Path, "/") || slices.Contains(seen, r.Path) || strings.ToLower(r.Path) != r.Path && r.Path != bareRule {
			t.Errorf("bad rule %+v", r)
		}
		seen = append(seen, r.Path)
	}
}
