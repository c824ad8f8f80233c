package agent

import (
	"regexp"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// rates are what a model costs, in micro-USD per million tokens.
type rates struct {
	input, cached, written, output int64
	// Of a prompt longer than longAbove tokens every token costs more: so many
	// percent of the above. 0 is no such rule.
	longAbove             int64
	longInput, longOutput int64
}

// pricesAsOf is the month of the price list below.
const pricesAsOf = "2026-11"

// ratesOf returns what a model costs at the vendors' standard rates for their
// API. Those of Claude's models were measured: they are what Claude Code 2.1.330
// charges (total_cost_usd of replies with a million tokens of each kind). Those of
// OpenAI's are from its public price list.
func ratesOf(model string) (rates, bool) {
	r := func(input, cached, output int64) rates {
		return rates{input: input, cached: cached, written: input * 5 / 4, output: output}
	}
	openai := func(input, cached, output int64) rates {
		x := r(input, cached, output)
		x.longAbove, x.longInput, x.longOutput = 272_000, 200, 150
		return x
	}
	switch modelSuffix.ReplaceAllString(strings.ToLower(model), "") {
	case "claude-fable-5-2":
		return r(8_000_000, 200_000, 40_000_000), true
	case "claude-fable-5-1":
		return r(10_000_000, 250_000, 50_000_000), true
	case "claude-fable-5":
		return r(10_000_000, 1_000_000, 50_000_000), true
	case "claude-opus-5-5":
		return r(4_000_000, 200_000, 20_000_000), true
	case "claude-opus-5", "claude-opus-4-8", "claude-opus-4-7", "claude-opus-4-6", "claude-opus-4-5":
		return r(5_000_000, 500_000, 25_000_000), true
	case "claude-sonnet-5-5":
		return r(2_000_000, 100_000, 10_000_000), true
	case "claude-sonnet-5":
		return r(2_000_000, 200_000, 10_000_000), true
	case "claude-sonnet-4-6", "claude-sonnet-4-5":
		return r(3_000_000, 300_000, 15_000_000), true
	case "claude-haiku-5-5":
		return rates{100_000, 10_000, 125_000, 500_000, 100_000, 500, 500}, true
	case "claude-haiku-4-5":
		return r(1_000_000, 100_000, 5_000_000), true
	case "gpt-6.1-sol":
		return openai(2_000_000, 100_000, 10_000_000), true
	case "gpt-6.1-terra":
		return openai(1_000_000, 50_000, 5_000_000), true
	case "gpt-6-astra":
		return openai(10_000_000, 1_000_000, 50_000_000), true
	case "gpt-6-sol":
		return openai(2_000_000, 200_000, 10_000_000), true
	case "gpt-6-luna":
		return openai(100_000, 10_000, 500_000), true
	case "gpt-5.6-sol":
		return openai(4_000_000, 400_000, 20_000_000), true
	case "gpt-5.6-terra":
		return openai(2_000_000, 200_000, 12_000_000), true
	case "gpt-5.6-luna":
		return openai(200_000, 20_000, 1_200_000), true
	case "gpt-5.5":
		return openai(5_000_000, 500_000, 30_000_000), true
	}
	return rates{}, false
}

// modelSuffix is what a model's name may end with and does not change its price:
// the day of its release, the length of its context.
var modelSuffix = regexp.MustCompile(`(-20\d{6}|-20\d\d-\d\d-\d\d)?(\[1m\])?$`)

// Priced reports whether the cost of model's replies can be estimated.
func Priced(model string) bool {
	_, ok := ratesOf(model)
	return ok
}

// cost is what one reply with usage u costs, in micro-USD, rounded up: a sum of
// estimates must not fall below the truth by its number of replies.
func (r rates) cost(u event.Usage) int64 {
	const most = 1_000_000_000 // tokens of one reply: no sum below overflows
	n := func(tokens int64) int64 { return min(max(tokens, 0), most) }
	input := n(u.InputTokens)*r.input + n(u.CachedTokens)*r.cached + n(u.CacheWriteTokens)*r.written
	output := n(u.OutputTokens) * r.output
	if prompt := n(u.InputTokens) + n(u.CachedTokens) + n(u.CacheWriteTokens); r.longAbove > 0 && prompt > r.longAbove {
		input, output = input/100*r.longInput, output/100*r.longOutput
	}
	return (input + output + 999_999) / 1_000_000
}
