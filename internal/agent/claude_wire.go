package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// What the adapter sends.

type claudeUserLine struct {
	Type     string            `json:"type"`
	Message  claudeUserMessage `json:"message"`
	UUID     string            `json:"uuid"`
	Priority Priority          `json:"priority"`
}

type claudeUserMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type claudeControlRequest struct {
	Type      string        `json:"type"`
	RequestID string        `json:"request_id"`
	Request   claudeSubtype `json:"request"`
}

type claudeSubtype struct {
	Subtype string `json:"subtype"`
	Message string `json:"message_uuid,omitempty"` // of cancel_async_message
}

type claudeControlReply struct {
	Type     string           `json:"type"`
	Response claudeReplyInner `json:"response"`
}

type claudeReplyInner struct {
	Subtype   string `json:"subtype"`
	RequestID string `json:"request_id"`
	Response  any    `json:"response,omitempty"` // claudeDecision or claudeElicited
	Error     string `json:"error,omitempty"`
}

type claudeDecision struct {
	Behavior     string          `json:"behavior"`
	UpdatedInput json.RawMessage `json:"updatedInput,omitempty"`
	Message      string          `json:"message,omitempty"`
	Interrupt    bool            `json:"interrupt,omitempty"`
}

type claudeElicited struct {
	Action  string          `json:"action"`
	Content json.RawMessage `json:"content,omitempty"`
}

// What the CLI sends: every line has a type; these are the parts of the frequent
// types, decoded in one go. Rare types decode the line again.
type claudeLine struct {
	Type       string          `json:"type"`
	Subtype    string          `json:"subtype"`
	UUID       string          `json:"uuid"`
	Parent     string          `json:"parent_tool_use_id"`
	Message    json.RawMessage `json:"message"`
	ToolResult json.RawMessage `json:"tool_use_result"`
	Replay     bool            `json:"isReplay"`
	APIMessage string          `json:"api_message_id"`
	Event      claudeEvent     `json:"event"`
}

type claudeMessage struct {
	ID      string          `json:"id"`
	Model   string          `json:"model"`
	Content json.RawMessage `json:"content"`
	Usage   *claudeUsage    `json:"usage"`
}

// claudeBlock is one block of a message's content, of any type.
type claudeBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	Thinking  string          `json:"thinking"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"`
	Content   json.RawMessage `json:"content"`
	IsError   bool            `json:"is_error"`
}

// claudeBlocks decodes content, which is a text or a list of blocks.
func claudeBlocks(s *claudeStep, content json.RawMessage) []claudeBlock {
	switch content = bytes.TrimLeft(content, " \t\r\n"); {
	case len(content) == 0:
		return nil
	case content[0] == '"':
		b := claudeBlock{Type: "text"}
		s.decode(content, &b.Text)
		return []claudeBlock{b}
	default:
		var blocks []claudeBlock
		s.decode(content, &blocks)
		return blocks
	}
}

// claudeStep is a Step in the making.
type claudeStep struct {
	Step
	flaw string // what of the line was not understood
}

func (s *claudeStep) add(e event.Data) { s.Events = append(s.Events, e) }

func (s *claudeStep) protocol(name string) { s.add(event.Protocol{Name: name}) }

func (s *claudeStep) send(v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		// Only a RawMessage can fail, and those come out of a decoder.
		s.add(event.Notice{Kind: "warning", Text: "no answer to the agent: " + err.Error()})
		return
	}
	s.Send = append(s.Send, bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// decode fills v from JSON. A field of another type than expected is left out
// and noted as the line's flaw, and the rest counts: a new version that changes
// the type of a detail must not make a `result` disappear. It reports whether
// the value was JSON at all.
func (s *claudeStep) decode(data []byte, v any) bool {
	err := json.Unmarshal(data, v)
	if err == nil {
		return true
	}
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		s.flaw = "not JSON: " + err.Error()
		return false
	}
	s.flaw = fmt.Sprintf("%s where %s belongs, field %q", wrong.Value, wrong.Type, wrong.Field)
	return true
}
