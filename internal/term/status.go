package term

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

const (
	frames    = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
	frameTime = 200 * time.Millisecond
	doingMin  = 16 // cells that what the session does may not be cut below
)

// draw puts the status line at the bottom: at the cursor, or on the next line
// while the agent's text stands on this one.
func (p *Printer) draw() {
	if !p.o.Live || p.drawn || p.muted {
		return
	}
	text := ""
	if p.below = 0; p.text.open && p.o.Out.Terminal {
		p.below, text = p.text.col, "\n"
	}
	p.shown = p.status()
	p.put(text + p.shown)
	p.drawn = true
}

// redraw replaces the status line by a new one; nothing is sent if it is the same.
func (p *Printer) redraw() {
	if text := p.status(); text != p.shown {
		p.put("\r" + text + "\x1b[K")
		p.shown = text
	}
}

// put is write for the status line itself.
func (p *Printer) put(text string) { p.send(&p.o.Err, text) }

// erase removes the status line and returns the cursor to where it was.
func (p *Printer) erase() {
	if !p.drawn || p.muted {
		return
	}
	text := "\r\x1b[K"
	if p.below > 0 {
		text += fmt.Sprintf("\x1b[A\x1b[%dG", p.below+1)
	}
	p.put(text)
	p.drawn = false
}

// status is the line itself, at most as wide as the terminal.
func (p *Printer) status() string {
	width := p.width()
	if p.input != "" {
		mark := seg{cyan, "› "}
		return mark.render(p.o.Err.Color) + fitEnd(Line(p.input), width-len(indent)-1)
	}
	now := p.o.Now()
	width -= len(indent)
	text := p.state.doing(now, width)
	if p.state.started {
		parts := p.facts(now, width-min(cells(text), doingMin))
		width -= cells(strings.Join(parts, "")) + len(parts)*cells(dot)
		text = strings.Join(append(parts, p.state.doing(now, width)), dot)
	}
	return p.spinner() + seg{dim, " " + text}.render(p.o.Err.Color)
}

const dot = " · "

// fact is a part of the status line.
type fact struct {
	text string
	rank int // of two that do not both fit, the one with the lower rank stays
}

// facts is what is shown before what the session does, as much as fits.
func (p *Printer) facts(now time.Time, width int) []string {
	s := &p.state
	tokens, cost := s.usage, s.usage
	tokens.CostMicroUSD = 0
	cost = event.Usage{CostMicroUSD: cost.CostMicroUSD, CostBy: cost.CostBy}
	all := []fact{
		{seconds(now.Sub(s.start)), 0}, {Usage(tokens), 2}, {Usage(cost), 1},
	}
	for i, w := range s.windows {
		all = append(all, fact{window(w, now), 4 + i})
	}
	if n := p.waiting(); n > 0 {
		all = append(all, fact{fmt.Sprintf("%d queued", n), 3})
	}
	all = slices.DeleteFunc(all, func(f fact) bool { return f.text == "" })
	total := 0
	for _, f := range all {
		total += cells(f.text) + cells(dot)
	}
	var texts []string
	for rank := 3 + len(s.windows); total > width && rank >= 0; rank-- {
		if i := slices.IndexFunc(all, func(f fact) bool { return f.rank == rank }); i >= 0 {
			total -= cells(all[i].text) + cells(dot)
			all = slices.Delete(all, i, i+1)
		}
	}
	for _, f := range all {
		texts = append(texts, f.text)
	}
	return texts
}

// spinner shows that the program lives.
func (p *Printer) spinner() string {
	all := []rune(frames)
	n := uint64(p.o.Now().UnixNano()) / uint64(frameTime)
	return seg{cyan, string(all[n%uint64(len(all))])}.render(p.o.Err.Color)
}

// waiting counts the messages that the agent has not taken up.
func (p *Printer) waiting() int { return len(p.state.queued) }
