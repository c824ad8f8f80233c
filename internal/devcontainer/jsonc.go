package devcontainer

import "bytes"

// plain returns data, JSON with comments and trailing commas, as JSON of the same
// length: what JSON does not know is replaced by blanks. What is wrong in data stays
// wrong.
func plain(data []byte) []byte {
	out := make([]byte, len(data))
	copy(out, data)
	comma := -1 // the last comma, while only blanks have followed it
	for i := 0; i < len(out); i++ {
		switch c := out[i]; {
		case c == '"':
			i, comma = stringEnd(out, i), -1
		case c == '/' && i+1 < len(out) && (out[i+1] == '/' || out[i+1] == '*'):
			i = blankComment(out, i)
		case c == ',':
			comma = i
		case c == '}' || c == ']':
			if comma >= 0 {
				out[comma] = ' '
			}
			comma = -1
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			comma = -1
		}
	}
	return out
}

// stringEnd returns the index of the quote that ends the string which begins at i,
// or the last one of b.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(b)
}

// blankComment blanks the comment that begins at i, line ends apart, and returns
// the index of its last byte. One without an end is left as it is.
func blankComment(b []byte, i int) int {
	end := len(b)
	if b[i+1] == '/' {
		if n := bytes.IndexByte(b[i:], '\n'); n >= 0 {
			end = i + n
		}
	} else {
		n := bytes.Index(b[i+2:], []byte("*/"))
		if n < 0 {
			return len(b)
		}
		end = i + n + 4
	}
	for j := i; j < end; j++ {
		if b[j] != '\n' {
			b[j] = ' '
		}
	}
	return end - 1
}
