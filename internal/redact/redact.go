// Package redact replaces known secrets in bytes that are about to be stored or shown.
//
// A [Set] knows the secrets of one session. Each secret is expanded once into the forms in which programs print it
// (encode.go), the forms are indexed by all their short fragments (matcher.go), and data is probed at a fixed distance
// that no match can slip through (find.go):
//
//	secrets -> forms -> fragment index;  line -> probe -> verify -> widen -> line with [redacted]
//
// Found are: the secret itself, JSON-escaped (also twice, with or without HTML and slash escapes), base64 (standard and
// URL alphabet, at every alignment, so also inside base64("Bearer "+secret)), percent-encoded, and hexadecimal. A part
// of a form is enough: any run of 20 or more bytes of a form is replaced, so that truncated and line-wrapped output is
// caught; runs continue across line breaks, plain or JSON-escaped, and the indentation after them.
//
// It is a safety net against accidents and no defence against an agent that wants to hide a secret: compressed,
// encrypted, reversed or doubly base64-encoded secrets pass, and so does a fragment of fewer than 20 bytes.
package redact

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// Replacement is what is put in the place of a secret. It needs no escaping inside a JSON string.
const Replacement = "[redacted]"

// MinSecretBytes is the length of the shortest secret that is looked for. Shorter ones are ignored: they would shred
// ordinary text and protect nothing.
const MinSecretBytes = 8

// Set is a growing set of secrets. The zero value is an empty set. All methods are safe for concurrent use: readers
// work on an immutable matcher that Add replaces as a whole.
type Set struct {
	matcher atomic.Pointer[matcher]

	mu      sync.Mutex // serialises Add
	secrets map[string]struct{}
}

// New returns a set of the given secrets; see [Set.Add].
func New(secrets ...[]byte) *Set {
	s := &Set{}
	s.Add(secrets...)
	return s
}

// Add adds secrets to the set; calls of Bytes and Write that start after it returns find them. White space around a
// secret is not part of it; secrets shorter than [MinSecretBytes] and those already known are ignored. The bytes are
// copied. An addition rebuilds the index, which takes a few milliseconds for secrets of some kilobytes; a set
// never forgets, because an old token may still be printed after its renewal. A secret of fewer than 20 bytes makes the
// search of everything slower, down to a quarter of its speed at 8 bytes.
func (s *Set) Add(secrets ...[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := len(s.secrets)
	for _, secret := range secrets {
		secret = bytes.TrimSpace(secret)
		if len(secret) < MinSecretBytes {
			continue
		}
		if s.secrets == nil {
			s.secrets = make(map[string]struct{})
		}
		s.secrets[string(secret)] = struct{}{}
	}
	if len(s.secrets) > known {
		s.matcher.Store(newMatcher(s.secrets))
	}
}

// Format implements [fmt.Formatter], so that no verb prints the secrets.
func (s *Set) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "redact.Set") }

// Bytes returns b without its secrets. If it finds none it returns b itself, without allocating; else it returns a new
// slice. It never writes to b.
//
// A JSON object (b starts with {) stays valid JSON: a replacement never ends inside an escape sequence or a UTF-8
// character (up to six bytes beside the secret go with it), and a number outside a string becomes 0. The exception is
// a secret that itself contains quotes and occurs as part of the syntax.
func (s *Set) Bytes(b []byte) []byte {
	m := s.matcher.Load()
	if m == nil {
		return b
	}
	first, ok := m.find(b, 0)
	if !ok {
		return b
	}
	return m.replace(b, first)
}

// replace returns a copy of b without first, which is the first match in b, and all matches after it.
func (m *matcher) replace(b []byte, first span) []byte {
	out := make([]byte, 0, len(b)+len(Replacement))
	js := jsonState{isJSON: len(b) > 0 && b[0] == '{'}
	done := 0
	for match, ok := first, true; ok; match, ok = m.find(b, done) {
		wide, with := js.widen(b, match)
		out = append(out, b[done:max(done, wide.start)]...)
		out = append(out, with...)
		done = wide.end
	}
	return append(out, b[done:]...)
}
