package modelapi

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestDefaultScriptIsPlayedByEveryConversation(t *testing.T) {
	t.Parallel()
	s := start(t, Text("one"), Text("two"))
	for _, step := range []struct{ conversation, want string }{
		{"c1", "one"}, {"c2", "one"}, {"c1", "two"}, {"c1", "(end of script)"}, {"c2", "two"},
	} {
		if got := claude(t, s, step.conversation, "hi").claudeText(); got != step.want {
			t.Errorf("%s hears %q, want %q", step.conversation, got, step.want)
		}
	}
}

func TestScriptIsFoundByConversationThenMarkerThenToken(t *testing.T) {
	t.Parallel()
	s := start(t, Text("default"))
	s.Script("sk-fake-a", Text("token"), Text("token again"))
	s.Script("night", Text("marker"), Text("marker again"))
	s.Script("c3", Text("conversation"))
	for _, step := range []struct{ conversation, prompt, want string }{
		{"c1", "hi", "token"},
		{"c2", "do it [[night]]", "marker"},
		{"c1", "hi", "token again"},
		{"c2", "the marker is gone, as after a compaction", "marker again"},
		{"c3", "do it [[night]]", "conversation"},
	} {
		if got := claude(t, s, step.conversation, step.prompt).claudeText(); got != step.want {
			t.Errorf("%s %q hears %q, want %q", step.conversation, step.prompt, got, step.want)
		}
	}
	if got := s.Left("night"); got != 0 {
		t.Errorf("%d turns left of a script that was played", got)
	}
	if got := codex(t, s, codexTools).codexItems()[0]; !strings.Contains(jsonText(got), "default") {
		t.Errorf("another token hears %v", got)
	}
}

func TestSubagentIsAConversationOfItsOwn(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Script("sk-fake-a", Text("main"), Text("main again"))
	s.Script("sub", Text("helper"))
	claude(t, s, "c1", "hi")
	body := `{"stream":true,"tools":` + claudeTools + `,"messages":[{"role":"user","content":"[[sub]] help"}]}`
	got := post(t, s, "/v1/messages", body, map[string]string{
		"X-Api-Key": "sk-fake-a", "X-Claude-Code-Session-Id": "c1", "X-Claude-Code-Agent-Id": "agent-1",
	}).claudeText()
	if got != "helper" {
		t.Errorf("the subagent hears %q", got)
	}
	if got := claude(t, s, "c1", "hi, I called the agent with [[sub]]").claudeText(); got != "main again" {
		t.Errorf("its parent hears %q", got)
	}
}

func TestRepeat(t *testing.T) {
	t.Parallel()
	s := start(t, HTTPError(529).Repeat(2), Text("ok"), HTTPError(500).Repeat(-1))
	for i, want := range []int{529, 529, 200, 500, 500, 500} {
		if got := claude(t, s, "c", "hi").status; got != want {
			t.Errorf("request %d: status %d, want %d", i, got, want)
		}
	}
}

func TestRequestsAreRecorded(t *testing.T) {
	t.Parallel()
	s := start(t)
	claude(t, s, "c1", "say \"hi\"\nplease")
	codex(t, s, codexTools)
	all := s.Requests("")
	if len(all) != 2 || len(s.Requests("c1")) != 1 || len(s.Requests("sk-fake-b")) != 1 {
		t.Fatalf("recorded %d requests, %d and %d", len(all), len(s.Requests("c1")), len(s.Requests("sk-fake-b")))
	}
	r := all[0]
	if r.Path != "/v1/messages" || r.Conversation != "c1" || r.Side || r.Header.Get("X-Api-Key") != "sk-fake-a" {
		t.Errorf("recorded %+v", r)
	}
	if !r.Says("say \"hi\"\nplease") || r.Says("content") || r.Says("bye") {
		t.Error("Says does not look at the strings of the body")
	}
}

func TestRecordIsBounded(t *testing.T) {
	t.Parallel()
	var l record
	for range 5 {
		l.addWithin(Request{Path: "/old", Body: make([]byte, 10)}, 3, 100)
	}
	if len(l.requests) != 3 || l.bytes != 30 {
		t.Errorf("keeps %d requests, %d bytes", len(l.requests), l.bytes)
	}
	l.addWithin(Request{Path: "/new", Body: make([]byte, 95)}, 3, 100)
	if len(l.requests) != 1 || l.requests[0].Path != "/new" || l.bytes != 95 {
		t.Errorf("keeps %d requests, %d bytes", len(l.requests), l.bytes)
	}
}

func TestOtherPaths(t *testing.T) {
	t.Parallel()
	s := start(t, Text("x"))
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"HEAD", "/", 200}, {"GET", "/v1/models", 200}, {"GET", "/v1/responses", 426},
		{"GET", "/api/oauth/usage", 404}, {"POST", "/v1/messages/count_tokens", 200}, {"POST", "/v1/messages", 400},
	} {
		r, _ := http.NewRequestWithContext(t.Context(), c.method, s.URL()+c.path, nil)
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, res.StatusCode, c.status)
		}
	}
	if got := claude(t, s, "c", "hi").claudeText(); got != "x" {
		t.Errorf("requests on the side took turns: %q", got)
	}
}

func TestCloseEndsHangingReplies(t *testing.T) {
	t.Parallel()
	s, err := New(Hang(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/v1/messages",
		strings.NewReader(`{"stream":true,"tools":[{"name":"Bash"}]}`))
	res, err := http.DefaultTransport.RoundTrip(r) // returns with the headers
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}
