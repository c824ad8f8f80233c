package runner

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/workspace"
)

// What an agent that works in the same directory could replace by a link is not
// mounted, but reported; what is mounted in its sandbox too cannot be replaced.
func TestProtectBesideAnotherSession(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	b.plant(t, ".envrc", ".claude/settings.json", ".vscode/tasks.json")
	first, done := b.begun(t)
	defer done()
	plan, _, err := b.protect(first)
	if err != nil {
		t.Fatal(err)
	}
	if paths := mounted(plan); !slices.Contains(paths, ".envrc") || !slices.Contains(paths, ".vscode") {
		t.Fatalf("the first has %q", paths)
	}
	b.plant(t, ".mcp.json")
	second, done := b.begun(t)
	defer done()
	next, _, err := b.protect(second)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range mounted(next) {
		if !isPinned(path, mounted(plan)) {
			t.Errorf("%s is mounted and the first can replace it", path)
		}
	}
	if !slices.Contains(mounted(next), ".envrc") {
		t.Errorf("the second has %q", mounted(next))
	}
	open := map[string]workspace.What{}
	for _, c := range next.Open {
		open[c.Path] = c.What
	}
	if open[".mcp.json"] != workspace.Unprotected {
		t.Errorf("open are %v", open)
	}
	if err := b.unshared(second, next, 0); err != nil {
		t.Error(err)
	}
	if err := b.unshared(first, next, 1); !errors.Is(err, errShared) {
		t.Errorf("mounts that nobody else has: %v", err)
	}
}

// A session that holds the whole directory could replace it.
func TestNoSessionInAnothersDirectory(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	b.plant(t, "sub/file")
	outer, done := b.begun(t)
	defer done()
	b.task.Workspace = filepath.Join(b.task.Workspace, "sub")
	if _, err := b.Start(t.Context(), b.task); !errors.Is(err, errShared) {
		t.Errorf("it started: %v", err)
	}
	if err := markFinished(b.Store.dir(outer.ID), event.SessionFinished{Outcome: event.Succeeded}); err != nil {
		t.Fatal(err)
	}
	if _, end := b.run(t); end.Outcome != event.Succeeded {
		t.Errorf("after its end: %+v", end)
	}
}

func mounted(p workspace.Plan) []string {
	var paths []string
	for _, m := range p.Mounts {
		paths = append(paths, m.Path)
	}
	return paths
}

// plant makes files of the workspace.
func (b *bundle) plant(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		file := filepath.Join(b.task.Workspace, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestManyOldSessions: what has ended and holds nothing is not looked at again.
func TestManyOldSessions(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	for range 20 {
		b.run(t)
	}
	open, err := b.Store.current()
	if err != nil || len(open) != 0 {
		t.Errorf("20 sessions have ended, and %v matter: %v", open, err)
	}
}
