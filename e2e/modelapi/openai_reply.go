package modelapi

import (
	"crypto/rand"
	"maps"
	"strings"
)

// response is one streamed reply of the Responses API.
type response struct {
	id    string
	model string
	turn  Turn
	items []object // finished output items, in order
}

func newResponse(request responsesRequest, turn Turn) response {
	p := response{id: "resp_" + rand.Text(), model: request.Model, turn: turn}
	if request.compacts() {
		p.items = []object{{"type": "compaction", "id": "cmp_" + rand.Text(), "encrypted_content": "c2NyaXB0ZWQ="}}
		return p
	}
	if turn.Thinking != "" {
		p.items = append(p.items, object{
			"type": "reasoning", "id": "rs_" + rand.Text(), "encrypted_content": "c2NyaXB0ZWQ=",
			"summary": []object{{"type": "summary_text", "text": turn.Thinking}},
		})
	}
	if turn.Search != "" {
		p.items = append(p.items, object{
			"type": "web_search_call", "id": "ws_" + rand.Text(), "status": "completed",
			"action": object{"type": "search", "query": turn.Search},
		})
	}
	box := request.toolbox()
	text := turn.Text
	var calls []object
	for _, call := range turn.Calls {
		name, input := codexTool(box, call)
		tool, ok := box[name]
		if namespace, rest, found := strings.Cut(name, "/"); found && !ok {
			name, tool = rest, offered{namespace: namespace}
		}
		if !ok && call.Name == "" {
			text += notOffered(name, box.names())
			continue
		}
		if call.Server != "" && name == call.Name {
			tool.namespace = "mcp__" + call.Server // tools that are searched for are not offered
		}
		calls = append(calls, callItem(name, tool, input))
	}
	if text != "" || len(calls) == 0 {
		p.turn.Text = text
		p.items = append(p.items, messageItem("completed", text))
	}
	p.items = append(p.items, calls...)
	return p
}

func messageItem(status, text string) object {
	content := []object{}
	if status == "completed" {
		content = append(content, object{"type": "output_text", "text": text, "annotations": []object{}})
	}
	return object{
		"type": "message", "id": "msg_" + rand.Text(), "role": "assistant",
		"status": status, "content": content,
	}
}

func callItem(name string, tool offered, input any) object {
	item := object{"call_id": "call_" + rand.Text(), "name": name, "status": "completed"}
	if tool.namespace != "" {
		item["namespace"] = tool.namespace
	}
	if text, ok := input.(string); ok {
		item["type"], item["id"], item["input"] = "custom_tool_call", "ctc_"+rand.Text(), text
		return item
	}
	item["type"], item["id"], item["arguments"] = "function_call", "fc_"+rand.Text(), jsonText(input)
	return item
}

func (p response) stream(out *stream) {
	send := func(kind string, event object) {
		event["sequence_number"] = out.seq
		out.seq++
		out.send(kind, event)
	}
	send("response.created", object{"response": p.object("in_progress")})
	for i, item := range p.items {
		p.streamItem(out, send, i, item)
	}
	send("response.completed", object{"response": p.object("completed")})
}

func (p response) streamItem(out *stream, send func(string, object), index int, item object) {
	begun := maps.Clone(item)
	delta := func(kind, part, value string) {
		send(kind, object{"item_id": item["id"], "output_index": index, part: 0, "delta": value})
	}
	switch item["type"] {
	case "message":
		begun["status"], begun["content"] = "in_progress", []object{}
		send("response.output_item.added", object{"output_index": index, "item": begun})
		out.text(p.turn, func(piece string) {
			delta("response.output_text.delta", "content_index", piece)
		})
	case "reasoning":
		begun["summary"] = []object{}
		send("response.output_item.added", object{"output_index": index, "item": begun})
		delta("response.reasoning_summary_text.delta", "summary_index", p.turn.Thinking)
	default:
		begun["status"] = "in_progress"
		send("response.output_item.added", object{"output_index": index, "item": begun})
	}
	send("response.output_item.done", object{"output_index": index, "item": item})
}

func (p response) object(status string) object {
	o := object{"id": p.id, "object": "response", "status": status, "model": p.model, "output": []object{}}
	if status != "completed" {
		return o
	}
	u := p.turn.usage()
	o["output"] = p.items
	o["usage"] = object{
		"input_tokens":          u.Input + u.CacheRead,
		"input_tokens_details":  object{"cached_tokens": u.CacheRead},
		"output_tokens":         u.Output,
		"output_tokens_details": object{"reasoning_tokens": 0},
		"total_tokens":          u.Input + u.CacheRead + u.Output,
	}
	return o
}
