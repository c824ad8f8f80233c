package agent

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// codexScanDelta decodes the two notifications that make up most of a session's
// lines without encoding/json, which takes ten times as long. It accepts exactly
// the form that the server writes and leaves everything else, escapes included,
// to the general way; both give the same result.
func codexScanDelta(line []byte) (codexDelta, bool) {
	var d codexDelta
	rest, ok := bytes.CutPrefix(line, []byte(`{"method":"item/`))
	if !ok || len(line) > 1<<20 {
		return d, false
	}
	if after, ok := bytes.CutPrefix(rest, []byte(`agentMessage/delta","params":{`)); ok {
		d.method, rest = "item/agentMessage/delta", after
	} else if after, ok := bytes.CutPrefix(rest, []byte(`commandExecution/outputDelta","params":{`)); ok {
		d.method, rest = "item/commandExecution/outputDelta", after
	} else {
		return d, false
	}
	var turn string
	for _, f := range []struct {
		key string
		to  *string
	}{{`"threadId":`, &d.ThreadID}, {`,"turnId":`, &turn}, {`,"itemId":`, &d.ItemID}, {`,"delta":`, &d.Delta}} {
		if rest, ok = bytes.CutPrefix(rest, []byte(f.key)); !ok {
			return d, false
		}
		if *f.to, rest, ok = codexScanString(rest); !ok {
			return d, false
		}
	}
	return d, codexScanTail(rest)
}

// codexScanString takes a JSON string off the front of b.
func codexScanString(b []byte) (s string, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return "", nil, false
	}
	escaped := false
	for i := 1; i < len(b); i++ {
		switch ch := b[i]; {
		case ch == '"':
			if !utf8.Valid(b[1:i]) {
				return "", nil, false
			}
			if escaped {
				s, ok = codexUnescape(b[1:i])
			} else {
				s, ok = string(b[1:i]), true
			}
			return s, b[i+1:], ok
		case ch == '\\':
			escaped = true
			i++
		case ch < ' ':
			return "", nil, false
		}
	}
	return "", nil, false
}

// codexUnescape undoes escapes. Halves of surrogate pairs it leaves to the
// general way: the server writes such characters as they are.
func codexUnescape(b []byte) (string, bool) {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			out = append(out, b[i])
			continue
		}
		i++ // the scan has seen that something follows
		switch b[i] {
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case 'r':
			out = append(out, '\r')
		case '"', '\\', '/':
			out = append(out, b[i])
		case 'u': // control characters, as in the colours of a command's output
			if i+4 >= len(b) {
				return "", false
			}
			r, err := strconv.ParseUint(string(b[i+1:i+5]), 16, 16)
			if err != nil || utf16.IsSurrogate(rune(r)) {
				return "", false
			}
			out = utf8.AppendRune(out, rune(r))
			i += 4
		default:
			return "", false
		}
	}
	return string(out), true
}

// codexScanTail accepts what follows the params: }} or },"emittedAtMs":123}.
func codexScanTail(b []byte) bool {
	if string(b) == "}}" {
		return true
	}
	b, ok := bytes.CutPrefix(b, []byte(`},"emittedAtMs":`))
	if !ok || len(b) < 2 || b[0] == '0' || b[len(b)-1] != '}' {
		return false
	}
	for _, ch := range b[:len(b)-1] {
		if ch < '0' || ch > '9' {
			return false
		}
	}
	return true
}
