package agent

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// Preview returns a JSON line in which every string value longer than maxString
// bytes keeps its head and its tail only, with "…[N bytes]…" between them. It is
// for lines so long that decoding them whole would cost more than they tell.
//
// Nothing else changes: keys, numbers and structure stay, and valid JSON stays
// valid. What is cut out is not looked at. A request for permission comes back whole,
// because rules have to see all of it, and Claude's has to be answered with the
// tool's exact input: a line with one of the strings of asksPermission. The result
// may share line's memory.
func Preview(line []byte, maxString int) []byte {
	maxString = max(maxString, 0)
	var out []byte
	done := 0 // line[:done] is in out
	for at := 0; ; {
		quote := bytes.IndexByte(line[at:], '"')
		if quote < 0 {
			break
		}
		start := at + quote + 1
		end := stringEnd(line, start)
		at = min(end+1, len(line))
		if asksPermission(line[start:end]) {
			return line
		}
		if end-start <= maxString || isKey(line[at:]) {
			continue
		}
		head := unitStart(line[:end], start, start+maxString/2)
		tail := unitEnd(line[:end], start, end-maxString/2)
		marker := "…[" + strconv.Itoa(tail-head) + " bytes]…"
		if tail-head <= len(marker) {
			continue
		}
		out = append(out, line[done:head]...)
		out = append(out, marker...)
		done = tail
	}
	if out == nil {
		return line
	}
	return append(out, line[done:]...)
}

// asksPermission reports a type or method by which an agent asks for permission.
func asksPermission(s []byte) bool {
	switch string(s) {
	case "control_request", // Claude's; below Codex's
		"item/commandExecution/requestApproval", "item/fileChange/requestApproval", "item/permissions/requestApproval",
		"execCommandApproval", "applyPatchApproval", "mcpServer/elicitation/request":
		return true
	}
	return false
}

// stringEnd returns the index of the quote that closes the string whose content
// begins at start, or len(line).
func stringEnd(line []byte, start int) int {
	for at := start; ; {
		quote := bytes.IndexByte(line[at:], '"')
		if quote < 0 {
			return len(line)
		}
		at += quote
		if backslashesBefore(line, start, at)%2 == 0 {
			return at
		}
		at++ // an escaped quote
	}
}

func backslashesBefore(b []byte, start, at int) int {
	n := 0
	for at-n > start && b[at-n-1] == '\\' {
		n++
	}
	return n
}

// wellFormed reports that s may stand in a JSON string.
func wellFormed(s []byte) bool {
	for i := 0; i < len(s); {
		if i+8 <= len(s) {
			n := plainBytes(binary.LittleEndian.Uint64(s[i:]))
			i += n
			if n == 8 {
				continue
			}
		}
		switch {
		case s[i] < ' ':
			return false
		case s[i] != '\\':
			i++
		case i+1 < len(s) && simpleEscape(s[i+1]):
			i += 2
		case i+6 <= len(s) && s[i+1] == 'u' && isHex(s[i+2:i+6]):
			i += 6
		default:
			return false
		}
	}
	return true
}

func simpleEscape(c byte) bool {
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	}
	return false
}

// plain reports that s holds no backslash and no control character.
func plain(s []byte) bool {
	for ; len(s) >= 8; s = s[8:] {
		if plainBytes(binary.LittleEndian.Uint64(s)) < 8 {
			return false
		}
	}
	for _, c := range s {
		if c == '\\' || c < ' ' {
			return false
		}
	}
	return true
}

// plainBytes returns how many of 8 bytes come before the first backslash or
// control character.
func plainBytes(x uint64) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	backslash := x ^ ones*'\\'
	found := ((x-ones*' ')&^x | (backslash-ones)&^backslash) & tops
	return bits.TrailingZeros64(found) / 8 // a borrow marks only bytes after a true one
}

func isHex(s []byte) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// isKey reports that a colon follows the string before rest.
func isKey(rest []byte) bool {
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) > 0 && rest[0] == ':'
}

// unitStart moves at back to where the character that it cuts begins: a UTF-8
// sequence, an escape, or a pair of \u escapes for one character.
func unitStart(s []byte, start, at int) int {
	if from, _, ok := escapeAround(s, start, at); ok {
		at = from
	}
	high := at - 6
	if surrogate(s[at:], 'C') && high >= start && surrogate(s[high:], '8') && backslashesBefore(s, start, high)%2 == 0 {
		return high
	}
	for lead := at; lead >= start && lead > at-4 && lead < len(s); lead-- {
		if utf8.RuneStart(s[lead]) {
			if s[lead] >= utf8.RuneSelf { // else the bytes after it are no character
				return lead
			}
			break
		}
	}
	return at
}

// unitEnd moves at forward to where the character that it cuts ends.
func unitEnd(s []byte, start, at int) int {
	if _, to, ok := escapeAround(s, start, at); ok {
		at = min(to, len(s))
	}
	if surrogate(s[at:], 'C') {
		return at + 6
	}
	for n := 0; n < 3 && at < len(s) && !utf8.RuneStart(s[at]); n++ {
		at++
	}
	return at
}

// escapeAround returns the bounds of the escape that at lies inside of.
func escapeAround(s []byte, start, at int) (from, to int, ok bool) {
	for i := at - 1; i >= start && i > at-6; i-- {
		if s[i] != '\\' || backslashesBefore(s, start, i)%2 != 0 {
			continue
		}
		to = i + 2
		if i+1 < len(s) && s[i+1] == 'u' {
			to = i + 6
		}
		return i, to, to > at
	}
	return 0, 0, false
}

// surrogate reports that s begins with one half of a pair of \u escapes: the
// high half for base '8' (D800 to DBFF), the low half for 'C' (DC00 to DFFF).
func surrogate(s []byte, base byte) bool {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' || s[2]|0x20 != 'd' {
		return false
	}
	third := s[3]
	if third >= 'a' {
		third -= 'a' - 'A'
	}
	if base == '8' {
		return third == '8' || third == '9' || third == 'A' || third == 'B'
	}
	return third >= 'C' && third <= 'F'
}
