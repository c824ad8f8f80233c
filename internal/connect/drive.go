package connect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/task"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// drive brings the session to its end, whoever began it, and reports whether it has one that
// is to be reported.
func (w *work) drive(ctx context.Context) bool {
	p := newPauses()
	for {
		began := time.Now()
		s, err := w.begin(ctx)
		var no declined
		switch {
		case errors.Is(err, errGivenBack):
			w.move(task.Returned, w.giveBackReason())
			w.d.Say(w.title() + " given back: " + w.snapshot().Reason)
			return false
		case errors.As(err, &no):
			w.move(task.Declined, no.Error())
			w.d.Say(w.title() + " declined: " + no.Error())
			return false
		case errors.Is(err, errStuck):
			// It cannot have an end. The control plane takes a session for lost that is not reported.
			w.d.Say(w.title() + " is lost, and stays as it is on this machine: " + err.Error())
			w.d.forget(w.snapshot().Session)
			return false
		case err != nil:
			return false // ctx has ended
		case s == nil:
			return true
		}
		w.hold(s)
		w.startUpload(ctx)
		if w.snapshot().State == task.Accepted {
			w.move(task.Active, "")
			w.d.Say(w.title() + " started")
		}
		select {
		case <-s.Done():
		case <-ctx.Done():
			return false
		}
		w.hold(nil)
		if s.Left() == nil {
			return true
		}
		w.d.Log.WithField("session", s.ID).WithError(s.Left()).Warn("the session goes on without this runner for now")
		if time.Since(began) > time.Minute {
			p.reset()
		}
		sleep(ctx, p.after(s.Left()), nil)
	}
}

// begin starts the session, or takes it over. Without both, it has its end.
func (w *work) begin(ctx context.Context) (*runner.Session, error) {
	l := w.snapshot()
	_, err := w.d.book.store.Load(l.Session)
	switch {
	case err != nil && l.State == fenced:
		return nil, nil
	case err != nil:
		if s, err := w.start(ctx); s != nil || err != nil {
			return s, err
		}
		l = w.snapshot() // it has ended, unless its end could not be written down
		l.State = task.Active
	}
	s, err := w.attach(ctx)
	if err != nil || l.State != task.Accepted {
		return s, err
	}
	// The daemon before died between the session's creation and the agent's start.
	if s != nil {
		select {
		case <-s.Done():
		default:
			return s, nil
		}
	}
	if sum, err := w.d.book.store.Summary(l.Session); err == nil && sum.End != nil && !w.ran() {
		if o := sum.End.Outcome; o == event.Errored || o == event.Cancelled {
			w.setGiveBack("restarted before the agent ran")
			return nil, errGivenBack
		}
	}
	return s, nil
}

// ran reports whether the agent ever said something.
func (w *work) ran() bool {
	for e, err := range journal.ReadFar(w.d.book.store.Journal(w.lease.Session), 1, api.InlineRawMax) {
		if err == nil && e.Out > 0 {
			return true
		}
	}
	return false
}

// attach takes the session over, as soon as that can be. Nil: it has ended.
func (w *work) attach(ctx context.Context) (*runner.Session, error) {
	id := w.snapshot().Session
	w.startUpload(ctx)
	p := newPauses()
	for said := false; ; said = true {
		s, err := w.d.Runner.Attach(ctx, id)
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, runner.ErrFinished):
			return nil, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, runner.ErrBusy):
			signal(w.seen)
			sleep(ctx, attachPause, nil)
		case w.stuck(err) && w.d.Runner.Engine.Remove(ctx, id) == nil:
			return nil, fmt.Errorf("%w: %w", errStuck, err)
		default:
			if !said {
				w.d.Log.WithField("session", id).WithError(err).Warn("the session cannot be taken over yet")
			}
			sleep(ctx, p.soon(err), nil)
		}
	}
}

// errStuck: the session cannot be taken over.
var errStuck = errors.New("given up")

// stuck reports whether it is of no use to try again after err: no try will be better, or
// somebody wants the session to end, and it cannot be told.
func (w *work) stuck(err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	unwanted := w.stopping != nil || slices.ContainsFunc(w.inbox, func(c api.Command) bool { return c.Kind == api.CommandCancel })
	return errors.Is(err, journal.ErrDamaged) || unwanted && !errors.Is(err, sandbox.ErrUnavailable)
}

// startUpload starts to upload the session's events, once.
func (w *work) startUpload(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.lease.State; w.uploaded != nil || s == fenced || s == task.Accepted && w.session == nil {
		return
	}
	w.uploaded = make(chan struct{})
	ctx, w.quitUpload = context.WithCancel(ctx)
	go func() {
		defer close(w.uploaded)
		err := w.upload(ctx)
		w.uploadErr = err
		switch {
		case errors.Is(err, errFenced):
			w.stop(api.Stop{Session: w.lease.Session, Outcome: event.Errored, Reason: err.Error(), Fenced: true})
		case errors.Is(err, errTold):
			w.d.refuse(err)
		case err != nil && ctx.Err() == nil:
			w.d.Log.WithField("session", w.lease.Session).WithError(err).Error("the rest of the session's events cannot be uploaded")
		case err == nil:
			w.d.change() // so that it hears that this is done
		}
	}()
}

// settle does what is left when the session has its end.
func (w *work) settle(ctx context.Context) {
	l := w.snapshot()
	sum, err := w.d.book.store.Summary(l.Session)
	if err == nil && sum.End != nil && l.State != task.Ended {
		w.d.count(sum.End.Outcome)
		w.d.Say(fmt.Sprintf("%s finished: %s in %s%s", w.title(), sum.End.Outcome,
			(time.Duration(sum.End.DurationMS) * time.Millisecond).Round(time.Second), because(sum.End.Reason)))
	}
	if sum.End != nil && sum.End.Outcome == event.Errored {
		w.d.lookSoon()
	}
	if l.State != task.Ended && l.State != fenced {
		if !l.Local {
			w.after(ctx, sum)
		}
		w.move(task.Ended, "")
	}
	if w.snapshot().State != fenced {
		w.startUpload(ctx)
		signal(w.seen)
		w.mu.Lock()
		uploaded := w.uploaded
		w.mu.Unlock()
		if uploaded != nil { // nil: the lease was lost just now
			<-uploaded
		}
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
