package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustOpen(t testing.TB, dir string) *Journal {
	t.Helper()
	j, err := Open(dir, "s-1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func mustAppend(t testing.TB, j *Journal, entries ...Entry) uint64 {
	t.Helper()
	last, err := j.Append(entries...)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func readAll(t testing.TB, dir string, from uint64) []Entry {
	t.Helper()
	var out []Entry
	for e, err := range Read(dir, from) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 123456789, time.UTC)

// samples are entries of every shape, numbered from 1 as Append will number them.
func samples() []Entry {
	entries := []Entry{
		{Type: "session.started", Data: json.RawMessage(`{"a":[1,"x\"]}"]}`)},
		{Type: "agent.message", Raw: []byte(`{"type":"x","t":"é\n"}`), RawJSON: true, Out: 24, Sum: 7},
		{Type: "agent.unparsed", Raw: []byte("not json \xff\x00\""), Out: 40, Sum: 8},
		{Type: "agent.unparsed", Raw: []byte("{\"bad\":\"\xff\"}"), RawJSON: true, Out: 55, Sum: 9},
		{Type: "agent.big", Data: json.RawMessage("null"), Raw: []byte(`"` + strings.Repeat("x", 200_000) + `"`), RawJSON: true, Out: 200_060, Sum: 1 << 31},
		{Type: "agent.lines", Raw: []byte("{\n}"), RawJSON: true},
		{Type: "agent.blank", Raw: []byte(` {} `), RawJSON: true},
		{Type: "runner.note", Data: json.RawMessage(`-1.5e3`)},
	}
	for i := range entries {
		entries[i].Seq = uint64(i + 1)
		entries[i].Time = noon.Add(time.Duration(i) * time.Second)
	}
	return entries
}

func TestAppendThenRead(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "sessions", "s-1")
	j := mustOpen(t, dir)
	want := samples()
	if last := mustAppend(t, j, want[:3]...); last != 3 {
		t.Errorf("last = %d, want 3", last)
	}
	for _, e := range want[3:] {
		mustAppend(t, j, e)
	}
	if diff := cmp.Diff(want, readAll(t, dir, 0)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[4:], readAll(t, dir, 5)); diff != "" {
		t.Error(diff)
	}
	wantMark := Mark{Seq: 8, Out: 200_060, Sum: 1 << 31}
	if got := j.Last(); got != wantMark {
		t.Errorf("Last() = %+v, want %+v", got, wantMark)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, dir)
	if got := j.Recovered(); got.Mark != wantMark || got.CutBytes != 0 {
		t.Errorf("Recovered() = %+v, want %+v", got, wantMark)
	}
	if last := mustAppend(t, j, Entry{Type: "later"}); last != 9 {
		t.Errorf("after reopening: last = %d, want 9", last)
	}
}

func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "s-1")
	mustOpen(t, dir)
	for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, FileName): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", filepath.Base(path), got, want)
		}
	}
}

func TestAppendRefusesWhatItCannotRecord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := mustOpen(t, dir)
	for name, e := range map[string]Entry{
		"no type":         {},
		"type with quote": {Type: `a"b`},
		"broken data":     {Type: "a", Data: json.RawMessage(`{"a":`)},
		"two values":      {Type: "a", Data: json.RawMessage(`1 2`)},
		"much data":       {Type: "a", Data: make(json.RawMessage, MaxDataBytes+1)},
		"negative offset": {Type: "a", Out: -1},
		"far future":      {Type: "a", Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if _, err := j.Append(Entry{Type: "fine"}, e); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got error %v, want ErrInvalid", name, err)
		}
	}
	if last := mustAppend(t, j, Entry{Type: "fine", Data: json.RawMessage("{\n}")}); last != 1 {
		t.Errorf("refused entries took numbers: last = %d", last)
	}
	if got := readAll(t, dir, 0); len(got) != 1 || string(got[0].Data) != "{ }" || got[0].Time.IsZero() {
		t.Errorf("got %+v", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	t.Run("a name that needs escaping", func(t *testing.T) {
		t.Parallel()
		if _, err := Open(t.TempDir(), `a"b`); err == nil {
			t.Error("no error")
		}
	})
	t.Run("a second writer", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		mustOpen(t, dir)
		if _, err := Open(dir, "s-1"); !errors.Is(err, ErrInUse) {
			t.Errorf("got error %v, want ErrInUse", err)
		}
	})
	t.Run("another session's journal", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		j := mustOpen(t, dir)
		mustAppend(t, j, Entry{Type: "a"})
		_ = j.Close()
		if _, err := Open(dir, "s-2"); !errors.Is(err, ErrDamaged) {
			t.Errorf("got error %v, want ErrDamaged", err)
		}
	})
	t.Run("a link", func(t *testing.T) {
		t.Parallel()
		dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(elsewhere, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(elsewhere, filepath.Join(dir, FileName)); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
		if _, err := Open(dir, "s-1"); err == nil {
			t.Error("no error")
		}
	})
}

// failingDisk accepts room bytes and then is full.
type failingDisk struct {
	*os.File
	room    int
	syncErr error
}

func (d *failingDisk) Write(p []byte) (int, error) {
	if len(p) <= d.room {
		d.room -= len(p)
		return d.File.Write(p)
	}
	n, _ := d.File.Write(p[:d.room])
	d.room = 0
	return n, &fs.PathError{Op: "write", Path: FileName, Err: syscall.ENOSPC}
}

func (d *failingDisk) Sync() error { return d.syncErr }

// Truncate fails, so that recovery has to remove the torn group.
func (d *failingDisk) Truncate(int64) error { return syscall.EIO }

func openFailing(t *testing.T, dir string, room int, syncErr error) *Journal {
	t.Helper()
	f, err := openFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	j := newJournal(dir, "s-1", &failingDisk{f, room, syncErr}, Recovery{}, 0)
	go j.syncLoop()
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	for _, room := range []int{0, 1, 50, 500, 100_000} {
		t.Run(fmt.Sprint(room), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			j := openFailing(t, dir, room, nil)
			var err error
			var acknowledged uint64
			for err == nil {
				var last uint64
				last, err = j.Append(Entry{Type: "a"}, Entry{Type: "b", Raw: make([]byte, 70_000)})
				acknowledged = max(acknowledged, last)
			}
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "s-1: write entry") {
				t.Errorf("got error %v", err)
			}
			if _, again := j.Append(Entry{Type: "c"}); again != err {
				t.Errorf("the error is not sticky: %v", again)
			}
			if got := j.Close(); got != err {
				t.Errorf("Close() = %v", got)
			}
			j = mustOpen(t, dir)
			if got := j.Last().Seq; got != acknowledged {
				t.Errorf("recovered %d entries, %d were acknowledged", got, acknowledged)
			}
		})
	}
}

func TestSyncErrorIsSticky(t *testing.T) {
	t.Parallel()
	j := openFailing(t, t.TempDir(), 1000, syscall.EIO)
	if err := j.Sync(); err != nil {
		t.Errorf("Sync of nothing: %v", err)
	}
	mustAppend(t, j, Entry{Type: "a"})
	if err := j.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Sync() = %v, want EIO", err)
	}
	if _, err := j.Append(Entry{Type: "b"}); !errors.Is(err, syscall.EIO) {
		t.Errorf("Append after a failed fsync: %v, want EIO", err)
	}
}

func TestClosedJournal(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, t.TempDir())
	mustAppend(t, j, Entry{Type: "a"})
	for range 2 {
		if err := j.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
	if _, err := j.Append(Entry{Type: "b"}); !errors.Is(err, ErrClosed) {
		t.Errorf("Append() = %v, want ErrClosed", err)
	}
	if err := j.Sync(); err != nil {
		t.Errorf("Sync() = %v", err)
	}
}

func TestBackgroundSync(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, t.TempDir())
	mustAppend(t, j, Entry{Type: "a"})
	deadline := time.Now().Add(10 * time.Second)
	for {
		j.syncMu.Lock()
		synced := j.synced
		j.syncMu.Unlock()
		if synced > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was synced in the background")
		}
		time.Sleep(syncInterval / 5)
	}
}

func BenchmarkAppendSmall(b *testing.B) {
	j := mustOpen(b, b.TempDir())
	e := Entry{
		Time: noon, Type: "agent.message", Data: json.RawMessage(`{"text":"hello there","role":"assistant"}`),
		Raw: []byte(`{"type":"assistant","message":{"content":[{"type":"text","text":"hello there"}]}}`), RawJSON: true, Out: 1, Sum: 2,
	}
	b.ReportAllocs()
	for b.Loop() {
		mustAppend(b, j, e)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkAppend1MiB(b *testing.B) {
	j := mustOpen(b, b.TempDir())
	e := Entry{Time: noon, Type: "agent.big", Raw: make([]byte, 1<<20), Out: 1, Sum: 2}
	b.SetBytes(1 << 20)
	n := 0
	for b.Loop() {
		mustAppend(b, j, e)
		if n++; n%512 == 0 { // do not fill the disk
			b.StopTimer()
			_ = j.file.Truncate(0)
			j.size, j.mark = 0, Mark{}
			b.StartTimer()
		}
	}
}

// benchmarkFile returns the directory of a journal of n entries, and its size.
func benchmarkFile(b *testing.B, n int, e Entry) (string, int64) {
	dir := b.TempDir()
	j := mustOpen(b, dir)
	for range n {
		mustAppend(b, j, e)
	}
	size := j.size
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	return dir, size
}

func BenchmarkOpen(b *testing.B) {
	small := Entry{Time: noon, Type: "agent.message", Raw: []byte(`{"t":"` + strings.Repeat("x", 400) + `"}`), RawJSON: true}
	for name, e := range map[string]Entry{"small": small, "1MiB": {Time: noon, Type: "a", Raw: make([]byte, 1<<20)}} {
		b.Run(name, func(b *testing.B) {
			dir, size := benchmarkFile(b, (64<<20)/(len(e.Raw)+150), e)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if err := mustOpen(b, dir).Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	e := Entry{Time: noon, Type: "agent.message", Raw: []byte(`{"t":"` + strings.Repeat("x", 400) + `"}`), RawJSON: true}
	dir, size := benchmarkFile(b, 50_000, e)
	b.SetBytes(size)
	for b.Loop() {
		readAll(b, dir, 0)
	}
}
