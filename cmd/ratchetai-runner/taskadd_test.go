package main

import (
	"testing"
	"time"
)

func TestMoment(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 2*3600)
	now := time.Date(2026, 3, 31, 22, 30, 15, 0, zone)
	for text, want := range map[string]string{
		"2026-01-31T18:00:00Z": "2026-01-31T18:00:00Z",
		"90m":                  "2026-03-31T22:00:15Z",
		"0s":                   "2026-03-31T20:30:15Z",
		"23:00":                "2026-03-31T21:00:00Z",
		"22:30":                "2026-04-01T20:30:00Z", // tomorrow, and next month
		"02:00":                "2026-04-01T00:00:00Z",
	} {
		got, err := moment(text, now)
		if err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q: got %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"soon", "-5m", "24:00", "2026-01-31"} {
		if got, err := moment(text, now); err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
	if got, err := moment("", now); got != nil || err != nil {
		t.Errorf("nothing: got %v, %v", got, err)
	}
}
