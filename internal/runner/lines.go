package runner

import (
	"bytes"
	"io"
)

const (
	readBytes = 128 << 10
	// keepBytes is the largest buffer that outlives its line: it is enough for
	// lines of 1 MiB, one after the other.
	keepBytes = 2 << 20
)

// lineReader splits a stream at newlines. There is no limit to a line: its
// memory is the longest line, and is given back when lines become short again.
type lineReader struct {
	r          io.Reader
	buf        []byte
	start, end int // of the bytes that are read and not returned
	newline    int // the first one from start on, or -1
	scanned    int // without one: the bytes from start to here hold none
	longest    int // line since the buffer was last empty
	err        error
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: r, buf: make([]byte, readBytes), newline: -1}
}

// next returns the next line without its newline, and its size in the stream
// with it. The line is valid until the next call. A last line without a newline
// is returned as such, then io.EOF or the stream's error.
func (l *lineReader) next() (line []byte, size int, err error) {
	for l.newline < 0 {
		if l.err != nil {
			line = l.buf[l.start:l.end]
			l.start = l.end
			if len(line) > 0 {
				return line, len(line), nil
			}
			return nil, 0, l.err
		}
		l.fill()
		l.scan()
	}
	line = l.buf[l.start:l.newline]
	l.longest = max(l.longest, len(line))
	l.start = l.newline + 1
	l.scanned = l.start
	l.scan()
	return line, len(line) + 1, nil
}

// more reports that the next line is there already.
func (l *lineReader) more() bool { return l.newline >= 0 }

// scan looks for the newline from where it has not looked yet.
func (l *lineReader) scan() {
	l.newline = bytes.IndexByte(l.buf[l.scanned:l.end], '\n')
	if l.newline >= 0 {
		l.newline += l.scanned
	}
	l.scanned = l.end
}

func (l *lineReader) fill() {
	if l.start == l.end {
		l.start, l.end, l.scanned = 0, 0, 0
		if len(l.buf) > max(readBytes, min(keepBytes, 4*l.longest)) {
			l.buf = make([]byte, readBytes)
		}
		l.longest = 0
	}
	if l.end == len(l.buf) {
		l.makeRoom()
	}
	n, err := l.r.Read(l.buf[l.end:])
	l.end += n
	l.err = err
}

// makeRoom moves the unfinished line to the front, or doubles the buffer when it
// fills more than half of it.
func (l *lineReader) makeRoom() {
	unread := l.end - l.start
	to := l.buf
	if unread > len(l.buf)/2 {
		to = make([]byte, 2*len(l.buf))
	}
	copy(to, l.buf[l.start:l.end])
	l.buf = to
	l.scanned -= l.start
	l.start, l.end = 0, unread
}
