package agent

import (
	"encoding/json"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// The forms of replies.
const (
	codexDecides    = "decision"
	codexDecidesOld = "old decision"
	codexGrants     = "permissions"
	codexElicits    = "elicitation"
	codexAnswers    = "answers"
)

// codexNoMethod is JSON-RPC's code for a method that does not exist.
const codexNoMethod = -32601

// reply sends the answer. A denial has no place for a message, so that goes into the
// turn, and before the denial: the model then reads both at once.
func (c *codex) reply(s *codexStep, o *ask, a *event.Answer, id string) {
	if a.Message != "" && o.Kind == event.AskPermission && a.Decision == event.DecideDeny && c.turn != "" {
		delete(c.asks.told, o.Ask) // the message has receipts of its own
		c.lastNo++
		c.hold(&codexMessage{no: c.lastNo, id: id, text: "Denied: " + o.Title + "\n" + a.Message, priority: Next})
		c.advance(s)
	}
	s.send(codexReply{ID: o.id, Result: codexResult(o, a)})
	if a.Decision == event.DecideStop && o.form != codexDecides && o.form != codexDecidesOld && c.turn != "" {
		delete(c.asks.told, o.Ask)    // so has the interrupt
		c.stops = append(c.stops, id) // these have no answer that ends the turn
	}
}

// codexResult is the answer in the form that the request wants.
func codexResult(o *ask, a *event.Answer) any {
	allow := a.Decision == event.DecideAllow || a.Decision == event.DecideSession
	pick := func(yes, no, stop string) string {
		switch {
		case allow:
			return yes
		case a.Decision == event.DecideStop:
			return stop
		}
		return no
	}
	switch o.form {
	case codexDecidesOld:
		return map[string]any{"decision": pick("approved", "denied", "abort")}
	case codexGrants:
		granted := o.input
		if !allow || len(granted) == 0 || granted[0] != '{' {
			granted = json.RawMessage("{}")
		}
		return map[string]any{"permissions": granted, "scope": "turn"}
	case codexElicits:
		var content any
		switch {
		case allow && len(a.Input) > 0:
			content = a.Input
		case allow:
			content = struct{}{}
		}
		return map[string]any{"action": pick("accept", "decline", "cancel"), "content": content}
	case codexAnswers:
		answers := map[string]any{}
		for _, q := range o.Questions {
			texts := a.Answers[q.ID]
			if !allow {
				texts = []string{denial(a)}
			}
			answers[q.ID] = map[string]any{"answers": texts}
		}
		return map[string]any{"answers": answers}
	}
	return map[string]any{"decision": pick("accept", "decline", "cancel")}
}

func (c *codex) refuseRequest(s *codexStep, l codexLine) {
	s.send(codexReply{ID: l.ID, Error: &codexRPCError{Code: codexNoMethod, Message: "not supported by this client"}})
}

// requestResolved says that the server has an answer, or needs none any more.
func (c *codex) requestResolved(s *codexStep, params json.RawMessage) {
	var p struct {
		RequestID json.RawMessage `json:"requestId"`
	}
	_ = codexDecode(params, &p) // an id that is not known is no news
	e := c.asks.receipt(codexAskID(p.RequestID))
	if e == nil {
		e = c.asks.withdraw(codexAskID(p.RequestID))
	}
	if e == nil {
		s.protocol("serverRequest/resolved")
		return
	}
	s.add(e)
}
