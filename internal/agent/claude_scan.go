package agent

import (
	"bytes"
	"encoding/json"
)

// claudeScanDelta decodes a piece of a streamed message, the line of which there
// are most, without encoding/json, which takes several times as long. It accepts
// the keys in any order, but only JSON without white space, with whole numbers
// and with each key once. Everything else it leaves to the general way; where it
// accepts, both give the same result. The line has to be UTF-8.
func claudeScanDelta(line []byte) (l claudeLine, ok bool) {
	s := claudeScanner{rest: line}
	ok = s.object(func(key []byte) bool {
		switch string(key) {
		case "type":
			return s.text(&l.Type) && l.Type == "stream_event"
		case "parent_tool_use_id":
			return s.null() || s.text(&l.Parent)
		case "api_message_id":
			return s.text(&l.APIMessage)
		case "uuid":
			return s.text(&l.UUID)
		case "event":
			return s.object(func(key []byte) bool { return s.eventField(key, &l.Event) })
		case "session_id", "ttft_ms", "user_message_uuid":
			return s.skip()
		}
		return false
	})
	return l, ok && len(s.rest) == 0 && l.Type != "" && l.Event.Type == "content_block_delta"
}

func (s *claudeScanner) eventField(key []byte, e *claudeEvent) bool {
	switch string(key) {
	case "type":
		return s.text(&e.Type)
	case "index":
		return s.skip()
	case "delta":
		return s.object(func(key []byte) bool {
			switch string(key) {
			case "type":
				return s.text(&e.Delta.Type)
			case "text":
				return s.text(&e.Delta.Text)
			case "partial_json", "thinking", "signature":
				return s.skip()
			}
			return false
		})
	}
	return false
}

// claudeScanner takes JSON values off the front of rest.
type claudeScanner struct{ rest []byte }

func (s *claudeScanner) byte(b byte) bool {
	if len(s.rest) == 0 || s.rest[0] != b {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// object takes an object, whose values field takes. A key may come once.
func (s *claudeScanner) object(field func(key []byte) bool) bool {
	if !s.byte('{') {
		return false
	}
	var seen [10][]byte
	for n := range seen {
		key, escaped, ok := s.raw()
		if !ok || escaped || !s.byte(':') {
			return false
		}
		for _, k := range seen[:n] {
			if bytes.Equal(k, key) {
				return false
			}
		}
		seen[n] = key
		if !field(key) {
			return false
		}
		if s.byte('}') {
			return true
		}
		if !s.byte(',') {
			return false
		}
	}
	return false
}

// raw takes a string and returns what is between its quotes.
func (s *claudeScanner) raw() (content []byte, escaped, ok bool) {
	if !s.byte('"') {
		return nil, false, false
	}
	b := s.rest
	if end := bytes.IndexByte(b, '"'); end >= 0 && plain(b[:end]) { // as good as always
		s.rest = b[end+1:]
		return b[:end], false, true
	}
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '"':
			s.rest = b[i+1:]
			return b[:i], escaped, !escaped || wellFormed(b[:i])
		case b[i] == '\\':
			escaped = true
			i++
		case b[i] < ' ':
			return nil, false, false
		}
	}
	return nil, false, false
}

func (s *claudeScanner) text(to *string) bool {
	before := s.rest
	content, escaped, ok := s.raw()
	if !ok {
		return false
	}
	if escaped {
		return json.Unmarshal(before[:len(content)+2], to) == nil
	}
	*to = string(content)
	return true
}

func (s *claudeScanner) null() bool {
	if len(s.rest) < 4 || string(s.rest[:4]) != "null" {
		return false
	}
	s.rest = s.rest[4:]
	return true
}

// skip takes a string or a whole number.
func (s *claudeScanner) skip() bool {
	n := 0
	for n < len(s.rest) && s.rest[n] >= '0' && s.rest[n] <= '9' {
		n++
	}
	if n == 0 {
		_, _, ok := s.raw()
		return ok
	}
	if n > 1 && s.rest[0] == '0' {
		return false
	}
	s.rest = s.rest[n:]
	return true
}
