package agent

import (
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// claudeEvent is an event of the model's API as it came.
type claudeEvent struct {
	Type    string        `json:"type"`
	Message claudeMessage `json:"message"`
	Delta   struct {
		Type string `json:"type"`
		Text string `json:"text"`
	} `json:"delta"`
	Usage *claudeUsage `json:"usage"`
}

// streamEvent turns a piece of a message into an event. Pieces of thinking and of tool
// input stay protocol: they follow complete in the assistant line, and so do the
// texts of subagents, for which a MessageDelta has no place.
func (c *claude) streamEvent(s *claudeStep, l *claudeLine) {
	if l.Parent != "" {
		s.protocol("stream_event/" + l.Event.Type)
		return
	}
	switch l.Event.Type {
	case "message_start":
		c.streaming = l.Event.Message.ID
		c.openTurn(s)
		c.meter.add(c.streaming, l.Event.Message.Model, l.Event.Message.Usage)
	case "message_delta":
		if c.meter.add(c.streaming, "", l.Event.Usage) {
			s.add(event.UsageUpdated{Usage: c.meter.total()})
			return
		}
	case "content_block_delta":
		if l.Event.Delta.Type != "text_delta" {
			s.protocol("stream_event/" + l.Event.Delta.Type)
			return
		}
		id := c.streaming
		if l.APIMessage != "" {
			id = l.APIMessage
		}
		s.add(event.MessageDelta{ID: id, Text: l.Event.Delta.Text})
		return
	}
	s.protocol("stream_event/" + l.Event.Type)
}
