package agent

import (
	"strings"
	"unicode/utf8"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

func (c *claude) line(s *claudeStep, line []byte) {
	if !utf8.Valid(line) {
		s.flaw = "not UTF-8"
		return
	}
	if l, ok := claudeScanDelta(line); ok {
		c.streamEvent(s, &l)
		return
	}
	var l claudeLine
	if !s.decode(line, &l) {
		return
	}
	switch l.Type {
	case "stream_event":
		c.streamEvent(s, &l)
	case "assistant":
		c.assistant(s, l, line)
	case "user":
		c.user(s, l)
	case "result":
		c.result(s, line)
	case "system":
		c.system(s, l.Subtype, line)
	case "command_lifecycle":
		c.lifecycle(s, line)
	case "rate_limit_event":
		c.rateLimit(s, line)
	case "control_request":
		c.controlRequest(s, line)
	case "control_response":
		c.controlResponse(s, line)
	case "conversation_reset": // /clear
		s.add(event.Notice{Kind: "info", Text: "the conversation was cleared"})
	case "auth_status":
		c.authStatus(s, line)
	case "control_cancel_request":
		c.cancelRequest(s, line)
	case "keep_alive", "tool_progress", "tool_use_summary", "prompt_suggestion":
		s.protocol(l.Type)
	case "":
		if s.flaw == "" {
			s.flaw = "no type"
		}
	default:
		s.flaw = "unknown type " + l.Type
	}
}

// openTurn starts a turn unless one is running.
func (c *claude) openTurn(s *claudeStep) bool {
	if c.turn {
		return false
	}
	c.turn, c.starting = true, false
	c.trouble.kind = ""
	s.add(event.TurnStarted{})
	return true
}

func (c *claude) assistant(s *claudeStep, l claudeLine, line []byte) {
	var m claudeMessage
	s.decode(l.Message, &m)
	if l.Parent == "" {
		c.openTurn(s)
	}
	if c.apiError(s, line, m) {
		return
	}
	for _, b := range claudeBlocks(s, m.Content) {
		switch b.Type {
		case "text":
			s.add(event.Message{ID: m.ID, Role: "assistant", Text: b.Text, Parent: l.Parent})
		case "thinking":
			if b.Thinking == "" { // the vendor may withhold it
				s.protocol("assistant/thinking")
				continue
			}
			s.add(event.Thinking{Text: b.Thinking, Parent: l.Parent})
		case "redacted_thinking":
			s.protocol("assistant/redacted_thinking")
		case "tool_use", "server_tool_use", "mcp_tool_use":
			c.toolUse(s, b, l.Parent)
		default:
			if b.ToolUseID != "" { // web_search_tool_result and its kin
				c.toolResult(s, b, nil)
				continue
			}
			s.flaw = "unknown content " + b.Type
		}
	}
	c.countMessage(s, m, l.Parent)
	if len(s.Events) == 0 && s.flaw == "" {
		s.protocol("assistant") // no content
	}
}

func (c *claude) user(s *claudeStep, l claudeLine) {
	if l.Replay {
		if !c.consume(s, l.UUID) {
			s.protocol("user/replay")
		}
		return
	}
	var m claudeMessage
	s.decode(l.Message, &m)
	for _, b := range claudeBlocks(s, m.Content) {
		switch {
		case b.Type == "tool_result":
			c.toolResult(s, b, l.ToolResult)
		case b.Type == "text" && strings.HasPrefix(b.Text, "[Request interrupted by user"):
			s.add(event.Protocol{Name: "user/interrupted"})
		case b.Type == "text":
			s.add(event.Message{Role: "user", Text: b.Text, Parent: l.Parent})
		default:
			s.protocol("user/" + b.Type) // an image or a document for the model
		}
	}
}

// lifecycle takes the receipts that 2.1.330 gives for each message.
//
//	{"type":"command_lifecycle","command_uuid":"0198…","state":"queued"}
func (c *claude) lifecycle(s *claudeStep, line []byte) {
	var l struct {
		Command string `json:"command_uuid"`
		State   string `json:"state"`
	}
	s.decode(line, &l)
	news := false
	switch l.State {
	case "queued":
		news = c.receive(s, l.Command)
	case "started":
		news = c.consume(s, l.Command)
		c.starting = news && !c.turn
	case "completed":
		c.starting = false
		news = c.consume(s, l.Command)
	case "cancelled", "discarded", "refused":
		c.starting = false
		news = c.drop(s, l.Command, l.State)
	}
	if !news {
		s.protocol("command_lifecycle/" + l.State)
	}
}
