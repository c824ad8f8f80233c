package term

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// windowsMax bounds the usage windows that are remembered; vendors have up to four.
const windowsMax = 8

// keepWindow remembers the newest state of a usage window.
func (s *state) keepWindow(d event.LimitUpdated) {
	i := slices.IndexFunc(s.windows, func(w event.LimitUpdated) bool { return w.Window == d.Window })
	switch {
	case i >= 0:
		s.windows[i] = d
	case len(s.windows) < windowsMax:
		s.windows = append(s.windows, d)
	}
}

// window is "5h 42% resets 17:30", or less where less is known.
func window(d event.LimitUpdated, now time.Time) string {
	text := windowName(d.Window)
	if d.UsedPercent != nil {
		text += fmt.Sprintf(" %.0f%%", *d.UsedPercent)
	}
	if d.ResetsAt != "" {
		text += " resets " + fit(Line(clock(d.ResetsAt, now)), 20)
	}
	return text
}

// windowName is "5h" for Claude's "five_hour" and Codex's "300m".
func windowName(name string) string {
	for _, known := range []struct{ long, short string }{{"five_hour", "5h"}, {"seven_day", "7d"}} {
		if rest, ok := strings.CutPrefix(name, known.long); ok { // seven_day_opus
			return fit(Line(known.short+strings.ReplaceAll(rest, "_", " ")), 16)
		}
	}
	minutes, err := strconv.Atoi(strings.TrimSuffix(name, "m"))
	switch {
	case err != nil || minutes <= 0:
	case minutes%1440 == 0:
		return fmt.Sprintf("%dd", minutes/1440)
	case minutes%60 == 0:
		return fmt.Sprintf("%dh", minutes/60)
	}
	return fit(Line(name), 16)
}
