package world

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// link is one daemon's way to its engine. When it is cut, the daemon is as good as killed: the
// sandboxes work on, and nothing that it does reaches them.
type link struct {
	sandbox.Engine

	mu   sync.Mutex
	dead bool
	held []sandbox.Process
}

func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
	for _, p := range l.held {
		p.Close()
	}
}

// mend makes it as it was, but for what was held.
func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead, l.held = false, nil
}

func (l *link) hold(p sandbox.Process, err error) (sandbox.Process, error) {
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

func (l *link) up() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return fmt.Errorf("the process is dead: %w", sandbox.ErrUnavailable)
	}
	return nil
}

func (l *link) Start(ctx context.Context, s sandbox.Spec) (sandbox.Process, error) {
	if err := l.up(); err != nil {
		return nil, err
	}
	return l.hold(l.Engine.Start(ctx, s))
}

func (l *link) Adopt(ctx context.Context, s sandbox.Spec, offset int64) (sandbox.Process, error) {
	if err := l.up(); err != nil {
		return nil, err
	}
	return l.hold(l.Engine.Adopt(ctx, s, offset))
}

func (l *link) List(ctx context.Context, runner string) ([]sandbox.Info, error) {
	if err := l.up(); err != nil {
		return nil, err
	}
	return l.Engine.List(ctx, runner)
}

func (l *link) Remove(ctx context.Context, id string) error {
	if err := l.up(); err != nil {
		return err
	}
	return l.Engine.Remove(ctx, id)
}

type linked struct {
	sandbox.Process
	link *link
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
