package workspace

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBind(t *testing.T) {
	t.Parallel()
	const hooks = "[core]\n\thooksPath = tools/hooks\n"
	outside := t.TempDir()
	files := repo(map[string]string{
		"data/x": "", "file": "", "tools/hooks/x": "", "tools/other/": "", ".vscode/x": "", ".mcp.json": "{}", "sub/.vscode/x": "", "sub/a": "", "SUB/.VsCode/": "",
		"x.code-workspace": "", "link": "->" + outside, "inner": "->data", "data/link": "->" + outside, "fifo": "fifo", ".idea": "->" + outside, "Tools/Hooks/x": "",
	}, ".git/", hooks)
	dir := fill(t, files)
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, want := range map[string]string{
		"data": "rw", "data/x": "rw", "file": "rw", "tools/other": "rw",
		"sub":  "rw", // what is guarded in it is writable where it is, too
		".git": "ro", ".git/objects": "ro", ".git/hooks": "ro", ".git/config": "ro", ".vscode": "ro", ".vscode/x": "ro", ".mcp.json": "ro",
		"tools": "ro", "tools/hooks": "ro", "tools/hooks/x": "ro", "Tools": "ro", "sub/.vscode": "ro", "SUB/.VsCode": "ro", "x.code-workspace": "ro",
		"link": "is a link", "link/x": "link is a link", "inner": "is a link", "inner/x": "inner is a link", "data/link": "is a link", "data/link/x": "data/link is a link",
		".idea": "is a link", "fifo": "neither a file", "socket": "neither a file", "absent": "cannot be read", "data/x/y": "cannot be read", ".zed": "cannot be read",
		"../x": "cannot be read", "..": "cannot be read",
	} {
		p, err := New(dir, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := p.Bind(name, false)
		switch {
		case err != nil:
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
			continue
		case m.ReadOnly != (want == "ro") || want != "ro" && want != "rw" || m.Path != name:
			t.Errorf("%s: %+v, want %s", name, m, want)
		}
		if m, err = p.Bind(name, true); err != nil || !m.ReadOnly {
			t.Errorf("%s is to be read-only: %+v, %v", name, m, err)
		}
		if err := p.Verify(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBindOfAllowedPaths(t *testing.T) {
	t.Parallel()
	dir := fill(t, repo(map[string]string{".vscode/x": "", ".vscode/y": "", "sub/.vscode/x": "", ".zed/x": ""}, ".git/", ""))
	p, err := New(dir, []string{".vscode/x", "sub/.vscode"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, readOnly := range map[string]bool{".vscode": false, ".vscode/x": false, "sub/.vscode": false, "sub/.vscode/x": false, ".vscode/y": true, ".zed": true, ".git": true} {
		if m, err := p.Bind(name, false); err != nil || m.ReadOnly != readOnly {
			t.Errorf("%s: %+v, %v, want read-only %v", name, m, err, readOnly)
		}
	}
}

// What another session holds is guarded although it is empty.
func TestBindOfHeldPath(t *testing.T) {
	t.Parallel()
	p, err := New(fill(t, map[string]string{"code": "", ".vscode/": ""}), nil, []string{".vscode"})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := p.Bind(".vscode", false); err != nil || !m.ReadOnly {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestVerifySeesReplacedBind(t *testing.T) {
	t.Parallel()
	for name, swap := range map[string]func(path string) error{
		"another directory": func(path string) error { return os.Mkdir(path, 0o755) },
		"a link":            func(path string) error { return os.Symlink("/etc", path) },
		"a link to itself":  func(path string) error { return os.Symlink(path+".old", path) },
		"nothing":           func(string) error { return nil },
	} {
		for _, which := range []string{"a", "a/b"} {
			dir := fill(t, map[string]string{"a/b/c": ""})
			p, err := New(dir, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Bind("a/b", false); err != nil || p.Verify() != nil {
				t.Fatal(err, p.Verify())
			}
			path := filepath.Join(dir, which)
			if err := os.Rename(path, path+".old"); err != nil {
				t.Fatal(err)
			}
			if err := swap(path); err != nil {
				t.Fatal(err)
			}
			if err := p.Verify(); err == nil {
				t.Errorf("%s in the place of %s: not noticed", name, which)
			}
		}
	}
}
