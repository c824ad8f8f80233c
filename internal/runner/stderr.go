package runner

import (
	"bufio"
	"errors"
	"io"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

const (
	stderrLineMax  = 8 << 10  // bytes of one line that are kept
	stderrReadMax  = 64 << 10 // bytes of one that are redacted before, so that no secret is cut in two
	stderrLinesMax = 1000     // lines of a session that are kept
)

// readStderr journals stderr line by line, within bounds: whatever runs in the sandbox
// can write there, without an end of the line as well.
func (s *Session) readStderr(r io.Reader) {
	b := bufio.NewReaderSize(r, stderrReadMax)
	for n := 0; ; {
		line, err := stderrLine(b)
		if err != nil && len(line) == 0 {
			return
		}
		text := strings.TrimRight(strings.ToValidUTF8(string(line), "\uFFFD"), "\r\n")
		if text == "" {
			continue
		}
		text = string(s.secrets.Bytes([]byte(text)))
		if len(text) > stderrLineMax {
			text = strings.ToValidUTF8(text[:stderrLineMax], "") + "…"
		}
		s.mu.Lock()
		s.stderr = text
		s.mu.Unlock()
		if n < stderrLinesMax {
			s.emit(event.Notice{Kind: "stderr", Text: text})
		} else if n == stderrLinesMax {
			s.emit(event.Notice{Kind: "warning", Text: "more lines on stderr are not kept"})
		}
		n++
	}
}

// stderrLine returns the next line, of one that is longer than b's buffer only what fits
// into it. It is valid until the next call.
func stderrLine(b *bufio.Reader) ([]byte, error) {
	line, err := b.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	line = append([]byte(nil), line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = b.ReadSlice('\n')
	}
	return line, err
}
