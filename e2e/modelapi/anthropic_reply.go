package modelapi

import (
	"crypto/rand"
	"encoding/json"
)

// message is one reply of the Messages API, streamed or whole.
type message struct {
	id     string
	model  string
	turn   Turn
	blocks []object // finished content blocks, in order
}

func newMessage(request messagesRequest, turn Turn) message {
	m := message{id: "msg_" + rand.Text(), model: request.Model, turn: turn}
	if turn.Thinking != "" {
		m.blocks = append(m.blocks, object{
			"type": "thinking", "thinking": turn.Thinking, "signature": "c2NyaXB0ZWQ=",
		})
	}
	if turn.Search != "" {
		m.blocks = append(m.blocks, searchBlocks(turn.Search)...)
	}
	text := turn.Text
	var calls []object
	for _, call := range turn.Calls {
		name, input := claudeTool(call)
		if call.Name == "" && !request.offers(name) {
			text += notOffered(name, request.Tools)
			continue
		}
		calls = append(calls, object{
			"type": "tool_use", "id": "toolu_" + rand.Text(), "name": name, "input": input,
		})
	}
	if text != "" || len(calls) == 0 {
		m.turn.Text = text
		m.blocks = append(m.blocks, object{"type": "text", "text": text})
	}
	m.blocks = append(m.blocks, calls...)
	return m
}

// searchBlocks are a search that the API did, and its one result.
func searchBlocks(query string) []object {
	id := "srvtoolu_" + rand.Text()
	return []object{
		{"type": "server_tool_use", "id": id, "name": "web_search", "input": object{"query": query}},
		{"type": "web_search_tool_result", "tool_use_id": id, "content": []object{{
			"type": "web_search_result", "url": "https://example.com/", "title": "An example",
			"encrypted_content": "c2NyaXB0ZWQ=", "page_age": nil,
		}}},
	}
}

func (m message) stopReason() string {
	if m.blocks[len(m.blocks)-1]["type"] == "tool_use" {
		return "tool_use"
	}
	return "end_turn"
}

func (m message) usage(output int) object {
	u := m.turn.usage()
	return object{
		"input_tokens": u.Input, "cache_read_input_tokens": u.CacheRead,
		"cache_creation_input_tokens": 0, "output_tokens": output, "service_tier": "standard",
	}
}

// whole is the reply in the form without stream.
func (m message) whole() object {
	return object{
		"id": m.id, "type": "message", "role": "assistant", "model": m.model, "content": m.blocks,
		"stop_reason": m.stopReason(), "stop_sequence": nil, "usage": m.usage(m.turn.usage().Output),
	}
}

func (m message) stream(out *stream) {
	start := m.whole()
	start["content"], start["stop_reason"], start["usage"] = []object{}, nil, m.usage(1)
	out.send("message_start", object{"message": start})
	for i, block := range m.blocks {
		m.streamBlock(out, i, block)
	}
	out.send("message_delta", object{
		"delta": object{"stop_reason": m.stopReason(), "stop_sequence": nil},
		"usage": object{"output_tokens": m.turn.usage().Output},
	})
	out.send("message_stop", object{})
}

func (m message) streamBlock(out *stream, index int, block object) {
	delta := func(kind, field string, value any) {
		out.send("content_block_delta", object{
			"index": index, "delta": object{"type": kind, field: value},
		})
	}
	begin := func(empty object) {
		out.send("content_block_start", object{"index": index, "content_block": empty})
	}
	switch block["type"] {
	case "thinking":
		begin(object{"type": "thinking", "thinking": "", "signature": ""})
		delta("thinking_delta", "thinking", block["thinking"])
		delta("signature_delta", "signature", block["signature"])
	case "text":
		begin(object{"type": "text", "text": ""})
		out.text(m.turn, func(piece string) { delta("text_delta", "text", piece) })
	case "web_search_tool_result":
		begin(block)
	case "tool_use", "server_tool_use":
		begin(object{"type": block["type"], "id": block["id"], "name": block["name"], "input": object{}})
		input, _ := json.Marshal(block["input"])
		delta("input_json_delta", "partial_json", string(input))
	}
	out.send("content_block_stop", object{"index": index})
}
