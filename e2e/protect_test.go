//go:build e2e

package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/workspace"
)

// repository makes a git repository of the person's in the workspace, with one
// commit and a remote that has a branch "feature".
func (b *bundle) repository() {
	b.t.Helper()
	b.write("code.txt", "one\n")
	b.hostGit("init", "-q", "-b", "main")
	b.hostGit("config", "user.email", "person@example.com")
	b.hostGit("config", "user.name", "Person")
	b.hostGit("add", "-A")
	b.hostGit("commit", "-q", "-m", "one")
	b.giveAll()
}

// hostGit runs git in the workspace as the person would, and returns its output.
func (b *bundle) hostGit(args ...string) string {
	b.t.Helper()
	config := filepath.Join(b.home, ".gitconfig")
	if err := os.WriteFile(config, []byte("[safe]\n\tdirectory = *\n"), 0o644); err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command("git", append([]string{"-C", b.ws}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+b.home, "GIT_CONFIG_NOSYSTEM=1", "GIT_OPTIONAL_LOCKS=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return string(out)
}

// tree is everything in the workspace but what git itself changes in a commit:
// mode and content, by path.
func (b *bundle) tree() map[string]string {
	b.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(b.ws, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(b.ws, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += " " + string(data)
		case info.Mode()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			text += " " + target
		}
		all[rel] = text
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// violations are what session id reported, as "path what". They come right
// before its end.
func (b *bundle) violations(id string) []string {
	b.t.Helper()
	var list []string
	for _, v := range all[event.PathViolation](b, id) {
		if v.Reason == "" {
			b.t.Errorf("no reason for %s", v.Path)
		}
		list = append(list, v.Path+" "+v.What)
	}
	entries := b.entries(id)
	for i, e := range slices.Backward(entries[:len(entries)-1]) {
		if len(list) == 0 || e.Type != string(event.TypePathViolation) {
			if want := len(entries) - 1 - len(list); i+1 != want {
				b.t.Errorf("violations are at %d, want them at %d, right before the end", i+1, want)
			}
			break
		}
	}
	return list
}

// script writes lines, each of which may fail, into a file of the workspace:
// Codex refuses a command line in which it sees rm -rf.
func (b *bundle) script(name string, lines []string) {
	b.t.Helper()
	b.write(name, "cd /workspace\nexec 2>&1\nset -x\n"+strings.Join(lines, "\n")+"\ntrue\n")
}

// TestProtectedPaths has the agent try to plant every entry of the table, in
// every way that a shell offers. What the host has is unchanged, what is new is
// reported.
func TestProtectedPaths(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind)
		b.repository()
		for _, name := range []string{".vscode/settings.json", ".mcp.json", ".envrc", ".claude/settings.json"} {
			b.write(name, "{}\n")
		}
		create := []string{
			"git config core.fsmonitor evil", "git config --file .git/config core.hooksPath evil",
			"mv .git away; mkdir .git", "rm -f .git; rmdir .git; echo gitdir: evil >.git", "ln -sfnT evil .git",
			"mkdir evil; cp -r .git evil/; mv -T evil/.git .git; rm -rf evil", "git config --worktree core.fsmonitor evil",
			"git init --separate-git-dir=evil .; rm -rf evil",
		}
		var elsewhere, want []string
		for _, r := range workspace.Rules() {
			file := strings.Replace(r.Path, "*", "evil", 1)
			switch {
			case r.Path == ".git" || strings.Contains(r.Path, " "):
				continue // below
			case r.Hold:
				file += "/evil"
			}
			create = append(create, attempts(file)...)
			if !strings.HasPrefix(r.Path, ".git/") {
				name := strings.Replace(r.Path, "*", "evil", 1)
				elsewhere = append(elsewhere, fmt.Sprintf("mkdir -p $(dirname sub/%s) && echo evil >sub/%[1]s", file))
				want = append(want, "sub/"+name+" created")
				if !r.Hold && !slices.Contains([]string{".mcp.json", ".envrc"}, r.Path) {
					want = append(want, name+" created")
				}
			}
		}
		elsewhere = append(elsewhere, "git init -q new", "mkdir -p bare/objects bare/refs; echo ref: x >bare/HEAD",
			"mkdir moved; echo evil >moved/x; mkdir deep; mv moved deep/.vscode",
			"mkdir file; echo gitdir: ../evil >file/.git", "mkdir links; ln -s ../evil links/.husky")
		b.script("plant.sh", create)
		b.script("elsewhere.sh", elsewhere)
		before := b.tree()
		b.api.Script(b.token, modelapi.Shell("sh plant.sh"), modelapi.Shell("sh elsewhere.sh"), modelapi.Text("tried"))
		r := b.run(b.runArgs()...)
		r.want(t, 0)

		after := b.tree()
		for name, text := range before {
			if after[name] != text && name != ".git/index" {
				t.Errorf("%s was %q and is %q", name, text, after[name])
			}
		}
		want = append(want, "new/.git created", "bare created", "deep/.vscode created", "file/.git created",
			"links/.husky created",
			".git/gitdir created", ".git/config.worktree created", ".git/commondir created")
		got := b.violations(b.session())
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("violations (-want +got):\n%s\n%s", diff, r.story())
		}
	})
}

// attempts are ways to make path hold something of the agent's.
func attempts(path string) []string {
	dir, base := filepath.Dir(path), filepath.Base(path)
	tries := []string{
		fmt.Sprintf("mkdir -p %s; echo evil >>%s", dir, path),
		fmt.Sprintf("echo evil >evil.new; mv -f evil.new %s; rm -f evil.new", path),
		fmt.Sprintf("echo evil >evil.new; ln -f evil.new %s; rm -f evil.new", path),
		fmt.Sprintf("ln %s evil.link && echo evil >>evil.link; rm -f evil.link", path),
		fmt.Sprintf("rm -rf %s; chmod 777 %[1]s", path),
		fmt.Sprintf("ln -s /tmp/evil %s", path),
		fmt.Sprintf("cp /bin/true %s; echo evil >>%[1]s; sed -i s/./evil/ %[1]s", path),
		fmt.Sprintf("python3 -c 'import os; os.truncate(%q, 0)'", path),
	}
	if dir != "." && dir != ".git" {
		tries = append(tries,
			fmt.Sprintf("mkdir -p evil.dir; echo evil >evil.dir/%s; mv %s evil.old; mv -T evil.dir %[2]s; rm -rf evil.dir", base, dir),
			fmt.Sprintf("mkdir -p evil.dir; rmdir %s; rm -rf %[1]s; ln -sfnT evil.dir %[1]s; rm -rf evil.dir", dir))
	}
	// What could be made is left as a file, so that it is found.
	return append(tries, fmt.Sprintf("rm -f %s; echo evil >%[1]s", path))
}
