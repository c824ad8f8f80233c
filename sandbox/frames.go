package sandbox

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// stderrMax bounds the stderr that nobody has read yet, in bytes.
const stderrMax = 256 << 10

// frames takes the engine's multiplexed stream apart: 8 bytes of header (stream,
// three zeros, length) before each piece. Read returns stdout; stderr goes to a
// tail on the way.
type frames struct {
	r      *bufio.Reader
	stderr *tail
	left   int // bytes of stdout before the next header
}

func newFrames(r io.Reader, stderr *tail) *frames {
	return &frames{r: bufio.NewReaderSize(r, 128<<10), stderr: stderr}
}

func (f *frames) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for f.left == 0 {
		var header [8]byte
		if _, err := io.ReadFull(f.r, header[:]); err != nil {
			return 0, err
		}
		size := int(binary.BigEndian.Uint32(header[4:]))
		switch header[0] {
		case 1:
			f.left = size
		case 2:
			if _, err := io.CopyN(f.stderr, f.r, int64(size)); err != nil {
				return 0, err
			}
		default:
			return 0, fmt.Errorf("engine stream: unknown frame %d", header[0])
		}
	}
	n, err := f.r.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

// tail is a pipe that never blocks its writer: what does not fit pushes out the
// oldest bytes.
type tail struct {
	mu      sync.Mutex
	cond    sync.Cond
	buf     []byte
	dropped int
	closed  bool
}

func newTail() *tail {
	t := &tail{}
	t.cond.L = &t.mu
	return t
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if over := len(t.buf) + n - stderrMax; over > 0 {
		t.dropped += over
		cut := min(over, len(t.buf))
		t.buf = t.buf[cut:]
		p = p[over-cut:]
	}
	t.buf = append(t.buf, p...)
	t.cond.Signal()
	return n, nil
}

func (t *tail) Read(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.buf) == 0 && !t.closed {
		t.cond.Wait()
	}
	if t.dropped > 0 {
		note := fmt.Sprintf("[%d bytes of stderr dropped]\n", t.dropped)
		t.dropped = 0
		t.buf = append([]byte(note), t.buf...)
	}
	if len(t.buf) == 0 {
		return 0, io.EOF
	}
	n := copy(p, t.buf)
	t.buf = t.buf[n:]
	return n, nil
}

func (t *tail) Close() {
	t.mu.Lock()
	t.closed = true
	t.cond.Broadcast()
	t.mu.Unlock()
}
