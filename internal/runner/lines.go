package runner

import (
	"bytes"
	"io"
)

// readBytes is how much is read at a time.
const readBytes = 64 << 10

// lineReader splits a stream at newlines. There is no limit to a line: memory is
// its length and readBytes, outside of the heap, and is given back when lines
// become short again.
type lineReader struct {
	r          io.Reader
	small      []byte // of readBytes
	buf        []byte // small, or longer and from grow
	start, end int    // of the bytes that are read and not returned
	newline    int    // the first one from start on, or -1
	scanned    int    // without one: the bytes from start to here hold none
	longest    int    // size of a line since the last read
	err        error
}

func newLineReader(r io.Reader) *lineReader {
	small := make([]byte, readBytes)
	return &lineReader{r: r, small: small, buf: small, newline: -1}
}

// next returns the next line without its newline, and its size in the stream
// with it. The line's memory is gone with the next call, or close. A last line
// without a newline is returned as such, then io.EOF or the stream's error.
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
	size = len(line) + 1
	l.longest = max(l.longest, size)
	l.start += size
	l.scanned = l.start
	l.scan()
	return line, size, nil
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

// fill moves the unfinished line to the front, makes room if it takes all, and
// reads. It reads little at a time, so that there is little behind a long line
// to move, and pages of buf that no line needs are never touched.
func (l *lineReader) fill() {
	if l.start > 0 {
		copy(l.buf, l.buf[l.start:l.end])
		l.end -= l.start
		l.scanned -= l.start
		l.start = 0
	}
	switch {
	case l.end == len(l.buf):
		l.buf = grow(l.buf)
	case len(l.buf) > readBytes && 0 < l.longest && l.longest < readBytes && l.end < readBytes:
		copy(l.small, l.buf[:l.end])
		l.close()
	}
	l.longest = 0
	n, err := l.r.Read(l.buf[l.end:min(l.end+readBytes, len(l.buf))])
	l.end += n
	l.err = err
}

// close gives the memory of long lines back.
func (l *lineReader) close() {
	if len(l.buf) > readBytes {
		release(l.buf)
		l.buf = l.small
	}
}
