package store

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

func TestArtifact(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	h := running(t, s, task.Spec{})
	const name = "../../raw-7\x00é"
	content := strings.Repeat("line\n", 1000)
	sum := checksum([]byte(content))
	size := int64(len(content))
	put := func(name string, offset int64, r io.Reader) (ArtifactState, error) {
		return s.PutArtifact(ctx, h.batch(), name, size, sum, offset, r)
	}
	if _, err := s.Artifact(ctx, h.Session, name); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	// The connection breaks; what came is kept.
	cut := io.MultiReader(strings.NewReader(content[:1234]), iotest.ErrReader(io.ErrUnexpectedEOF))
	if a, err := put(name, 0, cut); !errors.Is(err, io.ErrUnexpectedEOF) || a.Received != 1234 {
		t.Fatal(a, err)
	}
	if a := must(s.Artifact(ctx, h.Session, name)); a.Received != 1234 || a.Complete || a.Size != size || a.SHA256 != sum {
		t.Errorf("%+v", a)
	}
	if a, err := put(name, 1235, strings.NewReader(content[1235:])); !errors.Is(err, ErrConflict) || a.Received != 1234 {
		t.Error(a, err)
	}
	if _, _, err := s.OpenArtifact(ctx, h.Session, name); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if a, err := put(name, 1234, iotest.OneByteReader(strings.NewReader(content[1234:]))); err != nil || !a.Complete {
		t.Fatal(a, err)
	}
	f, a, err := s.OpenArtifact(ctx, h.Session, name)
	if err != nil || !a.Complete {
		t.Fatal(a, err)
	}
	defer f.Close()
	if got := must(io.ReadAll(f)); string(got) != content {
		t.Error(len(got), "bytes")
	}
	// Repeating it changes nothing; another content of this name is refused.
	if a, err := put(name, 0, strings.NewReader(content)); err != nil || !a.Complete {
		t.Error(a, err)
	}
	if _, err := s.PutArtifact(ctx, h.batch(), name, 1, checksum([]byte("x")), 0, strings.NewReader("x")); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
	// The same content under another name is one file.
	if a, err := put("copy", 0, strings.NewReader(content)); err != nil || !a.Complete {
		t.Error(a, err)
	}
	if files := artifactFiles(t, s); len(files) != 1 || files[0] != sum {
		t.Error(files)
	}
}

func TestArtifactRefuses(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	h := running(t, s, task.Spec{})
	sum := checksum([]byte("right"))
	if a, err := s.PutArtifact(ctx, h.batch(), "a", 5, sum, 0, strings.NewReader("wrong")); !errors.Is(err, ErrConflict) {
		t.Error(a, err)
	}
	if a := must(s.Artifact(ctx, h.Session, "a")); a.Received != 0 {
		t.Errorf("%+v", a)
	}
	if _, err := s.PutArtifact(ctx, h.batch(), "a", 5, sum, 0, strings.NewReader("right and more")); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
	// What is incomplete makes room for another version of it.
	if a, err := s.PutArtifact(ctx, h.batch(), "a", 3, checksum([]byte("new")), 0, strings.NewReader("new")); err != nil || !a.Complete {
		t.Error(a, err)
	}
	for _, sum := range []string{"", "../..", strings.Repeat("z", 64), sum[:62]} {
		if _, err := s.PutArtifact(ctx, h.batch(), "b", 5, sum, 0, strings.NewReader("right")); !errors.Is(err, ErrConflict) {
			t.Error(sum, err)
		}
	}
	b := h.batch()
	b.Token++
	if _, err := s.PutArtifact(ctx, b, "b", 5, sum, 0, strings.NewReader("right")); !errors.Is(err, ErrFenced) {
		t.Error(err)
	}
	b = h.batch()
	b.Runner = "runner-2"
	if _, err := s.PutArtifact(ctx, b, "b", 5, sum, 0, strings.NewReader("right")); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	// Two at once do not mix.
	slow, w := io.Pipe()
	done := make(chan error)
	go func() {
		_, err := s.PutArtifact(ctx, h.batch(), "c", 5, sum, 0, slow)
		done <- err
	}()
	w.Write([]byte("ri"))
	if _, err := s.PutArtifact(ctx, h.batch(), "c", 5, sum, 0, strings.NewReader("right")); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
	w.Write([]byte("ght"))
	w.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	finish := func(content string) Held {
		h := running(t, s, task.Spec{})
		if _, _, err := s.AddCommand(ctx, h.Session, commandHi, "alice", noon); err != nil {
			t.Fatal(err)
		}
		if _, err := s.PutArtifact(ctx, h.batch(), "a", int64(len(content)), checksum([]byte(content)), 0, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		_, _ = s.PutArtifact(ctx, h.batch(), "half", 9, checksum([]byte(content)), 0, strings.NewReader("half"))
		appendEvents(t, s, h, ev(1, event.AskOpened{Ask: "a", Default: event.DecideDeny}))
		appendEvents(t, s, h, notices(2, 2*removeEvents)...)
		appendEvents(t, s, h, ev(2*removeEvents+2, event.SessionFinished{Outcome: event.Failed}))
		return h
	}
	old, shared := finish("old"), finish("shared")
	s.now = func() time.Time { return noon.Add(time.Hour) }
	kept := finish("shared")
	open := running(t, s, task.Spec{})
	expired := must(s.AddToken(ctx, BrowserToken, "alice", newTokenUntil(noon), [32]byte{1}, noon))
	must(s.AddToken(ctx, BrowserToken, "alice", newTokenUntil(noon.Add(time.Hour)), [32]byte{2}, noon))
	if err := s.Record(ctx, auditAt(noon)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Retention(ctx, noon.Add(time.Minute)); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	for _, h := range []Held{old, shared} {
		if _, _, err := s.Task(ctx, h.Task.ID); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if _, err := s.Append(ctx, h.batch(notices(1, 1)...)); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
	var events int
	if err := s.readDB.QueryRowContext(ctx, "SELECT COUNT(*) FROM events").Scan(&events); err != nil || events != 2*removeEvents+2 {
		t.Error(events, "events", err)
	}
	if n := len(stored(t, s, kept.Session)); n != events {
		t.Error(n, "of", events)
	}
	getTask(t, s, open.Task.ID)
	if f, _, err := s.OpenArtifact(ctx, kept.Session, "a"); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
	if files := artifactFiles(t, s); len(files) != 2 { // of kept: a, and half
		t.Error(files)
	}
	if tokens := must(s.Tokens(ctx, BrowserToken)); len(tokens) != 1 || tokens[0].ID == expired.ID {
		t.Error(tokens)
	}
	if log, _, err := s.AuditLog(ctx, "", 0); err != nil || len(log) != 0 {
		t.Error(log, err)
	}
	if n, err := s.Retention(ctx, noon.Add(time.Minute)); err != nil || n != 0 {
		t.Error(n, err)
	}
}

// artifactFiles returns the names of all files of artifacts.
func artifactFiles(t *testing.T, s *Store) (names []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(s.dir, artifactDir), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestBackup(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	h := running(t, s, task.Spec{})
	if _, err := s.PutArtifact(ctx, h.batch(), "a", 5, checksum([]byte("right")), 0, strings.NewReader("right")); err != nil {
		t.Fatal(err)
	}
	appendEvents(t, s, h, notices(1, 100)...)
	var archive bytes.Buffer
	if err := Backup(ctx, s.dir, &archive); err != nil {
		t.Fatal(err)
	}
	appendEvents(t, s, h, notices(101, 1)...)
	if left := must(filepath.Glob(filepath.Join(s.dir, copyPattern))); len(left) != 0 {
		t.Error(left)
	}
	data := archive.Bytes()
	// Cut anywhere, it leaves no database.
	for _, n := range []int{0, 100, 512, len(data) / 2, len(data) - 2048, len(data) - 1536 - 10} {
		dir := t.TempDir()
		if err := Restore(ctx, dir, bytes.NewReader(data[:n])); err == nil {
			t.Error("restored", n, "of", len(data), "bytes")
		}
		if _, err := os.Stat(filepath.Join(dir, dbFile)); !errors.Is(err, os.ErrNotExist) {
			t.Error(n, err)
		}
	}
	// A byte that changed, here in what an event says, does as well.
	damaged := bytes.Replace(data, []byte(`"kind":"info"`), []byte(`"kind":"onfo"`), 1)
	if err := Restore(ctx, t.TempDir(), bytes.NewReader(damaged)); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Error("restored what was damaged:", err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	if err := Restore(ctx, dir, iotest.HalfReader(bytes.NewReader(data))); err != nil {
		t.Fatal(err)
	}
	if err := Restore(ctx, dir, bytes.NewReader(data)); !errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
	again := openIn(t, dir)
	if n := len(stored(t, again, h.Session)); n != 100 {
		t.Error(n, "events")
	}
	f, _, err := again.OpenArtifact(ctx, h.Session, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := must(io.ReadAll(f)); string(got) != "right" {
		t.Errorf("%q", got)
	}
	appendEvents(t, again, h, notices(101, 5)...)
	// What is left of a database that was moved away would get into the new one.
	left := t.TempDir()
	if err := os.Link(filepath.Join(s.dir, dbFile+"-wal"), filepath.Join(left, dbFile+"-wal")); err != nil {
		t.Fatal(err)
	}
	if err := Restore(ctx, left, bytes.NewReader(data)); !errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
	if err := os.WriteFile(must(filepath.Glob(filepath.Join(dir, artifactDir, "*", "*")))[0], []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Backup(ctx, dir, io.Discard); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
}

// TestSweepWaits: while a backup runs, nothing that it could need goes away; what a killed
// one left does when the store opens.
func TestSweepWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := filepath.Join(dir, "backup-1.tmp")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	backup, err := lockFile(filepath.Join(dir, sweepLock), unix.LOCK_SH)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	nobodys := filepath.Join(dir, artifactDir, "ab", strings.Repeat("ab", 32))
	if err := errors.Join(os.MkdirAll(filepath.Dir(nobodys), 0o700), os.WriteFile(nobodys, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	there := func(want bool) {
		t.Helper()
		_, err := os.Stat(left)
		_, err2 := os.Stat(nobodys)
		if (err == nil) != want || (err2 == nil) != want {
			t.Error(err, err2)
		}
	}
	must(s.Retention(t.Context(), noon))
	there(true)
	backup.Close()
	must(s.Retention(t.Context(), noon))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openIn(t, dir)
	there(false)
}
