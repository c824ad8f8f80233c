package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

const (
	claudeInit   = `{"type":"system","subtype":"init","session_id":"s","model":"m","claude_code_version":"2.1.330"}`
	claudeDone   = `{"type":"result","subtype":"success","is_error":false,"result":"done"}`
	claudeIdle   = `{"type":"system","subtype":"session_state_changed","state":"idle"}`
	claudeBusy   = `{"type":"system","subtype":"session_state_changed","state":"running"}`
	claudeAskFmt = `{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":%q,"input":%s}}`
)

func claudeReplay(id string) string {
	return fmt.Sprintf(`{"type":"user","message":{"role":"user","content":"x"},"uuid":%q,"isReplay":true}`, id)
}

func claudeReceipt(id, state string) string {
	return fmt.Sprintf(`{"type":"command_lifecycle","command_uuid":%q,"state":%q}`, id, state)
}

// claudeTypes names the events of a step.
func claudeTypes(s Step) []event.Type {
	var types []event.Type
	for _, e := range s.Events {
		types = append(types, e.EventType())
	}
	return types
}

func TestClaudeProcess(t *testing.T) {
	t.Parallel()
	p := New(Options{Kind: Claude, Model: "opus", Conversation: "0198", BaseURL: "http://gw.example:8080/x"}).Process()
	line := strings.Join(p.Command, " ")
	if !strings.HasPrefix(line, claudeBinary+" -p --input-format stream-json ") {
		t.Errorf("command: %s", line)
	}
	// --add-dir takes every argument up to the next option.
	if !strings.Contains(line, "--add-dir /workspace --") {
		t.Errorf("no option after --add-dir: %s", line)
	}
	if !strings.Contains(line, "--session-id 0198 --model opus") {
		t.Errorf("command: %s", line)
	}
	for _, want := range []string{"CLAUDE_CONFIG_DIR=/home/agent/.claude", "ANTHROPIC_BASE_URL=http://gw.example:8080/x", "IS_SANDBOX=1"} {
		if !slices.Contains(p.Env, want) {
			t.Errorf("%s is missing in %q", want, p.Env)
		}
	}
	if diff := cmp.Diff([]string{"gw.example:8080"}, p.Hosts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"platform.claude.com"}, p.Denied); diff != "" {
		t.Error(diff)
	}
	p = testClaude().Process()
	if diff := cmp.Diff([]string{"api.anthropic.com"}, p.Hosts); diff != "" {
		t.Error(diff)
	}
	if slices.Contains(p.Command, "--model") {
		t.Error("--model without a model")
	}
	if line := strings.Join(p.Command, " "); strings.Contains(line, "--mcp-config") {
		t.Errorf("a file of servers without servers: %s", line)
	}
	p = New(Options{Kind: Claude, MCP: []string{"a"}}).Process()
	if !slices.Contains(p.Command, "--mcp-config="+p.MCP) || p.MCP == "" {
		t.Errorf("the servers in %q are not named: %q", p.MCP, p.Command)
	}
}

// TestClaudeIdle runs scripts of lines and commands. A command is "m:" with a
// message's id, "i:" for an interrupt or "e:" for an end; after it and after
// each line stands whether the adapter is then idle.
func TestClaudeIdle(t *testing.T) {
	t.Parallel()
	type step struct {
		input string
		idle  bool
	}
	for name, script := range map[string][]step{
		"one message": {
			{"m:a", false}, {claudeInit, false}, {claudeReplay("a"), false}, {claudeDone, true},
		},
		"the state counts, not the result": {
			{"m:a", false}, {claudeBusy, false}, {claudeReceipt("a", "queued"), false}, {claudeReceipt("a", "started"), false},
			{claudeInit, false}, {claudeDone, false}, {claudeReceipt("a", "completed"), false}, {claudeIdle, true},
			{"m:b", false}, {claudeBusy, false}, {claudeReceipt("b", "started"), false}, {claudeInit, false}, {claudeDone, false}, {claudeIdle, true},
		},
		"taken in mid-turn": {
			{"m:a", false}, {claudeInit, false}, {claudeReplay("a"), false}, {"m:b", false}, {claudeReplay("b"), false}, {claudeDone, true},
		},
		"sent during the final text": {
			{"m:a", false}, {claudeInit, false}, {claudeReplay("a"), false}, {"m:b", false}, {claudeDone, false},
			{claudeReceipt("a", "completed"), false}, {claudeReceipt("b", "started"), false}, {claudeInit, false}, {claudeReplay("b"), false}, {claudeDone, true},
		},
		"sent after the answer, before the idle state": {
			{"m:a", false}, {claudeBusy, false}, {claudeReceipt("a", "started"), false}, {claudeInit, false}, {claudeDone, false},
			{"m:b", false}, {claudeIdle, false}, {claudeBusy, false}, {claudeReceipt("b", "started"), false}, {claudeInit, false}, {claudeDone, false}, {claudeIdle, true},
		},
		"an interrupt leaves the queue": {
			{"m:a", false}, {claudeInit, false}, {claudeReplay("a"), false}, {"m:b", false}, {"i:x", false},
			{`{"type":"result","subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_tools"}`, false},
			{claudeInit, false}, {claudeReplay("b"), false}, {claudeDone, true},
		},
		"an interrupted turn gives a message back": {
			{"m:a", false}, {claudeInit, false}, {claudeReceipt("a", "started"), false}, {"m:b", false}, {claudeReceipt("b", "queued"), false},
			{claudeReceipt("b", "started"), false}, {claudeReceipt("b", "queued"), false}, {claudeDone, false},
			{claudeReceipt("b", "started"), false}, {claudeInit, false}, {claudeDone, true},
		},
		"the result names a message": {
			{"m:a", false}, {claudeInit, false}, {`{"type":"result","subtype":"success","user_message_uuids":["a","a"]}`, true},
		},
		"a refused message is dealt with": {
			{"m:a", false}, {claudeReceipt("a", "queued"), false}, {claudeReceipt("a", "refused"), true},
		},
		"a turn without init": {
			{"m:a", false}, {claudeReplay("a"), false}, {`{"type":"assistant","message":{"id":"1","content":[{"type":"text","text":"x"}]}}`, false}, {claudeDone, true},
		},
		"a task wakes it": {
			{"m:a", false}, {claudeInit, false}, {claudeReplay("a"), false}, {claudeDone, true}, {claudeInit, false}, {claudeDone, true},
		},
		"the result is lost": {
			{"m:a", false}, {claudeBusy, false}, {claudeReceipt("a", "started"), false}, {claudeInit, false}, {claudeIdle, true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := testClaude()
			if a.Idle() {
				t.Fatal("idle at the start")
			}
			for i, s := range script {
				switch kind, id, _ := strings.Cut(s.input, ":"); kind {
				case "m":
					a.Do(Command{ID: id, Kind: Message, Text: "x"})
				case "i":
					a.Do(Command{ID: id, Kind: Interrupt})
				default:
					a.Line([]byte(s.input))
				}
				if a.Idle() != s.idle {
					t.Fatalf("step %d, %s: Idle is %v", i, s.input, a.Idle())
				}
			}
		})
	}
}

func TestClaudeMessage(t *testing.T) {
	t.Parallel()
	a := testClaude()
	got := a.Do(Command{ID: "a", Kind: Message, Text: "<one>\n\u2028two"})
	want := `{"type":"user","message":{"role":"user","content":"<one>\n\u2028two"},"uuid":"a","priority":"next"}`
	if len(got.Send) != 1 || string(got.Send[0]) != want || len(got.Events) != 0 {
		t.Fatalf("sent %q, events %v", got.Send, got.Events)
	}
	if again := a.Do(Command{ID: "a", Kind: Message, Text: "x"}); len(again.Send) != 0 {
		t.Errorf("sent again: %q", again.Send)
	}
	steps := []struct {
		line string
		want []event.Data
	}{
		{claudeReceipt("a", "queued"), []event.Data{event.CommandDelivered{Command: "a"}}},
		{claudeReplay("a"), []event.Data{event.CommandConsumed{Command: "a"}}},
		{claudeReceipt("a", "started"), []event.Data{event.Protocol{Name: "command_lifecycle/started"}}},
		{claudeReplay("stranger"), []event.Data{event.Protocol{Name: "user/replay"}}},
	}
	for _, s := range steps {
		if diff := cmp.Diff(s.want, a.Line([]byte(s.line)).Events); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.line, diff)
		}
	}
	a.Do(Command{ID: "b", Kind: Message, Text: "x"})
	failed := []event.Data{event.CommandFailed{Command: "b", Error: "the agent discarded the message"}}
	if diff := cmp.Diff(failed, a.Line([]byte(claudeReceipt("b", "discarded"))).Events); diff != "" {
		t.Error(diff)
	}
}

func TestClaudeInterrupt(t *testing.T) {
	t.Parallel()
	a := testClaude()
	got := a.Do(Command{ID: "7", Kind: Interrupt})
	if len(got.Send) != 1 || string(got.Send[0]) != `{"type":"control_request","request_id":"interrupt-7","request":{"subtype":"interrupt"}}` {
		t.Fatalf("sent %q", got.Send)
	}
	answer := `{"type":"control_response","response":{"subtype":%q,"request_id":"interrupt-7","error":"no"}}`
	b := testClaude()
	b.Do(Command{ID: "7", Kind: Interrupt})
	if diff := cmp.Diff([]event.Data{event.CommandDelivered{Command: "7"}}, a.Line(fmt.Appendf(nil, answer, "success")).Events); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]event.Data{event.CommandFailed{Command: "7", Error: "no"}}, b.Line(fmt.Appendf(nil, answer, "error")).Events); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]event.Type{event.TypeProtocol}, claudeTypes(a.Line(fmt.Appendf(nil, answer, "success")))); diff != "" {
		t.Error(diff)
	}
}

func TestClaudeEnd(t *testing.T) {
	t.Parallel()
	const want = `{"type":"control_request","request_id":"end_session-e","request":{"subtype":"end_session"}}`
	end := Command{ID: "e", Kind: End}

	a := testClaude() // nothing was asked: at once
	if got := a.Do(end); len(got.Send) != 1 || string(got.Send[0]) != want {
		t.Fatalf("sent %q", got.Send)
	}
	late := a.Do(Command{ID: "m", Kind: Message, Text: "x"})
	if diff := cmp.Diff([]event.Type{event.TypeCommandFailed}, claudeTypes(late)); diff != "" || len(late.Send) != 0 {
		t.Errorf("message after the end: %s %q", diff, late.Send)
	}

	a = testClaude() // in a turn: after it, and after what was sent meanwhile
	a.Do(Command{ID: "m", Kind: Message, Text: "x"})
	if got := a.Do(end); len(got.Send) != 0 {
		t.Fatalf("sent %q with a message on its way", got.Send)
	}
	for _, line := range []string{claudeBusy, claudeReceipt("m", "started"), claudeInit, claudeReplay("m"), claudeDone} {
		if got := a.Line([]byte(line)); len(got.Send) != 0 {
			t.Fatalf("sent %q after %s", got.Send, line)
		}
	}
	got := a.Line([]byte(claudeIdle))
	if len(got.Send) != 1 || string(got.Send[0]) != want {
		t.Fatalf("sent %q when idle", got.Send)
	}
	if got := a.Line([]byte(claudeIdle)); len(got.Send) != 0 {
		t.Errorf("sent again: %q", got.Send)
	}
}

func TestClaudePermission(t *testing.T) {
	t.Parallel()
	answered := func(decision event.Decision) event.AskAnswered {
		return event.AskAnswered{Ask: "r1", Decision: decision, By: event.ByPolicy}
	}
	tests := []struct {
		name, line, send string
		events           []event.Data
	}{
		{
			// Without an input of ours, the one that Claude has is used.
			"tool", fmt.Sprintf(claudeAskFmt, "Bash", `{"z":1.0,"command":"a <b> \u00e9"}`),
			`{"type":"control_response","response":{"subtype":"success","request_id":"r1","response":{"behavior":"allow"}}}`,
			[]event.Data{
				event.AskOpened{
					Ask: "r1", Kind: event.AskPermission, Tool: "Bash", ToolKind: event.KindShell, Title: "a <b> é",
					Command: "a <b> é", Input: json.RawMessage(`{"z":1.0,"command":"a <b> \u00e9"}`), Editable: true,
				},
				answered(event.DecideAllow),
			},
		},
		{
			"question", fmt.Sprintf(claudeAskFmt, "AskUserQuestion", `{"questions":[]}`),
			`{"type":"control_response","response":{"subtype":"success","request_id":"r1","response":{"behavior":"deny","message":"` + askNobody + `"}}}`,
			[]event.Data{
				event.AskOpened{Ask: "r1", Kind: event.AskQuestion, Tool: "AskUserQuestion", ToolKind: event.KindOther},
				answered(event.DecideDeny),
			},
		},
		{
			"no input", fmt.Sprintf(claudeAskFmt, "Bash", `null`),
			`{"type":"control_response","response":{"subtype":"success","request_id":"r1","response":{"behavior":"deny","message":"the permission request came without the tool's input"}}}`,
			[]event.Data{
				event.AskOpened{
					Ask: "r1", Kind: event.AskPermission, Tool: "Bash", ToolKind: event.KindShell, Title: "Bash",
					Input: json.RawMessage(`null`), Editable: true,
				},
				answered(event.DecideDeny),
			},
		},
		{
			"another request", `{"type":"control_request","request_id":"r1","request":{"subtype":"hook_callback"}}`,
			`{"type":"control_response","response":{"subtype":"error","request_id":"r1","error":"unsupported request: hook_callback"}}`,
			[]event.Data{event.Notice{Kind: "warning", Text: "the agent asked for hook_callback, which is not supported"}},
		},
		{
			"no id", `{"type":"control_request","request":{"subtype":"can_use_tool"}}`, "",
			[]event.Data{event.Unparsed{Reason: "control request without id"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := testClaude().Line([]byte(tt.line))
			if diff := cmp.Diff(tt.events, got.Events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if tt.send == "" && len(got.Send) == 0 {
				return
			}
			if len(got.Send) != 1 {
				t.Fatalf("sent %q", got.Send)
			}
			if diff := cmp.Diff(tt.send, string(got.Send[0])); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
		})
	}
}
