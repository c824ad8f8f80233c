package modelapi

import (
	"strings"
	"testing"
	"time"
)

func TestCodexReply(t *testing.T) {
	t.Parallel()
	s := start(t, Turn{Thinking: "hm", Text: "I will.", Usage: Usage{Input: 10, CacheRead: 5, Output: 3}})
	got := codex(t, s, codexTools)
	const want = "response.created response.output_item.added response.reasoning_summary_text.delta response.output_item.done " +
		"response.output_item.added response.output_text.delta response.output_item.done response.completed"
	if got.kinds() != want {
		t.Errorf("events\n%s, want\n%s", got.kinds(), want)
	}
	if !strings.Contains(got.body, `"input_tokens":15,"input_tokens_details":{"cached_tokens":5}`) {
		t.Errorf("usage in %s", got.body)
	}
}

func TestCodexToolsByWhatIsOffered(t *testing.T) {
	t.Parallel()
	const patch = "*** Begin Patch\n*** Add File: a\n+x\n+y\n*** End Patch"
	for _, c := range []struct {
		name, tools       string
		turn              Turn
		kind, tool, input string
	}{
		{"shell", codexTools, Shell("ls"), "function_call", "exec_command", `"cmd":"ls"`},
		{"file", codexTools, WriteFile("a", "x\ny\n"), "custom_tool_call", "apply_patch", patch},
		{"ask", codexTools, Ask("ok?", "yes", "no"), "function_call", "request_user_input", `"question":"ok?"`},
		{"shell in code mode", codexCodeMode, Shell("ls"), "custom_tool_call", "exec", `tools.exec_command({"cmd":"ls"`},
		{"file in code mode", codexCodeMode, WriteFile("a", "x\ny"), "custom_tool_call", "exec", `tools.apply_patch("*** Begin Patch\n`},
		{"file without the tool", codexUnknown, WriteFile("a", "x\ny"), "function_call", "exec_command", `apply_patch \u003c\u003c'`},
		{"by name", codexUnknown, Tool("view_image", object{"path": "a"}), "function_call", "view_image", `{"path":"a"}`},
		{"not offered", codexUnknown, Ask("ok?"), "message", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			item := codex(t, start(t, c.turn), c.tools).codexItems()[0]
			name, _ := item["name"].(string)
			input, ok := item["arguments"].(string)
			if !ok {
				input, _ = item["input"].(string)
			}
			if item["type"] != c.kind || name != c.tool || !strings.Contains(input, c.input) {
				t.Errorf("item %v", item)
			}
		})
	}
}

func TestCodexCodeModeNamesTheNamespace(t *testing.T) {
	t.Parallel()
	s := start(t, Shell("ls"))
	body := `{"stream":true,"input":[{"type":"additional_tools","tools":` + codexCodeMode + `}]}`
	item := post(t, s, "/v1/responses", body, nil).codexItems()[0]
	if item["namespace"] != "functions" || item["name"] != "exec" {
		t.Errorf("item %v", item)
	}
}

func TestCodexSideRequestsTakeNoTurn(t *testing.T) {
	t.Parallel()
	s := start(t, Text("mine"))
	post(t, s, "/v1/responses", `{"prompt_cache_key":"thread-1"}`, map[string]string{
		"X-Codex-Turn-Metadata": `{"request_kind":"memory"}`,
	})
	if got := codex(t, s, codexTools).codexItems()[0]; !strings.Contains(jsonText(got), "mine") {
		t.Errorf("the conversation hears %v", got)
	}
}

func TestCodexErrors(t *testing.T) {
	t.Parallel()
	s := start(t, HTTPError(401), UsageLimit(time.Unix(1900000000, 0)))
	if got := codex(t, s, codexTools); got.status != 401 || !strings.Contains(got.body, `"code":"invalid_api_key"`) {
		t.Errorf("401: %d %s", got.status, got.body)
	}
	got := codex(t, s, codexTools)
	if got.status != 429 || !strings.Contains(got.body, `"resets_at":1900000000,"type":"usage_limit_reached"`) {
		t.Errorf("usage limit: %d %s", got.status, got.body)
	}
}
