package term

import (
	"fmt"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// The words of command kinds in the journal.
const (
	commandMessage   = "message"
	commandInterrupt = "interrupt"
	commandWithdraw  = "withdraw"
	commandEnd       = "end"
)

// limitWarning is the used share of a usage window, in percent, from which it is
// shown though the vendor does not warn.
const limitWarning = 90

// deniedMax bounds the destinations that are remembered and shown.
const deniedMax = 20

// violationsMax bounds the guarded paths that are shown.
const violationsMax = 20

func (p *Printer) queued(d event.CommandQueued) {
	switch d.Kind {
	case commandEnd:
		p.state.phase = "ending"
	case commandInterrupt:
		p.state.phase = "interrupting"
	case commandWithdraw:
		p.state.withdraw = d.Command
	case commandMessage:
		text := fit(Line(d.Text), 500)
		if !p.state.prompted { // the prompt needs no receipts
			p.state.prompted = true
			p.line(&p.o.Out, seg{cyan, "› "}, text, bold)
			return
		}
		p.state.queued[d.Command] = text
		when := ""
		if d.Priority == "now" || d.Priority == "later" {
			when = " (" + d.Priority + ")"
		}
		p.line(&p.o.Out, seg{cyan, "› "}, "queued"+when+": "+text, plain)
	}
}

func (p *Printer) withdrawn(d event.CommandWithdrawn) {
	p.line(&p.o.Out, seg{yellow, "› "}, "withdrawn: "+fit(p.state.queued[d.Command], 60), plain)
	delete(p.state.queued, d.Command)
}

func (p *Printer) failed(d event.CommandFailed) {
	if d.Command != "" && d.Command == p.state.withdraw {
		p.line(&p.o.Err, seg{yellow, "! "}, "not withdrawn: "+d.Error, plain)
		return
	}
	delete(p.state.queued, d.Command)
	p.line(&p.o.Err, seg{red, "✗ "}, "the agent refused: "+d.Error, plain)
}

func (p *Printer) consumed(d event.CommandConsumed) {
	text, ok := p.state.queued[d.Command]
	if !ok {
		return
	}
	delete(p.state.queued, d.Command)
	p.line(&p.o.Out, seg{green, "› "}, "consumed: "+fit(text, 60), plain)
}

// denied shows a refused destination once: an agent tries again and again.
func (p *Printer) denied(d event.EgressDenied) {
	host := d.Host
	if d.Port != 0 {
		host = fmt.Sprintf("%s:%d", d.Host, d.Port)
	}
	key := Line(host)
	if key == "" {
		key = Line(d.Reason)
	}
	if p.state.denials[key]++; p.state.denials[key] > 1 {
		return
	}
	p.state.denied = append(p.state.denied, key)
	switch n := len(p.state.denied); {
	case n < deniedMax:
		text := d.Reason
		if !strings.Contains(text, d.Host) {
			text = "egress to " + host + " denied: " + text
		}
		p.line(&p.o.Err, seg{yellow, "! "}, text, plain)
	case n == deniedMax:
		p.line(&p.o.Err, seg{yellow, "! "}, "more destinations were denied; they are in the journal", plain)
	}
}

// violation shows a path that the host should not trust, also where only the
// agent's message is wanted: nobody would learn it otherwise.
func (p *Printer) violation(d event.PathViolation) {
	if d.What != "unprotected" {
		p.state.changed++
	}
	switch n := p.state.changed; {
	case n < violationsMax:
		p.line(&p.o.Err, seg{yellow, "! "}, d.Path+" "+d.What+": "+d.Reason, plain)
	case n == violationsMax:
		p.line(&p.o.Err, seg{yellow, "! "}, "more guarded paths changed; they are in the journal", plain)
	}
}

func (p *Printer) limit(d event.LimitUpdated) {
	p.state.keepWindow(d)
	status := d.Status
	if status == "allowed" && d.UsedPercent != nil && *d.UsedPercent >= limitWarning {
		status = "nearly used up"
	}
	if p.state.limits[d.Window] == status {
		return
	}
	p.state.limits[d.Window] = status
	if status == "" || status == "allowed" {
		return
	}
	text := "usage window " + d.Window + ": " + status
	if d.UsedPercent != nil {
		text += fmt.Sprintf(", %.0f %% used", *d.UsedPercent)
	}
	if d.ResetsAt != "" {
		text += ", resets at " + clock(d.ResetsAt, p.o.Now())
	}
	p.line(&p.o.Err, seg{yellow, "! "}, text, plain)
}

func (p *Printer) notice(d event.Notice) {
	switch d.Kind {
	case "stderr":
		if !p.o.Verbose {
			return // an agent that ends without a result is shown with its last line
		}
		p.line(&p.o.Err, seg{dim, "· "}, "stderr: "+d.Text, dim)
	case "info":
		p.line(&p.o.Err, seg{dim, "· "}, d.Text, dim)
	default:
		p.line(&p.o.Err, seg{yellow, "! "}, d.Kind+": "+d.Text, plain)
	}
}

// finished shows how the session ended.
func (p *Printer) finished(d event.SessionFinished) {
	p.state.phase, p.state.tools = "finished", nil
	if d.Usage != nil {
		p.state.setUsage(*d.Usage)
	}
	reason := Line(d.Reason)
	if d.Outcome == event.LimitReached && d.ResetsAt != "" {
		reason = strings.TrimPrefix(reason+"; the limit resets at "+clock(d.ResetsAt, p.o.Now()), "; ")
	}
	if p.o.Quiet {
		p.quiet(d, reason)
		return
	}
	p.hints()
	mark, st := seg{green, "✓ "}, green
	switch d.Outcome {
	case event.Succeeded:
	case event.Cancelled:
		mark, st = seg{yellow, "■ "}, yellow
	default:
		mark, st = seg{red, "✗ "}, red
	}
	parts := []string{Outcome(d.Outcome), Duration(msec(d.DurationMS))}
	if u := Usage(p.state.usage); u != "" {
		parts = append(parts, u)
	}
	if reason != "" && reason != p.state.problem {
		p.line(&p.o.Err, mark, reason, plain)
	}
	p.line(&p.o.Err, mark, strings.Join(parts, " · "), st)
}

func (p *Printer) quiet(d event.SessionFinished, reason string) {
	if d.Result != "" {
		text := Clean(d.Result)
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		p.write(&p.o.Out, text)
	}
	if d.Outcome != event.Succeeded {
		text := Outcome(d.Outcome)
		if reason != "" {
			text += ": " + reason
		}
		p.line(&p.o.Err, seg{red, "✗ "}, text, plain)
	}
}

// hints says at the end what a person can do about changed paths and, once
// more, about denied destinations.
func (p *Printer) hints() {
	const shown = 5
	if p.state.changed > 0 {
		p.line(&p.o.Err, seg{yellow, "! "}, "look at these paths before you use the directory; --allow-path PATH leaves one to the agent", plain)
	}
	if len(p.state.denied) == 0 {
		return
	}
	var list []string
	for i, host := range p.state.denied {
		if i == shown {
			list = append(list, fmt.Sprintf("%d more", len(p.state.denied)-shown))
			break
		}
		if n := p.state.denials[host]; n > 1 {
			host += fmt.Sprintf(" (%d times)", n)
		}
		list = append(list, host)
	}
	p.line(&p.o.Err, seg{yellow, "! "}, "egress denied: "+strings.Join(list, ", "), plain)
}
