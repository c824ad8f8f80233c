package runner

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// graceMax is what an agent that was told to finish gets before it is ended.
const graceMax = 2 * time.Minute

// wrapUp is what an agent is told when the session is about to be ended.
const wrapUp = "The runner ends this session in a moment: %s. Finish now: start nothing new, leave the files in a " +
	"consistent state, and summarise in one last message what is done and what is left."

// stopped is who or what ends a session before its agent does, once somebody does.
// It is in the journal before anything follows from it.
type stopped struct {
	outcome event.Outcome
	reason  string
	grace   time.Duration // what the agent gets to finish by itself
}

// stopBy records why the session is being ended; the first reason counts. s.mu is
// held.
func (s *Session) stopBy(why stopped, more ...event.Data) error {
	if s.stop != nil {
		return nil
	}
	e := event.SessionStopping{Outcome: why.outcome, Reason: why.reason, GraceMS: why.grace.Milliseconds()}
	return s.apply(agent.Step{Events: append(more, e)}, nil)
}

// noteStop takes the record of stopBy in. s.mu is held.
func (s *Session) noteStop(e event.SessionStopping) {
	s.stop = &stopped{e.Outcome, e.Reason, time.Duration(e.GraceMS) * time.Millisecond}
}

// tell has the agent finish by itself within why.grace. more is journalled
// together with the reason and the message, so that no runner tells it twice.
// s.mu is held.
func (s *Session) tell(why stopped, more ...event.Data) error {
	if s.stop != nil || s.ending {
		return nil
	}
	s.stay = false
	more = append(more, event.SessionStopping{Outcome: why.outcome, Reason: why.reason, GraceMS: why.grace.Milliseconds()})
	c := agent.Command{ID: uuid.NewString(), Kind: agent.Message, Text: fmt.Sprintf(wrapUp, why.reason)}
	if _, err := s.do(c, more...); err != nil {
		return err
	}
	s.endAfter(why.grace)
	return nil
}

// endAfter ends the session when the grace is over. s.mu is held.
func (s *Session) endAfter(grace time.Duration) {
	s.graceEnd = time.AfterFunc(grace, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = s.end()
	})
}

// check does what the session's budget asks for. s.mu is held.
func (s *Session) check() error {
	if s.ending {
		return nil
	}
	if due := s.meter.warnings(); len(due) > 0 {
		if err := s.apply(agent.Step{Events: due}, nil); err != nil {
			return err
		}
	}
	if s.meter.graceOver() {
		return s.end()
	}
	if model, no := s.meter.unpriced(); no && s.stop == nil {
		reason := "no price of " + model + " is known, so that a cost budget cannot be kept: name another model, or bound the tokens"
		return errors.Join(s.stopBy(stopped{outcome: event.Errored, reason: reason}), s.end())
	}
	if over, yes := s.meter.exceeded(); yes {
		return s.tell(stopped{event.BudgetExceeded, overrun(over), graceMax}, over)
	}
	return nil
}

// resumeStop goes on with what a dead runner had begun. s.mu is held.
func (s *Session) resumeStop() error {
	switch {
	case s.stop == nil:
		return nil
	case s.stop.grace > 0:
		s.endAfter(time.Until(s.stopAt.Add(s.stop.grace)))
		return nil
	}
	return s.end()
}

// settle asks an idle agent to leave, once. s.mu is held.
func (s *Session) settle() error {
	if err := s.check(); err != nil {
		return err
	}
	if s.ending || s.stay || !s.adapter.Idle() {
		return nil
	}
	return s.leave(uuid.NewString())
}

// end interrupts the agent's turn and asks it to leave. s.mu is held.
func (s *Session) end() error { return s.endBy(uuid.NewString()) }

// endBy is end as the command id.
func (s *Session) endBy(id string) error {
	s.stay = false
	if s.ending || s.proc == nil {
		return nil
	}
	if !s.adapter.Idle() {
		if _, err := s.do(agent.Command{ID: uuid.NewString(), Kind: agent.Interrupt}); err != nil {
			return err
		}
	}
	return s.leave(id)
}

// leave asks the agent to end, as the command id, and sees to it that it does. s.mu is
// held.
func (s *Session) leave(id string) error {
	if s.ending {
		return nil
	}
	s.ending = true
	if _, err := s.do(agent.Command{ID: id, Kind: agent.End}); err != nil {
		return err
	}
	go s.insist()
	return nil
}

// insist ends an agent that was asked to leave and does not.
func (s *Session) insist() {
	for _, next := range []func() error{
		func() error { return s.proc.Signal(s.ctx, syscall.SIGTERM) },
		func() error { return s.proc.Kill(s.ctx) },
	} {
		select {
		case <-s.ended:
			return
		case <-time.After(endMax):
			_ = next()
		}
	}
}

// End ends the session with outcome and reason: the agent's turn is interrupted
// and the agent asked to leave; one that does not is ended by force.
func (s *Session) End(outcome event.Outcome, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	err := s.stopBy(stopped{outcome: outcome, reason: reason})
	if err = errors.Join(err, s.end()); err != nil && s.proc != nil {
		proc := s.proc // what cannot be journalled is not sent: nothing else would end it
		go func() { _ = proc.Kill(s.ctx) }()
	}
}

// Kill ends the session at once.
func (s *Session) Kill(outcome event.Outcome, reason string) {
	s.mu.Lock()
	proc := s.proc
	if !s.over {
		_ = s.stopBy(stopped{outcome: outcome, reason: reason})
	}
	s.mu.Unlock()
	if proc != nil {
		_ = proc.Kill(s.ctx)
	}
}
