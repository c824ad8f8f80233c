package runner

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/devcontainer"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/sandbox"
	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// describe writes a devcontainer.json with mounts "SOURCE TARGET" and files to dir.
func describe(t *testing.T, dir string, mounts []string, files ...string) {
	t.Helper()
	var entries []string
	for _, m := range mounts {
		source, target, _ := strings.Cut(m, " ")
		entries = append(entries, "type=bind,source=${localWorkspaceFolder}/"+source+",target="+target)
	}
	text, err := json.Marshal(map[string]any{"image": "i", "mounts": entries})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, ".devcontainer.json") {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// From a hostile file to what the engine is asked to mount.
func TestDevcontainerMounts(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	ws := b.task.Workspace
	describe(t, ws, []string{"data /data", "link /a", ".vscode /b", "absent /c", ".. /d", "data/x /e/x"}, "data/x", ".vscode/tasks.json")
	if err := os.Symlink("/etc", filepath.Join(ws, "link")); err != nil {
		t.Fatal(err)
	}
	c, err := Devcontainer(ws, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"mounts[4] (its source is not below", "mounts[1] (link: link is a link", "mounts[3] (absent: it cannot be read"} {
		if len(c.Ignored) != 3 || !strings.HasPrefix(c.Ignored[i], want) {
			t.Errorf("not honoured: %q, want %q", c.Ignored, want)
		}
	}
	s, done := b.begun(t)
	defer done()
	plan, _, err := b.protect(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.bind(s, &plan, c.Mounts)
	mounts := []sandbox.Mount{
		{Source: filepath.Join(ws, "data"), Target: "/data"},
		{Source: filepath.Join(ws, ".vscode"), Target: "/b", ReadOnly: true},
		{Source: filepath.Join(ws, "data/x"), Target: "/e/x"},
	}
	if diff := cmp.Diff(mounts, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if c, err = Devcontainer(ws, []string{".vscode"}); err != nil || slices.ContainsFunc(c.Mounts, func(m devcontainer.Mount) bool { return m.ReadOnly }) {
		t.Errorf("allowed paths are read-only: %+v, %v", c.Mounts, err)
	}
}

// begun is a session of b's task that waits to be launched.
func (b *bundle) begun(t *testing.T) (*Session, func()) {
	t.Helper()
	rec := record(b.task)
	held, err := b.Store.create(rec)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.open(rec, held)
	if err != nil {
		t.Fatal(err)
	}
	return s, func() {
		s.journal.Close()
		held.release()
	}
}

// What the runner puts into a sandbox is covered by nobody's mount.
func TestMountsKeepAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, target := range []string{agent.Workspace, agent.Home, loginDir, caFile, sandbox.InitPath, pid1.StateDir, "/etc/passwd", "/tmp", "/dev/shm"} {
		for ; target != "/"; target = filepath.Dir(target) {
			describe(t, dir, []string{"data " + target}, "data/x")
			if c, err := Devcontainer(dir, nil); err != nil || len(c.Mounts) > 0 || len(c.Ignored) != 1 {
				t.Errorf("a mount at %s: %+v, %v", target, c, err)
			}
		}
	}
}

// A link that takes the place of what was looked at is not mounted for long.
func TestBindReplacedWhileStarting(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	data := filepath.Join(b.task.Workspace, "data")
	describe(t, b.task.Workspace, nil, "data/x")
	b.task.Prepare.Mounts = []devcontainer.Mount{{Name: "mounts[0]", Source: "data", Target: "/data"}}
	b.engine.Fault = func(op, _ string) error {
		if op != "start" {
			return nil
		}
		return errors.Join(os.Rename(data, data+".old"), os.Symlink("/etc", data))
	}
	if _, err := b.Start(t.Context(), b.task); err == nil || !strings.Contains(err.Error(), "data changed while the sandbox started") {
		t.Errorf("it started: %v", err)
	}
	if left, _ := b.engine.List(t.Context(), ""); len(left) > 0 {
		t.Errorf("containers left over: %v", left)
	}
	if _, err := b.Start(t.Context(), b.task); err == nil || !strings.Contains(err.Error(), "devcontainer: mounts[0]: data: data is a link") {
		t.Errorf("with a link: %v", err)
	}
}

// While another agent could replace what is mounted, nothing is.
func TestNoBindsBesideAnotherSession(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]string{"same": ".", "in it": "data", "beside": "../other"} {
		b := setup(t, answer("hello"))
		b.task.Workspace = filepath.Join(b.task.Workspace, "ws")
		describe(t, b.task.Workspace, nil, "data/x", "../other/x")
		mine := b.task
		mine.Prepare.Mounts = []devcontainer.Mount{{Name: "mounts[0]", Source: "data", Target: "/data"}}
		b.task.Workspace = filepath.Join(b.task.Workspace, where)
		other, done := b.begun(t)
		done() // its runner is gone, its agent may not be
		b.task = mine
		s, end := b.run(t)
		if end.Outcome != event.Succeeded {
			t.Errorf("%s: %+v", name, end)
		}
		refused := slices.ContainsFunc(b.notices(t, s.ID), func(n string) bool {
			return strings.Contains(n, "not honoured: session "+other.ID+" works in this directory")
		})
		if refused != (name != "beside") {
			t.Errorf("%s: refused %v", name, refused)
		}
		if err := markFinished(b.Store.dir(other.ID), event.SessionFinished{Outcome: event.Succeeded}); err != nil {
			t.Fatal(err)
		}
		if s, _ = b.run(t); len(b.notices(t, s.ID)) > 0 {
			t.Errorf("%s: after the other's end: %v", name, b.notices(t, s.ID))
		}
	}
}

// One that comes while the sandbox starts is seen afterwards.
func TestAnotherSessionWhileStarting(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	describe(t, b.task.Workspace, nil, "data/x")
	mine := b.task
	mine.Prepare.Mounts = []devcontainer.Mount{{Name: "mounts[0]", Source: "data", Target: "/data"}}
	b.engine.Fault = func(op, _ string) error {
		if op == "start" {
			_, done := b.begun(t)
			done()
		}
		return nil
	}
	if _, err := b.Start(t.Context(), mine); !errors.Is(err, errShared) || !strings.Contains(err.Error(), "start the session again") {
		t.Errorf("it started: %v", err)
	}
	if left, _ := b.engine.List(t.Context(), ""); len(left) > 0 {
		t.Errorf("containers left over: %v", left)
	}
}

// notices are the texts of a finished session's notices.
func (b *bundle) notices(t *testing.T, id string) []string {
	t.Helper()
	var all []string
	for _, e := range b.entries(t, id) {
		if e.Type == string(event.TypeNotice) {
			all = append(all, string(e.Data))
		}
	}
	return all
}
