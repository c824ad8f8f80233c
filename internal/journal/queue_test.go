package journal

import (
	"errors"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustQueue(t *testing.T, j *Journal, entries ...Entry) uint64 {
	t.Helper()
	last, err := j.Queue(entries...)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func TestQueuedGroupsComeWithTheNextAppend(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := mustOpen(t, dir)
	want := samples()
	if last := mustQueue(t, j, want[:2]...); last != 2 {
		t.Errorf("last = %d, want 2", last)
	}
	mustQueue(t, j, want[2])
	if got := readAll(t, dir, 0); len(got) > 0 {
		t.Errorf("%d entries are there too early", len(got))
	}
	if got := (Mark{}); j.Last() != got {
		t.Errorf("Last() = %+v, want %+v", j.Last(), got)
	}
	if last := mustAppend(t, j, want[3]); last != 4 {
		t.Errorf("last = %d, want 4", last)
	}
	if diff := cmp.Diff(want[:4], readAll(t, dir, 0)); diff != "" {
		t.Error(diff)
	}
	mustQueue(t, j, want[4]) // too large to wait
	if diff := cmp.Diff(want[:5], readAll(t, dir, 0)); diff != "" {
		t.Error(diff)
	}
	mustQueue(t, j, want[5])
	if last := mustAppend(t, j); last != 6 { // nothing of its own
		t.Errorf("last = %d, want 6", last)
	}
	mustQueue(t, j, want[6:]...)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, readAll(t, dir, 0)); diff != "" {
		t.Error(diff)
	}
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := mustOpen(t, dir)
	for range 2 * maxQueued / 40 {
		mustQueue(t, j, Entry{Type: "small"})
	}
	if got := readAll(t, dir, 0); len(got) == 0 {
		t.Error("everything is still in memory")
	}
}

func TestQueueOnFullDisk(t *testing.T) {
	t.Parallel()
	j := newJournal(t.TempDir(), "s-1", fullDisk{}, Recovery{}, 0)
	go j.syncLoop()
	mustQueue(t, j, Entry{Type: "small"})
	if err := j.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Close() = %v, want %v", err, syscall.ENOSPC)
	}
	if _, err := j.Queue(Entry{Type: "small"}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Queue() = %v, want %v", err, syscall.ENOSPC)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }
func (fullDisk) Sync() error               { return nil }
func (fullDisk) Truncate(int64) error      { return nil }
func (fullDisk) Close() error              { return nil }
