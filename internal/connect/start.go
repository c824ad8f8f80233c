package connect

import (
	"context"
	"errors"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

// start prepares the session and starts its agent. Nil and no error: the session has ended
// before that, and its journal says why. Else the error is errGivenBack, declined, or ctx's.
func (w *work) start(ctx context.Context) (*runner.Session, error) {
	l := w.snapshot()
	t, err := w.d.sessionTask(l.Task.Spec)
	if err != nil {
		return nil, err
	}
	t.ID = l.Session
	starting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.prepare(cancel)
	defer w.prepare(nil)
	if w.d.handsBack() { // said before there was something to give up
		w.giveBack(endsEarly)
	}
	notes, err := w.before(starting, t.Workspace)
	if err == nil {
		err = w.d.Image(starting, &t)
	}
	var s *runner.Session
	if err == nil {
		s, err = w.d.Runner.Start(starting, t)
	}
	if err == nil {
		for _, n := range notes {
			s.Note(n.Kind, n.Text)
		}
		return s, nil
	}
	return nil, w.notStarted(ctx, starting, t, notes, err)
}

// notStarted gives a session an end that could not begin, unless it is given back.
func (w *work) notStarted(ctx, starting context.Context, t runner.Task, notes []event.Notice, err error) error {
	cause := context.Cause(starting)
	if errors.Is(cause, errGivenBack) {
		return errGivenBack
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, lerr := w.d.book.store.Load(t.ID); lerr == nil {
		return nil // Start has recorded it
	}
	end := runner.Stopped{Outcome: event.Errored, Reason: err.Error()}
	errors.As(cause, &end)
	all := make([]event.Data, len(notes))
	for i, n := range notes {
		all[i] = n
	}
	if ferr := w.d.Runner.Fail(t, end.Outcome, end.Reason, all...); ferr != nil {
		w.setGiveBack(ferr.Error())
		return errGivenBack
	}
	return nil
}

// prepare tells how the start is given up, while it may be; nil: no more.
func (w *work) prepare(cancel context.CancelCauseFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel = cancel
	if cancel != nil && w.stopping != nil {
		cancel(runner.Stopped{Outcome: w.stopping.Outcome, Reason: w.stopping.Reason})
	}
}

// giveBack returns the lease if its agent does not run yet.
func (w *work) giveBack(reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cancel != nil {
		w.lease.Reason = reason
		w.cancel(errGivenBack)
	}
}

func (w *work) setGiveBack(reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lease.Reason = reason
}

func (w *work) giveBackReason() string { return w.snapshot().Reason }
