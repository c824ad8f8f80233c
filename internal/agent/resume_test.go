package agent

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

func TestClaudeContinues(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]Options{
		"--session-id new": {Conversation: "new"},
		"--resume old":     {Conversation: "old", Resume: "old"},
		"--resume old --fork-session --session-id new":         {Conversation: "new", Resume: "old", Fork: true},
		"--resume old --fork-session --session-id n --model m": {Conversation: "n", Resume: "old", Fork: true, Model: "m"},
	} {
		command := strings.Join(newClaude(o).Process().Command, " ")
		if !strings.HasSuffix(command, claudeBypass+" "+want) {
			t.Errorf("%+v: %s", o, command)
		}
	}
}

// TestClaudeCountsOnlyItsOwn resumes a conversation whose totals go on.
func TestClaudeCountsOnlyItsOwn(t *testing.T) {
	t.Parallel()
	c := newClaude(Options{Conversation: "old", Resume: "old"})
	if s := c.Start(); len(s.Send) != 1 || string(s.Send[0]) != `{"type":"control_request","request_id":"usage-before","request":{"subtype":"get_usage"}}` {
		t.Fatalf("starts with %s", s.Send)
	}
	c.Line([]byte(`{"type":"control_response","response":{"subtype":"success","request_id":"usage-before","response":{"session":{"total_cost_usd":0.005,"model_usage":{"m":{"inputTokens":1000,"outputTokens":50}}}}}}`))
	s := c.Line([]byte(`{"type":"result","subtype":"success","total_cost_usd":0.0125,"modelUsage":{"m":{"inputTokens":2000,"outputTokens":100},"n":{"inputTokens":10}}}`))
	want := event.Data(event.UsageUpdated{Usage: event.Usage{InputTokens: 1010, OutputTokens: 50, CostMicroUSD: 7500, CostBy: event.CostByVendor}})
	if diff := cmp.Diff(want, s.Events[len(s.Events)-1]); diff != "" {
		t.Error(diff)
	}
}

func TestClaudeEstimatesTheRunningTurn(t *testing.T) {
	t.Parallel()
	c := newClaude(Options{Conversation: "c"})
	c.Line([]byte(claudeInit))
	c.Line([]byte(`{"type":"stream_event","event":{"type":"message_start","message":{"id":"1","model":"claude-opus-4-8","usage":{"input_tokens":1000,"output_tokens":1}}}}`))
	s := c.Line([]byte(`{"type":"stream_event","event":{"type":"message_delta","usage":{"output_tokens":50}}}`))
	want := event.Data(event.UsageUpdated{Usage: event.Usage{InputTokens: 1000, OutputTokens: 50, Replies: 1, CostMicroUSD: 6250, CostBy: event.CostByEstimate}})
	if len(s.Events) != 1 || cmp.Diff(want, s.Events[0]) != "" {
		t.Errorf("%+v", s.Events)
	}
}

func TestCodexContinues(t *testing.T) {
	t.Parallel()
	for method, o := range map[string]Options{
		"thread/resume": {Kind: Codex, Resume: "T"},
		"thread/fork":   {Kind: Codex, Resume: "T", Fork: true},
	} {
		r := codexRig{t, newCodex(o)}
		r.a.Start()
		r.message("a")
		s := r.line(`{"id":1,"result":{"userAgent":"ratchetai-runner/0.169.0 (Debian)"}}`)
		if line := string(s.Send[1]); !strings.Contains(line, `"method":"`+method+`","params":{"threadId":"T","excludeTurns":true,"cwd":"/workspace"`) {
			t.Errorf("sent %s", line)
		}
		r.want(r.line(`{"id":2,"result":{"thread":{"id":"T2"},"model":"gpt-5.5"}}`), "3 turn/start a",
			event.SessionStarted{Agent: "codex", Version: "0.169.0", Model: "gpt-5.5", Conversation: "T2"})
	}
}

// TestCodexCountsOnlyItsOwn resumes a thread whose totals go on, and which Codex
// states again before and during the turn.
func TestCodexCountsOnlyItsOwn(t *testing.T) {
	t.Parallel()
	tokens := func(total, last int) string {
		text := `{"method":"thread/tokenUsage/updated","params":{"threadId":"T","tokenUsage":{"total":{"inputTokens":TOTAL},"last":{"inputTokens":LAST}}}}`
		return strings.NewReplacer("TOTAL", strings.Repeat("1", total), "LAST", strings.Repeat("1", last)).Replace(text)
	}
	start := func() codexRig {
		r := codexRig{t, newCodex(Options{Kind: Codex, Resume: "T"})}
		r.a.Start()
		r.line(`{"id":1,"result":{}}`)
		r.line(`{"id":2,"result":{"thread":{"id":"T"},"model":"gpt-5.5"}}`)
		return r
	}
	used := func(s Step) event.Usage {
		return s.Events[slices.IndexFunc(s.Events, func(d event.Data) bool { return d.EventType() == event.TypeUsageUpdated })].(event.UsageUpdated).Usage
	}
	turn := func(r codexRig) {
		r.message("a")
		r.line(`{"id":3,"result":{"turn":{"id":"U"}}}`)
		r.line(`{"method":"turn/started","params":{"threadId":"T","turn":{"id":"U"}}}`)
	}
	r := start()
	if u := used(r.line(tokens(3, 3))); u != (event.Usage{}) {
		t.Errorf("used %+v before the first turn", u)
	}
	turn(r)
	want := event.Usage{InputTokens: 1000, Replies: 1, CostMicroUSD: 5000, CostBy: event.CostByEstimate}
	for range 2 {
		if u := used(r.line(tokens(4, 4))); u != want {
			t.Errorf("used %+v", u)
		}
	}
	r = start() // which the server may leave out
	turn(r)
	want = event.Usage{InputTokens: 111, Replies: 1, CostMicroUSD: 555, CostBy: event.CostByEstimate}
	if u := used(r.line(tokens(5, 3))); u != want {
		t.Errorf("used %+v", u)
	}
}
