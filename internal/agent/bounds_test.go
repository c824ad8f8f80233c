package agent

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
)

// TestClaudeRemembersLittle has a turn of many replies and calls without results: what
// is kept is bounded, and the usage is still the sum of all replies.
func TestClaudeRemembersLittle(t *testing.T) {
	t.Parallel()
	const replies = 3*maxTracked + 7
	c := testClaude()
	c.Line([]byte(claudeInit))
	var last event.Usage
	for i := range replies {
		step := c.Line(fmt.Appendf(nil, `{"type":"assistant","parent_tool_use_id":"p","message":{"id":"m%d","model":"claude-opus-4-8",
			"content":[{"type":"tool_use","id":"t%[1]d","name":"Bash","input":{}}],"usage":{"input_tokens":10,"output_tokens":3}}}`, i))
		for _, e := range step.Events {
			if u, ok := e.(event.UsageUpdated); ok {
				last = u.Usage
			}
		}
	}
	want := event.Usage{
		InputTokens: 10 * replies, OutputTokens: 3 * replies, Replies: replies,
		CostMicroUSD: 125 * replies, CostBy: event.CostByEstimate,
	}
	if diff := cmp.Diff(want, last); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(c.meter.running) > maxTracked || len(c.calls) > maxTracked {
		t.Errorf("remembers %d replies, %d calls", len(c.meter.running), len(c.calls))
	}
	long := strings.Repeat("x", maxTrackedID+1)
	c.Line([]byte(`{"type":"assistant","message":{"id":"m","content":[{"type":"tool_use","id":"` + long + `","name":"Bash"}]}}`))
	if _, ok := c.calls[long]; ok {
		t.Error("remembers a call whose id is of no sane length")
	}
}

// TestCodexChangesAreBounded: the changes of open items are kept up to a size, and a
// request about files that nothing names is not for a rule to allow.
func TestCodexChangesAreBounded(t *testing.T) {
	t.Parallel()
	c := newCodex(Options{Kind: Codex, Permissions: &permission.Policy{Default: permission.Allow}}).(*codex)
	c.Start()
	for _, line := range []string{`{"id":1,"result":{"userAgent":"x/1"}}`, `{"id":2,"result":{"thread":{"id":"T"},"model":"gpt-5.5"}}`} {
		c.Line([]byte(line))
	}
	diff := strings.Repeat("x", 1<<20)
	for i := range 40 {
		c.Line(fmt.Appendf(nil, `{"method":"item/started","params":{"item":{"type":"fileChange","id":"i%d","changes":[{"path":"p","kind":{"type":"add"},"diff":%q}]}}}`, i, diff))
	}
	kept := 0
	for _, o := range c.items.open {
		kept += sizeOf(o.changes)
	}
	if kept > codexMaxChanges || kept < codexMaxChanges/2 {
		t.Errorf("keeps %d bytes of changes", kept)
	}
	for item, want := range map[string]string{"i0": `{"id":0,"result":{"decision":"accept"}}`, "i39": `{"id":0,"result":{"decision":"decline"}}`} {
		s := c.Line(fmt.Appendf(nil, `{"method":"item/fileChange/requestApproval","id":0,"params":{"itemId":%q}}`, item))
		if len(s.Send) != 1 || string(s.Send[0]) != want {
			t.Errorf("%s: %s", item, s.Send)
		}
	}
}
