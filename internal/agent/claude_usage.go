package agent

import (
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
type claudeMeter struct {
	settled event.Usage
	running map[string]claudeUsage // by message id
}

// add counts a message's usage so far and reports whether that changed anything.
func (m *claudeMeter) add(id string, u *claudeUsage) bool {
	if id == "" || u == nil {
		return false
	}
	old := m.running[id]
	now := claudeUsage{
		Input:      max(old.Input, u.Input),
		CacheWrite: max(old.CacheWrite, u.CacheWrite),
		CacheRead:  max(old.CacheRead, u.CacheRead),
		Output:     max(old.Output, u.Output),
	}
	if now == old {
		return false
	}
	if m.running == nil {
		m.running = map[string]claudeUsage{}
	}
	m.running[id] = now
	return true
}

// settle replaces everything by the totals of a result.
func (m *claudeMeter) settle(cost string, models map[string]claudeModel) {
	m.running = nil
	m.settled = event.Usage{CostMicroUSD: claudeMicroUSD(cost)}
	if m.settled.CostMicroUSD > 0 {
		m.settled.CostBy = "vendor"
	}
	for _, u := range models {
		m.settled.InputTokens += u.Input
		m.settled.CachedTokens += u.CacheRead
		m.settled.CacheWriteTokens += u.CacheWrite
		m.settled.OutputTokens += u.Output
		m.settled.ReasoningTokens += u.Thinking
	}
}

// total is the session's usage so far. The cost is that of finished turns.
func (m *claudeMeter) total() event.Usage {
	t := m.settled
	for _, u := range m.running {
		t.InputTokens += u.Input
		t.CachedTokens += u.CacheRead
		t.CacheWriteTokens += u.CacheWrite
		t.OutputTokens += u.Output
	}
	return t
}

// countMessage counts the usage in an assistant line. For the main conversation
// that repeats the start of its stream; of a subagent nothing else is known.
func (c *claude) countMessage(s *claudeStep, m claudeMessage, parent string) {
	if c.meter.add(m.ID, m.Usage) && parent != "" {
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
