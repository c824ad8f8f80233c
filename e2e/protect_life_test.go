//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

// held reports whether the workspace has a directory that holds a path's place.
func (b *bundle) held() bool { return exists(filepath.Join(b.ws, ".vscode")) }

// same fails the test unless the workspace is what it was.
func (b *bundle) same(before map[string]string) {
	b.t.Helper()
	if diff := cmp.Diff(before, b.tree()); diff != "" {
		b.t.Errorf("the workspace is not as it was (-before +after):\n%s", diff)
	}
}

// TestProtectionOutlivesRunner kills the runner while paths are held. The
// protection stays, the runner that takes over compares with what the first one
// saw, and the workspace is as it was.
func TestProtectionOutlivesRunner(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind)
		b.repository()
		before := b.tree()
		b.api.Script(b.token,
			modelapi.Shell("echo evil >.envrc; sleep 2; (echo evil >.git/hooks/evil; echo evil >.vscode/evil) 2>&1 | tee /tmp/out"),
			modelapi.Text("nobody noticed"))
		c := b.start(b.runArgs()...)
		b.awaitTool("sleep 2")
		_ = c.Process.Kill()
		_ = c.Wait()
		if !b.held() {
			t.Error("nothing is held")
		}
		if got := b.hostGit("status", "--short"); strings.Contains(got, "vscode") {
			t.Errorf("git status shows what is held: %s", got)
		}
		id := b.session()
		b.run("attach", id).want(t, 0)
		if got := b.violations(id); !slices.Equal(got, []string{".envrc created"}) {
			t.Errorf("violations: %v", got)
		}
		tools := all[event.ToolFinished](b, id)
		if n := strings.Count(tools[0].Output, "Read-only file system"); n != 2 {
			t.Errorf("%d of 2 writes were refused: %s", n, tools[0].Output)
		}
		if err := os.Remove(filepath.Join(b.ws, ".envrc")); err != nil {
			t.Error(err)
		}
		b.same(before)
	})
}

// TestProtectionSwept kills runners at any moment of their start. After the next
// commands the workspace is as it was.
func TestProtectionSwept(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		const rounds = 10
		b := setup(t, kind, modelapi.Text("ok").Repeat(-1))
		b.repository()
		before := b.tree()
		for i := range rounds {
			c := b.start(b.runArgs()...)
			time.Sleep(time.Duration(10+i*25) * time.Millisecond)
			_ = c.Process.Kill()
			_ = c.Wait()
		}
		for _, id := range b.sessions() {
			if s, err := b.store.Summary(id); err == nil && s.State == runner.Orphaned {
				b.run("attach", id)
			}
		}
		b.sweep()
		b.same(before)
	})
}

// TestProtectionShared has sessions come and go in one workspace: the last one
// leaves it as it was, and all are protected.
func TestProtectionShared(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind)
		b.repository()
		before := b.tree()
		const wait = "until [ -e %s ]; do sleep .1; done; echo evil >.vscode/evil"
		b.api.Script("one", modelapi.Shell(fmt.Sprintf(wait, "one")), modelapi.Text("ok"))
		b.api.Script("two", modelapi.Shell("touch one; "+fmt.Sprintf(wait, "two")), modelapi.Text("ok"))
		first := b.start(b.runArgs("--prompt", "[[one]]")...)
		b.awaitTool("until")
		second := b.start(b.runArgs("--prompt", "[[two]]")...)
		b.finish(first).want(t, 0)
		if !b.held() {
			t.Error("the first session ended what the second holds")
		}
		b.write("two", "")
		b.finish(second).want(t, 0)
		for _, name := range []string{"one", "two"} {
			if err := os.Remove(filepath.Join(b.ws, name)); err != nil {
				t.Error(err)
			}
		}
		for _, id := range b.sessions() {
			if v := b.violations(id); len(v) > 0 {
				t.Errorf("violations: %v", v)
			}
			for _, n := range all[event.Notice](b, id) { // what is held disturbs no agent
				if strings.Contains(n.Text, "/workspace/.") {
					t.Errorf("the agent noticed: %s", n.Text)
				}
			}
		}
		b.same(before)
	})
}

// TestAllowPath leaves named paths to the agent.
func TestAllowPath(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind,
			modelapi.Shell("echo new >.git/hooks/post-commit; mkdir .husky; echo new >.husky/pre-commit; echo x >.envrc; echo x >.vscode/tasks.json; echo evil >.vscode/settings.json"),
			modelapi.Text("done"))
		b.repository()
		b.write(".vscode/settings.json", "{}\n")
		b.run(b.runArgs("--allow-path", ".git/hooks", "--allow-path", filepath.Join(b.ws, ".husky"),
			"--allow-path", ".envrc", "--allow-path", ".vscode/tasks.json")...).want(t, 0)
		if got := b.violations(b.session()); !slices.Equal(got, []string{".vscode/settings.json changed"}) {
			t.Errorf("violations: %v", got)
		}
		for _, name := range []string{".git/hooks/post-commit", ".husky/pre-commit", ".envrc", ".vscode/tasks.json"} {
			if b.read(name) == "" {
				t.Errorf("%s was not written", name)
			}
		}
	})
}

// TestProtectionLinks has links and special files where guarded paths are. The
// engine mounts nothing through them, nothing hangs, and a change is reported.
func TestProtectionLinks(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind)
		outside := b.workspace("outside")
		secret := filepath.Join(outside, "settings.json")
		if err := os.WriteFile(secret, []byte("of the host only"), 0o644); err != nil {
			t.Fatal(err)
		}
		b.write("code.txt", "x\n")
		b.write("tools/hooks/pre-commit", "x\n")
		b.link(outside, ".vscode")
		b.link("tools/hooks", ".husky")
		b.link(secret, ".mcp.json")
		b.link(outside, ".git")
		b.fifo(".envrc")
		b.fifo(".claude")
		b.api.Script(b.token,
			modelapi.Shell("cat .vscode/settings.json .mcp.json; echo evil >.vscode/settings.json; ln -sfn /tmp .vscode; echo evil >tools/hooks/pre-commit; rm .envrc; ls -la"),
			modelapi.Text("done"))
		b.run(b.runArgs("--timeout", "40s")...).want(t, 0)
		if b.said("of the host only") > 0 {
			t.Error("the model read a file outside")
		}
		if got, err := os.ReadFile(secret); err != nil || string(got) != "of the host only" {
			t.Errorf("the file outside holds %q, %v", got, err)
		}
		var got []string
		for _, v := range all[event.PathViolation](b, b.session()) {
			got = append(got, v.Path+" "+v.What)
		}
		want := []string{".git unprotected", ".claude unprotected", ".husky unprotected", ".vscode unprotected", ".mcp.json unprotected",
			".envrc unprotected", ".envrc deleted", ".husky/pre-commit changed", ".vscode changed"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("violations (-want +got):\n%s", diff)
		}
	})
}
