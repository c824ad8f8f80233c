package modelapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Tools as the two agents offer them, shortened.
const (
	claudeTools   = `[{"name":"Bash"},{"name":"Write"},{"name":"AskUserQuestion"}]`
	codexTools    = `[{"type":"function","name":"exec_command"},{"type":"custom","name":"apply_patch"},{"type":"function","name":"request_user_input"}]`
	codexCodeMode = `[{"type":"namespace","name":"functions","tools":[{"type":"custom","name":"exec"},{"type":"function","name":"request_user_input"}]}]`
	codexUnknown  = `[{"type":"function","name":"exec_command"}]`
)

func start(t *testing.T, turns ...Turn) *Server {
	t.Helper()
	s, err := New(turns...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// answer is one reply: its status and, of a stream, the events.
type answer struct {
	status int
	header http.Header
	body   string
	events []map[string]any
	err    error // what reading the body ended with
}

func (a answer) kinds() string {
	var kinds []string
	for _, e := range a.events {
		kinds = append(kinds, e["type"].(string))
	}
	return strings.Join(kinds, " ")
}

func post(t *testing.T, s *Server, path, body string, header map[string]string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(data), events(t, data), err}
}

func events(t *testing.T, body []byte) []map[string]any {
	t.Helper()
	var out []map[string]any
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e map[string]any
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatalf("event %q: %v", data, err)
		}
		out = append(out, e)
	}
	return out
}

// claude asks as Claude Code does, in one conversation of one token.
func claude(t *testing.T, s *Server, conversation, prompt string) answer {
	t.Helper()
	body := `{"model":"m","max_tokens":100,"stream":true,"tools":` + claudeTools +
		`,"messages":[{"role":"user","content":` + jsonText(prompt) + `}]}`
	return post(t, s, "/v1/messages?beta=true", body, map[string]string{
		"X-Api-Key": "sk-fake-a", "X-Claude-Code-Session-Id": conversation, "Anthropic-Version": "2023-06-01",
	})
}

func codex(t *testing.T, s *Server, tools string) answer {
	t.Helper()
	body := `{"model":"m","stream":true,"prompt_cache_key":"thread-1","tools":` + tools + `,"input":[]}`
	return post(t, s, "/v1/responses", body, map[string]string{"Authorization": "Bearer sk-fake-b"})
}

// claudeText joins the text deltas of a streamed reply.
func (a answer) claudeText() string {
	var b strings.Builder
	for _, e := range a.events {
		if d, ok := e["delta"].(map[string]any); ok && d["type"] == "text_delta" {
			b.WriteString(d["text"].(string))
		}
	}
	return b.String()
}

// codexItems returns the finished output items of a streamed reply.
func (a answer) codexItems() []map[string]any {
	var items []map[string]any
	for _, e := range a.events {
		if e["type"] == "response.output_item.done" {
			items = append(items, e["item"].(map[string]any))
		}
	}
	return items
}
