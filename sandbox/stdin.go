package sandbox

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// stdinMax bounds the bytes of stdin that PID 1 has not confirmed.
const stdinMax = 64 << 20

// stdin is the queue of numbered lines that PID 1 has not confirmed yet. A
// control stream is served at a time; a new one starts at the first unconfirmed
// line again.
type stdin struct {
	mu     sync.Mutex
	cond   sync.Cond
	first  uint64 // number of lines[0]; 0: nothing was ever sent
	lines  [][]byte
	bytes  int
	serial int // of the current stream
}

func newStdin() *stdin {
	s := &stdin{}
	s.cond.L = &s.mu
	return s
}

// push queues line n.
func (s *stdin) push(n uint64, line []byte) error {
	if bytes.IndexByte(line, '\n') >= 0 {
		return fmt.Errorf("send line %d: it holds a newline", n)
	}
	if len(line) > pid1.LineMax {
		return fmt.Errorf("send line %d: %d bytes, at most %d are possible", n, len(line), pid1.LineMax)
	}
	frame := strconv.AppendUint(make([]byte, 0, len(line)+24), n, 10)
	return s.queue(n, append(append(append(frame, ' '), line...), '\n'))
}

// pushEnd queues the end of stdin as line n.
func (s *stdin) pushEnd(n uint64) error {
	return s.queue(n, append(strconv.AppendUint(nil, n, 10), '\n'))
}

func (s *stdin) queue(n uint64, frame []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == 0 {
		s.first = n
	}
	want := s.first + uint64(len(s.lines))
	if n < want {
		return nil // the process was given it, or will be
	}
	if n > want {
		return fmt.Errorf("send line %d: line %d is next", n, want)
	}
	if s.bytes+len(frame) > stdinMax {
		return fmt.Errorf("send line %d: the process does not read its stdin", n)
	}
	s.lines = append(s.lines, frame)
	s.bytes += len(frame)
	s.cond.Broadcast()
	return nil
}

// confirm drops the lines up to number last.
func (s *stdin) confirm(last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.lines) > 0 && s.first <= last {
		s.bytes -= len(s.lines[0])
		s.lines[0] = nil
		s.lines = s.lines[1:]
		s.first++
	}
}

// serve writes the unconfirmed lines to control, and new ones as they come,
// until the stream breaks.
func (s *stdin) serve(control io.ReadWriteCloser) {
	s.mu.Lock()
	s.serial++
	serial := s.serial
	next := s.first
	s.cond.Broadcast()
	s.mu.Unlock()
	go func() {
		s.readConfirmations(control)
		s.mu.Lock()
		if s.serial == serial {
			s.serial++ // stops the writer below
		}
		s.cond.Broadcast()
		s.mu.Unlock()
	}()
	defer control.Close()
	for {
		s.mu.Lock()
		for s.serial == serial && (s.first == 0 || max(next, s.first) >= s.first+uint64(len(s.lines))) {
			s.cond.Wait()
		}
		if s.serial != serial {
			s.mu.Unlock()
			return
		}
		next = max(next, s.first)
		frame := s.lines[next-s.first]
		s.mu.Unlock()
		if _, err := control.Write(frame); err != nil {
			return
		}
		next++
	}
}

func (s *stdin) readConfirmations(control io.Reader) {
	r := bufio.NewReaderSize(control, 64)
	for {
		text, err := r.ReadString('\n')
		if err != nil {
			return
		}
		last, err := strconv.ParseUint(strings.TrimSuffix(text, "\n"), 10, 64)
		if err != nil {
			return
		}
		s.confirm(last)
	}
}
