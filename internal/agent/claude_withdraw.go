package agent

import (
	"cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// withdraw asks Claude to give the last message back that the model has not seen.
// The first one is the session's prompt and stays.
func (c *claude) withdraw(s *claudeStep, command string) {
	for i := len(c.order) - 1; i > 0; i-- {
		id := c.order[i]
		if m := c.messages[id]; m != claudeSent && m != claudeDelivered || c.recalled[id] != "" {
			continue
		}
		c.recalled[id] = c.request(s, command, claudeSubtype{Subtype: "cancel_async_message", Message: id})
		return
	}
	s.add(event.CommandFailed{Command: command, Error: withdrawNothing})
}

// withdrawal takes the answer to such a request; it reports false for that to
// another one. A receipt of the message may have come first.
func (c *claude) withdrawal(s *claudeStep, request string, cancelled bool, fault string) bool {
	for message, r := range c.recalled {
		if r != request {
			continue
		}
		command := c.requests[request]
		if cancelled {
			s.add(event.CommandDelivered{Command: command})
			c.drop(s, message, "cancelled")
		} else {
			s.add(event.CommandFailed{Command: command, Error: cmp.Or(fault, withdrawLate)})
		}
		delete(c.recalled, message)
		return true
	}
	return false
}
