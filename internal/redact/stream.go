package redact

// Stream redacts a text that arrives in pieces, such as the deltas of a message. It is for decoded text; a JSON line
// belongs into [Set.Bytes] as a whole. A Stream is not safe for concurrent use.
type Stream struct {
	set  *Set
	buf  []byte // the last bytes already returned, then those withheld
	sent int    // how many bytes of buf have been returned
}

// Stream returns an empty stream that uses the secrets which s has at the time of each write.
func (s *Set) Stream() *Stream { return &Stream{set: s} }

// Write takes the next piece of the text and returns what is safe to show by now. It withholds the end of the text
// while that may become a secret: from the first byte that a form of a secret starts with, at most twice the length of
// the longest form. Of a fragment from the middle of a secret up to seven bytes may have been returned before it is
// recognised; the rest is replaced. The result is valid until the next call.
func (s *Stream) Write(p []byte) []byte {
	m := s.set.matcher.Load()
	if m == nil && len(s.buf) == s.sent {
		return p
	}
	s.buf = append(s.buf, p...)
	if m == nil {
		return s.emit(nil, len(s.buf))
	}
	hold := m.holdFrom(s.buf)
	if len(s.buf)-hold > 2*m.longest {
		hold = len(s.buf)
	}
	return s.emit(m, max(hold, s.sent))
}

// Flush returns what is still withheld, without its secrets, and leaves the stream empty, ready for another text.
func (s *Stream) Flush() []byte {
	out := s.emit(s.set.matcher.Load(), len(s.buf))
	s.buf, s.sent = nil, 0
	return out
}

// emit returns the redacted text of buf from sent to upTo, and a little more if a match crosses that point.
func (s *Stream) emit(m *matcher, upTo int) []byte {
	if upTo == s.sent {
		return nil
	}
	var out []byte
	if m != nil {
		for match, ok := m.find(s.buf, 0); ok; match, ok = m.find(s.buf, match.end) {
			match = wholeRunes(s.buf, match)
			if match.start >= upTo {
				break
			}
			if match.end <= s.sent {
				continue
			}
			if match.start > s.sent {
				out = append(out, s.buf[s.sent:match.start]...)
			}
			out = append(out, Replacement...)
			s.sent = match.end
			upTo = max(upTo, match.end)
		}
	}
	out = append(out, s.buf[s.sent:upTo]...)
	s.sent = upTo
	s.forget(minRun)
	return out
}

// forget drops what has been returned except its last keep bytes, which later matches may start in.
func (s *Stream) forget(keep int) {
	if drop := s.sent - keep; drop > 0 {
		s.buf = append(s.buf[:0], s.buf[drop:]...)
		s.sent -= drop
	}
}
