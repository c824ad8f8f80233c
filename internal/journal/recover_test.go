package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// randomEntry draws entries whose Data and Raw are small enough to cut a journal of them at every byte.
func randomEntry() *rapid.Generator[Entry] {
	return rapid.Custom(func(t *rapid.T) Entry {
		e := Entry{
			Time: noon.Add(time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "time"))),
			Type: rapid.SampledFrom([]string{"agent.message", "x", "session.finished"}).Draw(t, "type"),
			Out:  rapid.Int64Range(0, 1<<50).Draw(t, "out"),
		}
		if e.Out > 0 {
			e.Sum = rapid.Uint32().Draw(t, "sum")
		}
		value := func(name string) []byte {
			b, err := json.Marshal(rapid.MapOfN(rapid.String(), rapid.String(), 0, 2).Draw(t, name))
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		if rapid.Bool().Draw(t, "has data") {
			e.Data = value("data")
		}
		switch rapid.IntRange(0, 3).Draw(t, "kind of raw") {
		case 0:
			e.Raw, e.RawJSON = value("raw"), true
		case 1:
			e.Raw = rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "raw")
			e.RawJSON = rapid.Bool().Draw(t, "vouched")
		case 2: // looks like the end of a record
			e.Raw = []byte("x\"}\n{\"v\":1,\"session\":\"s-1\",\"seq\":1,\"time\":\"2026-01-02T03:04:05Z\",\"type\":\"x\"}\n")
		}
		return e
	})
}

// memoryDir returns a temporary directory, in memory if there is a file system for that, because recovery calls fsync.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "journal")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestCutAtEveryByte is the promise of recovery: of a file cut anywhere, exactly the complete groups remain, and
// appending goes on after them.
func TestCutAtEveryByte(t *testing.T) {
	t.Parallel()
	all := samples()
	all[4].Raw = []byte(`"short"`)
	checkCuts(t, memoryDir(t), [][]Entry{all[:1], all[1:4], all[4:6], all[6:]}, 0, 1)
}

// TestCutAnywhere is TestCutAtEveryByte for arbitrary journals, each cut at some thirty places.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	base := memoryDir(t)
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		groups := rapid.SliceOfN(rapid.SliceOfN(randomEntry(), 1, 3), 1, 4).Draw(t, "groups")
		checkCuts(t, dir, groups, rapid.IntRange(0, 50).Draw(t, "offset"), 30)
	})
}

// checkCuts writes a journal of groups and cuts it back from its end less offset: at every byte, or with parts > 1 at
// about that many places.
func checkCuts(t rapid.TB, dir string, groups [][]Entry, offset, parts int) {
	j, err := Open(dir, "s-1")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var all []Entry
	ends, counts, marks := []int64{0}, []int{0}, []Mark{{}}
	for _, group := range groups {
		if _, err := j.Append(group...); err != nil {
			t.Fatal(err)
		}
		for _, e := range group {
			e.Seq = uint64(len(all) + 1)
			all = append(all, e)
		}
		ends, counts, marks = append(ends, j.size), append(counts, len(all)), append(marks, j.Last())
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, FileName)
	content, err := os.ReadFile(path)
	if err != nil || int64(len(content)) != j.size {
		t.Fatalf("file has %d bytes (%v), journal counted %d", len(content), err, j.size)
	}
	step := 1
	if parts > 1 {
		step += len(content) / parts
	}
	complete := len(groups)
	for cut := len(content) - offset; cut >= 0; cut -= step {
		for ends[complete] > int64(cut) {
			complete--
		}
		checkCut(t, path, content[:cut], all[:counts[complete]], marks[complete], ends[complete])
	}
}

// checkCut expects the entries want, which end at the byte end, in a journal of the given content.
func checkCut(t rapid.TB, path string, content []byte, want []Entry, mark Mark, end int64) {
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	compare := func(when string, want []Entry) {
		var got []Entry
		for e, err := range Read(dir, 1) {
			if err != nil {
				t.Fatalf("cut at %d, %s: %v", len(content), when, err)
			}
			got = append(got, e)
		}
		if !reflect.DeepEqual(want, got) { // much faster than cmp
			t.Fatalf("cut at %d, %s:\n%s", len(content), when, cmp.Diff(want, got))
		}
	}
	if len(want) == 0 {
		want = nil
	}
	compare("before recovery", want)
	j, err := open(dir, "s-1")
	if err != nil {
		t.Fatalf("cut at %d: %v", len(content), err)
	}
	go j.syncLoop()
	defer j.Close()
	if r := j.Recovered(); r.Mark != mark || r.CutBytes != int64(len(content))-end {
		t.Fatalf("cut at %d: recovered %+v, want %+v", len(content), r, mark)
	}
	next := Entry{Seq: mark.Seq + 1, Time: noon, Type: "next", Raw: []byte("raw")}
	if last, err := j.Append(next); err != nil || last != next.Seq {
		t.Fatalf("cut at %d: append gives %d, %v", len(content), last, err)
	}
	compare("after appending", append(want[:len(want):len(want)], next))
}

func TestRecoverAfterPowerCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := mustOpen(t, dir)
	mustAppend(t, j, Entry{Type: "a"})
	size := j.size
	_ = j.Close()
	// A file system may have grown the file without having written its end.
	if err := os.Truncate(filepath.Join(dir, FileName), size+100_000); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, dir)
	if got := j.Recovered(); got.Seq != 1 || got.CutBytes != 100_000 {
		t.Errorf("recovered %+v", got)
	}
}

func TestDamageIsReported(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := mustOpen(t, dir)
	for range 3 {
		mustAppend(t, j, Entry{Type: "a", Time: noon, Raw: []byte("raw")})
	}
	_ = j.Close()
	path := filepath.Join(dir, FileName)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	second := bytes.Index(content, []byte(`{"v":1,"session":"s-1","seq":2`))
	for name, damaged := range map[string][]byte{
		"unreadable":     bytes.Replace(content, []byte(`"seq":2`), []byte(`"seq";2`), 1),
		"repeated":       bytes.Replace(content, []byte(`"seq":2`), []byte(`"seq":1`), 1),
		"newer version":  bytes.Replace(content, []byte(`{"v":1,"session":"s-1","seq":2`), []byte(`{"v":2,"session":"s-1","seq":2`), 1),
		"missing":        append(content[:second:second], content[2*second:]...),
		"wrong raw size": bytes.Replace(content, []byte(`"raw_bytes":3`), []byte(`"raw_bytes":2`), 1),
		"garbage":        append(append(content[:second:second], "oops\n"...), content[second:]...),
	} {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if j, err := Open(dir, "s-1"); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: Open gives %v, want ErrDamaged", name, err)
			_ = j.Close()
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
			t.Errorf("%s: Open changed a damaged file", name)
		}
		var last error
		for _, err := range Read(dir, 1) {
			last = err
		}
		if !errors.Is(last, ErrDamaged) {
			t.Errorf("%s: Read gives %v, want ErrDamaged", name, last)
		}
	}
}

func TestScanSkipsLongLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := mustOpen(t, dir)
	mustAppend(t, j, Entry{Type: "a"}, Entry{Type: "b", Data: json.RawMessage(`"` + string(bytes.Repeat([]byte("x"), 300_000)) + `"`)})
	mustAppend(t, j, Entry{Type: "c", Raw: make([]byte, 5<<20)}, Entry{Type: "d", Out: 5, Sum: 6})
	_ = j.Close()
	j = mustOpen(t, dir)
	if want := (Mark{Seq: 4, Out: 5, Sum: 6}); j.Last() != want {
		t.Errorf("recovered %+v, want %+v", j.Last(), want)
	}
	if got := readAll(t, dir, 4); len(got) != 1 || got[0].Type != "d" {
		t.Errorf("got %+v", got)
	}
}
