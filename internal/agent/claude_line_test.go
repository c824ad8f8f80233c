package agent

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// TestClaudeUnparsed feeds lines that no version wrote.
func TestClaudeUnparsed(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"message":`, 20000) + "1" + strings.Repeat("}", 20000)
	for _, line := range []string{
		"", " ", "null", "[]", "[1]", "1", `"x"`, "{", "{}", `{"type":1}`, `{"type":"nosuch"}`, `{"type":null}`,
		`{"type":"system"}`, `{"type":"system","subtype":"nosuch"}`, "sent signal 15", "\xff", "{\"type\":\"\xff\"}",
		`{"type":"assistant","message":{"content":[{"type":"nosuch"}]}}`, deep,
	} {
		got := testClaude().Line([]byte(line))
		last := len(got.Events) - 1
		if last < 0 || got.Events[last].EventType() != event.TypeUnparsed {
			t.Errorf("%.60s: %v", line, got.Events)
		}
		if len(got.Send) != 0 {
			t.Errorf("%.60s: sent %q", line, got.Send)
		}
	}
}

// TestClaudeWrongTypes changes the type of a detail in lines that the session
// hangs on. They keep their meaning, and say what was wrong.
func TestClaudeWrongTypes(t *testing.T) {
	t.Parallel()
	a := testClaude()
	a.Do(Command{ID: "m", Kind: Message, Text: "x"})
	for _, s := range []struct {
		line string
		want []event.Type
	}{
		{
			`{"type":"system","subtype":"init","tools":"all","model":"m","mcp_servers":{"x":1}}`,
			[]event.Type{event.TypeSessionStarted, event.TypeTurnStarted, event.TypeUnparsed},
		},
		{
			`{"type":"control_request","request_id":"r","request":{"subtype":"can_use_tool","tool_name":1,"input":{}}}`,
			[]event.Type{event.TypeAskOpened, event.TypeAskAnswered, event.TypeUnparsed},
		},
		{
			`{"type":"result","subtype":"success","is_error":"no","duration_ms":"1","total_cost_usd":"x","modelUsage":[],"user_message_uuids":["m"]}`,
			[]event.Type{event.TypeCommandConsumed, event.TypeTurnFinished, event.TypeUsageUpdated, event.TypeUnparsed},
		},
	} {
		if diff := cmp.Diff(s.want, claudeTypes(a.Line([]byte(s.line)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.line, diff)
		}
	}
	if !a.Idle() {
		t.Error("not idle after the result")
	}
}

func TestClaudeTools(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, input string
		kind        event.ToolKind
		title       string
	}{
		{"Bash", `{"command":"make\ntest","description":"d"}`, event.KindShell, "make …"},
		{"Bash", `{"command":"\u001b[31mred\t1"}`, event.KindShell, "[31mred 1"},
		{"Bash", `{"command":"` + strings.Repeat("é", 300) + `"}`, event.KindShell, strings.Repeat("é", 200) + " …"},
		{"MultiEdit", `{"file_path":"/workspace/a"}`, event.KindEdit, "/workspace/a"},
		{"NotebookEdit", `{"notebook_path":"/workspace/a.ipynb"}`, event.KindEdit, "/workspace/a.ipynb"},
		{"Read", `{"file_path":"/workspace/a"}`, event.KindRead, "/workspace/a"},
		{"Grep", `{"pattern":"x+","path":"/workspace"}`, event.KindSearch, "x+"},
		{"LS", `{"path":"/workspace"}`, event.KindSearch, "/workspace"},
		{"WebFetch", `{"url":"https://example.com","prompt":"p"}`, event.KindFetch, "https://example.com"},
		{"WebSearch", `{"query":"q"}`, event.KindFetch, "q"},
		{"mcp__mock__echo", `{"text":"z"}`, event.KindMCP, "mock: echo"},
		{"Task", `{"description":"look","prompt":"p"}`, event.KindSubagent, "look"},
		{"Agent", `{"description":"look","prompt":"p"}`, event.KindSubagent, "look"},
		{"TaskStop", `{"task_id":"1"}`, event.KindOther, ""},
		{"Bash", `{"command":5}`, event.KindShell, ""},
		{"Bash", `[]`, event.KindShell, ""},
	} {
		line := fmt.Sprintf(`{"type":"assistant","parent_tool_use_id":"p","message":{"id":"1","content":[{"type":"tool_use","id":"t","name":%q,"input":%s}]}}`, tt.name, tt.input)
		want := []event.Data{event.ToolStarted{
			Call: "t", Name: tt.name, Kind: tt.kind, Title: tt.title, Input: json.RawMessage(tt.input), Parent: "p",
		}}
		if diff := cmp.Diff(want, testClaude().Line([]byte(line)).Events); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.name, tt.input, diff)
		}
	}
}

func TestClaudePlan(t *testing.T) {
	t.Parallel()
	a := testClaude()
	a.Line([]byte(claudeInit))
	got := a.Line([]byte(`{"type":"assistant","message":{"id":"1","content":[{"type":"tool_use","id":"t","name":"TodoWrite",
		"input":{"todos":[{"content":"read","status":"completed","activeForm":"reading"},{"content":"write","status":"in_progress"}]}}]}}`))
	want := event.PlanUpdated{Steps: []event.PlanStep{{Text: "read", Status: "completed"}, {Text: "write", Status: "in_progress"}}}
	if len(got.Events) != 2 {
		t.Fatal(got.Events)
	}
	if diff := cmp.Diff(event.Data(want), got.Events[1]); diff != "" {
		t.Error(diff)
	}
}

func TestClaudeToolResults(t *testing.T) {
	t.Parallel()
	code := func(n int) *int { return &n }
	for name, tt := range map[string]struct {
		tool, input, block, typed string
		want                      []event.Data
	}{
		"exit 0": {
			"Bash", `{}`, `"content":"hi","is_error":false`, `{"stdout":"hi","stderr":"","interrupted":false}`,
			[]event.Data{event.ToolFinished{Call: "t", OK: true, ExitCode: code(0), Output: "hi"}},
		},
		"exit 2": {
			"Bash", `{}`, `"content":"Exit code 2\nno","is_error":true`, `"Error: Exit code 2\nno"`,
			[]event.Data{event.ToolFinished{Call: "t", ExitCode: code(2), Output: "Exit code 2\nno"}},
		},
		"refused": {
			"Bash", `{}`, `"content":"no","is_error":true`, `"Error: no"`,
			[]event.Data{event.ToolFinished{Call: "t", Output: "no"}},
		},
		"in the background": {
			"Bash", `{}`, `"content":"running"`, `{"stdout":"","backgroundTaskId":"b"}`,
			[]event.Data{event.ToolFinished{Call: "t", OK: true, Output: "running"}},
		},
		"interrupted": {
			"Bash", `{}`, `"content":""`, `{"stdout":"","interrupted":true}`,
			[]event.Data{event.ToolFinished{Call: "t", OK: true}},
		},
		"blocks": {
			"mcp__a__b", `{}`, `"content":[{"type":"text","text":"one"},{"type":"image","source":{}},{"type":"text","text":"two"}]`, `null`,
			[]event.Data{event.ToolFinished{Call: "t", OK: true, Output: "one\n[image]\ntwo"}},
		},
		"patch": {
			"Edit", `{"file_path":"/w/a"}`, `"content":"ok"`, `{"filePath":"/w/a","structuredPatch":[{"oldStart":1,"oldLines":2,"newStart":1,"newLines":3,"lines":[" x","-a","+b","+c"]},{"oldStart":9,"oldLines":1,"newStart":10,"lines":["-d"]}]}`,
			[]event.Data{event.ToolFinished{Call: "t", OK: true, Output: "ok"}, event.FileChanged{
				Path: "/w/a", Operation: "update", Added: 2, Removed: 2, Diff: "@@ -1,2 +1,3 @@\n x\n-a\n+b\n+c\n@@ -9,1 +10,0 @@\n-d",
			}},
		},
		"new file": {
			"Write", `{"file_path":"/w/a"}`, `"content":"ok"`, `{"type":"create","filePath":"/w/a","content":"1\n2","structuredPatch":[]}`,
			[]event.Data{event.ToolFinished{Call: "t", OK: true, Output: "ok"}, event.FileChanged{Path: "/w/a", Operation: "add", Added: 2, Diff: "+1\n+2"}},
		},
		"notebook": {
			"NotebookEdit", `{"notebook_path":"/w/n"}`, `"content":"ok"`, `{"cell_id":"1"}`,
			[]event.Data{event.ToolFinished{Call: "t", OK: true, Output: "ok"}, event.FileChanged{Path: "/w/n", Operation: "update"}},
		},
		"failed edit": {
			"Edit", `{"file_path":"/w/a"}`, `"content":"no match","is_error":true`, `"Error"`,
			[]event.Data{event.ToolFinished{Call: "t", Output: "no match"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := testClaude()
			a.Line(fmt.Appendf(nil, `{"type":"assistant","message":{"id":"1","content":[{"type":"tool_use","id":"t","name":%q,"input":%s}]}}`, tt.tool, tt.input))
			got := a.Line(fmt.Appendf(nil, `{"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t",%s}]},"tool_use_result":%s}`, tt.block, tt.typed))
			if diff := cmp.Diff(tt.want, got.Events); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestClaudeUsageLimit has a second turn fail on a limit that Claude announced
// in the first one only.
func TestClaudeUsageLimit(t *testing.T) {
	t.Parallel()
	a := testClaude()
	a.Line([]byte(`{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1795355528,"rateLimitType":"five_hour"}}`))
	for range 2 {
		a.Line([]byte(claudeInit))
		got := a.Line([]byte(`{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"result":"You've hit your session limit"}`))
		f, ok := got.Events[0].(event.TurnFinished)
		if !ok || f.Reason != event.ReasonUsageLimit || f.ResetsAt != "2026-11-22T13:52:08Z" || f.Status != event.TurnFailed {
			t.Errorf("%+v", got.Events)
		}
	}
	got := a.Line([]byte(`{"type":"rate_limit_event","rate_limit_info":{"status":"allowed_warning","utilization":0.91,"resetsAt":1e30,"rateLimitType":"seven_day"}}`))
	percent := 91.0
	if diff := cmp.Diff(event.Data(event.LimitUpdated{Window: "seven_day", Status: "warning", UsedPercent: &percent}), got.Events[0]); diff != "" {
		t.Error(diff)
	}
}
