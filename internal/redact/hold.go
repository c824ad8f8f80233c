package redact

import "encoding/binary"

// holdFrom returns the start of the longest end of b that may become part of a match. Line breaks do not count,
// because a match continues across them.
func (m *matcher) holdFrom(b []byte) int {
	if start, ok := m.holdFromPlain(b); ok {
		return start
	}
	tail := newBackwards(b, m.gram)
	alive := false
	for tail.full() && m.mayContain(hashOf(tail.word)) {
		alive = true
		tail.step()
	}
	switch {
	case !alive:
		return m.holdPrefix(b)
	case !tail.full():
		return 0
	default:
		return tail.at[1] // the window is in no form, so a match starts after its first byte
	}
}

// holdFromPlain is holdFrom for nearly every text: its last eight bytes hold no line break, and its last gram is in no
// form. ok is false for the others.
func (m *matcher) holdFromPlain(b []byte) (start int, ok bool) {
	if len(b) < 8 {
		return 0, false
	}
	last := b[len(b)-8:]
	for _, c := range last {
		if c == '\n' || c == '\r' {
			return 0, false
		}
	}
	word := binary.LittleEndian.Uint64(last)
	if m.mayContain(hashOf(word >> (64 - 8*m.gram))) {
		return 0, false
	}
	for size := m.gram - 1; size > 0; size-- {
		if m.startsForm(word>>(64-8*size), size) {
			return len(b) - size, true
		}
	}
	return len(b), true
}

// holdPrefix returns the start of the longest end of b that a form starts with, if it is too short for a gram.
func (m *matcher) holdPrefix(b []byte) int {
	tail := newBackwards(b, m.gram-1)
	for i := range tail.filled {
		// tail.word holds the last bytes, the first of them lowest.
		if m.startsForm(tail.word>>(8*i), tail.filled-i) {
			return tail.at[i]
		}
	}
	return len(b)
}

// startsForm reports whether some form starts with the size bytes of word, fewer than eight.
func (m *matcher) startsForm(word uint64, size int) bool {
	for _, head := range m.heads[byte(word)] {
		if (head^word)<<(64-8*size) == 0 {
			return true
		}
	}
	return false
}

// backwards is a window of up to eight bytes that moves from the end of a text to its start and skips line breaks.
type backwards struct {
	b      []byte
	size   int
	filled int
	at     [8]int // places of the filled bytes in the window, ascending
	word   uint64 // the bytes as a little-endian word
	next   int    // everything from here on has been looked at
}

func newBackwards(b []byte, size int) backwards {
	w := backwards{b: b, size: size, next: len(b)}
	for w.filled < size && w.next > 0 {
		w.step()
	}
	return w
}

// full reports whether the window holds size bytes.
func (w *backwards) full() bool { return w.filled == w.size }

// step moves the window one byte to the front; if it was full it loses its last byte, even if there is none in front.
func (w *backwards) step() {
	if w.full() {
		w.filled--
	}
	for w.next > 0 {
		w.next--
		if c := w.b[w.next]; c != '\n' && c != '\r' {
			copy(w.at[1:], w.at[:])
			w.at[0] = w.next
			w.filled++
			w.word = (w.word<<8 | uint64(c)) & (^uint64(0) >> (64 - 8*w.size))
			return
		}
	}
}
