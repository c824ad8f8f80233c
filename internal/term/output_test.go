package term

import (
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// writes collects what each Write got.
type writes []string

func (w *writes) Write(b []byte) (int, error) {
	*w = append(*w, string(b))
	return len(b), nil
}

// take returns the writes since the last take.
func (w *writes) take() []string {
	all := *w
	*w = nil
	return all
}

// Nothing flickers: an event is one write, whatever it replaces, and a status
// line that did not change is not sent again.
func TestOneWritePerChange(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	var w writes
	o := terminal(60, false)
	o.Out.W, o.Err.W = io.Discard, &w // both are the terminal; all goes to one
	o.Now = func() time.Time { return now }
	p := New(o)
	check := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, w.take()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	p.Event(now, event.TurnStarted{})
	check("first", "⠴ 0s · working")
	p.Tick()
	check("nothing changed")
	p.Event(now, event.UsageUpdated{})
	p.Event(now, event.ToolStarted{Call: "t", Kind: event.KindShell, Title: "make"})
	check("no line to show")
	p.Tick()
	check("a tool", updateBegins+"\r⠴ 0s · shell make 0s\x1b[K"+updateEnds)
	now = now.Add(frameTime)
	p.Tick()
	check("a frame", updateBegins+"\r⠦ 0s · shell make 0s\x1b[K"+updateEnds)
	p.Event(now, event.ToolFinished{Call: "t", OK: true, Output: "a\nb"})
	check("a line", updateBegins+"\r\x1b[K✓ shell  make  0.2s\n  a\n  b\n⠦ 0s · working"+updateEnds)
	p.Event(now, event.MessageDelta{ID: "m", Text: "two words"})
	check("text", updateBegins+"\r\x1b[K\n  two\n⠦ 0s · writing"+updateEnds)
	p.Event(now, event.Message{ID: "m", Role: "assistant", Text: "two words"})
	check("the rest", updateBegins+"\r\x1b[K\x1b[A\x1b[6G words\n\n⠦ 0s · working"+updateEnds)
	p.Close()
	check("close", updateBegins+"\r\x1b[K"+updateEnds)
}

// Whatever is called, its text is on the terminal when it returns: a person may
// be waited for then.
func TestNothingWaitsToBeWritten(t *testing.T) {
	t.Parallel()
	calls := map[string]func(p *Printer){
		"Event":  func(p *Printer) { p.Event(time.Now(), event.Notice{Kind: "warning", Text: "x"}) },
		"Ask":    func(p *Printer) { p.Ask(event.AskOpened{Kind: event.AskPermission, Tool: "Bash", Command: "x"}) },
		"Prompt": func(p *Printer) { p.Prompt("x") },
		"Say":    func(p *Printer) { p.Say("x") },
		"Note":   func(p *Printer) { p.Note("x") },
		"Waits":  func(p *Printer) { p.Waits("x") },
		"Input":  func(p *Printer) { p.Input("x") },
		"Tick":   func(p *Printer) { p.Tick() },
		"Close":  func(p *Printer) { p.Event(time.Now(), event.MessageDelta{Text: "x"}); p.Close() },
		"Skip":   nil, // shows nothing
	}
	methods := reflect.TypeFor[*Printer]()
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		call, known := calls[name]
		if !known {
			t.Errorf("%s is not tested", name)
		}
		if call == nil {
			continue
		}
		var w writes
		o := terminal(60, false)
		o.Out.W, o.Err.W = &w, &w
		p := New(o)
		call(p)
		if p.queue.Len() > 0 || len(w) == 0 {
			t.Errorf("%s: %q waits after %q", name, p.queue.String(), w)
		}
	}
}

// What matters stays on a narrow terminal.
func TestStatusFits(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	for width, want := range map[int]string{
		200: "1m05s · 12.4k tokens · $0.12 · 5h 42% resets 17:30 · 7d opus resets Jan 5, 09:00 · 1 queued · shell go test -run TestEverything ./internal/parse 5s (+1)",
		110: "1m05s · 12.4k tokens · $0.12 · 5h 42% resets 17:30 · 1 queued · shell go test -run TestEverything… 5s (+1)",
		80:  "1m05s · 12.4k tokens · $0.12 · 1 queued · shell go test -run TestEve… 5s (+1)",
		40:  "1m05s · $0.12 · shell go tes… 5s (+1)",
		20:  "shell go… 5s (+1)",
	} {
		o := terminal(width, false)
		o.Out.W, o.Err.W = io.Discard, io.Discard
		o.Now = func() time.Time { return now }
		p := New(o)
		for _, m := range []moment{
			{-65 * time.Second, event.CommandQueued{Command: "a", Kind: "message", Text: "go"}},
			{0, event.CommandQueued{Command: "b", Kind: "message", Text: "more"}},
			{0, event.LimitUpdated{Window: "five_hour", UsedPercent: ptr(40.0)}},
			{0, event.LimitUpdated{Window: "seven_day_opus", ResetsAt: "2026-01-05T09:00:00Z"}},
			{0, event.LimitUpdated{Window: "five_hour", UsedPercent: ptr(42.0), ResetsAt: "2026-01-02T17:30:00Z"}},
			{0, event.UsageUpdated{Usage: event.Usage{InputTokens: 12400, CostMicroUSD: 123400, CostBy: "vendor"}}},
			{0, event.ToolStarted{Call: "t", Kind: event.KindShell, Title: "sleep"}},
			{-5 * time.Second, event.ToolStarted{Call: "u", Kind: event.KindShell, Title: "go test -run TestEverything ./internal/parse"}},
		} {
			p.Event(now.Add(m.after), m.data)
		}
		got := strings.TrimLeft(p.status(), frames+" ")
		if got != want {
			t.Errorf("%d cells:\n got %q\nwant %q", width, got, want)
		}
		if cells(got) > width-3 {
			t.Errorf("%d cells: too long", width)
		}
	}
}

func TestWindowName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"five_hour": "5h", "seven_day": "7d", "seven_day_opus": "7d opus",
		"300m": "5h", "10080m": "7d", "45m": "45m", "other": "other", "-5m": "-5m",
	} {
		if got := windowName(in); got != want {
			t.Errorf("windowName(%q) = %q, want %q", in, got, want)
		}
	}
}
