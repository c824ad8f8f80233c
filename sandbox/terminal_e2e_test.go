//go:build e2e

package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// screen is what a terminal has shown so far.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) await(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		shown := s.text.String()
		s.mu.Unlock()
		if strings.Contains(shown, text) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the terminal does not show %q: %q", text, shown)
		}
	}
}

// TestAttend sits at a command in a running sandbox.
func TestAttend(t *testing.T) {
	t.Parallel()
	d := newDocker(t)
	spec := newSpec(t, "hold")
	p, id := start(t, d, spec), spec.ID
	defer func() {
		if err := errors.Join(p.Kill(testContext(t)), p.Remove(testContext(t))); err != nil {
			t.Error(err)
		}
	}()
	go io.Copy(io.Discard, p.Stdout())
	go io.Copy(io.Discard, p.Stderr())
	keys, hand := io.Pipe()
	defer keys.Close()
	var width atomic.Uint32
	width.Store(101)
	shown := &screen{}
	code := make(chan int, 1)
	go func() {
		n, err := d.Attend(testContext(t), id, []string{"/probe", "terminal"}, sandbox.Terminal{
			In: keys, Out: shown, Size: func() (uint, uint) { return uint(width.Load()), 33 },
		})
		if err != nil {
			t.Error(err)
		}
		code <- n
	}()
	shown.await(t, "size 101x33")
	width.Store(77)
	shown.await(t, "size 77x33")
	io.WriteString(hand, "first\r")
	shown.await(t, `typed "first"`)
	io.WriteString(hand, "bye\r")
	if n := <-code; n != 0 {
		t.Errorf("exit code %d", n)
	}
	n, err := d.Attend(testContext(t), id, []string{"/probe", "exit", "7"}, sandbox.Terminal{In: keys, Out: shown})
	if n != 7 || err != nil {
		t.Errorf("exit code %d, %v; want 7", n, err)
	}
	facts := &screen{}
	if n, err := d.Attend(testContext(t), id, []string{"/probe", "check"}, sandbox.Terminal{In: keys, Out: facts}); n != 0 || err != nil {
		t.Errorf("exit code %d, %v", n, err)
	}
	for _, want := range []string{`"NoNewPrivs":"1"`, `"CapEff":"0000000000000000"`, `"Seccomp":"2"`} {
		facts.await(t, want)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	if _, err := d.Attend(ctx, id, []string{"/probe", "terminal"}, sandbox.Terminal{In: keys, Out: shown}); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if _, err := d.Attend(testContext(t), "nobody", []string{"/probe"}, sandbox.Terminal{In: keys, Out: shown}); !errors.Is(err, sandbox.ErrNotFound) {
		t.Errorf("no sandbox: %v", err)
	}
}
