package agent

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// claudeUsage is the usage of one answer of the API.
type claudeUsage struct {
	Input      int64 `json:"input_tokens"`
	CacheWrite int64 `json:"cache_creation_input_tokens"`
	CacheRead  int64 `json:"cache_read_input_tokens"`
	Output     int64 `json:"output_tokens"`
}

// claudeModel is a model's share of the session so far, from a result.
type claudeModel struct {
	Input      int64 `json:"inputTokens"`
	CacheWrite int64 `json:"cacheCreationInputTokens"`
	CacheRead  int64 `json:"cacheReadInputTokens"`
	Output     int64 `json:"outputTokens"`
	Thinking   int64 `json:"thinkingTokens"` // part of Output
}

// claudeMeter adds up the usage of a session. Results carry totals; in between,
// the messages of the running turn are counted on top, each once: their usage
// comes in several lines, and one reply is spread over a line per block.
//
// A resumed conversation's totals begin where the earlier session's ended, which
// Claude is asked for at the start.
type claudeMeter struct {
	base    event.Usage
	settled event.Usage
	replies int64
	running map[string]claudeReply // by message id, at most maxTracked
	turn    event.Usage            // the sum of running
}

// claudeReply is one reply of the model to a turn that has no result yet.
type claudeReply struct {
	claudeUsage
	model string
}

// usage is the reply's with an estimated cost: Claude states costs with results only.
func (r claudeReply) usage() event.Usage {
	u := event.Usage{InputTokens: r.Input, CachedTokens: r.CacheRead, CacheWriteTokens: r.CacheWrite, OutputTokens: r.Output}
	if price, ok := ratesOf(r.model); ok {
		u.CostMicroUSD, u.CostBy = price.cost(u), event.CostByEstimate
	}
	return u
}

// add counts a message's usage so far and reports whether that changed anything.
// An empty model is that of the message's earlier lines.
func (m *claudeMeter) add(id, model string, u *claudeUsage) bool {
	if id == "" || len(id) > maxTrackedID || u == nil {
		return false
	}
	old, known := m.running[id]
	now := claudeReply{model: old.model, claudeUsage: claudeUsage{
		Input:      max(old.Input, u.Input),
		CacheWrite: max(old.CacheWrite, u.CacheWrite),
		CacheRead:  max(old.CacheRead, u.CacheRead),
		Output:     max(old.Output, u.Output),
	}}
	if now.model == "" {
		now.model = model
	}
	if now.claudeUsage == old.claudeUsage {
		return false
	}
	if !known {
		m.replies++
		if m.running == nil || len(m.running) == maxTracked { // no turn has so many replies in the making
			m.running = map[string]claudeReply{}
		}
	}
	m.running[id] = now
	more := now.usage()
	by := more.CostBy
	more = more.Since(old.usage())
	more.CostBy = by
	m.turn = m.turn.Add(more)
	return true
}

// claudeSpent is a conversation's totals, as results and get_usage have them.
type claudeSpent struct {
	Cost   json.RawMessage        `json:"total_cost_usd"`
	Models map[string]claudeModel `json:"model_usage"`
}

func (c claudeSpent) usage() event.Usage {
	u := event.Usage{CostMicroUSD: claudeMicroUSD(string(c.Cost))}
	for _, m := range c.Models {
		u.InputTokens += m.Input
		u.CachedTokens += m.CacheRead
		u.CacheWriteTokens += m.CacheWrite
		u.OutputTokens += m.Output
		u.ReasoningTokens += m.Thinking
	}
	return u
}

// settle replaces everything by the totals of a result.
func (m *claudeMeter) settle(totals claudeSpent) {
	m.running, m.turn = nil, event.Usage{}
	m.settled = totals.usage().Since(m.base)
	if m.settled.CostMicroUSD > 0 {
		m.settled.CostBy = event.CostByVendor
	}
}

// total is the session's usage so far.
func (m *claudeMeter) total() event.Usage {
	t := m.settled.Add(m.turn)
	t.Replies = m.replies
	return t
}

// countMessage counts the usage in an assistant line. For the main conversation
// that repeats the start of its stream; of a subagent nothing else is known.
func (c *claude) countMessage(s *claudeStep, m claudeMessage, parent string) {
	if c.meter.add(m.ID, m.Model, m.Usage) && parent != "" {
		s.add(event.UsageUpdated{Usage: c.meter.total()})
	}
}

// claudeMicroUSD turns a decimal such as "0.018359999999999998" or "5e-7" into
// millionths, rounded half up, without passing through a float. What is no
// positive decimal counts as 0.
func claudeMicroUSD(decimal string) int64 {
	mantissa, exponent, hasExponent := strings.Cut(strings.ToLower(decimal), "e")
	shift := 6
	if hasExponent {
		e, err := strconv.Atoi(exponent)
		if err != nil || e < -1000 || e > 1000 {
			return 0
		}
		shift += e
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits, point := whole+fraction, len(whole)+shift
	if point < 0 {
		return 0
	}
	if missing := point + 1 - len(digits); missing > 0 {
		digits += strings.Repeat("0", missing)
	}
	n, err := strconv.ParseUint("0"+digits[:point], 10, 63)
	if err != nil || n == math.MaxInt64 {
		return 0
	}
	if digits[point] >= '5' {
		n++
	}
	return int64(n)
}
