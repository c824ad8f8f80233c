package agent

import (
	"encoding/json"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// codexUsage is the usage of one thread.
type codexUsage struct {
	total event.Usage // as Codex counts: from the thread's beginning, in whatever session that was
	spent event.Usage // in this session
}

// usageUpdated counts what each thread, spawned agents' included, adds to its
// total. Codex repeats a total that has not changed, and states that of a resumed
// thread before its first turn: neither is a reply.
//
//	{"threadId":"0198…","tokenUsage":{"total":{"inputTokens":3000,…},"last":{"inputTokens":1500,…}}}
func (c *codex) usageUpdated(s *codexStep, params json.RawMessage) {
	var p struct {
		codexScope
		TokenUsage struct {
			Total *codexTokens `json:"total"`
			Last  *codexTokens `json:"last"`
		} `json:"tokenUsage"`
	}
	if err := codexDecode(params, &p); err != nil || p.TokenUsage.Total == nil {
		s.unparsed("token usage without a total")
		return
	}
	now := p.TokenUsage.Total.usage()
	t, known := c.usage[p.ThreadID]
	switch {
	case known:
		t.add(c.model, now.Since(t.total))
	case c.own(p.ThreadID) && c.turn == "": // before the first turn: of earlier sessions
	case p.TokenUsage.Last != nil:
		t.add(c.model, p.TokenUsage.Last.usage())
	default:
		t.add(c.model, now)
	}
	t.total = now
	if known || len(c.usage) < maxTracked && len(p.ThreadID) <= maxTrackedID {
		c.usage[p.ThreadID] = t
	}
	s.add(event.UsageUpdated{Usage: c.totalUsage()})
}

// add counts a reply of model.
func (t *codexUsage) add(model string, u event.Usage) {
	if u.TotalTokens() == 0 {
		return
	}
	u.Replies = 1
	if price, ok := ratesOf(model); ok {
		u.CostMicroUSD, u.CostBy = price.cost(u), event.CostByEstimate
	}
	t.spent = t.spent.Add(u)
}

// usage takes both parts of the cache out of the input, which counts them.
func (t *codexTokens) usage() event.Usage {
	cached, written := codexCount(t.Cached), codexCount(t.CacheWrite)
	return event.Usage{
		InputTokens:      max(codexCount(t.Input)-cached-written, 0),
		CachedTokens:     cached,
		CacheWriteTokens: written,
		OutputTokens:     codexCount(t.Output),
		ReasoningTokens:  codexCount(t.Reasoning),
	}
}

// codexCount keeps a count in a range whose sums cannot overflow.
func codexCount(n int64) int64 { return min(max(n, 0), 1<<40) }

func (c *codex) totalUsage() event.Usage {
	var sum event.Usage
	for _, t := range c.usage {
		sum = sum.Add(t.spent)
	}
	return sum
}
