package event

// Usage is what was spent, in tokens, and in millionths of a US dollar where it
// is known. Input counts fresh input only; cached input is apart.
type Usage struct {
	InputTokens      int64 `json:"input_tokens"`
	CachedTokens     int64 `json:"cached_tokens,omitempty"`
	CacheWriteTokens int64 `json:"cache_write_tokens,omitempty"`
	OutputTokens     int64 `json:"output_tokens"`
	ReasoningTokens  int64 `json:"reasoning_tokens,omitempty"` // part of OutputTokens
	// Replies of the model, those to subagents included.
	Replies      int64 `json:"replies,omitempty"`
	CostMicroUSD int64 `json:"cost_micro_usd,omitempty"`
	// CostBy says whose figure the cost is; empty without a cost.
	CostBy CostBy `json:"cost_by,omitempty"`
}

// CostBy says who computed a cost.
type CostBy string

// Whose figure a cost is.
const (
	CostByVendor   CostBy = "vendor"   // the agent reported it
	CostByEstimate CostBy = "estimate" // some of it is computed from a price list
)

// Add returns the sum of u and v.
func (u Usage) Add(v Usage) Usage {
	u.InputTokens += v.InputTokens
	u.CachedTokens += v.CachedTokens
	u.CacheWriteTokens += v.CacheWriteTokens
	u.OutputTokens += v.OutputTokens
	u.ReasoningTokens += v.ReasoningTokens
	u.Replies += v.Replies
	u.CostMicroUSD += v.CostMicroUSD
	if u.CostBy == "" || v.CostBy == CostByEstimate {
		u.CostBy = v.CostBy
	}
	return u
}

// Since returns what u has more than the earlier v: tokens and cost.
func (u Usage) Since(v Usage) Usage {
	return Usage{
		InputTokens:      max(u.InputTokens-v.InputTokens, 0),
		CachedTokens:     max(u.CachedTokens-v.CachedTokens, 0),
		CacheWriteTokens: max(u.CacheWriteTokens-v.CacheWriteTokens, 0),
		OutputTokens:     max(u.OutputTokens-v.OutputTokens, 0),
		ReasoningTokens:  max(u.ReasoningTokens-v.ReasoningTokens, 0),
		CostMicroUSD:     max(u.CostMicroUSD-v.CostMicroUSD, 0),
	}
}

// TotalTokens counts every token once.
func (u Usage) TotalTokens() int64 {
	return u.InputTokens + u.CachedTokens + u.CacheWriteTokens + u.OutputTokens
}
