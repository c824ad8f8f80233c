package modelapi

import (
	"encoding/json"
	"net/http"
	"strings"
)

// Bounds of the record. Older requests are forgotten first.
const (
	maxRequests    = 2000
	maxRecordBytes = 256 << 20
)

// Request is one request that the server saw.
type Request struct {
	Method       string
	Path         string // without the query
	Header       http.Header
	Body         []byte
	Key          string // of the script that answered; "" for the default one or none
	Token        string
	Conversation string // Claude's session id or Codex's thread id; the token when it has none
	Side         bool   // took no turn: a title, a token count, an unknown path
}

// Says reports whether text occurs in any string of the JSON body, keys left
// out, so that quotes and newlines need no escaping.
func (r Request) Says(text string) bool {
	var body any
	if json.Unmarshal(r.Body, &body) != nil {
		return strings.Contains(string(r.Body), text)
	}
	return says(body, text)
}

func says(value any, text string) bool {
	switch v := value.(type) {
	case string:
		return strings.Contains(v, text)
	case []any:
		for _, e := range v {
			if says(e, text) {
				return true
			}
		}
	case map[string]any:
		for _, e := range v {
			if says(e, text) {
				return true
			}
		}
	}
	return false
}

// Requests returns, oldest first, the requests whose script key, token or
// conversation is key; all of them for "". The newest 2000 are kept, and no more
// than 256 MiB of bodies. The bodies are shared: do not change them.
func (s *Server) Requests(key string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Request
	for _, r := range s.log.requests {
		if key == "" || key == r.Key || key == r.Token || key == r.Conversation {
			out = append(out, r)
		}
	}
	return out
}

// record is the bounded list of requests. The server's lock guards it.
type record struct {
	requests []Request
	bytes    int
}

func (l *record) add(r Request) { l.addWithin(r, maxRequests, maxRecordBytes) }

func (l *record) addWithin(r Request, requests, bytes int) {
	l.requests = append(l.requests, r)
	l.bytes += len(r.Body)
	for len(l.requests) > requests || l.bytes > bytes {
		l.bytes -= len(l.requests[0].Body)
		l.requests[0] = Request{} // let go of the body
		l.requests = l.requests[1:]
	}
}
