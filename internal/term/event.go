package term

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// show takes an event in and prints what a person wants to see of it.
func (p *Printer) show(t time.Time, d event.Data) {
	s := &p.state
	if !s.started {
		s.started, s.start = true, t
	}
	if end, ok := d.(event.SessionFinished); ok {
		p.finished(end)
		return
	}
	if v, ok := d.(event.PathViolation); ok {
		p.violation(v)
		return
	}
	if p.o.Quiet {
		return
	}
	switch d := d.(type) {
	case event.SessionStarted:
		p.sessionStarted(d)
	case event.TurnStarted:
		s.phase = "working"
	case event.TurnFinished:
		p.turnFinished(d)
	case event.MessageDelta:
		p.delta(d)
	case event.Message:
		p.message(d)
	case event.Thinking:
		s.phase = "thinking"
	case event.ToolStarted:
		s.tools = append(s.tools, toolOf(d, t))
	case event.ToolFinished:
		p.toolFinished(d, t)
	case event.FileChanged:
		p.fileChanged(d)
	case event.PlanUpdated:
		p.plan(d)
	case event.UsageUpdated:
		s.setUsage(d.Usage)
	default:
		p.aside(d)
	}
}

// aside shows what is not the agent's work.
func (p *Printer) aside(d event.Data) {
	switch d := d.(type) {
	case event.LimitUpdated:
		p.limit(d)
	case event.AskOpened:
		p.askOpened(d)
	case event.AskAnswered:
		p.askAnswered(d)
	case event.AskExpired:
		p.askExpired(d)
	case event.CommandQueued:
		p.queued(d)
	case event.CommandConsumed:
		p.consumed(d)
	case event.CommandFailed:
		p.failed(d)
	case event.CommandWithdrawn:
		p.withdrawn(d)
	case event.EgressDenied:
		p.denied(d)
	case event.BudgetWarned:
		p.budgetWarned(d)
	case event.SessionStopping:
		if d.GraceMS > 0 {
			p.line(&p.o.Err, seg{yellow, "! "}, d.Reason+"; the agent was told to finish", plain)
		}
	case event.Notice:
		p.notice(d)
	case event.ModelChanged, event.ContextCompacted, event.HookFinished, event.BackgroundStarted, event.BackgroundFinished:
		p.change(d)
	}
}

func (p *Printer) sessionStarted(d event.SessionStarted) {
	p.state.phase = "working"
	parts := []string{strings.TrimSpace(d.Agent + " " + d.Version)}
	if d.Model != "" {
		parts = append(parts, d.Model)
	}
	p.line(&p.o.Out, seg{bold, "● "}, strings.Join(parts, " · "), plain)
}

func (p *Printer) turnFinished(d event.TurnFinished) {
	if d.Usage != nil {
		p.state.setUsage(*d.Usage)
	}
	p.state.phase, p.state.problem = "idle", ""
	p.state.tools = slices.DeleteFunc(p.state.tools, func(t tool) bool { return !t.sub || d.Status != event.TurnCompleted })
	switch d.Status {
	case event.TurnInterrupted:
		p.line(&p.o.Out, seg{yellow, "■ "}, "interrupted", plain)
	case event.TurnFailed:
		p.state.problem = Line(d.Error)
		p.line(&p.o.Out, seg{red, "✗ "}, "turn failed: "+d.Error, plain)
	}
}

// delta shows a piece of a message at once.
func (p *Printer) delta(d event.MessageDelta) {
	p.state.phase = "writing"
	b := p.state.streamed[d.ID]
	if b == nil {
		b = new(strings.Builder)
		p.state.streamed[d.ID] = b
	}
	b.WriteString(d.Text)
	p.addText(d.Text)
}

// message shows what the deltas did not; all of it, if they were another text.
func (p *Printer) message(d event.Message) {
	if d.Role != "assistant" || d.Parent != "" {
		return // a person's message is shown as a command; subagents by their tools
	}
	streamed := ""
	if b := p.state.streamed[d.ID]; b != nil {
		streamed = b.String()
	}
	delete(p.state.streamed, d.ID)
	p.state.phase = "working"
	rest, ok := strings.CutPrefix(d.Text, streamed)
	switch {
	case ok:
		p.addText(rest)
	case strings.TrimSpace(streamed) != strings.TrimSpace(d.Text):
		p.finishText()
		p.addText(d.Text)
	}
	p.endMessage()
}

// endMessage lets a blank line follow the message, whatever comes next.
func (p *Printer) endMessage() {
	began := p.text.began
	p.finishText()
	if began {
		p.write(&p.o.Out, "\n")
		p.prev = blockNone
	}
}

func toolOf(d event.ToolStarted, t time.Time) tool {
	l := label(d.Kind, d.Name)
	if d.Parent != "" {
		l = "↳ " + l
	}
	return tool{call: d.Call, label: l, title: Line(d.Title), started: t, kind: d.Kind, sub: d.Parent != ""}
}

func (p *Printer) toolFinished(d event.ToolFinished, at time.Time) {
	t, known := p.state.take(d.Call)
	p.state.phase = "working"
	took := msec(d.DurationMS)
	if took == 0 && known {
		took = at.Sub(t.started)
	}
	mark := seg{green, "✓ "}
	var end []string
	if !d.OK {
		mark = seg{red, "✗ "}
		if d.ExitCode != nil && *d.ExitCode != 0 {
			end = append(end, fmt.Sprintf("exit %d", *d.ExitCode))
		}
	}
	if known {
		end = append(end, Duration(took))
	}
	p.row(mark, t.label, t.title, strings.Join(end, " · "))
	p.output(t, d)
}

func (p *Printer) fileChanged(d event.FileChanged) {
	op := map[string]string{"add": "added", "update": "changed", "delete": "deleted"}[d.Operation]
	if op == "" {
		op = Line(d.Operation)
	}
	var end []string
	if d.Added > 0 {
		end = append(end, fmt.Sprintf("+%d", d.Added))
	}
	if d.Removed > 0 {
		end = append(end, fmt.Sprintf("−%d", d.Removed))
	}
	p.row(seg{cyan, "± "}, op, Line(d.Path), strings.Join(end, " "))
	p.diff(d.Diff)
}

// row shows one line of columns; on a terminal the middle one is cut to fit.
func (p *Printer) row(mark seg, head, title, end string) {
	p.startLine()
	if p.o.Out.Terminal {
		head, title, end = columns(head, title, end, p.width()-cells(mark.text))
	}
	segs := []seg{mark, {bold, head}}
	if title != "" {
		segs = append(segs, seg{plain, "  " + title})
	}
	if end != "" {
		segs = append(segs, seg{dim, "  " + end})
	}
	p.write(&p.o.Out, render(segs, p.o.Out.Color)+"\n")
}

// columns cuts what row shows to width, the title first.
func columns(head, title, end string, width int) (string, string, string) {
	const gap, titleMin = 2, 6
	head = fit(head, width/2)
	width -= cells(head) + gap
	if end = fit(end, width); end != "" && title != "" {
		if room := width - cells(end) - gap; room >= titleMin || cells(title) <= room {
			return head, fit(title, room), end
		}
		return head, "", end
	}
	return head, fit(title, width), end
}

func (p *Printer) plan(d event.PlanUpdated) {
	done, current := 0, ""
	for _, step := range d.Steps {
		switch {
		case step.Status == "completed":
			done++
		case step.Status == "in_progress" && current == "":
			current = step.Text
		}
	}
	text := fmt.Sprintf("plan %d/%d", done, len(d.Steps))
	if current != "" {
		text += ": " + Line(current)
	}
	if text == p.state.plan || len(d.Steps) == 0 {
		return
	}
	p.state.plan = text
	p.line(&p.o.Out, seg{cyan, "☰ "}, text, plain)
}
