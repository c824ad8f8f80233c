package term

import (
	"strings"
	"unicode"
)

// marksMax is how many combining marks one character may carry: languages need
// up to four, and more paint over other lines.
const marksMax = 4

// Sanitizer makes text from anywhere safe for a terminal: escape sequences go as
// a whole, and so do control characters except newline and tab, and invisible
// characters that change the direction or the look of others. The text may
// come in pieces, split anywhere between characters. The zero value is ready.
type Sanitizer struct {
	in    sequence
	marks int
}

// sequence says what kind of escape sequence is being skipped.
type sequence int

const (
	none    sequence = iota
	escape           // after ESC
	between          // ESC and intermediate characters
	control          // CSI: to its final character
	command          // OSC, DCS, APC, PM, SOS: to BEL or ST
	closing          // ESC inside of a command
)

// Add returns what is left of the next piece.
func (s *Sanitizer) Add(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range text {
		if s.keep(r) {
			b.WriteRune(r) // an invalid byte has become U+FFFD
		}
	}
	return b.String()
}

// keep decides on one character. A newline ends every sequence, so that an
// unfinished one hides no more than the rest of its line.
func (s *Sanitizer) keep(r rune) bool {
	switch {
	case r == '\n':
		s.in, s.marks = none, 0
		return true
	case r == 0x18 || r == 0x1a: // CAN and SUB
		s.in = none
		return false
	case r == 0x1b && s.in == command:
		s.in = closing
		return false
	case s.in == closing && r != '\\' && r != 0x1b:
		s.in = escape // it was no ST, so the command was broken off
	}
	switch s.in {
	case escape, between:
		return s.afterEscape(r)
	case control:
		if r >= 0x20 && r < 0x40 {
			return false
		}
		s.in = none
		if r >= 0x40 && r < 0x7f {
			return false
		}
	case command:
		if r == 0x07 || r == 0x9c {
			s.in = none
		}
		return false
	case closing:
		if r == '\\' {
			s.in = none
		}
		return false
	}
	return s.ground(r)
}

func (s *Sanitizer) afterEscape(r rune) bool {
	switch {
	case r >= 0x20 && r < 0x30:
		s.in = between
		return false
	case s.in == between:
		s.in = none
		return (r < 0x30 || r >= 0x7f) && s.ground(r)
	case r == 'N' || r == 'O': // a shift; the next character is of another set
		s.in = between
		return false
	case r == '[':
		s.in = control
		return false
	case strings.ContainsRune("]PX^_", r):
		s.in = command
		return false
	}
	s.in = none
	if r >= 0x30 && r < 0x7f {
		return false
	}
	return s.ground(r)
}

func (s *Sanitizer) ground(r rune) bool {
	switch r {
	case '\t':
		return true
	case 0x1b:
		s.in = escape
		return false
	case 0x9b:
		s.in = control
		return false
	case 0x90, 0x98, 0x9d, 0x9e, 0x9f:
		s.in = command
		return false
	}
	// Cf: bidirectional overrides, joiners, byte order marks, tags. Zl and Zp
	// are line breaks to some terminals.
	if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || isVariation(r) {
		return false
	}
	if !unicode.In(r, unicode.Mn, unicode.Me) {
		s.marks = 0
		return true
	}
	s.marks++
	return s.marks <= marksMax
}

// isVariation reports a variation selector, which can make a character wider.
func isVariation(r rune) bool {
	return r >= 0xfe00 && r <= 0xfe0f || r >= 0xe0100 && r <= 0xe01ef || r >= 0x180b && r <= 0x180f
}

// Clean sanitises a whole text.
func Clean(text string) string {
	var s Sanitizer
	return s.Add(text)
}

// Line makes one clean line of text: blanks for line breaks and tabs, none at
// either end, one in a row.
func Line(text string) string { return strings.Join(strings.Fields(Clean(text)), " ") }
