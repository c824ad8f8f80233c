package event

// Usage is what was spent, in tokens, and in millionths of a US dollar where it
// is known. Input counts fresh input only; cached input is apart.
type Usage struct {
	InputTokens      int64 `json:"input_tokens"`
	CachedTokens     int64 `json:"cached_tokens,omitempty"`
	CacheWriteTokens int64 `json:"cache_write_tokens,omitempty"`
	OutputTokens     int64 `json:"output_tokens"`
	ReasoningTokens  int64 `json:"reasoning_tokens,omitempty"` // part of OutputTokens
	CostMicroUSD     int64 `json:"cost_micro_usd,omitempty"`
	// CostBy is "vendor" when the agent reported the cost; empty without a cost.
	CostBy string `json:"cost_by,omitempty"`
}

// Add returns the sum of u and v.
func (u Usage) Add(v Usage) Usage {
	u.InputTokens += v.InputTokens
	u.CachedTokens += v.CachedTokens
	u.CacheWriteTokens += v.CacheWriteTokens
	u.OutputTokens += v.OutputTokens
	u.ReasoningTokens += v.ReasoningTokens
	u.CostMicroUSD += v.CostMicroUSD
	if u.CostBy == "" {
		u.CostBy = v.CostBy
	}
	return u
}

// TotalTokens counts every token once.
func (u Usage) TotalTokens() int64 {
	return u.InputTokens + u.CachedTokens + u.CacheWriteTokens + u.OutputTokens
}
