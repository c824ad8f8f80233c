package agent

import (
	"bytes"
	"encoding/json"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// claudeNobody is the answer to a question that nobody is there to read.
const claudeNobody = "Nobody can answer questions in this session. Decide yourself what serves the task best, and say in your final message what you assumed."

type claudeAsk struct {
	RequestID string `json:"request_id"`
	Request   struct {
		Subtype     string          `json:"subtype"`
		Tool        string          `json:"tool_name"`
		Input       json.RawMessage `json:"input"`
		Description string          `json:"description"`
	} `json:"request"`
}

// controlRequest answers a request of Claude's in the same step, since it waits
// for the answer without limit. Tools are allowed: the sandbox is the boundary,
// not the vendor's dialogue.
func (c *claude) controlRequest(s *claudeStep, line []byte) {
	var l claudeAsk
	s.decode(line, &l)
	switch {
	case l.RequestID == "":
		s.flaw = "control request without id"
	case l.Request.Subtype == "can_use_tool":
		c.canUseTool(s, l)
	default:
		s.add(event.Notice{Kind: "warning", Text: claudeTitle("the agent asked for " + l.Request.Subtype + ", which is not supported")})
		s.send(claudeControlReply{Type: "control_response", Response: claudeReplyInner{
			Subtype: "error", RequestID: l.RequestID, Error: "unsupported request: " + l.Request.Subtype,
		}})
	}
}

func (c *claude) canUseTool(s *claudeStep, l claudeAsk) {
	r := l.Request
	kind, answer := "permission", claudeDecision{Behavior: "allow", UpdatedInput: r.Input}
	switch input := bytes.TrimLeft(r.Input, " \t\r\n"); {
	case r.Tool == "AskUserQuestion":
		kind, answer = "question", claudeDecision{Behavior: "deny", Message: claudeNobody}
	case len(input) == 0 || input[0] != '{':
		// Claude fails the tool when allowed without its input.
		answer = claudeDecision{Behavior: "deny", Message: "the permission request came without the tool's input"}
	}
	title := r.Description
	if title == "" {
		title = claudeToolTitle(r.Tool, r.Input)
	}
	s.add(event.AskOpened{Ask: l.RequestID, Kind: kind, Tool: r.Tool, Title: claudeTitle(title), Input: r.Input})
	s.add(event.AskAnswered{Ask: l.RequestID, Decision: answer.Behavior, By: "policy"})
	s.send(claudeControlReply{Type: "control_response", Response: claudeReplyInner{
		Subtype: "success", RequestID: l.RequestID, Response: &answer,
	}})
}

// controlResponse takes the answer to a request of ours. With
// --replay-user-messages Claude also repeats our own answers here.
func (c *claude) controlResponse(s *claudeStep, line []byte) {
	var l struct {
		Response struct {
			Subtype   string `json:"subtype"`
			RequestID string `json:"request_id"`
			Error     string `json:"error"`
			Response  struct {
				Cancelled bool        `json:"cancelled"`
				Session   claudeSpent `json:"session"`
			} `json:"response"`
		} `json:"response"`
	}
	s.decode(line, &l)
	if l.Response.RequestID == claudeBaseID && l.Response.Subtype == "success" {
		c.meter.base = l.Response.Response.Session.usage()
	}
	command, ok := c.requests[l.Response.RequestID]
	switch {
	case !ok:
		s.protocol("control_response")
		return
	case c.withdrawal(s, l.Response.RequestID, l.Response.Response.Cancelled, l.Response.Error):
	case l.Response.Subtype == "success":
		s.add(event.CommandDelivered{Command: command})
	default:
		s.add(event.CommandFailed{Command: command, Error: l.Response.Error})
	}
	delete(c.requests, l.Response.RequestID)
}
