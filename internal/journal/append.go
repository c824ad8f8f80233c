package journal

import (
	"fmt"
	"time"
)

const (
	// maxInlineRaw is up to which size in bytes a vendor's JSON line is put inside its record.
	maxInlineRaw = 64 << 10
	// maxCopiedRaw is up to which size a raw line is copied to be written together with its record. Beyond, a write of
	// its own is cheaper.
	maxCopiedRaw = 64 << 10
	// maxQueued is from which size on queued groups are written without waiting for more.
	maxQueued = 64 << 10
	// maxKeptBuffer bounds the memory that an idle journal holds.
	maxKeptBuffer = 1 << 20
)

// Append adds entries as one group and returns the sequence number of the last one. It numbers them itself and ignores
// their Seq; a zero Time becomes the present. When it returns without an error, the group and all that were queued
// before it have reached the kernel: they survive the death of this process, and followers can see them.
//
// An entry that cannot be recorded (see [Entry]) gives ErrInvalid, and nothing has happened. If the disk fails, for
// example because it is full, nothing of the group remains after the next Open, and this and every later call return
// that first error. After Close it returns ErrClosed. Append blocks on write(2) but never on readers or on fsync.
func (j *Journal) Append(entries ...Entry) (last uint64, err error) { return j.add(entries, true) }

// Queue is Append for a group that another will follow at once: it numbers and encodes the group, but may leave the
// writing to the next Append or Close, so that many small groups share one write(2). Until then nobody sees the group,
// and it dies with the process.
func (j *Journal) Queue(entries ...Entry) (last uint64, err error) { return j.add(entries, false) }

func (j *Journal) add(entries []Entry, now bool) (last uint64, err error) {
	for i := range entries {
		if err := entries[i].check(); err != nil {
			return 0, fmt.Errorf("append to journal of session %s: %w", j.session, err)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.err != nil:
		return 0, j.err
	case j.closed:
		return 0, fmt.Errorf("append to journal of session %s: %w", j.session, ErrClosed)
	}
	for i := range entries {
		big := j.encode(entries[i], i < len(entries)-1)
		if len(big) == 0 {
			continue
		}
		now = true // what is in the file must not stay without its end
		if err := j.write(j.buf, big); err != nil {
			return 0, err
		}
		j.buf = append(j.buf[:0], '\n')
	}
	if now || len(j.buf) >= maxQueued {
		err = j.flush()
	}
	return j.queued.Seq, err
}

// encode adds the next entry to buf. It returns e.Raw if that is to be written after buf, with a line break.
func (j *Journal) encode(e Entry, more bool) (big []byte) {
	j.queued.Seq++
	e.Seq = j.queued.Seq
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if e.Out > 0 {
		j.queued.Out, j.queued.Sum = e.Out, e.Sum
	}
	var raw []byte
	j.buf, raw = e.appendRecord(j.buf, j.session, more)
	if len(raw) > maxCopiedRaw {
		return raw
	}
	if len(raw) > 0 {
		j.buf = append(append(j.buf, raw...), '\n')
	}
	return nil
}

// flush writes what is queued, complete groups, and tells the followers. The caller holds mu.
func (j *Journal) flush() error {
	if j.queued == j.mark {
		return nil
	}
	if err := j.write(j.buf); err != nil {
		return err
	}
	j.buf = j.buf[:0]
	if cap(j.buf) > maxKeptBuffer {
		j.buf = nil
	}
	j.size += j.written
	j.written = 0
	j.mark = j.queued
	j.wakeAll()
	select {
	case j.dirty <- struct{}{}:
	default: // the wish is known already
	}
	return nil
}

// write writes all parts to the end of the file. The caller holds mu.
func (j *Journal) write(parts ...[]byte) error {
	for _, p := range parts {
		n, err := j.file.Write(p)
		j.written += int64(n)
		if err != nil {
			// Open would cut the torn group off as well; doing it now spares readers the sight, and frees the space.
			_ = j.file.Truncate(j.size)
			return j.fail(fmt.Sprintf("write entry %d", j.mark.Seq+1), err)
		}
	}
	return nil
}

// wakeAll wakes the followers that wait. The caller holds mu.
func (j *Journal) wakeAll() {
	if j.wake != nil {
		close(j.wake)
		j.wake = nil
	}
}

// waiter returns a channel that is closed at the next change, and whether there will be none.
func (j *Journal) waiter() (changed <-chan struct{}, closed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.wake == nil && !j.closed {
		j.wake = make(chan struct{})
	}
	return j.wake, j.closed
}
