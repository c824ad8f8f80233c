package runner

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// planting is a Claude that writes files into the workspace, then answers.
func planting(dir *string, files ...string) func(map[string]any, func(string)) bool {
	return func(line map[string]any, print func(string)) bool {
		if line["type"] == "user" {
			for _, name := range files {
				file := filepath.Join(*dir, name)
				_ = os.MkdirAll(filepath.Dir(file), 0o755)
				_ = os.WriteFile(file, []byte("evil"), 0o644)
			}
		}
		return answer("done")(line, print)
	}
}

// lastTypes are the types of a finished session's last n events.
func (b *bundle) lastTypes(t *testing.T, id string, n int) []string {
	t.Helper()
	var types []string
	for _, e := range b.entries(t, id) {
		types = append(types, e.Type)
	}
	return types[max(0, len(types)-n):]
}

// names are the entries of the workspace.
func (b *bundle) names(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(b.task.Workspace)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestViolationsComeRightBeforeTheEnd(t *testing.T) {
	t.Parallel()
	var dir string
	b := setup(t, planting(&dir, ".envrc", "sub/.vscode/tasks.json", "sub/code"))
	dir = b.task.Workspace
	if err := os.WriteFile(filepath.Join(dir, "code"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s, _ := b.run(t)
	want := []string{"hostpath.violation", "hostpath.violation", "session.finished"}
	if got := b.lastTypes(t, s.ID, 3); !slices.Equal(got, want) {
		t.Errorf("the session ends with %v", got)
	}
	if diff := cmp.Diff([]string{".envrc", "code", "sub"}, b.names(t)); diff != "" {
		t.Errorf("the workspace (-want +got):\n%s", diff)
	}
	for _, name := range []string{guardedFile, holdFile, emptyDir} {
		if _, err := os.Stat(filepath.Join(b.Store.dir(s.ID), name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left over: %v", name, err)
		}
	}
}

func TestManyViolationsAreCutShort(t *testing.T) {
	t.Parallel()
	var dir string
	var files []string
	for i := range violationsMax + 20 {
		files = append(files, filepath.Join(string(rune('a'+i/26))+string(rune('a'+i%26)), ".envrc"))
	}
	b := setup(t, planting(&dir, files...))
	dir = b.task.Workspace
	s, _ := b.run(t)
	got := b.lastTypes(t, s.ID, violationsMax+2)
	n := 0
	for _, typ := range got {
		if typ == string(event.TypePathViolation) {
			n++
		}
	}
	if n != violationsMax || got[violationsMax] != string(event.TypeNotice) {
		t.Errorf("%d violations, then %v", n, got[len(got)-2:])
	}
}

// The first runner dies after it had made what it holds; the next command ends
// the session and leaves nothing in the workspace.
func TestHeldPathsAreSwept(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	if err := os.WriteFile(filepath.Join(b.task.Workspace, "code"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	rec := record(b.task)
	held, err := b.Store.create(rec)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.open(rec, held)
	if err != nil {
		t.Fatal(err)
	}
	if _, mounts, err := b.protect(s); err != nil || len(mounts) == 0 {
		t.Fatal(mounts, err)
	}
	if len(b.names(t)) < 5 {
		t.Fatalf("holds only %v", b.names(t))
	}
	s.cancel() // as if the process were gone
	s.journal.Close()
	held.release()
	if _, err := b.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"code"}, b.names(t)); diff != "" {
		t.Errorf("the workspace (-want +got):\n%s", diff)
	}
}

// A runner that dies between the end and the removal leaves that to Sweep.
func TestReleaseAfterTheEnd(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	s, _ := b.run(t)
	dir := b.Store.dir(s.ID)
	if err := os.Mkdir(filepath.Join(b.task.Workspace, ".vscode"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writeJSON(filepath.Join(dir, holdFile), hold{b.task.Workspace, []string{".vscode"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names := b.names(t); len(names) > 0 {
		t.Errorf("left over: %v", names)
	}
}

// Of several sessions in one workspace the last one removes what all of them
// held; until then none can be forgotten.
func TestLastSessionReleases(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	ws := b.task.Workspace
	var ids []string
	for i, path := range []string{".vscode", ".husky"} {
		rec := record(b.task)
		held, err := b.Store.create(rec)
		if err != nil {
			t.Fatal(err)
		}
		held.release()
		if err := writeJSON(filepath.Join(b.Store.dir(rec.ID), holdFile), hold{ws, []string{path}}); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(ws, path), 0o755); err != nil {
			t.Fatal(i, err)
		}
		ids = append(ids, rec.ID)
	}
	if err := markFinished(b.Store.dir(ids[0]), event.SessionFinished{Outcome: event.Succeeded}); err != nil {
		t.Fatal(err)
	}
	if err := b.Store.release(ids[0]); err != nil || len(b.names(t)) != 2 {
		t.Errorf("the first released %v, %v", b.names(t), err)
	}
	if err := b.Store.Remove(ids[0]); err == nil {
		t.Error("the first can be forgotten before the second has ended")
	}
	if err := b.Store.release(ids[1]); err != nil || len(b.names(t)) != 0 {
		t.Errorf("the last left %v, %v", b.names(t), err)
	}
	if err := b.Store.Remove(ids[0]); err != nil {
		t.Error(err)
	}
}

// What the engine would mount is not what was looked at: the session does not run.
func TestReplacedWhileStarting(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	path := filepath.Join(b.task.Workspace, ".vscode")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	b.engine.Fault = func(op, _ string) error {
		if op == "start" {
			_ = os.Remove(path)
			return os.Symlink("/etc", path)
		}
		return nil
	}
	if _, err := b.Start(t.Context(), b.task); err == nil {
		t.Fatal("it started")
	}
	if left, _ := b.engine.List(t.Context(), ""); len(left) > 0 {
		t.Errorf("containers left over: %v", left)
	}
	if sum, err := b.Store.List(); err != nil || sum[0].End == nil || sum[0].End.Outcome != event.Errored {
		t.Errorf("listed %+v, %v", sum, err)
	}
}

// The mounts are those of the plan, below the agent's workspace.
func TestProtectMounts(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	ws := b.task.Workspace
	for _, name := range []string{".git/objects", ".git/refs", ".git/hooks"} {
		if err := os.MkdirAll(filepath.Join(ws, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{".git/HEAD", ".git/config"} {
		if err := os.WriteFile(filepath.Join(ws, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rec := record(b.task)
	held, err := b.Store.create(rec)
	if err != nil {
		t.Fatal(err)
	}
	defer held.release()
	s, err := b.open(rec, held)
	if err != nil {
		t.Fatal(err)
	}
	defer s.journal.Close()
	_, got, err := b.protect(s)
	want := []sandbox.Mount{
		{Source: filepath.Join(ws, ".git"), Target: "/workspace/.git"},
		{Source: filepath.Join(ws, ".git/config"), Target: "/workspace/.git/config", ReadOnly: true},
		{Source: filepath.Join(ws, ".git/hooks"), Target: "/workspace/.git/hooks", ReadOnly: true},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("mounts %v (-want +got):\n%s", err, diff)
	}
}
