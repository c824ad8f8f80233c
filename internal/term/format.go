package term

import (
	"fmt"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// Duration is d as people read it: 0.4s, 12s, 2m05s, 1h02m.
func Duration(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// seconds is a Duration that runs: without tenths.
func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%ds", int(max(d, 0).Seconds()))
	}
	return Duration(d)
}

// Tokens is n as people read it: 950, 12.3k, 1.2M.
func Tokens(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprint(n)
	case n < 999_950:
		return fmt.Sprintf("%.1fk", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1fM", float64(n)/1e6)
}

// Cost is an amount in US dollars, with as many digits as it needs to not be 0.
func Cost(microUSD int64) string {
	cents := (microUSD + 5000) / 10000
	if cents == 0 && microUSD > 0 {
		return fmt.Sprintf("$0.%04d", max((microUSD+50)/100, 1))
	}
	return fmt.Sprintf("$%d.%02d", cents/100, cents%100)
}

// Usage is "12.3k tokens · $0.12", or less where less is known. An estimated cost is
// "~$0.12".
func Usage(u event.Usage) string {
	var parts []string
	if n := u.TotalTokens(); n > 0 {
		parts = append(parts, Tokens(n)+" tokens")
	}
	if u.CostMicroUSD > 0 {
		cost := Cost(u.CostMicroUSD)
		if u.CostBy == event.CostByEstimate {
			cost = "~" + cost
		}
		parts = append(parts, cost)
	}
	return strings.Join(parts, " · ")
}

// Outcome is o in plain words.
func Outcome(o event.Outcome) string { return strings.ReplaceAll(Line(string(o)), "_", " ") }

func msec(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// clock is an RFC 3339 time as people read it, or s itself if it is none.
func clock(s string, now time.Time) string {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return s
	}
	t = t.In(now.Location())
	if t.Sub(now).Abs() < 20*time.Hour {
		return t.Format("15:04")
	}
	return t.Format("Jan 2, 15:04")
}
