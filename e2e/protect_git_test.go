//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// gitWork are commands of an agent's and what git answers: its exit code, and a
// part of what it prints. They build on each other.
var gitWork = []struct {
	command string
	code    int
	prints  string
}{
	{"git status --short", 0, ""},
	{"echo two >>code.txt; git add -A; git commit -qm two", 0, ""},
	{"git branch topic; git checkout -q topic; git checkout -q main; git switch -qc other", 0, ""},
	{"git branch -D topic", 0, "Deleted branch topic"},
	{"echo three >>code.txt; echo new >new.txt; git stash -q; git stash pop -q; git status --short", 0, " M code.txt\n?? new.txt"},
	{"git stash -qu; git status --short; git stash pop -q; cat new.txt", 0, "new"},
	{"git clean -fdn; git clean -fdq; ls new.txt", 2, "Would remove new.txt\nls:"},
	{"git checkout -q .; git fetch -q origin; git log -1 --format=%s origin/feature", 0, "upstream"},
	{"git checkout -q feature && git log -1 --format=%s", 0, "upstream"},
	{"git checkout -q -b mine origin/feature; git switch -q main; git merge -q -m merged mine; git rebase -q mine", 0, ""},
	{"git push -q origin HEAD:pushed; git tag v1; git notes add -m x; git gc -q; git fsck", 0, "dangling commit"},
	{"git worktree add -q wt; git -C wt status --short; git worktree remove wt", 0, ""},
	{"git clone -q . copy; cat copy/code.txt; rm -r copy", 0, "two"},
	{"git config --global user.name Agent; git config user.name", 0, "Person"},
	// What does not work, because it would write to the config.
	{"git config --local a.b c", 4, "could not write config file .git/config: Device or resource busy"},
	{"git remote add more /x", 128, "could not write config file .git/config: Device or resource busy"},
	{"git push -qu origin HEAD:pushed", 0, "could not write config file .git/config: Device or resource busy"},
	{"git branch -m mine yours; git branch --list yours", 0, "update of config-file failed\n  yours"},
	{"git checkout -q origin/editor; git status --short", 0, "unable to unlink old '.vscode/settings.json': Read-only file system"},
	{"git checkout -q -f main", 1, "unable to unlink old"},
	{"git init -q", 128, "could not write config file"},
	{"git stash -qa", 1, "failed to remove"},
	{"git reset -q --hard; git clean -fdxq", 1, "failed to remove .claude/: Device or resource busy"},
}

// TestGitInSandbox has the agent work with git while the repository's config and
// hooks are read-only.
func TestGitInSandbox(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind)
		b.write(".vscode/settings.json", "{}\n")
		b.repository()
		b.hostGit("checkout", "-q", "-b", "editor")
		b.write(".vscode/settings.json", "{\"a\": 1}\n")
		b.hostGit("commit", "-qam", "editor")
		b.hostGit("checkout", "-q", "main")
		b.hostGit("checkout", "-q", "-b", "feature")
		b.hostGit("commit", "-q", "--allow-empty", "-m", "upstream")
		b.hostGit("clone", "-q", "--bare", ".", "up")
		b.hostGit("checkout", "-q", "main")
		b.hostGit("branch", "-qD", "feature", "editor")
		b.hostGit("remote", "add", "origin", "/workspace/up")
		b.write(".git/info/exclude", "/up\n/work.sh\n/out.txt\n")
		b.write(".git/hooks/pre-commit", "#!/bin/sh\necho ran >>/tmp/hook\n")
		if err := os.Chmod(b.ws+"/.git/hooks/pre-commit", 0o755); err != nil {
			t.Fatal(err)
		}
		var script strings.Builder
		for i, w := range gitWork {
			fmt.Fprintf(&script, "echo '== %d' >>out.txt; (%s) >>out.txt 2>&1; echo \"code $?\" >>out.txt\n", i, w.command)
		}
		// With -x git clean also takes what the test is made of.
		text := strings.ReplaceAll(script.String(), "out.txt", "/home/agent/out.txt")
		b.write("work.sh", "exec 3<&0\n"+text+"cat /home/agent/out.txt; cat /tmp/hook\n")
		config := b.read(".git/config")
		b.api.Script(b.token, modelapi.Shell("cp work.sh /tmp; bash /tmp/work.sh"), modelapi.Text("worked"))
		b.giveAll()
		r := b.run(b.runArgs()...)
		r.want(t, 0)

		out := all[event.ToolFinished](b, b.session())[0].Output
		for i, w := range gitWork {
			_, rest, _ := strings.Cut(out, fmt.Sprintf("== %d\n", i))
			got, rest, _ := strings.Cut(rest, "code ")
			code, _, _ := strings.Cut(rest, "\n")
			if code != fmt.Sprint(w.code) || !strings.Contains(got, w.prints) || w.code == 0 && w.prints == "" && got != "" {
				t.Errorf("%s: code %s, want %d with %q: %s", w.command, code, w.code, w.prints, got)
			}
		}
		if !strings.HasSuffix(strings.TrimSpace(out), "ran") {
			t.Errorf("the repository's own hook did not run for the agent: %.300s", out)
		}
		if diff := cmp.Diff(config, b.read(".git/config")); diff != "" {
			t.Errorf("the config changed:\n%s", diff)
		}
		// The last command took the bare repository with it.
		if v := b.violations(b.session()); !slices.Equal(v, []string{"up deleted"}) {
			t.Errorf("violations: %v", v)
		}
		if got := b.hostGit("status", "--short"); got != "" {
			t.Errorf("git status afterwards: %s", got)
		}
	})
}
