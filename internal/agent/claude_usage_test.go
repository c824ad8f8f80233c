package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

func TestClaudeMicroUSD(t *testing.T) {
	t.Parallel()
	for decimal, want := range map[string]int64{
		"0": 0, "": 0, "null": 0, "0.0153": 15300, "0.018359999999999998": 18360, "0.0076500000000000005": 7650,
		"0.0000004": 0, "0.0000005": 1, "5e-7": 1, "4.9e-7": 0, "1.5e2": 150000000, "1E+1": 10000000, "1": 1000000,
		"9223372036854.775806": 9223372036854775806, "9223372036854.775807": 0, "1e13": 0, "1e999999999": 0, "1e-999999999": 0,
		"-1": 0, `"1"`: 0, "true": 0, "{}": 0, "1e": 0, ".5": 500000, "123456789.0000015": 123456789000002,
	} {
		if got := claudeMicroUSD(decimal); got != want {
			t.Errorf("%s: %d, want %d", decimal, got, want)
		}
	}
}

// TestClaudeUsage has one reply spread over stream and assistant lines, then a
// subagent's, then the totals.
func TestClaudeUsage(t *testing.T) {
	t.Parallel()
	a := testClaude()
	var last event.Usage
	var updates int
	for _, line := range []string{
		claudeInit,
		`{"type":"stream_event","event":{"type":"message_start","message":{"id":"1","usage":{"input_tokens":10,"cache_read_input_tokens":3,"cache_creation_input_tokens":2,"output_tokens":1}}}}`,
		`{"type":"assistant","message":{"id":"1","content":[{"type":"text","text":"a"}],"usage":{"input_tokens":10,"cache_read_input_tokens":3,"cache_creation_input_tokens":2,"output_tokens":1}}}`,
		`{"type":"assistant","message":{"id":"1","content":[{"type":"text","text":"b"}],"usage":{"input_tokens":10,"cache_read_input_tokens":3,"cache_creation_input_tokens":2,"output_tokens":1}}}`,
		`{"type":"stream_event","event":{"type":"message_delta","usage":{"output_tokens":50}}}`,
		`{"type":"stream_event","event":{"type":"message_delta","usage":{"output_tokens":50}}}`,
		`{"type":"assistant","parent_tool_use_id":"p","message":{"id":"2","content":[{"type":"text","text":"s"}],"usage":{"input_tokens":100,"output_tokens":1}}}`,
		`{"type":"assistant","parent_tool_use_id":"p","message":{"id":"2","content":[{"type":"text","text":"s"}],"usage":{"input_tokens":100,"output_tokens":1}}}`,
	} {
		for _, e := range a.Line([]byte(line)).Events {
			if u, ok := e.(event.UsageUpdated); ok {
				last = u.Usage
				updates++
			}
		}
	}
	want := event.Usage{InputTokens: 110, CachedTokens: 3, CacheWriteTokens: 2, OutputTokens: 51, Replies: 2}
	if diff := cmp.Diff(want, last); diff != "" || updates != 2 {
		t.Errorf("%d updates (-want +got):\n%s", updates, diff)
	}
	got := a.Line([]byte(`{"type":"result","subtype":"success","total_cost_usd":0.25,"usage":{"input_tokens":1},
		"modelUsage":{"m":{"inputTokens":10,"outputTokens":50,"cacheReadInputTokens":3,"cacheCreationInputTokens":2,"thinkingTokens":7},"n":{"inputTokens":100,"outputTokens":40}}}`))
	want = event.Usage{InputTokens: 110, CachedTokens: 3, CacheWriteTokens: 2, OutputTokens: 90, ReasoningTokens: 7, Replies: 2, CostMicroUSD: 250000, CostBy: "vendor"}
	if diff := cmp.Diff(event.Data(event.UsageUpdated{Usage: want}), got.Events[len(got.Events)-1]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
