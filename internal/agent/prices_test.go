package agent

import (
	"math"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

func TestPriced(t *testing.T) {
	t.Parallel()
	for model, want := range map[string]bool{
		"claude-opus-4-8": true, "claude-opus-4-8[1m]": true, "claude-haiku-4-5-20251001": true, "claude-haiku-4-5-20251001[1m]": true,
		"gpt-6.1-sol": true, "gpt-5.5-2026-04-23": true,
		"": false, "opus": false, "claude-opus-4-8x": false, "gpt-7": false, "[1m]": false,
	} {
		if got := Priced(model); got != want {
			t.Errorf("%s: %v, want %v", model, got, want)
		}
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		model string
		usage event.Usage
		want  int64
	}{
		// What Claude Code itself charges for these.
		{"claude-opus-4-8", event.Usage{InputTokens: 1000, CacheWriteTokens: 200, CachedTokens: 300, OutputTokens: 50}, 7650},
		{"claude-haiku-5-5", event.Usage{InputTokens: 999_999}, 500_000},
		{"claude-haiku-5-5", event.Usage{InputTokens: 1, OutputTokens: 1_000_000}, 500_001},
		{"gpt-5.5", event.Usage{InputTokens: 200_000, CachedTokens: 72_001, OutputTokens: 100}, 2*(1_000_000+36_001) + 4500 - 1},
		{"gpt-5.5", event.Usage{InputTokens: 1}, 5},
		{"gpt-6-luna", event.Usage{InputTokens: 1}, 1},
		{"gpt-6-luna", event.Usage{}, 0},
		{"claude-opus-4-8", event.Usage{InputTokens: -5, OutputTokens: -1}, 0},
	} {
		price, ok := ratesOf(test.model)
		if got := price.cost(test.usage); !ok || got != test.want {
			t.Errorf("%s, %+v: %d, want %d", test.model, test.usage, got, test.want)
		}
	}
	price, _ := ratesOf("claude-fable-5-1")
	if got := price.cost(event.Usage{InputTokens: math.MaxInt64, CachedTokens: math.MaxInt64, CacheWriteTokens: math.MaxInt64, OutputTokens: math.MaxInt64}); got <= 0 {
		t.Errorf("overflow: %d", got)
	}
}
