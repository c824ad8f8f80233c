package redact

import (
	"bytes"
	"unicode/utf8"
)

// jsonState follows a JSON text from its start, to know whether a match lies inside a string.
type jsonState struct {
	isJSON   bool // the data looks like a JSON object; else nothing is outside a string
	pos      int  // how far the text has been followed
	inString bool
}

// widen returns match, enlarged so that its removal leaves valid UTF-8 and, if b is JSON, valid JSON, and what to put
// in its place. The matches of one text must be given in order.
func (js *jsonState) widen(b []byte, match span) (span, string) {
	match = wholeRunes(b, match)
	if js.isJSON && isNumeric(b[match.start:match.end]) && !js.insideString(b, match.start) {
		return wholeDigits(b, match), "0"
	}
	return wholeEscapes(b, match), Replacement
}

// insideString reports whether b[i] lies inside a JSON string.
func (js *jsonState) insideString(b []byte, i int) bool {
	for js.pos < i {
		n := bytes.IndexAny(b[js.pos:i], `"\`)
		if n < 0 {
			js.pos = i
			break
		}
		if b[js.pos+n] == '\\' {
			n++
		} else {
			js.inString = !js.inString
		}
		js.pos += n + 1
	}
	return js.inString
}

// wholeRunes enlarges s so that it cuts no UTF-8 sequence of b.
func wholeRunes(b []byte, s span) span {
	for n := 0; n < utf8.UTFMax-1 && s.start > 0 && !utf8.RuneStart(b[s.start]); n++ {
		s.start--
	}
	for n := 0; n < utf8.UTFMax-1 && s.end < len(b) && !utf8.RuneStart(b[s.end]); n++ {
		s.end++
	}
	return s
}

// wholeEscapes enlarges s so that what remains of b holds no half of a JSON escape sequence that could change the
// meaning of what follows. Digits that remain of a \u sequence are harmless.
func wholeEscapes(b []byte, s span) span {
	if oddBackslashes(b[:s.start]) {
		s.start--
	} else {
		for n := 2; n <= 5 && n <= s.start; n++ { // \u and up to three of its digits
			head := b[s.start-n : s.start]
			if head[0] == '\\' && head[1] == 'u' && oddBackslashes(b[:s.start-n+1]) {
				s.start -= n
				break
			}
		}
	}
	if s.end < len(b) && oddBackslashes(b[:s.end]) && bytes.IndexByte([]byte(`"\/bfnrtu`), b[s.end]) >= 0 {
		s.end++
	}
	return s
}

// oddBackslashes reports whether b ends with an odd number of backslashes, that is with one that escapes what follows.
func oddBackslashes(b []byte) bool {
	n := 0
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// isNumeric reports whether b may be part of a JSON number.
func isNumeric(b []byte) bool {
	return len(bytes.Trim(b, "0123456789+-.eE")) == 0
}

// wholeDigits enlarges s to the whole number of which it is a part.
func wholeDigits(b []byte, s span) span {
	for s.start > 0 && isNumeric(b[s.start-1:s.start]) {
		s.start--
	}
	for s.end < len(b) && isNumeric(b[s.end:s.end+1]) {
		s.end++
	}
	return s
}
