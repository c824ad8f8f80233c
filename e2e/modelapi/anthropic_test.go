package modelapi

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestClaudeReply(t *testing.T) {
	t.Parallel()
	s := start(t, Turn{Thinking: "hm", Text: "I will."}.With(Shell("ls")))
	got := claude(t, s, "c", "hi")
	const want = "message_start content_block_start content_block_delta content_block_delta content_block_stop " +
		"content_block_start content_block_delta content_block_stop " +
		"content_block_start content_block_delta content_block_stop message_delta message_stop"
	if got.kinds() != want {
		t.Errorf("events\n%s, want\n%s", got.kinds(), want)
	}
	for _, part := range []string{
		`"name":"Bash"`, `"partial_json":"{\"command\":\"ls\"`, `"stop_reason":"tool_use"`, `"output_tokens":50`,
	} {
		if !strings.Contains(got.body, part) {
			t.Errorf("no %s in\n%s", part, got.body)
		}
	}
}

func TestClaudeReplyWithoutStream(t *testing.T) {
	t.Parallel()
	s := start(t, WriteFile("/w/a", "x"))
	got := post(t, s, "/v1/messages", `{"max_tokens":9,"tools":`+claudeTools+`}`, nil)
	var m struct {
		Content []struct {
			Type  string
			Name  string
			Input map[string]string
		}
		StopReason string `json:"stop_reason"`
	}
	if err := json.Unmarshal([]byte(got.body), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Content) != 1 || m.Content[0].Name != "Write" || m.Content[0].Input["file_path"] != "/w/a" || m.StopReason != "tool_use" {
		t.Errorf("reply %s", got.body)
	}
}

func TestClaudeSideRequestsTakeNoTurn(t *testing.T) {
	t.Parallel()
	s := start(t, Text("mine"))
	head := map[string]string{"X-Claude-Code-Session-Id": "c"}
	post(t, s, "/v1/messages", `{"max_tokens":512,"messages":[]}`, head)                       // a title
	post(t, s, "/v1/messages", `{"max_tokens":1,"tools":`+claudeTools+`,"messages":[]}`, head) // a quota check
	if got := claude(t, s, "c", "hi").claudeText(); got != "mine" {
		t.Errorf("the conversation hears %q", got)
	}
}

func TestClaudeErrors(t *testing.T) {
	t.Parallel()
	s := start(t, HTTPError(529), UsageLimit(time.Unix(1900000000, 0)))
	got := claude(t, s, "c", "hi")
	if got.status != 529 || !strings.Contains(got.body, `"type":"overloaded_error"`) {
		t.Errorf("529: %d %s", got.status, got.body)
	}
	got = claude(t, s, "c", "hi")
	if got.status != 429 || got.header.Get("Anthropic-Ratelimit-Unified-Status") != "rejected" ||
		got.header.Get("Anthropic-Ratelimit-Unified-Reset") != "1900000000" {
		t.Errorf("usage limit: %d %v", got.status, got.header)
	}
}

func TestMissingToolShowsInTheReply(t *testing.T) {
	t.Parallel()
	s := start(t, Shell("ls"))
	got := post(t, s, "/v1/messages", `{"stream":true,"tools":[{"name":"Read"}]}`, nil)
	if !strings.Contains(got.claudeText(), "offers no Bash") || strings.Contains(got.body, "tool_use") {
		t.Errorf("reply %s", got.body)
	}
}

func TestTextBytes(t *testing.T) {
	t.Parallel()
	const n = 5_000_001
	s := start(t, TextBytes(n), TextBytes(3).Slowly(1, time.Millisecond))
	if got := claude(t, s, "c", "hi").claudeText(); len(got) != n || !utf8.ValidString(got) || strings.ContainsRune(got, utf8.RuneError) {
		t.Errorf("%d bytes, valid %v", len(got), utf8.ValidString(got))
	}
	if got := claude(t, s, "c", "hi"); len(got.claudeText()) != 3 {
		t.Errorf("slow text %q", got.claudeText())
	}
}

func TestCutLosesTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t, Cut(), Text("again"))
	got := claude(t, s, "c", "hi")
	if got.err == nil || strings.Contains(got.body, "message_stop") || got.claudeText() == "" {
		t.Errorf("cut: error %v, body %s", got.err, got.body)
	}
	if got := claude(t, s, "c", "hi").claudeText(); got != "again" {
		t.Errorf("after the cut: %q", got)
	}
}

func TestChunksKeepCharacters(t *testing.T) {
	t.Parallel()
	text := filler(1000)
	for size := 1; size < 9; size++ {
		pieces := chunks(text, size)
		for _, p := range pieces {
			if !utf8.ValidString(p) {
				t.Fatalf("size %d: %q", size, p)
			}
		}
		if strings.Join(pieces, "") != text {
			t.Errorf("size %d loses text", size)
		}
	}
}
