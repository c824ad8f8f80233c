package connect

import (
	"cmp"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

// hold says who drives the session now; nil: nobody here.
func (w *work) hold(s *runner.Session) {
	w.mu.Lock()
	w.session = s
	stop := w.stopping
	w.mu.Unlock()
	signal(w.seen)
	if s == nil {
		return
	}
	if stop != nil {
		go s.End(stop.Outcome, stop.Reason)
	}
	w.deliverSoon()
}

// stop ends the session, whatever its state. It may be called again.
func (w *work) stop(s api.Stop) {
	w.mu.Lock()
	// A session that somebody started here goes on without a control plane.
	own := s.Fenced && w.lease.Local
	first := w.stopping == nil && !own
	if first {
		w.stopping = &s
	}
	fence := s.Fenced && w.lease.State != fenced
	if fence {
		w.lease.State = fenced
		w.save(true)
	}
	session, cancel, quit, idle := w.session, w.cancel, w.quitUpload, w.idle
	w.mu.Unlock()
	switch {
	case !first:
	case session != nil:
		go session.End(s.Outcome, s.Reason) // it may wait for an agent that reads nothing
	case cancel != nil:
		cancel(runner.Stopped{Outcome: s.Outcome, Reason: s.Reason})
	}
	switch {
	case fence && idle:
		w.lose()
	case fence:
		quit()
		w.d.change()
	}
}

// command takes all commands after the acknowledged one, which may come again.
func (w *work) command(all []api.Command) {
	w.mu.Lock()
	w.inbox = all
	cancel := w.cancel
	w.mu.Unlock()
	for _, c := range all {
		if cancel != nil && c.Kind == api.CommandCancel {
			cancel(runner.Stopped{Outcome: event.Cancelled, Reason: cancelled(c)})
		}
	}
	w.deliverSoon()
}

// deliverSoon gives the session what is in the inbox; it does not wait for that.
func (w *work) deliverSoon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy || w.session == nil || len(w.inbox) == 0 {
		return
	}
	w.busy = true
	go w.deliver()
}

func (w *work) deliver() {
	for {
		w.mu.Lock()
		s := w.session
		if s == nil || len(w.inbox) == 0 {
			w.busy = false
			w.mu.Unlock()
			return
		}
		c := w.inbox[0]
		w.inbox = w.inbox[1:]
		known := c.Seq <= w.lease.Acked
		w.mu.Unlock()
		if known {
			continue
		}
		if err := s.Deliver(command(c)); err != nil { // it has ended, or will: nothing is acknowledged
			w.d.Log.WithField("session", c.Session).WithError(err).Debug("a command came too late")
			w.mu.Lock()
			w.busy, w.inbox = false, nil
			w.mu.Unlock()
			return
		}
		w.mu.Lock()
		w.lease.Acked = c.Seq
		w.save(false) // without it the command comes again, and is known by its id
		w.mu.Unlock()
		w.d.change()
	}
}

// command is c for the session. What is allowed always from elsewhere is allowed for this
// session: the rules that last are the owner's.
func command(c api.Command) agent.Command {
	out := agent.Command{ID: c.ID, Kind: agent.CommandKind(c.Kind), Text: c.Text, Priority: agent.Priority(c.Priority)}
	switch c.Kind {
	case api.CommandCancel:
		out.Kind, out.Text = agent.End, cancelled(c)
	case api.CommandAnswer:
		if c.Answer == nil {
			break
		}
		a := *c.Answer
		a.By = event.ByPerson
		if a.Decision == event.DecideAlways {
			a.Decision = event.DecideSession
		}
		out.Answer = &a
	}
	return out
}

func cancelled(c api.Command) string {
	return cmp.Or(c.Text, "cancelled by "+cmp.Or(c.CreatedBy, "the control plane"))
}
