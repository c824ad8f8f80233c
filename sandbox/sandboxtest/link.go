package sandboxtest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// Link is one process's way to an engine. When it is cut, the process is as good as dead: the
// sandboxes work on, and nothing that it does reaches them.
type Link struct {
	sandbox.Engine

	mu   sync.Mutex
	dead bool
	held []sandbox.Process
}

// Cut cuts it; what is held ends with sandbox.ErrUnavailable.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
	for _, p := range l.held {
		p.Close()
	}
}

// Mend makes it as it was, but for what was held.
func (l *Link) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead, l.held = false, nil
}

func (l *Link) hold(p sandbox.Process, err error) (sandbox.Process, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if l.dead {
		p.Close()
	}
	l.held = append(l.held, p)
	return linked{p, l}, nil
}

func (l *Link) up() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return fmt.Errorf("the process is dead: %w", sandbox.ErrUnavailable)
	}
	return nil
}

// Start implements sandbox.Engine.
func (l *Link) Start(ctx context.Context, s sandbox.Spec) (sandbox.Process, error) {
	if err := l.up(); err != nil {
		return nil, err
	}
	return l.hold(l.Engine.Start(ctx, s))
}

// Adopt implements sandbox.Engine.
func (l *Link) Adopt(ctx context.Context, s sandbox.Spec, offset int64) (sandbox.Process, error) {
	if err := l.up(); err != nil {
		return nil, err
	}
	return l.hold(l.Engine.Adopt(ctx, s, offset))
}

// List implements sandbox.Engine.
func (l *Link) List(ctx context.Context, runner string) ([]sandbox.Info, error) {
	if err := l.up(); err != nil {
		return nil, err
	}
	return l.Engine.List(ctx, runner)
}

// Remove implements sandbox.Engine.
func (l *Link) Remove(ctx context.Context, id string) error {
	if err := l.up(); err != nil {
		return err
	}
	return l.Engine.Remove(ctx, id)
}

type linked struct {
	sandbox.Process
	link *Link
}

func (p linked) Send(n uint64, line []byte) error {
	if err := p.link.up(); err != nil {
		return err
	}
	return p.Process.Send(n, line)
}

func (p linked) Wait(ctx context.Context) (sandbox.Result, error) {
	r, err := p.Process.Wait(ctx)
	if dead := p.link.up(); dead != nil {
		return sandbox.Result{}, dead
	}
	if errors.Is(err, sandbox.ErrEnded) { // cut, and mended since
		err = sandbox.ErrUnavailable
	}
	return r, err
}
