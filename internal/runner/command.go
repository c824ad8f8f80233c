package runner

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// errEnding is what a command is told that comes too late.
var errEnding = errors.New("the session is ending")

// Deliver does a command from elsewhere, which may come more than once: one whose ID is
// in the journal is not done again. After an interrupt the agent waits for another
// message; agent.End ends the session as cancelled, with c.Text as the reason. Without
// an error the command is in the journal: done, or with an event command.failed that
// says why not. The error is sandbox.ErrEnded when the session is over, or the journal's.
func (s *Session) Deliver(c agent.Command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.commands[c.ID] {
		return nil
	}
	if s.over {
		return sandbox.ErrEnded
	}
	if why := s.refuses(c); why != nil {
		s.commands[c.ID] = true
		return s.apply(agent.Step{Events: []event.Data{event.CommandFailed{Command: c.ID, Error: why.Error()}}}, nil)
	}
	if c.Kind == agent.End {
		if err := s.stopBy(stopped{outcome: event.Cancelled, reason: c.Text}); err != nil {
			return err
		}
		return s.endBy(c.ID)
	}
	s.stay = c.Kind == agent.Interrupt || c.Answer != nil && c.Answer.Decision == event.DecideStop || s.stay && c.Kind != agent.Message
	if _, err := s.do(c); err != nil {
		return err
	}
	return s.settle()
}

// refuses says why c cannot be done. s.mu is held.
func (s *Session) refuses(c agent.Command) error {
	switch c.Kind {
	case agent.Message, agent.Withdraw, agent.Interrupt, agent.Answer, agent.End:
	default:
		return fmt.Errorf("this runner does not know the command %.50q", c.Kind)
	}
	if uuid.Validate(c.ID) != nil {
		return errors.New("the command's id is no UUID")
	}
	if s.ending {
		return errEnding
	}
	if err := fits(c); err != nil {
		return err
	}
	if c.Kind != agent.Answer {
		return nil
	}
	if c.Answer == nil {
		return errors.New("an answer is missing")
	}
	o := s.asks[c.Answer.Ask]
	if o == nil {
		return ErrNoAsk
	}
	return c.Answer.Check(o.AskOpened)
}

// recallRefused remembers a command that an earlier runner refused.
func (s *Session) recallRefused(data []byte) {
	if d, err := event.Decode(event.TypeCommandFailed, data); err == nil {
		s.commands[d.(event.CommandFailed).Command] = true
	}
}

// Note adds a notice of somebody who drives the session.
func (s *Session) Note(kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		_ = s.apply(agent.Step{Events: []event.Data{event.Notice{Kind: kind, Text: text}}}, nil)
	}
}
