package agent

import (
	"cmp"
	"slices"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// hold puts a message where its priority and its number belong.
func (c *codex) hold(m *codexMessage) {
	at, _ := slices.BinarySearchFunc(c.held, m, func(a, b *codexMessage) int {
		return cmp.Or(a.rank()-b.rank(), a.no-b.no)
	})
	c.held = slices.Insert(c.held, at, m)
}

func (m *codexMessage) rank() int { return slices.Index([]Priority{Now, Next, Later}, m.priority) }

// mustWait reports that m, the first of those that are held, cannot be sent yet.
// Whatever is sent in a turn becomes part of it, so that "later" waits for its end,
// which the messages on their way may put off, and all wait for the end of a turn
// that is broken off.
func (c *codex) mustWait(m *codexMessage) bool {
	switch {
	case c.turn == "":
		return m.priority == Later && c.steering > 0
	case m.urgent || m.priority == Later || c.turn == c.broken:
		return true
	}
	return c.turn == c.noSteer
}

// breakOff interrupts the running turn, once, for a message that cannot wait for its
// end.
func (c *codex) breakOff(s *codexStep) {
	if c.broken == c.turn || !slices.ContainsFunc(c.held, func(m *codexMessage) bool { return m.urgent }) {
		return
	}
	c.broken = c.turn
	c.request(s, "turn/interrupt", codexInterrupt{ThreadID: c.thread, TurnID: c.turn}, codexCall{turn: c.turn})
}

// withdraw takes the last message back that the model has not seen. That goes only
// while it is held here: the server gives nothing back. The first message is the
// session's prompt and stays.
func (c *codex) withdraw(s *codexStep, command string) {
	last := &codexMessage{no: 1}
	later := func(m *codexMessage) {
		if m != nil && m.no > last.no && !m.consumed {
			last = m
		}
	}
	for _, m := range slices.Concat(c.held, c.taken) {
		later(m)
	}
	for _, call := range c.calls {
		later(call.message)
	}
	at := slices.Index(c.held, last)
	switch {
	case last.no == 1:
		s.fail(command, withdrawNothing)
	case at < 0:
		s.fail(command, withdrawLate)
	default:
		c.held = slices.Delete(c.held, at, at+1)
		s.add(event.CommandDelivered{Command: command}, event.CommandWithdrawn{Command: last.id})
	}
}

// dropLater gives up what waits for the end of the turn: the session ends with it.
func (c *codex) dropLater(s *codexStep) {
	c.held = slices.DeleteFunc(c.held, func(m *codexMessage) bool {
		if m.priority != Later {
			return false
		}
		s.fail(m.id, "the session is ending")
		return true
	})
}
