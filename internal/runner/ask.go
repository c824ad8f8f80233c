package runner

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
)

// ErrNoAsk says that an ask is not open: somebody was faster, or it has expired.
var ErrNoAsk = errors.New("no such ask is open")

// expired is what the agent is told when an ask's time is over.
const expired = "Nobody answered in time, so this is denied. Go on without it if you can, and say in your final message what you left out or assumed."

// asksMax bounds the open asks of a session; agents open a few.
const asksMax = 1000

// openAsk is an ask that waits for an answer.
type openAsk struct {
	event.AskOpened
	timer *time.Timer // nil before the agent runs
}

// Asked returns the open ask id; the error is ErrNoAsk.
func (s *Session) Asked(id string) (event.AskOpened, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.asks[id]; o != nil {
		return o.AskOpened, nil
	}
	return event.AskOpened{}, ErrNoAsk
}

// Answer decides an open ask. It is journalled and reaches the agent once, whatever
// becomes of this runner. The error is ErrNoAsk, or says why a is no answer to the
// ask, which then stays open. After a decision to stop, the session waits for
// another message if stay is set; otherwise it ends as cancelled.
func (s *Session) Answer(a event.Answer, stay bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.asks[a.Ask]
	if o == nil {
		return ErrNoAsk
	}
	if err := a.Check(o.AskOpened); err != nil {
		return err
	}
	if a.Decision == event.DecideStop {
		s.stay = stay
		if !stay {
			if err := s.stopBy(stopped{outcome: event.Cancelled, reason: "a person denied " + o.Title + " and stopped the agent"}); err != nil {
				return err
			}
		}
	}
	return s.answer(a)
}

// answer journals a as a command. s.mu is held.
func (s *Session) answer(a event.Answer) error {
	_, err := s.do(agent.Command{ID: uuid.NewString(), Kind: agent.Answer, Answer: &a})
	if err == nil {
		err = s.settle()
	}
	return err
}

// expire answers an ask with its default.
func (s *Session) expire(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.asks[id]; o != nil {
		_ = s.answer(event.Answer{Ask: id, Decision: o.Default, Message: expired, By: event.ByTimeout}) // an error is s.fault
	}
}

// stampAsks says when the asks that wait expire: an adapter has no clock.
func (s *Session) stampAsks(events []event.Data) {
	for i, d := range events {
		if o, ok := d.(event.AskOpened); ok && o.Default != "" {
			o.ExpiresAt = time.Now().Add(s.AskTimeout).UTC().Format(time.RFC3339)
			events[i] = o
		}
	}
}

// trackAsks keeps the asks that are open. s.mu is held.
func (s *Session) trackAsks(events []event.Data) {
	for _, d := range events {
		switch d := d.(type) {
		case event.AskOpened:
			if d.Default != "" && len(s.asks) < asksMax {
				s.asks[d.Ask] = &openAsk{AskOpened: d}
				s.armAsk(d.Ask)
			}
		case event.AskAnswered:
			s.closeAsk(d.Ask)
		case event.AskExpired:
			s.closeAsk(d.Ask)
		}
	}
}

// replayAsk is trackAsks for an entry of the journal, which knows when an ask
// expires.
func (s *Session) replayAsk(e journal.Entry) {
	switch t := event.Type(e.Type); t {
	case event.TypeAskOpened, event.TypeAskAnswered, event.TypeAskExpired:
		if d, err := event.Decode(t, e.Data); err == nil {
			s.trackAsks([]event.Data{d})
		}
	}
}

// armAsk begins to wait for an ask, once the agent runs. An ask whose time went by
// without a runner still gets a moment, for the person that came back.
func (s *Session) armAsk(id string) {
	o := s.asks[id]
	if s.proc == nil || o.timer != nil {
		return
	}
	left := s.AskTimeout
	if at, err := time.Parse(time.RFC3339, o.ExpiresAt); err == nil {
		left = time.Until(at)
	}
	o.timer = time.AfterFunc(max(left, min(askGrace, s.AskTimeout)), func() { s.expire(id) })
}

// askGrace is the least time that an ask is open under one runner.
const askGrace = 30 * time.Second

func (s *Session) closeAsk(id string) {
	if o := s.asks[id]; o != nil && o.timer != nil {
		o.timer.Stop()
	}
	delete(s.asks, id)
}

// armAsks is armAsk for all that were open when this runner took over. s.mu is held.
func (s *Session) armAsks() {
	for id := range s.asks {
		s.armAsk(id)
	}
}

// dropAsks forgets what is open when the session ends. s.mu is held.
func (s *Session) dropAsks() {
	for id := range s.asks {
		s.closeAsk(id)
	}
}
