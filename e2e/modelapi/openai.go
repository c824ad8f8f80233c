package modelapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
)

// responsesRequest is what the server needs of POST /v1/responses.
type responsesRequest struct {
	Model          string         `json:"model"`
	Stream         bool           `json:"stream"`
	PromptCacheKey string         `json:"prompt_cache_key"` // Codex: the thread id
	Tools          []responseTool `json:"tools"`
	Input          []struct {
		Type  string         `json:"type"`
		Tools []responseTool `json:"tools"` // of type additional_tools: models of the "lite" kind
	} `json:"input"`
}

// responseTool is an offered tool; a namespace holds more of them.
type responseTool struct {
	Type  string         `json:"type"` // function, custom, namespace, web_search, …
	Name  string         `json:"name"`
	Tools []responseTool `json:"tools"`
}

// toolbox finds offered tools by name.
type toolbox map[string]offered

type offered struct{ kind, namespace string }

func (q responsesRequest) toolbox() toolbox {
	box := toolbox{}
	box.add("", q.Tools)
	for _, item := range q.Input {
		box.add("", item.Tools)
	}
	return box
}

func (b toolbox) add(namespace string, tools []responseTool) {
	for _, tool := range tools {
		if tool.Type == "namespace" {
			b.add(tool.Name, tool.Tools)
			continue
		}
		b[tool.Name] = offered{kind: tool.Type, namespace: namespace}
	}
}

func (b toolbox) names() []string {
	return slices.Sorted(maps.Keys(b))
}

// compacts reports a request for a conversation's summary, which only the vendor
// can read.
func (q responsesRequest) compacts() bool {
	for _, item := range q.Input {
		if item.Type == "compaction_trigger" {
			return true
		}
	}
	return false
}

// sideCall reports a request that Codex makes beside its turns, such as for a
// thread's title or memories: {"request_kind":"turn",…} marks the others.
func sideCall(r *http.Request) bool {
	var meta struct {
		Kind string `json:"request_kind"`
	}
	_ = json.Unmarshal([]byte(r.Header.Get("X-Codex-Turn-Metadata")), &meta) // absent: not Codex
	return meta.Kind != "" && meta.Kind != "turn"
}

func (s *Server) serveResponses(w http.ResponseWriter, r *http.Request) {
	body := readBody(w, r)
	var request responsesRequest
	if err := json.Unmarshal(body, &request); err != nil {
		s.take(r, body, "", true)
		writeError(w, openai, Turn{Status: http.StatusBadRequest, Text: err.Error()})
		return
	}
	conversation := r.Header.Get("Thread-Id") // a subagent has one of its own
	if conversation == "" {
		conversation = request.PromptCacheKey
	}
	turn := s.take(r, body, conversation, sideCall(r))
	pause(r, turn.Delay)
	if turn.Status != 0 {
		writeError(w, openai, turn)
		return
	}
	reply := newResponse(request, turn)
	if request.Stream {
		reply.stream(openStream(w, r, turn.Header))
		return
	}
	writeJSON(w, turn.Header, reply.object("completed"))
}

// serveUpgrade refuses the websocket that Codex tries first. After a 426 it uses
// HTTP at once; a 404 costs it six seconds of retries.
func (s *Server) serveUpgrade(w http.ResponseWriter, r *http.Request) {
	s.take(r, nil, r.Header.Get("Thread-Id"), true)
	w.Header().Set("Connection", "close")
	writeError(w, openai, Turn{Status: http.StatusUpgradeRequired, Text: "use HTTP"})
}

// serveModels lists no models: Codex then keeps to those it was built with.
func (s *Server) serveModels(w http.ResponseWriter, r *http.Request) {
	s.take(r, nil, "", true)
	writeJSON(w, nil, object{"object": "list", "data": []object{}, "models": []object{}})
}
