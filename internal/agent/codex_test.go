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

// codexRig talks to an adapter in shorthand.
type codexRig struct {
	t *testing.T
	a Adapter
}

// newCodexRig returns an adapter that has a thread "T"; its next request has id 3.
func newCodexRig(t *testing.T) codexRig {
	t.Helper()
	r := codexRig{t: t, a: newCodex(Options{Kind: Codex})}
	r.a.Start()
	r.line(`{"id":1,"result":{"userAgent":"ratchetai-runner/0.169.0 (x)"}}`)
	r.line(`{"id":2,"result":{"thread":{"id":"T"},"model":"m","cwd":"/workspace"}}`)
	return r
}

// newCodexRigInTurn returns a rig whose turn "U" runs, started by message "a".
func newCodexRigInTurn(t *testing.T) codexRig {
	t.Helper()
	r := newCodexRig(t)
	r.message("a")
	r.line(`{"id":3,"result":{"turn":{"id":"U","status":"inProgress"}}}`)
	r.line(`{"method":"turn/started","params":{"threadId":"T","turn":{"id":"U"}}}`)
	r.line(codexUserItem("a"))
	return r
}

func codexUserItem(id string) string {
	return fmt.Sprintf(`{"method":"item/started","params":{"item":{"type":"userMessage","id":"i-%[1]s","clientId":"%[1]s",`+
		`"content":[{"type":"text","text":"t"}]},"threadId":"T","turnId":"U"}}`, id)
}

func codexTurnEnd(turn, status string) string {
	return fmt.Sprintf(`{"method":"turn/completed","params":{"threadId":"T","turn":{"id":%q,"status":%q}}}`, turn, status)
}

func (r codexRig) line(line string) Step { return r.a.Line([]byte(line)) }

func (r codexRig) message(id string) Step {
	return r.a.Do(Command{ID: id, Kind: Message, Text: "text of " + id})
}

// want compares a step's events and the methods or results that it sent.
func (r codexRig) want(s Step, sent string, events ...event.Data) {
	r.t.Helper()
	var got []string
	for _, line := range s.Send {
		var m struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
			Params struct {
				Client string `json:"clientUserMessageId"`
			} `json:"params"`
			Result json.RawMessage `json:"result"`
			Error  *codexRPCError  `json:"error"`
		}
		if err := json.Unmarshal(line, &m); err != nil {
			r.t.Fatalf("sent %q: %v", line, err)
		}
		switch {
		case m.Error != nil:
			got = append(got, fmt.Sprint(string(m.ID), " error ", m.Error.Code))
		case m.Method == "":
			got = append(got, string(m.ID)+" "+string(m.Result))
		default:
			got = append(got, strings.TrimSpace(string(m.ID)+" "+m.Method+" "+m.Params.Client))
		}
	}
	if text := strings.Join(got, "; "); text != sent {
		r.t.Errorf("sent %q, want %q", text, sent)
	}
	if diff := cmp.Diff(events, s.Events); diff != "" {
		r.t.Errorf("events (-want +got):\n%s", diff)
	}
}

func (r codexRig) wantIdle(want bool) {
	r.t.Helper()
	if got := r.a.Idle(); got != want {
		r.t.Errorf("Idle() = %v, want %v", got, want)
	}
}

func TestCodexProcess(t *testing.T) {
	t.Parallel()
	p := newCodex(Options{Kind: Codex, BaseURL: "http://127.0.0.1:1/v1"}).Process()
	want := []string{
		"/opt/ratchetai/codex/bin/codex", "app-server",
		"--disable", "unbounded_connection_retries", "--disable", "plugins", "--disable", "apps", "--disable", "remote_plugin",
		"-c", "analytics.enabled=false", "-c", `projects={"/workspace"={trust_level="untrusted"}}`,
		"-c", `openai_base_url="http://127.0.0.1:1/v1"`,
	}
	if diff := cmp.Diff(want, p.Command); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"CODEX_HOME=/home/agent/.codex"}, p.Env); diff != "" {
		t.Error(diff)
	}
	if !slices.Contains(p.Denied, "auth.openai.com") {
		t.Error("the login server is not denied")
	}
}

func TestCodexHoldsMessagesBackUntilTheThreadIsReady(t *testing.T) {
	t.Parallel()
	r := codexRig{t, newCodex(Options{Kind: Codex, Model: "m", Instructions: "read this", MCP: []string{"s"}})}
	r.a.Start()
	r.want(r.message("a"), "")
	r.want(r.message("b"), "")
	r.wantIdle(false)
	s := r.line(`{"id":1,"result":{"userAgent":"ratchetai-runner/0.169.0 (Debian)"}}`)
	r.want(s, "initialized; 2 thread/start", event.Protocol{Name: "initialize"})
	if !strings.Contains(string(s.Send[1]), `"developerInstructions":"read this"`) {
		t.Errorf("thread/start without the instructions: %s", s.Send[1])
	}
	r.want(r.line(`{"id":2,"result":{"thread":{"id":"T"},"model":"gpt-5.5","cwd":"/workspace"}}`), "3 turn/start a",
		event.SessionStarted{
			Agent: "codex", Version: "0.169.0", Model: "gpt-5.5", Conversation: "T", Cwd: "/workspace",
			MCP: map[string]string{"s": "starting"},
		})
	r.want(r.message("c"), "")
	r.want(r.line(`{"id":3,"result":{"turn":{"id":"U"}}}`), "4 turn/steer b; 5 turn/steer c",
		event.CommandDelivered{Command: "a"})
}

func TestCodexSteerAfterTheEndStartsAnotherTurn(t *testing.T) {
	t.Parallel()
	r := newCodexRigInTurn(t)
	r.want(r.message("b"), "4 turn/steer b")
	r.want(r.message("c"), "5 turn/steer c")
	r.want(r.line(codexTurnEnd("U", "completed")), "",
		event.TurnFinished{Turn: "U", Status: event.TurnCompleted})
	r.wantIdle(false)
	r.want(r.line(`{"id":4,"error":{"code":-32600,"message":"no active turn to steer"}}`), "6 turn/start b",
		event.Protocol{Name: "turn/steer"})
	r.want(r.message("d"), "")
	r.want(r.line(`{"id":5,"error":{"code":-32600,"message":"no active turn to steer"}}`), "",
		event.Protocol{Name: "turn/steer"})
	// c goes before d, which came later.
	r.want(r.line(`{"id":6,"result":{"turn":{"id":"V"}}}`), "7 turn/start c", event.CommandDelivered{Command: "b"})
	r.want(r.line(`{"id":7,"result":{"turn":{"id":"V"}}}`), "8 turn/steer d", event.CommandDelivered{Command: "c"})
	r.wantIdle(false)
	r.line(`{"id":8,"result":{"turnId":"V"}}`)
	for _, id := range []string{"b", "c", "d"} {
		r.want(r.line(codexUserItem(id)), "",
			event.Message{ID: "i-" + id, Role: "user", Text: "t"}, event.CommandConsumed{Command: id})
	}
	r.line(codexTurnEnd("V", "completed"))
	r.wantIdle(true)
}

func TestCodexTurnThatTakesNoSteering(t *testing.T) {
	t.Parallel()
	r := newCodexRigInTurn(t)
	r.message("b")
	r.want(r.line(`{"id":4,"error":{"code":-32600,"message":"cannot steer a compact turn"}}`), "",
		event.Protocol{Name: "turn/steer"})
	r.want(r.message("c"), "")
	r.want(r.line(codexTurnEnd("U", "completed")), "5 turn/start b",
		event.TurnFinished{Turn: "U", Status: event.TurnCompleted})
}

func TestCodexInterruptedTurnLosesNoMessage(t *testing.T) {
	t.Parallel()
	r := newCodexRigInTurn(t)
	r.message("b")
	r.want(r.line(`{"id":4,"result":{"turnId":"U"}}`), "", event.CommandDelivered{Command: "b"})
	r.line(`{"method":"item/started","params":{"item":{"type":"commandExecution","id":"x","command":"sleep 9"},"threadId":"T","turnId":"U"}}`)
	r.want(r.a.Do(Command{ID: "stop", Kind: Interrupt}), "5 turn/interrupt")
	r.want(r.line(`{"id":5,"result":{}}`), "", event.CommandDelivered{Command: "stop"})
	r.want(r.line(codexTurnEnd("U", "interrupted")), "6 turn/start b",
		event.ToolFinished{Call: "x"},
		event.CommandConsumed{Command: "stop"},
		event.TurnFinished{Turn: "U", Status: event.TurnInterrupted})
	r.want(r.line(`{"id":6,"result":{"turn":{"id":"V"}}}`), "", event.Protocol{Name: "turn/start"})
	// The command was closed already.
	r.want(r.line(`{"method":"item/completed","params":{"item":{"type":"commandExecution","id":"x","status":"completed"},"threadId":"T","turnId":"U"}}`),
		"", event.Protocol{Name: "item/completed"})
	r.want(r.line(codexUserItem("b")), "",
		event.Message{ID: "i-b", Role: "user", Text: "t"}, event.CommandConsumed{Command: "b"})
}

func TestCodexFailedTurnFailsItsWaitingMessages(t *testing.T) {
	t.Parallel()
	r := newCodexRigInTurn(t)
	r.message("b")
	r.line(`{"id":4,"result":{"turnId":"U"}}`)
	r.want(r.line(codexTurnEnd("U", "failed")), "",
		event.TurnFinished{Turn: "U", Status: event.TurnFailed, Reason: event.ReasonAPI, Error: `codex ended the turn as "failed"`},
		event.CommandFailed{Command: "b", Error: "the turn ended before the agent saw it"})
	r.wantIdle(true)
}

func TestCodexInterrupt(t *testing.T) {
	t.Parallel()
	stop := Command{ID: "stop", Kind: Interrupt}
	t.Run("no turn", func(t *testing.T) {
		r := newCodexRig(t)
		r.want(r.a.Do(stop), "", event.CommandFailed{Command: "stop", Error: "no turn is running"})
	})
	t.Run("turn is starting", func(t *testing.T) {
		r := newCodexRig(t)
		r.message("a")
		r.want(r.a.Do(stop), "")
		r.want(r.line(`{"id":3,"result":{"turn":{"id":"U"}}}`), "", event.CommandDelivered{Command: "a"})
		r.want(r.line(`{"method":"turn/started","params":{"threadId":"T","turn":{"id":"U"}}}`), "4 turn/interrupt",
			event.TurnStarted{Turn: "U"})
		r.want(r.line(codexTurnEnd("U", "interrupted")), "",
			event.TurnFinished{Turn: "U", Status: event.TurnInterrupted},
			event.CommandFailed{Command: "a", Error: "interrupted before the agent saw it"})
		r.want(r.line(`{"id":4,"result":{}}`), "",
			event.CommandDelivered{Command: "stop"}, event.CommandConsumed{Command: "stop"})
		r.wantIdle(true)
	})
	t.Run("turn has just ended", func(t *testing.T) {
		r := newCodexRigInTurn(t)
		r.a.Do(stop)
		r.want(r.line(codexTurnEnd("U", "completed")), "", event.TurnFinished{Turn: "U", Status: event.TurnCompleted})
		r.want(r.line(`{"id":4,"error":{"code":-32600,"message":"no active turn to interrupt"}}`), "",
			event.CommandFailed{Command: "stop", Error: "no active turn to interrupt"})
	})
}

func TestCodexEndWaitsForIdleness(t *testing.T) {
	t.Parallel()
	r := newCodexRigInTurn(t)
	if s := r.a.Do(Command{ID: "end", Kind: End}); s.Terminate || len(s.Events) != 0 {
		t.Errorf("ended in mid-turn: %+v", s)
	}
	s := r.line(codexTurnEnd("U", "completed"))
	if !s.Terminate {
		t.Error("did not end after the turn")
	}
	r.want(s, "", event.TurnFinished{Turn: "U", Status: event.TurnCompleted}, event.CommandDelivered{Command: "end"})
	r.want(r.message("late"), "", event.CommandFailed{Command: "late", Error: "the session has ended"})
}

func TestCodexRefusedHandshake(t *testing.T) {
	t.Parallel()
	r := codexRig{t, newCodex(Options{Kind: Codex})}
	r.a.Start()
	r.message("a")
	const text = "codex refused initialize: no"
	r.want(r.line(`{"id":1,"error":{"code":-32600,"message":"no"}}`), "",
		event.CommandFailed{Command: "a", Error: text},
		event.TurnFinished{Status: event.TurnFailed, Reason: event.ReasonAPI, Error: text})
	r.wantIdle(true)
	if !r.a.Do(Command{ID: "end", Kind: End}).Terminate {
		t.Error("End does not end a dead session")
	}

	r = codexRig{t, newCodex(Options{Kind: Codex})}
	r.a.Start()
	r.line(`{"id":1,"result":{}}`)
	s := r.line(`{"id":2,"result":{}}`)
	if f, ok := s.Events[0].(event.TurnFinished); !ok || f.Status != event.TurnFailed {
		t.Errorf("a thread without an id: %+v", s.Events)
	}
}

func TestCodexRefusedTurn(t *testing.T) {
	t.Parallel()
	r := newCodexRig(t)
	r.message("a")
	r.want(r.line(`{"id":3,"error":{"code":-32600,"message":"no"}}`), "",
		event.CommandFailed{Command: "a", Error: "no"},
		event.TurnFinished{Status: event.TurnFailed, Reason: event.ReasonAPI, Error: "no"})
	r.wantIdle(true)
}

func TestCodexAnswersEveryRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, line, want string }{
		{"command", `{"method":"item/commandExecution/requestApproval","id":0,"params":{"command":"/bin/bash -lc 'ls'"}}`, `0 {"decision":"accept"}`},
		{"file", `{"method":"item/fileChange/requestApproval","id":"x","params":{}}`, `"x" {"decision":"accept"}`},
		{"old command", `{"method":"execCommandApproval","id":1,"params":{"command":["ls","-l"]}}`, `1 {"decision":"approved"}`},
		{"old patch", `{"method":"applyPatchApproval","id":1}`, `1 {"decision":"approved"}`},
		{"permissions", `{"method":"item/permissions/requestApproval","id":2,"params":{"permissions":{"network":{"enabled":true}}}}`,
			`2 {"permissions":{"network":{"enabled":true}},"scope":"turn"}`},
		{"permissions missing", `{"method":"item/permissions/requestApproval","id":2,"params":3}`, `2 {"permissions":{},"scope":"turn"}`},
		{"mcp tool", `{"method":"mcpServer/elicitation/request","id":3,"params":{"serverName":"s","_meta":{"codex_approval_kind":"mcp_tool_call"}}}`,
			`3 {"action":"accept","content":{}}`},
		{"mcp form", `{"method":"mcpServer/elicitation/request","id":3,"params":{"serverName":"s","mode":"form"}}`, `3 {"action":"decline","content":null}`},
		{"question", `{"method":"item/tool/requestUserInput","id":4,"params":{"questions":[{"id":"q","question":"which?"}]}}`, `4 {"answers":{"q":{"answers":["` + askNobody + `"]}}}`},
		{"tokens", `{"method":"account/chatgptAuthTokens/refresh","id":5,"params":{}}`, `5 error -32601`},
		{"attestation", `{"method":"attestation/generate","id":5}`, `5 error -32601`},
		{"client tool", `{"method":"item/tool/call","id":5}`, `5 error -32601`},
		{"unknown", `{"method":"new/thing","id":6}`, `6 error -32601`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newCodexRig(t)
			s := r.line(tt.line)
			if len(s.Events) == 0 {
				t.Error("no event")
			}
			r.want(s, tt.want, s.Events...)
		})
	}
}

func TestCodexFailureReasons(t *testing.T) {
	t.Parallel()
	for info, want := range map[string]string{
		`"usageLimitExceeded"`: event.ReasonUsageLimit,
		`"unauthorized"`:       event.ReasonAuth,
		`{"httpConnectionFailed":{"httpStatusCode":401}}`:       event.ReasonAuth,
		`{"httpConnectionFailed":{"httpStatusCode":null}}`:      event.ReasonAPI,
		`{"responseStreamDisconnected":{"httpStatusCode":429}}`: event.ReasonAPI,
		`"sessionBudgetExceeded"`:                               event.ReasonBudget,
		`"contextWindowExceeded"`:                               event.ReasonAPI,
		`null`:                                                  event.ReasonAPI,
		`[1]`:                                                   event.ReasonAPI,
	} {
		r := newCodexRigInTurn(t)
		r.line(`{"method":"account/rateLimits/updated","params":{"rateLimits":{"primary":{"usedPercent":100,"windowDurationMins":300,"resetsAt":1795353641}}}}`)
		s := r.line(`{"method":"turn/completed","params":{"threadId":"T","turn":{"id":"U","status":"failed","error":{"message":"no","codexErrorInfo":` + info + `}}}}`)
		f, ok := s.Events[0].(event.TurnFinished)
		if !ok || f.Reason != want || f.Error != "no" {
			t.Errorf("%s: %+v, want reason %s", info, s.Events[0], want)
		}
		if want == event.ReasonUsageLimit && f.ResetsAt != "2026-11-22T13:20:41Z" {
			t.Errorf("resets at %q", f.ResetsAt)
		}
	}
}

func TestCodexSpawnedAgents(t *testing.T) {
	t.Parallel()
	r := newCodexRigInTurn(t)
	r.line(`{"method":"item/started","params":{"item":{"type":"collabAgentToolCall","id":"call","tool":"spawnAgent","prompt":"look","receiverThreadIds":["S"],"status":"inProgress"},"threadId":"T","turnId":"U"}}`)
	r.want(r.line(`{"method":"turn/started","params":{"threadId":"S","turn":{"id":"SU"}}}`), "", event.Protocol{Name: "turn/started"})
	r.want(r.line(`{"method":"item/agentMessage/delta","params":{"threadId":"S","turnId":"SU","itemId":"i","delta":"x"}}`), "",
		event.Protocol{Name: "item/agentMessage/delta"})
	r.want(r.line(`{"method":"item/completed","params":{"item":{"type":"agentMessage","id":"i","text":"x"},"threadId":"S","turnId":"SU"}}`), "",
		event.Message{ID: "i", Role: "assistant", Text: "x", Parent: "call"})
	r.want(r.line(`{"method":"turn/completed","params":{"threadId":"S","turn":{"id":"SU","status":"completed"}}}`), "",
		event.Protocol{Name: "turn/completed"})
	r.wantIdle(false)
	tokens := `{"method":"thread/tokenUsage/updated","params":{"threadId":%q,"tokenUsage":{"total":{"inputTokens":10,"cachedInputTokens":4,"outputTokens":1}}}}`
	r.line(fmt.Sprintf(tokens, "T"))
	r.want(r.line(fmt.Sprintf(tokens, "S")), "",
		event.UsageUpdated{Usage: event.Usage{InputTokens: 12, CachedTokens: 8, OutputTokens: 2, Replies: 2}})
	// What the spawned agent said is not the result.
	r.line(`{"method":"item/completed","params":{"item":{"type":"agentMessage","id":"j","text":"mine"},"threadId":"T","turnId":"U"}}`)
	if f := r.line(codexTurnEnd("U", "completed")).Events[0].(event.TurnFinished); f.Text != "mine" {
		t.Errorf("result %q", f.Text)
	}
}

func TestCodexItems(t *testing.T) {
	t.Parallel()
	exit := 3
	for _, tt := range []struct {
		name, item string
		want       []event.Data
	}{
		{"command", `{"type":"commandExecution","id":"c","status":"failed","command":"/bin/bash -lc 'exit 3'","cwd":"/w","aggregatedOutput":"o","exitCode":3,"durationMs":5}`, []event.Data{
			event.ToolStarted{Call: "c", Name: "commandExecution", Kind: event.KindShell, Title: "exit 3", Input: json.RawMessage(`{"command":"/bin/bash -lc 'exit 3'","cwd":"/w"}`)},
			event.ToolFinished{Call: "c", ExitCode: &exit, Output: "o", DurationMS: 5}}},
		{"search", `{"type":"webSearch","id":"w","query":"go","action":{"type":"search"}}`, []event.Data{
			event.ToolStarted{Call: "w", Name: "webSearch", Kind: event.KindFetch, Title: "go", Input: json.RawMessage(`{"type":"search"}`)},
			event.ToolFinished{Call: "w", OK: true}}},
		{"image", `{"type":"imageView","id":"w","path":"/w/x.png"}`, []event.Data{
			event.ToolStarted{Call: "w", Name: "imageView", Kind: event.KindRead, Title: "/w/x.png"},
			event.ToolFinished{Call: "w", OK: true}}},
		{"activity", `{"type":"subAgentActivity","id":"w","kind":"started","agentPath":"/root/a","agentThreadId":"S"}`, []event.Data{
			event.ToolStarted{Call: "w", Name: "subAgentActivity", Kind: event.KindSubagent, Title: "started /root/a"},
			event.ToolFinished{Call: "w", OK: true}}},
		{"dynamic", `{"type":"dynamicToolCall","id":"w","tool":"t","arguments":{},"status":"completed","success":false,"contentItems":[{"type":"inputText","text":"no"}]}`, []event.Data{
			event.ToolStarted{Call: "w", Name: "t", Kind: event.KindOther, Title: "t", Input: json.RawMessage(`{}`)},
			event.ToolFinished{Call: "w", Output: "no"}}},
		{"reasoning", `{"type":"reasoning","id":"w","summary":["a","b"],"content":[]}`, []event.Data{event.Thinking{Text: "a\n\nb"}}},
		{"hidden reasoning", `{"type":"reasoning","id":"w","summary":[]}`, []event.Data{event.Protocol{Name: "item/completed"}}},
		{"plan", `{"type":"plan","id":"w","text":"all"}`, []event.Data{event.PlanUpdated{Steps: []event.PlanStep{{Text: "all", Status: "pending"}}}}},
		{"compaction", `{"type":"contextCompaction","id":"w"}`, []event.Data{event.ContextCompacted{}}},
		{"hook", `{"type":"hookPrompt","id":"w","fragments":[{"text":"x"}]}`, []event.Data{event.Notice{Kind: "info", Text: "hook: x"}}},
		{"unknown", `{"type":"new","id":"w"}`, []event.Data{event.Unparsed{Reason: "unknown kind of item new"}}},
		{"a field of another type", `{"type":"agentMessage","id":"w","text":"x","status":7}`, []event.Data{event.Message{ID: "w", Role: "assistant", Text: "x"}}},
		{"moved file", `{"type":"fileChange","id":"f","status":"completed","changes":[{"path":"/a","kind":{"type":"update","move_path":"/b"},"diff":"@@ -1 +1 @@\n-x\n+y\n\n\nMoved to: /b"}]}`, []event.Data{
			event.ToolStarted{Call: "f", Name: "fileChange", Kind: event.KindEdit, Title: "/a", Input: json.RawMessage(`{"changes":[{"path":"/a","kind":{"type":"update","move_path":"/b"},"diff":"@@ -1 +1 @@\n-x\n+y\n\n\nMoved to: /b"}]}`)},
			event.FileChanged{Path: "/a", Operation: "delete"}, event.FileChanged{Path: "/b", Operation: "add", Added: 1, Removed: 1, Diff: "@@ -1 +1 @@\n-x\n+y"},
			event.ToolFinished{Call: "f", OK: true}}},
		{"declined file", `{"type":"fileChange","id":"f","status":"declined","changes":[]}`, []event.Data{
			event.ToolStarted{Call: "f", Name: "fileChange", Kind: event.KindEdit, Input: json.RawMessage(`{"changes":[]}`)},
			event.ToolFinished{Call: "f"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newCodexRig(t)
			r.want(r.line(`{"method":"item/completed","params":{"item":`+tt.item+`,"threadId":"T","turnId":"U"}}`), "", tt.want...)
		})
	}
}

// A command in the background outlives a turn that completes.
func TestCodexBackgroundCommand(t *testing.T) {
	t.Parallel()
	r := newCodexRigInTurn(t)
	r.line(`{"method":"item/started","params":{"item":{"type":"commandExecution","id":"x","command":"serve"},"threadId":"T","turnId":"U"}}`)
	r.want(r.line(codexTurnEnd("U", "completed")), "", event.TurnFinished{Turn: "U", Status: event.TurnCompleted})
	r.want(r.line(`{"method":"item/completed","params":{"item":{"type":"commandExecution","id":"x","status":"completed"},"threadId":"T","turnId":"U"}}`),
		"", event.ToolFinished{Call: "x", OK: true})
}

func TestCodexNotifications(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		line string
		want event.Data
	}{
		{`{"method":"item/mcpToolCall/progress","params":{"itemId":"c","message":"half"}}`, event.ToolOutput{Call: "c", Text: "half\n"}},
		{`{"method":"turn/plan/updated","params":{"threadId":"T","plan":[{"step":"a","status":"inProgress"},{"step":"b","status":"pending"}]}}`,
			event.PlanUpdated{Steps: []event.PlanStep{{Text: "a", Status: "in_progress"}, {Text: "b", Status: "pending"}}}},
		{`{"method":"turn/plan/updated","params":{"threadId":"S","plan":[]}}`, event.Protocol{Name: "turn/plan/updated"}},
		{`{"method":"warning","params":{"message":"m"}}`, event.Notice{Kind: "warning", Text: "m"}},
		{`{"method":"deprecationNotice","params":{"summary":"s","details":"d"}}`, event.Notice{Kind: "warning", Text: "s\nd"}},
		{`{"method":"configWarning","params":{"summary":"Codex could not find bubblewrap on PATH."}}`, event.Protocol{Name: "configWarning"}},
		{`{"method":"configWarning","params":{"summary":"Ignored keys"}}`, event.Notice{Kind: "warning", Text: "Ignored keys"}},
		{`{"method":"model/rerouted","params":{"fromModel":"a","toModel":"b"}}`, event.ModelChanged{From: "a", To: "b"}},
		{`{"method":"mcpServer/startupStatus/updated","params":{"name":"s","status":"failed","error":"no"}}`,
			event.Notice{Kind: "warning", Text: "MCP server s did not start, the agent works without it: no"}},
		{`{"method":"mcpServer/startupStatus/updated","params":{"name":"s","status":"ready","error":null}}`, event.Protocol{Name: "mcpServer/startupStatus/updated"}},
		{`{"method":"hook/completed","params":{"run":{"eventName":"stop","status":"failed","statusMessage":"exit 1"}}}`,
			event.HookFinished{Name: "stop", Outcome: event.HookFailed, Output: "exit 1"}},
		{`{"method":"hook/completed","params":{"run":{"eventName":"preToolUse","status":"blocked","entries":[{"kind":"feedback","text":"no"}]}}}`,
			event.HookFinished{Name: "preToolUse", Outcome: event.HookBlocked, Output: "no"}},
		{`{"method":"thread/goal/updated","params":{"threadId":"T","goal":{"objective":"count","status":"active","tokensUsed":5}}}`,
			event.Notice{Kind: "info", Text: "goal active: count"}},
		{`{"method":"thread/goal/updated","params":{"threadId":"S","goal":{"objective":"count","status":"active"}}}`, event.Protocol{Name: "thread/goal/updated"}},
		{`{"method":"item/autoApprovalReview/completed","params":{"review":{"status":"denied","rationale":"too risky"}}}`,
			event.Notice{Kind: "warning", Text: "the reviewer's decision is denied: too risky"}},
		{`{"method":"item/autoApprovalReview/completed","params":{"review":{"status":"approved"}}}`, event.Protocol{Name: "item/autoApprovalReview/completed"}},
		{`{"method":"thread/realtime/started","params":{}}`, event.Protocol{Name: "thread/realtime/started"}},
		{`{"method":"new/thing","params":{}}`, event.Unparsed{Reason: "unknown notification new/thing"}},
		{`{"method":"account/rateLimits/updated","params":{"rateLimits":{"limitId":"codex_x","primary":{"usedPercent":null,"resetsAt":-1}}}}`,
			event.LimitUpdated{Window: "codex_x primary"}},
		{`{"method":"error","params":{"threadId":"S","willRetry":true,"error":{"message":"again","additionalDetails":"why"}}}`,
			event.Notice{Kind: "retry", Text: "again (why)"}},
	} {
		r := newCodexRig(t)
		r.want(r.line(tt.line), "", tt.want)
	}
}

func TestCodexHostileLines(t *testing.T) {
	t.Parallel()
	r := newCodexRigInTurn(t)
	for _, line := range []string{
		"", " ", "null", "7", "[]", `"x"`, "{", "{}", "\xff\xfe", `{"id":{}}`, `{"id":99,"result":{}}`, `{"id":"1","result":{}}`,
		`{"method":"item/started"}`, `{"method":"item/completed","params":[]}`, `{"method":"turn/completed","params":null}`,
		`{"method":"turn/started","params":{"turn":null}}`, `{"method":"error","params":{}}`,
		`{"method":"thread/tokenUsage/updated","params":{}}`, `{"method":"turn/plan/updated","params":{"plan":7}}`,
		`{"method":"` + strings.Repeat("x", 1<<20) + `"}`, strings.Repeat("[", 1<<20),
		`{"id":` + strings.Repeat("1", 300) + `,"method":"x"}`,
	} {
		if s := r.line(line); len(s.Events) == 0 {
			t.Errorf("no event for %.50q", line)
		}
	}
	items := newCodexItems()
	for i := range maxTracked + 10 {
		items.start(fmt.Sprint(i), "U", true)
	}
	if n := len(items.open); n > maxTracked {
		t.Errorf("remembers %d items", n)
	}
}

func TestCodexUnwrapShell(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`/bin/bash -lc 'echo hi; ls'`: "echo hi; ls",
		`bash -lc ls`:                 "ls",
		`/bin/sh -lc "a \"b\" \$c"`:   `a "b" $c`,
		`/bin/bash -lc 'it'"'"'s'`:    "it's",
		`/bin/bash -lc 'open`:         `/bin/bash -lc 'open`,
		`/bin/bash -lc a b`:           `/bin/bash -lc a b`,
		`git log -lc x`:               `git log -lc x`,
		`python -lc 'x'`:              `python -lc 'x'`,
		``:                            ``,
	} {
		if got := codexUnwrapShell(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

// TestCodexGoal ends no session whose agent starts another turn by itself.
func TestCodexGoal(t *testing.T) {
	t.Parallel()
	goal := func(status string) []byte {
		return fmt.Appendf(nil, `{"method":"thread/goal/updated","params":{"threadId":"T","goal":{"objective":"count","status":%q}}}`, status)
	}
	for _, tt := range []struct {
		goal, turn string
		idle       bool
	}{
		{"active", "completed", false},
		{"active", "interrupted", true},
		{"active", "failed", true},
		{"complete", "completed", true},
		{"paused", "completed", true},
	} {
		a := newCodex(Options{Kind: Codex})
		a.Start()
		for _, line := range []string{
			`{"id":1,"result":{}}`, `{"id":2,"result":{"thread":{"id":"T"}}}`,
			`{"method":"turn/started","params":{"threadId":"T","turn":{"id":"U"}}}`,
		} {
			a.Line([]byte(line))
		}
		a.Line(goal("active"))
		a.Line(goal(tt.goal))
		a.Line(fmt.Appendf(nil, `{"method":"turn/completed","params":{"threadId":"T","turn":{"id":"U","status":%q}}}`, tt.turn))
		if got := a.Idle(); got != tt.idle {
			t.Errorf("goal %s, turn %s: idle is %v", tt.goal, tt.turn, got)
		}
		a.Line([]byte(`{"method":"thread/goal/cleared","params":{"threadId":"T"}}`))
		if !a.Idle() {
			t.Errorf("goal %s, turn %s: not idle without the goal", tt.goal, tt.turn)
		}
	}
}
