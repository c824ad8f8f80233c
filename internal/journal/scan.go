package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	scanBuffer = 64 << 10
	// maxLineBytes is more than any record that Append writes; a longer line is no record.
	maxLineBytes = MaxDataBytes + maxInlineRaw + 4096
)

// errIncomplete means that the file ends before the group does: at a clean end, in a group that is being written, or in
// one that a crash has torn.
var errIncomplete = errors.New("incomplete group")

// scanner reads a journal's file group by group.
type scanner struct {
	file    *os.File
	r       *bufio.Reader
	session string // every record must carry it; taken from the first record if empty
	far     int64  // longer raw lines are not read; 0: all are

	// The state after the last complete group.
	mark Mark
	end  int64 // offset in bytes

	offset int64 // of the next byte that r returns
}

func newScanner(f *os.File, session string) *scanner {
	return &scanner{file: f, r: bufio.NewReaderSize(f, scanBuffer), session: session}
}

// group reads the next group and returns its entries from seq on; the others are skipped without a look at data and
// raw. It returns errIncomplete if there is no complete group (yet), and can then be called again, or ErrDamaged.
func (s *scanner) group(from uint64) (entries []Entry, err error) {
	mark := s.mark
	for more := true; more; {
		var r record
		var e *Entry
		r, e, err = s.record(from)
		if err == nil && uint64(r.seq) != mark.Seq+1 {
			err = fmt.Errorf("%w at byte %d: entry %d follows entry %d", ErrDamaged, s.end, r.seq, mark.Seq)
		}
		if err != nil {
			if failed := s.rewind(); failed != nil {
				err = failed
			}
			return nil, err
		}
		mark.Seq++
		if r.out > 0 {
			mark.Out, mark.Sum = r.out, uint32(r.sum)
		}
		if e != nil {
			entries = append(entries, *e)
		}
		more = r.more
	}
	s.mark, s.end = mark, s.offset
	return entries, nil
}

// rewind goes back to the end of the last complete group. What was read after it may change: a torn group is cut off
// when its session continues.
func (s *scanner) rewind() error {
	if s.offset == s.end && s.r.Buffered() == 0 {
		return nil
	}
	_, err := s.file.Seek(s.end, io.SeekStart)
	s.r.Reset(s.file)
	s.offset = s.end
	return err
}

// record reads one record, and its entry if its number is at least from.
func (s *scanner) record(from uint64) (r record, e *Entry, err error) {
	start := s.offset
	line, err := s.line()
	if err != nil {
		return r, nil, err
	}
	damaged := func(err error) error { return fmt.Errorf("%w at byte %d: %w", ErrDamaged, start, err) }
	r, err = parse(line, false)
	if err != nil {
		return r, nil, damaged(err)
	}
	if s.session == "" {
		s.session = string(r.session)
	}
	if s.session != string(r.session) {
		return r, nil, damaged(fmt.Errorf("record of session %s", r.session))
	}
	if uint64(r.seq) < from {
		return r, nil, s.skipRaw(r.rawBytes)
	}
	r, err = parse(bytes.Clone(line), true)
	if err != nil {
		return r, nil, damaged(err)
	}
	entry, err := r.entry()
	if err != nil {
		return r, nil, damaged(err)
	}
	switch {
	case s.far > 0 && r.rawBytes > s.far:
		entry.Far = Far{s.offset, r.rawBytes}
		err = s.skipRaw(r.rawBytes)
	case r.rawBytes > 0:
		entry.Raw, err = s.raw(r.rawBytes)
	}
	return r, &entry, err
}

// line reads up to the next line break, which it does not return. The result is valid until the next read.
func (s *scanner) line() (line []byte, err error) {
	for {
		part, err := s.r.ReadSlice('\n')
		s.offset += int64(len(part))
		switch {
		case err == nil && line == nil:
			return part[:len(part)-1], nil
		case err == nil:
			return append(line, part[:len(part)-1]...), nil
		case errors.Is(err, io.EOF):
			return nil, errIncomplete
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) < maxLineBytes: // else it is no record, but its end still tells torn from damaged
			line = append(line, part...)
		}
	}
}

// raw reads a raw line of n bytes.
func (s *scanner) raw(n int64) ([]byte, error) {
	if err := s.available(n + 1); err != nil {
		return nil, err
	}
	b := make([]byte, n)
	read, err := io.ReadFull(s.r, b)
	s.offset += int64(read)
	if err != nil {
		return nil, incompleteAtEOF(err)
	}
	return b, s.rawEnd()
}

// skipRaw skips a raw line of n bytes if n is not 0.
func (s *scanner) skipRaw(n int64) error {
	if n == 0 {
		return nil
	}
	if err := s.available(n + 1); err != nil {
		return err
	}
	inBuffer := min(n, int64(s.r.Buffered()))
	if _, err := s.r.Discard(int(inBuffer)); err != nil {
		return err
	}
	if rest := n - inBuffer; rest > 0 {
		if _, err := s.file.Seek(rest, io.SeekCurrent); err != nil {
			return err
		}
		s.r.Reset(s.file)
	}
	s.offset += n
	return s.rawEnd()
}

// rawEnd reads the line break after a raw line.
func (s *scanner) rawEnd() error {
	c, err := s.r.ReadByte()
	if err != nil {
		return incompleteAtEOF(err)
	}
	s.offset++
	if c != '\n' {
		return fmt.Errorf("%w at byte %d: no line break after a raw line", ErrDamaged, s.offset-1)
	}
	return nil
}

// available returns errIncomplete if the file is too short for n more bytes.
func (s *scanner) available(n int64) error {
	info, err := s.file.Stat()
	if err == nil && info.Size()-s.offset < n {
		return errIncomplete
	}
	return err
}

func incompleteAtEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errIncomplete
	}
	return err
}

// recoverFile finds the last complete group, removes what follows it and returns the size of the file.
func recoverFile(f *os.File, session string) (r Recovery, size int64, err error) {
	s := newScanner(f, session)
	for err == nil {
		_, err = s.group(^uint64(0))
	}
	if !errors.Is(err, errIncomplete) {
		return r, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return r, 0, err
	}
	r = Recovery{Mark: s.mark, CutBytes: info.Size() - s.end}
	if r.CutBytes > 0 {
		if err := f.Truncate(s.end); err != nil {
			return r, 0, err
		}
		if err := f.Sync(); err != nil {
			return r, 0, err
		}
	}
	return r, s.end, nil
}
