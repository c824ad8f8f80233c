package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

func TestOpenTwice(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data # 100%?") // what an URI could take for something else
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir); !errors.Is(err, ErrLocked) {
		t.Error(err)
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Error(st.Mode(), err)
	}
	if st, err := os.Stat(filepath.Join(dir, dbFile)); err != nil || st.Mode().Perm()&0o077 != 0 {
		t.Error(st.Mode(), err)
	}
	made := addTask(t, s, task.Spec{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := getTask(t, again, made.ID); got.Prompt != made.Prompt {
		t.Errorf("%+v", got)
	}
}

// TestPragmas: what the promise of the package rests on.
func TestPragmas(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "cache_size": "-4096", "busy_timeout": "5000"} {
		var got string
		if err := s.writer.conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Error(pragma, "is", got, err)
		}
	}
	if _, err := s.readDB.ExecContext(t.Context(), "DELETE FROM tasks"); err == nil {
		t.Error("a reader writes")
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	db, err := connect(filepath.Join(t.TempDir(), "db"), 100)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn := must(db.Conn(t.Context()))
	defer conn.Close()
	count := func(table string) (n int) {
		if err := conn.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
			return -1
		}
		return n
	}
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	files := fstest.MapFS{"0001_a.sql": file("CREATE TABLE a (x); INSERT INTO a VALUES (1);")}
	for range 2 {
		if err := migrate(t.Context(), conn, files); err != nil || count("a") != 1 {
			t.Fatal(err, count("a"))
		}
	}
	files["0002_b.sql"] = file("CREATE TABLE b (x); INSERT INTO b VALUES (1); INSERT INTO nowhere VALUES (1);")
	if err := migrate(t.Context(), conn, files); err == nil || !strings.Contains(err.Error(), "0002_b.sql") || count("b") != -1 {
		t.Fatal(err, count("b"))
	}
	files["0002_b.sql"] = file("CREATE TABLE b (x); INSERT INTO b SELECT x FROM a;")
	if err := migrate(t.Context(), conn, files); err != nil || count("a") != 1 || count("b") != 1 {
		t.Fatal(err, count("b"))
	}
	changed := fstest.MapFS{"0001_a.sql": file("CREATE TABLE a (y);"), "0002_b.sql": files["0002_b.sql"]}
	if err := migrate(t.Context(), conn, changed); err == nil || !strings.Contains(err.Error(), "another text") {
		t.Error(err)
	}
	delete(files, "0002_b.sql")
	if err := migrate(t.Context(), conn, files); !errors.Is(err, ErrNewer) {
		t.Error(err)
	}
}

// TestFull: a disk without space refuses what does not fit, whole, and the store goes on
// when there is space again.
func TestFull(t *testing.T) {
	t.Parallel()
	s := open(t)
	h, other := running(t, s, task.Spec{}), running(t, s, task.Spec{})
	var pages int
	if err := s.writer.conn.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		if err := s.writer.exec(t.Context(), fmt.Sprintf("PRAGMA max_page_count=%d", n)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages + 20)
	big := notices(1, 50)
	for i := range big {
		big[i].Raw = []byte(`"` + strings.Repeat("x", 10_000) + `"`)
	}
	if _, err := s.Append(t.Context(), h.batch(big...)); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	// Those who share its transaction may fail, too, but never in part.
	group := []*op{
		{done: make(chan struct{}), do: func(ctx context.Context, q *sql.Queries) error {
			_, err := s.append(ctx, q, other.batch(notices(1, 1)...))
			return err
		}},
		{done: make(chan struct{}), do: func(ctx context.Context, q *sql.Queries) error {
			_, err := s.append(ctx, q, h.batch(big...))
			return err
		}},
	}
	if s.writer.commit(group) != 2 || !errors.Is(understand(s.dir, group[1].err), ErrFull) {
		t.Fatal(group[1].err)
	}
	if n := len(stored(t, s, other.Session)); (group[0].err == nil) != (n == 1) {
		t.Fatal(n, group[0].err)
	}
	if got := getSession(t, s, h.Session); got.LastSeq != 0 || len(stored(t, s, h.Session)) != 0 {
		t.Fatalf("%+v", got)
	}
	limit(1 << 30)
	appendEvents(t, s, h, big...)
	if a := appendEvents(t, s, h, ev(51, event.SessionFinished{Outcome: event.Succeeded})); a.Task.Outcome != event.Succeeded {
		t.Errorf("%+v", a)
	}
	if n := len(stored(t, s, h.Session)); n != 51 {
		t.Error(n, "events")
	}
}
