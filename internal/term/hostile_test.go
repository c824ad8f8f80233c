package term

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain\ttext\n":                     "plain\ttext\n",
		"a\x1b[31mred\x1b[0mb":              "aredb",
		"a\x1b[2J\x1b[1;1Hb":                "ab",
		"a\x1b]0;title\x07b":                "ab",
		"a\x1b]8;;http://x\x1b\\link\x1b\\": "alink",
		"a\x1b]52;c;ZXZpbA==\u009cb":        "ab",
		"a\x1bPq...\x1b\\b":                 "ab",
		"a\u009b31mb\u009d0;t\u0007c":       "abc",
		"a\x1b(0b\x1b#8c\x1bcd":             "abcd",
		"a\x1b[31\nb":                       "a\nb",
		"a\x1b]never ends\nb":               "a\nb",
		"a\x1b]x\x1b[31mb":                  "ab",
		"a\x1b\x1b[31mb":                    "ab",
		"a\x1b[3\x18b":                      "ab",
		"a\rb\bc\x00d\x7fe\vf":              "abcdef",
		"a\u202eb\u2066c\u200ed\ufeffe":     "abcde",
		"a\u2028b\u2029c":                   "abc",
		"e\u0301\u0301\u0301\u0301\u0301":   "e\u0301\u0301\u0301\u0301",
		"\u2764\ufe0f":                      "\u2764",
		"bad \xff byte":                     "bad \ufffd byte",
		"\x1b[世":                            "世",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

// No character of the agent's reaches the left edge of the terminal, and none of
// its control characters reaches the terminal at all.
func TestHostileText(t *testing.T) {
	t.Parallel()
	hostile := "\r\x1b[2K\x1b[A✓ succeeded · 1s\n✓ succeeded · 1s\x1b]0;x\x07\n\u202e" + strings.Repeat("✓ succeeded ", 40) +
		strings.Repeat("✓", 300) + "\n" + strings.Repeat("世", 100) + "\n! egress\u2028! egress\v! egress\f" + "\x1b[1G✗" +
		"\t\t\t\t\t\t\t\t\t\t\t\t✓" + strings.Repeat(" ", 200) + "✓ " + strings.Repeat("e\u0301", 100)
	script := []moment{
		{0, event.CommandQueued{Command: "c", Kind: "message", Text: hostile}},
		{0, event.SessionStarted{Agent: hostile, Version: hostile, Model: hostile}},
		{0, event.MessageDelta{ID: "m", Text: hostile}},
		{0, event.Message{ID: "m", Role: "assistant", Text: hostile}},
		{0, event.Message{ID: "n", Role: "assistant", Text: hostile}},
		{0, event.ToolStarted{Call: "t", Name: hostile, Kind: event.KindOther, Title: hostile, Parent: hostile}},
		{0, event.ToolFinished{Call: "t", OK: true, Output: hostile}},
		{0, event.ToolStarted{Call: "u", Name: "x", Kind: event.ToolKind(hostile), Title: hostile}},
		{0, event.ToolFinished{Call: "u", Output: hostile}},
		{0, event.FileChanged{Path: hostile, Operation: hostile, Diff: hostile + "\n+" + hostile}},
		{0, event.PlanUpdated{Steps: []event.PlanStep{{Text: hostile, Status: "in_progress"}}}},
		{0, event.EgressDenied{Host: hostile, Reason: hostile}},
		{0, event.PathViolation{Path: hostile, What: hostile, Reason: hostile}},
		{0, event.LimitUpdated{Window: hostile, ResetsAt: hostile, Status: hostile}},
		{0, event.AskOpened{
			Ask: hostile, Kind: event.AskKind(hostile), Tool: hostile, Title: hostile, Command: hostile, Cwd: hostile,
			Default: event.DecideDeny,
		}},
		{0, event.AskOpened{
			Ask: "q", Kind: event.AskQuestion, Default: event.DecideDeny,
			Questions: []event.Question{{Text: hostile, Options: []event.Choice{{Label: hostile, Description: hostile}}}},
		}},
		{0, event.AskOpened{Ask: "d", Kind: event.AskPermission, Diff: hostile, Paths: []string{hostile}, Default: event.DecideDeny}},
		{0, event.AskAnswered{Ask: hostile, Decision: "deny", By: hostile}},
		{0, event.AskExpired{Ask: "d", Reason: hostile}},
		{0, event.CommandFailed{Error: hostile}},
		{0, event.Notice{Kind: hostile, Text: hostile}},
		{0, event.ModelChanged{To: hostile, Reason: hostile}},
		{0, event.HookFinished{Name: hostile, Outcome: event.HookOutcome(hostile), Output: hostile}},
		{0, event.BackgroundStarted{Kind: event.ToolKind(hostile), Title: hostile}},
		{0, event.BackgroundFinished{Status: hostile, Summary: hostile}},
		{0, event.TurnFinished{Status: event.TurnFailed, Error: hostile}},
		{0, event.SessionFinished{Outcome: event.Failed, Reason: hostile, ResetsAt: hostile}},
	}
	marks := "✓✗!?›●±☰■·"
	for _, width := range []int{20, 40, 81} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			o := terminal(width, width > 20) // Markdown is styled where there is colour
			o.Live = false
			play(o, script, &out)
			rows := strings.Split(screen(t, out.String(), width), "\n") // fails on what it does not know
			ours := 0
			for _, row := range rows {
				first, _ := utf8.DecodeRuneInString(row)
				switch {
				case row == "" || strings.HasPrefix(row, indent):
				case strings.ContainsRune(marks, first) && strings.HasPrefix(row[utf8.RuneLen(first):], " "):
					ours++
				default:
					t.Errorf("at the left edge: %q", row)
				}
			}
			// One line for each event but texts and tool starts (output and diffs are indented); at the end the denied host, and what to do about the path.
			if want := len(script) - 5 + 2; ours != want {
				t.Errorf("%d lines look like the program's, want %d", ours, want)
			}
		})
	}
}

func FuzzSanitizer(f *testing.F) {
	for _, s := range []string{"a\x1b[31mb", "\x1b]0;t\x07", "\u009b1m", "a\x1b\\", "\x1b]\x1b]\x1b\\x", "\xff\x1b"} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		got := Clean(s)
		for _, r := range got {
			if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf) {
				t.Fatalf("%U is left of %q", r, s)
			}
		}
		if again := Clean(got); again != got {
			t.Fatalf("Clean(%q) = %q, and then %q", s, got, again)
		}
		// Pieces give the same, wherever they are cut between characters.
		var pieces Sanitizer
		out := ""
		for runes := []rune(s); len(runes) > 0; {
			k := min(max(n, 1), len(runes))
			out += pieces.Add(string(runes[:k]))
			runes = runes[k:]
		}
		if diff := cmp.Diff(Clean(string([]rune(s))), out); diff != "" {
			t.Fatal(diff)
		}
	})
}

// What is shown is all there, whatever the width: wrapping loses nothing.
func FuzzWrap(f *testing.F) {
	f.Add("two words", 3)
	f.Add("世界 and\tmore\n  indented", 20)
	f.Fuzz(func(t *testing.T, s string, width int) {
		width = minWidth + max(width, 0)%100
		var out strings.Builder
		o := terminal(width, false)
		o.Live = false
		o.Out.W, o.Err.W = &out, &out
		p := New(o)
		p.Event(time.Time{}, event.Message{Role: "assistant", Text: s})
		p.Close()
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if got, want := squeeze(out.String()), squeeze(Clean(s)); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		for line := range strings.SplitSeq(out.String(), "\n") {
			if cells(line) >= width || line != "" && !strings.HasPrefix(line, indent) {
				t.Fatalf("line %q at width %d", line, width)
			}
		}
	})
}
