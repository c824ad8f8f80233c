package store

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// TestArtifactResumes: whatever is left of an upload that broke off, at any byte, also at the
// last, another completes it, from there or from any byte before.
func TestArtifactResumes(t *testing.T) {
	t.Parallel()
	s := open(t)
	h := running(t, s, task.Spec{})
	content := []byte("0123456789abcdef")
	b := Batch{Session: h.Session, Token: h.Token, Runner: h.Runner}
	size, sum := int64(len(content)), checksum(content)
	for left := range size + 1 {
		for from := range min(left, size-1) + 1 {
			name := string(rune('a'+left)) + string(rune('a'+from))
			if _, err := s.PutArtifact(t.Context(), b, name, size, sum, 0, bytes.NewReader(nil)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(s.partialPath(h.Session, name), content[:left], 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := s.PutArtifact(t.Context(), b, name, size, sum, left+1, bytes.NewReader(nil)); !errors.Is(err, ErrConflict) {
				t.Errorf("a gap after %d bytes: %v", left, err)
			}
			a, err := s.PutArtifact(t.Context(), b, name, size, sum, from, bytes.NewReader(content[from:]))
			if err != nil || !a.Complete {
				t.Fatalf("%d bytes were there, from %d on: %+v, %v", left, from, a, err)
			}
			f, _, err := s.OpenArtifact(t.Context(), h.Session, name)
			if err != nil {
				t.Fatal(err)
			}
			if got := must(io.ReadAll(f)); !bytes.Equal(got, content) {
				t.Errorf("%d bytes were there, from %d on: stored %q", left, from, got)
			}
			f.Close()
		}
	}
}
