package term

import (
	"fmt"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// extent is how many lines are shown of something longer: so many of its first
// and of its last lines. The zero value shows nothing.
type extent struct{ head, tail int }

const excerptMax = 400 // lines that even Verbose shows of one thing

// extentOf is what is shown of a tool's output: how commands and failures ended.
func (o *Options) extentOf(t tool, ok bool) extent {
	switch {
	case o.Verbose:
		return extent{excerptMax / 2, excerptMax / 2}
	case t.sub:
		return extent{}
	case !ok:
		return extent{3, 6}
	case t.kind == event.KindShell:
		return extent{1, 3}
	}
	return extent{}
}

// output shows what a tool printed.
func (p *Printer) output(t tool, d event.ToolFinished) {
	text := d.Output
	if d.ExitCode != nil { // which the row above says
		text = strings.TrimPrefix(text, fmt.Sprintf("Exit code %d\n", *d.ExitCode))
	}
	p.excerpt(text, p.o.extentOf(t, d.OK), func(string) style { return dim })
}

// diff shows how a file was changed.
func (p *Printer) diff(text string) {
	e := extent{8, 4}
	if p.o.Verbose {
		e = extent{excerptMax / 2, excerptMax / 2}
	}
	p.excerpt(text, e, func(line string) style {
		switch line[:min(len(line), 1)] {
		case "+":
			return green
		case "-":
			return red
		}
		return dim
	})
}

// excerpt shows lines of somebody else's text, indented. On a terminal each takes
// one row, but all rows it needs when everything is to be seen.
func (p *Printer) excerpt(text string, e extent, styled func(string) style) {
	text = strings.TrimRight(text, "\n\r\t ")
	if text == "" || e == (extent{}) {
		return
	}
	var b strings.Builder
	show := func(st style, row string) {
		if row != "" {
			b.WriteString(indent + seg{st, row}.render(p.o.Out.Color))
		}
		b.WriteByte('\n')
	}
	lines := strings.Split(text, "\n")
	hidden := len(lines) - e.head - e.tail
	for i, line := range lines {
		if hidden > 1 && i >= e.head && i < e.head+hidden {
			if i == e.head {
				show(dim, fmt.Sprintf("… %d lines", hidden))
			}
			continue
		}
		line = screenLine(line)
		st := styled(line)
		if !p.o.Out.Terminal {
			show(st, fit(line, lineMax))
			continue
		}
		room := p.width() - len(indent)
		for p.o.Verbose && cells(line) > room {
			var row string
			row, line = split(line, room)
			show(st, row)
		}
		show(st, fit(line, room))
	}
	p.startLine()
	p.write(&p.o.Out, b.String())
}

// screenLine is what a terminal would show of a line: what follows its last
// carriage return, by which progress is drawn, with blanks for tabs.
func screenLine(line string) string {
	line = strings.TrimRight(line, "\r")
	line = Clean(line[strings.LastIndexByte(line, '\r')+1:])
	return strings.TrimRight(strings.ReplaceAll(line, "\t", strings.Repeat(" ", tabStop)), " ")
}
