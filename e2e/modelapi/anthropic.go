package modelapi

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// messagesRequest is what the server needs of POST /v1/messages.
type messagesRequest struct {
	Model     string `json:"model"`
	MaxTokens int    `json:"max_tokens"`
	Stream    bool   `json:"stream"`
	Tools     []struct {
		Name string `json:"name"`
	} `json:"tools"`
	Metadata struct {
		UserID string `json:"user_id"` // JSON in a string: {"device_id":"…","session_id":"…"}
	} `json:"metadata"`
}

// side reports a request that is not the conversation's own: Claude asks for
// titles, summaries and quota without tools or for a single token.
func (m messagesRequest) side() bool { return len(m.Tools) == 0 || m.MaxTokens == 1 }

// conversation is the session's id, or a subagent's own.
func (m messagesRequest) conversation(r *http.Request) string {
	if id := r.Header.Get("X-Claude-Code-Agent-Id"); id != "" {
		return id
	}
	if id := r.Header.Get("X-Claude-Code-Session-Id"); id != "" {
		return id
	}
	var user struct {
		SessionID string `json:"session_id"`
	}
	_ = json.Unmarshal([]byte(m.Metadata.UserID), &user) // older clients send plain text
	return user.SessionID
}

func (s *Server) serveMessages(w http.ResponseWriter, r *http.Request) {
	body := readBody(w, r)
	var request messagesRequest
	if err := json.Unmarshal(body, &request); err != nil {
		s.take(r, body, "", true)
		writeError(w, anthropic, Turn{Status: http.StatusBadRequest, Text: err.Error()})
		return
	}
	turn := s.take(r, body, request.conversation(r), request.side())
	pause(r, turn.Delay)
	if turn.Status != 0 {
		writeError(w, anthropic, turn)
		return
	}
	reply := newMessage(request, turn)
	if request.Stream {
		reply.stream(openStream(w, r, turn.Header))
		return
	}
	writeJSON(w, turn.Header, reply.whole())
}

// serveCountTokens answers a count that grows with the body, as the real one does.
func (s *Server) serveCountTokens(w http.ResponseWriter, r *http.Request) {
	body := readBody(w, r)
	s.take(r, body, "", true)
	writeJSON(w, nil, object{"input_tokens": len(body)/4 + 1})
}

func writeJSON(w http.ResponseWriter, header http.Header, body object) {
	for name, values := range header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// claudeTool spells a call for Claude.
func claudeTool(call Call) (name string, input any) {
	switch {
	case call.Shell != "":
		return "Bash", object{"command": call.Shell, "description": "Run a scripted command"}
	case call.Path != "":
		return "Write", object{"file_path": call.Path, "content": call.Content}
	case call.Question != "":
		options := []object{}
		for _, option := range call.Options {
			options = append(options, object{"label": option, "description": option})
		}
		return "AskUserQuestion", object{"questions": []object{{
			"question": call.Question, "header": "Question", "options": options, "multiSelect": false,
		}}}
	case call.Server != "":
		return "mcp__" + call.Server + "__" + call.Name, call.Input
	case call.Input == nil:
		return call.Name, object{}
	default:
		return call.Name, call.Input
	}
}

func (m messagesRequest) offers(name string) bool {
	for _, tool := range m.Tools {
		if tool.Name == name {
			return true
		}
	}
	return false
}

// notOffered is what the reply says in place of a call that cannot be made, so
// that it shows in the agent's result.
func notOffered(name string, offered any) string {
	return fmt.Sprintf("(modelapi: the request offers no %s, only %v)", name, offered)
}
