package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const finished = "session.finished"

// expect reads entries and checks that they are from … last in order, and that the sequence then ends.
func expect(entries iter.Seq2[Entry, error], from, last uint64) error {
	next := from
	for e, err := range entries {
		if err != nil {
			return err
		}
		if e.Seq != next {
			return fmt.Errorf("entry %d, want %d", e.Seq, next)
		}
		next++
	}
	if next != last+1 {
		return fmt.Errorf("ended before entry %d, want %d to be the last", next, last)
	}
	return nil
}

func TestFollowWhileAppending(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := mustOpen(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const groups = 300
	const last = groups*3 + 1
	var wg sync.WaitGroup
	for i := range 3 {
		from := uint64(1 + i*100)
		wg.Go(func() {
			if err := expect(j.Follow(ctx, from, finished), from, last); err != nil {
				t.Errorf("in process, from %d: %v", from, err)
			}
		})
		wg.Go(func() {
			if err := expect(Follow(ctx, dir, from, finished), from, last); err != nil {
				t.Errorf("by directory, from %d: %v", from, err)
			}
		})
	}
	big := make([]byte, 100_000)
	for i := range groups {
		e := Entry{Type: "a", Raw: big[:i*i]}
		mustAppend(t, j, e, Entry{Type: "b"}, e)
	}
	mustAppend(t, j, Entry{Type: finished})
	mustAppend(t, j, Entry{Type: "after.the.end"})
	wg.Wait()
}

func TestFollowIsWokenAtOnce(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, t.TempDir())
	got := make(chan uint64)
	var wg sync.WaitGroup
	wg.Go(func() {
		for e, err := range j.Follow(t.Context(), 0, finished) {
			if err != nil {
				t.Error(err)
			}
			got <- e.Seq
		}
	})
	for i := range uint64(20) {
		mustAppend(t, j, Entry{Type: "a"})
		if seq := <-got; seq != i+1 {
			t.Fatalf("got entry %d, want %d", seq, i+1)
		}
	}
	mustAppend(t, j, Entry{Type: finished})
	<-got
	wg.Wait()
}

func TestFollowEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := mustOpen(t, dir)
	mustAppend(t, j, Entry{Type: "a"}, Entry{Type: "b"})

	ctx, cancel := context.WithCancel(t.Context())
	for e, err := range Follow(ctx, dir, 1, "") {
		if err != nil || e.Seq != 1 {
			t.Errorf("got entry %d, %v", e.Seq, err)
		}
		cancel()
	}
	ctx, cancel = context.WithTimeout(t.Context(), 2*pollInterval)
	defer cancel()
	if err := expect(Follow(ctx, dir, 1, finished), 1, 2); err != nil {
		t.Errorf("when the context ends: %v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := expect(j.Follow(t.Context(), 1, ""), 1, 3); err != nil {
			t.Errorf("when the journal is closed: %v", err)
		}
	})
	mustAppend(t, j, Entry{Type: "c"})
	_ = j.Close()
	wg.Wait()
	for _, err := range Follow(t.Context(), t.TempDir(), 1, "") {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without a journal: got %v", err)
		}
	}
}

// TestFollowAcrossRecovery tears the last group under a follower and lets the session go on.
func TestFollowAcrossRecovery(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := mustOpen(t, dir)
	mustAppend(t, j, Entry{Type: "a"})
	mustAppend(t, j, Entry{Type: "torn", Raw: make([]byte, 1000)}, Entry{Type: "torn"})
	end := j.size
	_ = j.Close()
	if err := os.Truncate(filepath.Join(dir, FileName), end-10); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var types []string
	for e, err := range Follow(ctx, dir, 1, finished) {
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, e.Type)
		if e.Seq == 1 {
			time.AfterFunc(2*pollInterval, func() {
				j, err := Open(dir, "s-1")
				if err != nil {
					t.Error(err)
					return
				}
				defer j.Close()
				if _, err := j.Append(Entry{Type: "b", Raw: make([]byte, 2000)}, Entry{Type: finished}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	if got := fmt.Sprint(types); got != "[a b session.finished]" {
		t.Errorf("got %s", got)
	}
}

func TestSlowFollowerDelaysNobody(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, t.TempDir())
	mustAppend(t, j, Entry{Type: "a"})
	next, stop := iter.Pull2(j.Follow(t.Context(), 1, finished))
	defer stop()
	next() // and then reads no more for now
	for range 2000 {
		mustAppend(t, j, Entry{Type: "b", Raw: make([]byte, 1000)})
	}
	mustAppend(t, j, Entry{Type: finished})
	for want := uint64(2); want <= 2002; want++ {
		if e, err, ok := next(); !ok || err != nil || e.Seq != want {
			t.Fatalf("got entry %d, %v, want %d", e.Seq, err, want)
		}
	}
}

// TestKilledWriter lets another process append until it is killed, and checks that nothing it had acknowledged is lost
// while this process follows.
func TestKilledWriter(t *testing.T) {
	if dir := os.Getenv("JOURNAL_TEST_WRITER"); dir != "" {
		j, err := Open(dir, "s-1")
		if err != nil {
			t.Fatal(err)
		}
		for { // prints what is acknowledged until it is killed
			last, err := j.Append(Entry{Type: "a", Raw: make([]byte, 100_000)}, Entry{Type: "b"})
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println(last)
		}
	}
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$", "-test.count=1")
	cmd.Env = append(os.Environ(), "JOURNAL_TEST_WRITER="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var last uint64
	for range 50 {
		if _, err := fmt.Fscan(out, &last); err != nil {
			t.Fatal(err)
		}
	}
	seen := uint64(0)
	for e, err := range Follow(t.Context(), dir, 1, "") {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; e.Seq != seen {
			t.Fatalf("got entry %d, want %d", e.Seq, seen)
		}
		if seen == last {
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for {
		var n uint64
		if _, err := fmt.Fscan(out, &n); err != nil {
			break
		}
		last = n
	}
	_ = cmd.Wait()
	j := mustOpen(t, dir)
	if got := j.Last().Seq; got < last || got%2 != 0 {
		t.Errorf("recovered up to %d, acknowledged was %d", got, last)
	}
}
