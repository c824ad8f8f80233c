package term

import (
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// change shows what changed around the agent's work. A hook that let things
// pass is not shown.
func (p *Printer) change(d event.Data) {
	switch d := d.(type) {
	case event.ModelChanged:
		text := "model: " + d.To
		if d.Reason != "" {
			text += ": " + d.Reason
		}
		p.line(&p.o.Out, seg{bold, "● "}, text, plain)
	case event.ContextCompacted:
		text := "conversation compacted"
		if d.TokensBefore > 0 && d.TokensAfter > 0 {
			text += ": " + Tokens(d.TokensBefore) + " to " + Tokens(d.TokensAfter) + " tokens"
		}
		p.line(&p.o.Err, seg{dim, "· "}, text, dim)
	case event.HookFinished:
		if d.Outcome != event.HookCompleted {
			text := strings.TrimSuffix("hook "+d.Name+" "+string(d.Outcome)+": "+strings.TrimSpace(d.Output), ": ")
			p.line(&p.o.Err, seg{yellow, "! "}, text, plain)
		}
	case event.BackgroundStarted:
		p.row(seg{cyan, "· "}, "background "+label(d.Kind, "task"), Line(d.Title), "")
	case event.BackgroundFinished:
		mark := seg{green, "✓ "}
		if d.Status != "completed" {
			mark = seg{yellow, "■ "}
		}
		p.row(mark, "background "+Line(d.Status), fit(Line(d.Summary), 500), "")
	}
}
