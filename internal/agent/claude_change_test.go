package agent

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// TestClaudeSystemLines has one line of each kind that the scripted scenarios
// cannot provoke, in the form of 2.1.330's own schema.
func TestClaudeSystemLines(t *testing.T) {
	t.Parallel()
	notice := func(kind, text string) event.Data { return event.Notice{Kind: kind, Text: text} }
	for _, tt := range []struct {
		subtype, fields string
		want            event.Data
	}{
		{"model_refusal_fallback", `"original_model":"a","fallback_model":"b","content":"c"`, event.ModelChanged{From: "a", To: "b", Reason: "c"}},
		{"model_refusal_no_fallback", `"content":"refused"`, notice("warning", "refused")},
		{"api_error", `"error":{"message":"m","formatted":"API Error: m"}`, notice("warning", "model API: API Error: m")},
		{"informational", `"content":"c","level":"warning"`, notice("warning", "c")},
		{"informational", `"content":"c","level":"info"`, notice("info", "c")},
		{"local_command_output", `"content":"c"`, notice("info", "c")},
		{"memory_saved", `"written_paths":["/a","/b"]`, notice("info", "saved to memory: /a, /b")},
		{"code_change_published", `"url":"https://example.com/1"`, notice("info", "published https://example.com/1")},
		{"vcs_state_changed", `"kind":"commit","branch":"main"`, notice("info", "git commit main")},
		{"session_writes_lost", `"error_code":"ENOSPC"`, notice("warning", "the agent could not save its transcript: ENOSPC")},
		{"mirror_error", `"error":"timeout"`, notice("warning", "the agent could not save its transcript: timeout")},
		{"task_progress", `"tool_use_id":"t","summary":"half way"`, event.ToolOutput{Call: "t", Text: "half way\n"}},
		{"task_progress", `"tool_use_id":"t","description":"d"`, event.Protocol{Name: "system/task_progress"}},
		{"hook_response", `"hook_name":"Stop","outcome":"cancelled"`, event.HookFinished{Name: "Stop", Outcome: event.HookCancelled}},
		{"ui_toast", `"text":"t"`, event.Protocol{Name: "system/ui_toast"}},
		{"turn_duration", `"duration_ms":5`, event.Protocol{Name: "system/turn_duration"}},
		{"of_tomorrow", `"x":1`, event.Unparsed{Reason: "unknown system line of_tomorrow"}},
	} {
		got := testClaude().Line(fmt.Appendf(nil, `{"type":"system","subtype":%q,%s}`, tt.subtype, tt.fields))
		if diff := cmp.Diff([]event.Data{tt.want}, got.Events); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.subtype, diff)
		}
	}
}

func TestClaudeBackground(t *testing.T) {
	t.Parallel()
	a := testClaude()
	for _, tt := range []struct {
		line string
		want event.Data
	}{
		{
			`{"type":"system","subtype":"background_tasks_changed","tasks":[{"task_id":"1","task_type":"local_bash","description":"watch"}]}`,
			event.BackgroundStarted{Task: "1", Kind: event.KindShell, Title: "watch"},
		},
		{`{"type":"system","subtype":"task_notification","task_id":"9","status":"completed"}`, event.Protocol{Name: "system/task_notification"}},
		{
			`{"type":"system","subtype":"background_tasks_changed","tasks":[{"task_id":"1","task_type":"local_bash"},{"task_id":"2","task_type":"local_agent"}]}`,
			event.BackgroundStarted{Task: "2", Kind: event.KindSubagent},
		},
		{
			`{"type":"system","subtype":"task_notification","task_id":"1","status":"failed","summary":"exit 1"}`,
			event.BackgroundFinished{Task: "1", Status: "failed", Summary: "exit 1"},
		},
		{`{"type":"system","subtype":"background_tasks_changed","tasks":[]}`, event.BackgroundFinished{Task: "2", Status: "stopped"}},
	} {
		if diff := cmp.Diff([]event.Data{tt.want}, a.Line([]byte(tt.line)).Events); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.line, diff)
		}
	}
}

// TestClaudePlanOfSubagent keeps a subagent's plan out of the session's.
func TestClaudePlanOfSubagent(t *testing.T) {
	t.Parallel()
	a := testClaude()
	for _, parent := range []string{`"sub"`, `null`} {
		a.Line(fmt.Appendf(nil, `{"type":"assistant","parent_tool_use_id":%s,"message":{"id":"1","content":[{"type":"tool_use","id":"t","name":"TaskCreate","input":{"subject":"s"}}]}}`, parent))
		got := a.Line([]byte(`{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t","content":"ok"}]},"tool_use_result":{"task":{"id":"1","subject":"s"}}}`))
		want := []event.Data{event.ToolFinished{Call: "t", OK: true, Output: "ok"}}
		if parent == "null" {
			want = append(want, event.PlanUpdated{Steps: []event.PlanStep{{Text: "s", Status: "pending"}}})
		}
		if diff := cmp.Diff(want, got.Events); diff != "" {
			t.Errorf("parent %s (-want +got):\n%s", parent, diff)
		}
	}
}
