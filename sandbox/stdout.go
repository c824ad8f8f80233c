package sandbox

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// filePoll is the pause between looks at a file of which nobody says that it has
// grown: that of an adopted process, or of one whose live stream broke.
const filePoll = 20 * time.Millisecond

// stdout reads a process's output from the file that PID 1 keeps it in, as it grows.
type stdout struct {
	state  string
	offset int64           // of the next byte
	grown  <-chan struct{} // the file may have grown; nil or closed: nobody will say so
	ended  <-chan struct{} // closed when the process has ended
	closed <-chan struct{} // closed when the reader should give up
	file   *os.File        // nil: to be opened by its name
}

func (s *stdout) Read(p []byte) (int, error) {
	for {
		var last bool
		select {
		case <-s.closed:
			s.closeFile()
			return 0, io.EOF
		case <-s.ended:
			last = true // whatever is there now is all
		default:
		}
		n, err := s.readAt(p)
		s.offset += int64(n)
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		if last {
			return 0, s.end()
		}
		s.wait()
	}
}

// wait returns when it is time for another look.
func (s *stdout) wait() {
	var poll <-chan time.Time
	if s.grown == nil {
		poll = time.After(filePoll)
	}
	select {
	case <-s.closed:
	case <-s.ended:
	case <-poll:
	case _, ok := <-s.grown:
		if !ok {
			s.grown = nil
		}
	}
}

// end returns io.EOF if the file ends where the reader is, or why it does not:
// a shorter file hides what it lost from everything that was read through it.
func (s *stdout) end() error {
	defer s.closeFile()
	var size int64
	if s.file != nil {
		info, err := s.file.Stat()
		if err != nil {
			return fmt.Errorf("end of saved stdout: %w", err)
		}
		size = info.Size()
	}
	if size < s.offset {
		return fmt.Errorf("saved stdout has %d bytes, %d were read: %w", size, s.offset, ErrStdoutChanged)
	}
	return io.EOF
}

func (s *stdout) closeFile() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

func (s *stdout) readAt(p []byte) (int, error) {
	if s.file == nil {
		f, err := openStdout(s.state)
		if errors.Is(err, os.ErrNotExist) {
			return 0, nil // PID 1 has not come that far, or never did
		}
		if err != nil {
			return 0, err
		}
		s.file = f
	}
	n, err := s.file.ReadAt(p, s.offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// openStdout opens the saved stdout as what it is, a file that the process could
// have replaced: no link is followed and nothing but a regular file is accepted.
func openStdout(state string) (*os.File, error) {
	root, err := os.OpenRoot(filepath.Join(state, "io"))
	if err != nil {
		return nil, fmt.Errorf("open saved stdout: %w", err)
	}
	defer root.Close()
	info, err := root.Lstat(pid1.StdoutFile)
	if err != nil {
		return nil, fmt.Errorf("open saved stdout: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open saved stdout: it became a %s: %w", info.Mode().Type(), ErrStdoutChanged)
	}
	f, err := root.OpenFile(pid1.StdoutFile, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, fmt.Errorf("open saved stdout: %w", err)
	}
	if now, err := f.Stat(); err != nil || !os.SameFile(info, now) {
		f.Close()
		return nil, fmt.Errorf("open saved stdout: %w", ErrStdoutChanged)
	}
	return f, nil
}

// VerifyStdout compares the first offset bytes of the stdout saved in state with
// their CRC-32C as it was computed while they were read live. It returns
// ErrStdoutChanged when they differ or are no longer there.
func VerifyStdout(state string, offset int64, sum uint32) error {
	if offset == 0 {
		return nil
	}
	f, err := openStdout(state)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("verify %d bytes: %w (%w)", offset, ErrStdoutChanged, err)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.CopyN(h, f, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read saved stdout: %w", err)
	}
	if n != offset || h.Sum32() != sum {
		return fmt.Errorf("verify %d bytes: %w", offset, ErrStdoutChanged)
	}
	return nil
}
