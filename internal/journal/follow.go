package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"time"
)

// pollInterval is how often a follower in another process looks for new entries.
const pollInterval = 50 * time.Millisecond

// maxDamagedPolls is how often a follower reads a damaged group before it believes it: a group that is cut off and
// replaced while it is being read can look damaged once.
const maxDamagedPolls = 3

// Read returns the entries of the journal in dir from sequence number from on, up to the last complete group. It may be
// used while another process appends. An error, such as fs.ErrNotExist or ErrDamaged, is the last thing it yields.
// Each use of the sequence opens the file anew and closes it.
func Read(dir string, from uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		poll := func() (<-chan struct{}, bool) { return nil, true }
		follow(context.Background(), reading{dir: dir, from: from}, poll, yield)
	}
}

// Follow is like [Read], but then waits for more entries, which may come from this or another process. It ends after
// the first entry of type until (none if until is empty), or, without an error, when ctx ends. It sees new entries
// within 50 ms; inside the writing process [Journal.Follow] is faster.
func Follow(ctx context.Context, dir string, from uint64, until string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		poll := func() (<-chan struct{}, bool) { return nil, false }
		follow(ctx, reading{dir: dir, from: from, until: until}, poll, yield)
	}
}

// Follow returns the entries from sequence number from on and then waits for more. It ends after the first entry of
// type until (none if until is empty), when ctx ends, or when j is closed and everything has been read. It sees
// new entries at once. It never delays Append: it reads the file at its own pace. An error is the last thing it yields.
func (j *Journal) Follow(ctx context.Context, from uint64, until string) iter.Seq2[Entry, error] {
	return j.FollowFar(ctx, from, until, 0)
}

// reading is what a reader wants of the journal in dir.
type reading struct {
	dir   string
	from  uint64
	until string
	far   int64 // see FollowFar
}

// follow reads what is there and waits, until waiter says that nothing more can come. The channel that waiter returns
// may be nil; then only polling helps.
func follow(ctx context.Context, want reading, waiter func() (changed <-chan struct{}, final bool), yield func(Entry, error) bool) {
	f, err := openReader(want.dir)
	if err != nil {
		yield(Entry{}, fmt.Errorf("read journal: %w", err))
		return
	}
	defer f.Close()
	s := newScanner(f, "")
	s.far = want.far
	for damaged := 0; ; {
		changed, final := waiter() // before reading, so that no change is missed
		goOn, err := deliver(ctx, s, want.from, want.until, yield)
		if !goOn {
			return
		}
		if errors.Is(err, ErrDamaged) && !final && damaged < maxDamagedPolls {
			damaged++
			changed = nil
		} else if !errors.Is(err, errIncomplete) {
			yield(Entry{}, fmt.Errorf("read journal: %w", err))
			return
		} else {
			damaged = 0
		}
		if final || !wait(ctx, changed) {
			return
		}
	}
}

// deliver yields entries up to the last complete group and returns why there is no more. It returns false if the
// follower is done.
func deliver(ctx context.Context, s *scanner, from uint64, until string, yield func(Entry, error) bool) (bool, error) {
	for {
		entries, err := s.group(from)
		if err != nil {
			return ctx.Err() == nil, err
		}
		for _, e := range entries {
			if ctx.Err() != nil || !yield(e, nil) || until != "" && e.Type == until {
				return false, nil
			}
		}
	}
}

// wait returns true when changed is closed or, if that is nil, when it is time to poll; false when ctx ends.
func wait(ctx context.Context, changed <-chan struct{}) bool {
	var poll <-chan time.Time
	if changed == nil {
		timer := time.NewTimer(pollInterval)
		defer timer.Stop()
		poll = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-changed:
	case <-poll:
	}
	return true
}

// openReader opens the file in dir for reading. It follows no link out of dir.
func openReader(dir string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Lstat(FileName)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", FileName)
	}
	return root.Open(FileName)
}
