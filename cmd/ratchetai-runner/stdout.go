package main

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
)

// stdout is the program's, and remembers that something was lost on the way to it: a
// session goes on without, but whoever reads the file has to know. It is safe for
// concurrent use.
type stdout struct {
	*os.File
	failed atomic.Pointer[error]
}

// Write implements io.Writer.
func (s *stdout) Write(p []byte) (int, error) {
	n, err := s.File.Write(p)
	if err != nil && !errors.Is(err, syscall.EPIPE) { // whoever reads may leave
		s.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// WriteString implements io.StringWriter.
func (s *stdout) WriteString(text string) (int, error) { return s.Write([]byte(text)) }

// lost is the first error that kept something from stdout, or nil.
func (s *stdout) lost() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}
