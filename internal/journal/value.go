package journal

import "bytes"

// isValue reports whether b is one balanced JSON value, possibly with blanks around it.
func isValue(b []byte) bool {
	b = bytes.Trim(b, " \t\r\n")
	return len(b) > 0 && skipValue(b, 0) == len(b)
}

// skipValue returns where the JSON value that starts at b[i] ends, or -1. It finds the value's limits and does not
// validate its inside: it counts brackets and respects strings.
func skipValue(b []byte, i int) int {
	for depth := 0; i < len(b); {
		switch c := b[i]; c {
		case '"':
			if i = skipString(b, i+1); i < 0 {
				return -1
			}
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return -1
			}
			i++
			continue
		default:
			if i = skipLiteral(b, i); i < 0 {
				return -1
			}
		}
		if depth < 0 {
			return -1
		}
		if depth == 0 {
			return i
		}
	}
	return -1
}

// skipString returns the place after the quote that ends the string of which b[i:] is the rest, or -1.
func skipString(b []byte, i int) int {
	for {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		end := i + n
		slashes := 0
		for end-slashes > i && b[end-slashes-1] == '\\' {
			slashes++
		}
		i = end + 1
		if slashes%2 == 0 {
			return i
		}
	}
}

// skipLiteral returns the end of the number, true, false or null at b[i], or -1 if there is none.
func skipLiteral(b []byte, i int) int {
	start := i
	for i < len(b) {
		c := b[i]
		if c|0x20 < 'a' && c != '+' && c != '-' && c != '.' && (c < '0' || c > '9') || c|0x20 > 'z' {
			break
		}
		i++
	}
	if i == start {
		return -1
	}
	return i
}
