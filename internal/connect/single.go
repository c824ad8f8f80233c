package connect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Single reports one session that this process drives by itself, beside a daemon or without
// one, and takes commands for it. When the control plane is away, the session goes on; what it
// does not have in the end, the next daemon uploads.
type Single struct {
	d    *Daemon
	w    *work
	done chan struct{} // closed when the control plane has all, or cannot have it
	err  error         // why not; before done is closed
}

// Report starts to report s as what spec asks for, until ctx ends or the control plane has all
// of it. Of Config it needs Client, Runner, Log, Name, Version and Say.
func Report(ctx context.Context, c Config, s *runner.Session, spec task.Spec) (*Single, error) {
	d, err := New(c)
	if err != nil {
		return nil, err
	}
	d.single, d.OrphanAfter = true, s.OrphanAfter
	l := lease{URL: d.Client.URL(), Session: s.ID, Attempt: 1, Task: task.Task{Spec: spec}, State: task.Active, Local: true}
	if err := d.book.save(l, true); err != nil {
		return nil, err
	}
	r := &Single{d: d, w: newWork(d, l), done: make(chan struct{})}
	d.works[s.ID] = r.w
	r.w.hold(s)
	r.w.startUpload(ctx)
	go r.run(ctx, s)
	return r, nil
}

func (r *Single) run(ctx context.Context, s *runner.Session) {
	defer close(r.done)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan struct{}) // closed when commands are taken no more
	go func() {
		defer close(served)
		r.serve(ctx)
	}()
	defer func() { <-served }()
	defer cancel()
	select {
	case <-s.Done():
	case <-ctx.Done():
	}
	r.w.hold(nil)
	if ctx.Err() != nil || s.Left() != nil {
		r.err = errors.Join(context.Cause(ctx), s.Left())
		return
	}
	r.w.move(task.Ended, "")
	select {
	case <-r.w.uploaded:
		r.err = r.w.uploadErr
	case <-ctx.Done():
		r.err = context.Cause(ctx)
	}
	if r.w.snapshot().State == fenced { // and the upload was given up
		r.err = errFenced
	}
	if r.err == nil || errors.Is(r.err, errFenced) {
		r.w.forget()
	}
}

// serve takes commands, unless a daemon has this state directory: that one is the runner, and
// two would chase each other away.
func (r *Single) serve(ctx context.Context) {
	held, err := lockState(r.d.book.store.Root())
	if err != nil {
		r.d.Say("connect runs on this machine, too: what the control plane says to this session does not reach it")
		return
	}
	held.Close() // one that starts later is the runner then
	if err := r.d.serve(ctx); err != nil {
		r.d.Log.WithError(err).Debug("no commands from the control plane")
	}
}

// announce makes a session of this machine's own known, however long that takes.
func (w *work) announce(ctx context.Context) error {
	l := w.snapshot()
	a := api.Announce{Runner: w.d.id, Name: w.d.Name, Session: l.Session, Spec: l.Task.Spec}
	for p := newPauses(); ; {
		got, err := w.d.Client.Announce(ctx, a)
		if err == nil {
			w.mu.Lock()
			w.lease.Token = got.Token
			w.lease.Task.ID = got.Task.ID
			w.save(true)
			w.mu.Unlock()
			w.d.change()
			return nil
		}
		switch refusal(err) {
		case api.CodeUnauthorized, api.CodeForbidden:
			return fmt.Errorf("%w (%w)", errTold, err)
		case api.CodeConflict, api.CodeInvalid:
			return fmt.Errorf("the session cannot be announced: %w", err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w.d.Log.WithError(err).Debug("announce")
		sleep(ctx, p.after(err), w.kick)
	}
}

// Wait waits for the rest of the report, at most for most, after it has told people so. It returns nil
// if the control plane has all of the session.
func (r *Single) Wait(most time.Duration, tell func()) error {
	select {
	case <-r.done:
		return r.err
	case <-time.After(min(most, time.Second)):
	}
	tell()
	select {
	case <-r.done:
		return r.err
	case <-time.After(most):
		return errors.New("the control plane does not answer: the next connect uploads the rest of the session")
	}
}
