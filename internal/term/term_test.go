package term

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

var update = flag.Bool("update", false, "write the golden files")

// moment is an event of a script, after a pause.
type moment struct {
	after time.Duration
	data  event.Data
}

func ptr[T any](v T) *T { return &v }

// story has every kind of event that is shown.
func story() []moment {
	usage := func(in, out, cost int64) *event.Usage {
		return &event.Usage{InputTokens: in, OutputTokens: out, CostMicroUSD: cost, CostBy: "vendor"}
	}
	return []moment{
		{0, event.CommandQueued{Command: "c1", Kind: "message", Text: "Fix the failing test\nand explain what was wrong"}},
		{time.Second, event.SessionStarted{Agent: "claude", Version: "2.1.330", Model: "claude-opus-4-8", Cwd: "/workspace"}},
		{0, event.CommandDelivered{Command: "c1"}},
		{0, event.CommandConsumed{Command: "c1"}},
		{0, event.TurnStarted{}},
		{0, event.Thinking{Text: "hm"}},
		{time.Second, event.MessageDelta{ID: "m1", Text: "I will look at the failing te"}},
		{100 * time.Millisecond, event.MessageDelta{ID: "m1", Text: "st first, then at the parser that it covers, and report back.\n\n1. one\n\tindented 世界"}},
		{0, event.Message{ID: "m1", Role: "assistant", Text: "I will look at the failing test first, then at the parser that it covers, and report back.\n\n1. one\n\tindented 世界"}},
		{0, event.ToolStarted{Call: "t1", Name: "Bash", Kind: event.KindShell, Title: "go test ./internal/parse -run TestParseEverythingThatHasALongName -count=1"}},
		{0, event.ToolOutput{Call: "t1", Text: "FAIL"}},
		{3200 * time.Millisecond, event.ToolFinished{Call: "t1", ExitCode: ptr(1), Output: "Exit code 1\n=== RUN\n10%\r20%\r100% read\n" + strings.Repeat("\tparse_test.go:42: got a comment, want a line that is so long that no terminal shows it\n", 20) + "FAIL\n"}},
		{0, event.UsageUpdated{Usage: event.Usage{InputTokens: 11000, OutputTokens: 345, CostMicroUSD: 101000, CostBy: event.CostByEstimate}}},
		{0, event.BudgetWarned{Budget: event.BudgetCost, Used: 101000, Limit: 120000}},
		{0, event.PlanUpdated{Steps: []event.PlanStep{{Text: "find it", Status: "completed"}, {Text: "fix it", Status: "in_progress"}, {Text: "test it", Status: "pending"}}}},
		{0, event.EgressDenied{Host: "evil.example", Port: 443, Method: "CONNECT", Reason: "egress to evil.example:443 is not allowed; allow it with --allow-host evil.example:443"}},
		{0, event.EgressDenied{Host: "evil.example", Port: 443, Method: "CONNECT", Reason: "egress to evil.example:443 is not allowed; allow it with --allow-host evil.example:443"}},
		{0, event.Notice{Kind: "retry", Text: "the API answered 529, attempt 1 of 10"}},
		{0, event.Notice{Kind: "stderr", Text: "a warning of the agent's"}},
		{0, event.CommandQueued{Command: "c2", Kind: "message", Text: "use a table test"}},
		{0, event.AskOpened{
			Ask: "a1", Kind: event.AskPermission, Tool: "Bash", ToolKind: event.KindShell, Title: "rm -rf build", Default: event.DecideDeny,
			Command: "rm -rf build\t&& \u202eecho 'no\x1b[2Kne of it is hidden' | tee -a a-file-with-a-long-name.txt\n  # and more",
		}},
		{0, event.AskAnswered{Ask: "a1", Decision: event.DecideAllow, By: event.ByPerson}},
		{0, event.AskOpened{Ask: "a2", Kind: event.AskPermission, Tool: "Edit", Title: "go.mod"}},
		{0, event.AskAnswered{Ask: "a2", Decision: event.DecideDeny, By: event.ByPolicy, Rule: 2}},
		{0, event.AskOpened{
			Ask: "a3", Kind: event.AskQuestion, Title: "Which one?", Default: event.DecideDeny,
			Questions: []event.Question{{ID: "q", Text: "Which one?", Options: []event.Choice{{Label: "red", Description: "like a rose"}, {Label: "blue"}}}},
		}},
		{0, event.AskExpired{Ask: "a3", Reason: event.ExpiredTimeout, Decision: event.DecideDeny}},
		{0, event.ToolStarted{Call: "t2", Name: "Edit", Kind: event.KindEdit, Title: "internal/parse/parse.go"}},
		{0, event.ToolStarted{Call: "t3", Name: "WebFetch", Kind: event.KindFetch, Title: "https://go.dev/doc", Parent: "t9"}},
		{120 * time.Millisecond, event.ToolFinished{Call: "t2", OK: true}},
		{0, event.FileChanged{Path: "internal/parse/parse.go", Operation: "update", Added: 3, Removed: 1,
			Diff: "@@ -1,5 +1,7 @@\n package parse\n \n-func isComment(line string) bool { return true }\n+func isComment(line string) bool {\n+\treturn strings.HasPrefix(line, \"//\")\n+}\n \n func Parse() {"}},
		{0, event.CommandConsumed{Command: "c2"}},
		{0, event.CommandQueued{Command: "c4", Kind: "message", Text: "and a benchmark", Priority: "later"}},
		{0, event.CommandQueued{Command: "c5", Kind: "withdraw"}},
		{0, event.CommandWithdrawn{Command: "c4"}},
		{0, event.CommandQueued{Command: "c6", Kind: "withdraw"}},
		{0, event.CommandFailed{Command: "c6", Error: "no message waits"}},
		{65 * time.Second, event.ToolFinished{Call: "t3", OK: true, DurationMS: 65120}},
		{0, event.Message{ID: "sub", Role: "assistant", Text: "of a subagent", Parent: "t9"}},
		{0, event.Message{ID: "m2", Role: "assistant", Text: "Done. The parser took every line for a comment."}},
		{0, event.ModelChanged{From: "claude-opus-4-8", To: "claude-sonnet-4-5", Reason: "Switched to Sonnet 4.5"}},
		{0, event.ContextCompacted{Trigger: "auto", TokensBefore: 150000, TokensAfter: 9100}},
		{0, event.HookFinished{Name: "PostToolUse:Bash", Outcome: event.HookCompleted, Output: "fine"}},
		{0, event.HookFinished{Name: "PreToolUse:Bash", Outcome: event.HookBlocked, Output: "not that one\n"}},
		{0, event.BackgroundStarted{Task: "b1", Kind: event.KindShell, Title: "make watch"}},
		{0, event.BackgroundFinished{Task: "b1", Status: "completed", Summary: "exit code 0"}},
		{0, event.LimitUpdated{Window: "five_hour", UsedPercent: ptr(93.0), ResetsAt: "2026-01-02T17:30:00Z", Status: "allowed"}},
		{0, event.TurnFinished{Status: event.TurnCompleted, Text: "Done. The parser took every line for a comment.", Usage: usage(12000, 400, 123400)}},
		{0, event.BudgetOverrun{Budget: event.BudgetCost, Used: 123400, Limit: 120000}},
		{0, event.SessionStopping{Outcome: event.BudgetExceeded, Reason: "the cost budget is used up: $0.1234 of $0.12", GraceMS: 120000}},
		{0, event.CommandQueued{Command: "c3", Kind: "end"}},
		{0, event.SessionFinished{Outcome: event.Succeeded, ExitCode: ptr(0), Result: "Done. The parser took every line for a comment.", Usage: usage(12000, 400, 123400), DurationMS: 70420}},
	}
}

// play shows a script with a tick after each moment; both streams go to screen.
func play(o Options, script []moment, screen *strings.Builder) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	o.Out.W, o.Err.W = screen, screen
	o.Now = func() time.Time { return now }
	p := New(o)
	for i, m := range script {
		now = now.Add(m.after)
		p.Event(now, m.data)
		if i%7 == 0 {
			p.Tick()
		}
	}
	p.Close()
}

func terminal(width int, color bool) Options {
	s := Stream{Terminal: true, Color: color}
	return Options{Out: s, Err: s, Live: true, Width: func() int { return width }}
}

func verbose(o Options) Options {
	o.Verbose = true
	return o
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"terminal-80":  terminal(80, true),
		"terminal-40":  terminal(40, true),
		"terminal-200": terminal(200, true),
		"verbose":      verbose(terminal(80, false)),
		"no-color":     terminal(80, false),
		"log":          {},
		"quiet":        {Quiet: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			play(o, story(), &out)
			got := out.String()
			if !o.Out.Color && strings.Contains(got, "\x1b[3") {
				t.Error("colours without Color")
			}
			if !o.Live && strings.ContainsAny(got, "\x1b\r") {
				t.Error("a log holds control characters")
			}
			golden(t, name+".raw", readable(got))
			if o.Live {
				golden(t, name+".screen", screen(t, got, o.Width()))
			}
		})
	}
}

// readable shows control characters as text, one redrawing per line.
func readable(s string) string {
	return strings.NewReplacer("\x1b", "␛", "\r", "␍\n").Replace(s)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// What stays on a terminal does not depend on when the status line was drawn,
// nor on how the text was cut into pieces.
func TestScreenIsTheSameWithAndWithoutStatusLine(t *testing.T) {
	t.Parallel()
	for _, width := range []int{20, 33, 40, 80, 200} {
		for _, piece := range []int{1, 3, 7, 1000} {
			t.Run(fmt.Sprintf("%d/%d", width, piece), func(t *testing.T) {
				t.Parallel()
				o := terminal(width, false)
				var live, dead strings.Builder
				play(o, inPieces(story(), piece), &live)
				o.Live = false
				play(o, story(), &dead)
				if diff := cmp.Diff(screen(t, dead.String(), width), screen(t, live.String(), width)); diff != "" {
					t.Errorf("(-without +with):\n%s", diff)
				}
			})
		}
	}
}

func inPieces(script []moment, n int) []moment {
	var out []moment
	for _, m := range script {
		d, ok := m.data.(event.MessageDelta)
		if !ok {
			out = append(out, m)
			continue
		}
		for text := []rune(d.Text); len(text) > 0; text = text[min(n, len(text)):] {
			out = append(out, moment{m.after, event.MessageDelta{ID: d.ID, Text: string(text[:min(n, len(text))])}})
			m.after = 0
		}
	}
	return out
}

func TestMessageIsNeitherRepeatedNorLost(t *testing.T) {
	t.Parallel()
	delta := func(s string) event.Data { return event.MessageDelta{ID: "m", Text: s} }
	whole := func(s string) event.Data { return event.Message{ID: "m", Role: "assistant", Text: s} }
	for _, tc := range []struct {
		name string
		in   []event.Data
		want string
	}{
		{"streamed", []event.Data{delta("a b"), delta(" c"), whole("a b c")}, "  a b c\n\n"},
		{"not streamed", []event.Data{whole("a b c")}, "  a b c\n\n"},
		{"a lost end", []event.Data{delta("a b"), whole("a b c")}, "  a b c\n\n"},
		{"a lost beginning", []event.Data{delta("c"), whole("a b c")}, "  c\n  a b c\n\n"},
		{"blanks differ", []event.Data{delta("a\n"), whole("a")}, "  a\n\n"},
		{"two of one id", []event.Data{delta("a"), whole("a"), delta("b"), whole("b")}, "  a\n\n  b\n\n"},
		{"only blanks", []event.Data{delta("\n\n"), whole("\n\n")}, ""},
		{"a person's", []event.Data{event.Message{Role: "user", Text: "x"}}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			p := New(Options{Out: Stream{W: &out}, Err: Stream{W: &out}})
			for _, d := range tc.in {
				p.Event(time.Time{}, d)
			}
			p.Close()
			if diff := cmp.Diff(tc.want, out.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSkippedEventsCount(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := New(Options{Out: Stream{W: &out}, Err: Stream{W: &out}})
	at := time.Now()
	p.Skip(at, event.ToolStarted{Call: "t", Kind: event.KindShell, Title: "make"})
	p.Skip(at, event.MessageDelta{ID: "m", Text: "unseen"})
	if out.Len() > 0 {
		t.Fatalf("skipping shows %q", out.String())
	}
	p.Event(at.Add(2*time.Second), event.ToolFinished{Call: "t", OK: true})
	if want := "✓ shell  make  2.0s\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestALogSaysThatASilentSessionWorks(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var out strings.Builder
	p := New(Options{Out: Stream{W: &out}, Err: Stream{W: &out}, Now: func() time.Time { return now }})
	p.Event(now, event.ToolStarted{Call: "t", Kind: event.KindShell, Title: "make test"})
	for range 130 {
		now = now.Add(time.Second)
		p.Tick()
	}
	want := "· still working: shell make test 1m00s\n· still working: shell make test 2m00s\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInputReplacesTheStatusLine(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	o := terminal(30, false)
	o.Out.W, o.Err.W = &out, &out
	p := New(o)
	p.Event(time.Now(), event.TurnStarted{})
	p.Input("a text that is longer than the terminal is wide")
	if got, want := screen(t, out.String(), 30), "› …than the terminal is wide\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.Input("")
	p.Close()
	if got := screen(t, out.String(), 30); got != "" {
		t.Errorf("%q stays on the screen", got)
	}
}

// A subagent in the background works on when the turn is over.
func TestABackgroundToolOutlivesTheTurn(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	play(terminal(80, false), []moment{
		{0, event.ToolStarted{Call: "t", Name: "Bash", Kind: event.KindShell, Title: "make", Parent: "p"}},
		{0, event.TurnFinished{Status: event.TurnCompleted}},
		{time.Second, event.ToolFinished{Call: "t", OK: true}},
	}, &out)
	if got := screen(t, out.String(), 80); !strings.Contains(got, "✓ ↳ shell  make  1.0s") {
		t.Error(got)
	}
}
