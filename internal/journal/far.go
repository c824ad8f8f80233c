package journal

import (
	"context"
	"io"
	"iter"
)

// Far is a raw line in the journal's file. A complete group never moves.
type Far struct {
	Offset, Bytes int64
}

// ReadFar is like [Read], but leaves out raw lines of more than above bytes: their
// entries say in Far where they are. above is at least 64 KiB.
func ReadFar(dir string, from uint64, above int64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		poll := func() (<-chan struct{}, bool) { return nil, true }
		follow(context.Background(), reading{dir: dir, from: from, far: above}, poll, yield)
	}
}

// FollowFar is Follow as ReadFar is Read.
func (j *Journal) FollowFar(ctx context.Context, from uint64, until string, above int64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		follow(ctx, reading{dir: j.dir, from: from, until: until, far: above}, j.waiter, yield)
	}
}

// OpenFar opens a raw line of the journal in dir for reading, from a byte of it on.
func OpenFar(dir string, at Far, from int64) (io.ReadCloser, error) {
	f, err := openReader(dir)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, at.Offset+from, at.Bytes-from), f}, nil
}
