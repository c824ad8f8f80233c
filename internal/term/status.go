package term

import (
	"fmt"
	"io"
	"strings"
)

const frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

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
	p.put(text + p.status())
	p.drawn = true
}

func (p *Printer) redraw() {
	p.put("\r" + p.status() + "\x1b[K")
}

// put is write for the status line itself.
func (p *Printer) put(text string) { _, _ = io.WriteString(p.o.Err.W, text) }

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
	spinner := []rune(frames)
	parts := []string{p.state.phase}
	if p.state.started {
		parts = []string{seconds(now.Sub(p.state.start))}
		if u := Usage(p.state.usage); u != "" {
			parts = append(parts, u)
		}
		if n := p.waiting(); n > 0 {
			parts = append(parts, fmt.Sprintf("%d queued", n))
		}
		parts = append(parts, p.state.doing(now))
	}
	mark := seg{cyan, string(spinner[p.frame%len(spinner)])}
	text := fit(strings.Join(parts, " · "), width-len(indent))
	return mark.render(p.o.Err.Color) + seg{dim, " " + text}.render(p.o.Err.Color)
}

// waiting counts the messages that the agent has not taken up.
func (p *Printer) waiting() int { return len(p.state.queued) }
