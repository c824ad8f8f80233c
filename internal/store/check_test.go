package store

import (
	"errors"
	"testing"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if size, free, err := s.Disk(); size < 4096 || free < roomMin || err != nil {
		t.Errorf("%d bytes, %d free: %v", size, free, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
