package term

import (
	"strings"
	"time"
)

// tailMax is how many lines Progress remembers for Fail.
const tailMax = 15

// Progress shows work that prints lines, such as an image build: on a live
// terminal one line that is redrawn, else the lines that Plain selects. It is not
// safe for concurrent use.
type Progress struct {
	printer *Printer
	title   string
	start   time.Time
	current string
	tail    []string
	// Plain selects the lines that are shown without a terminal; nil selects all.
	Plain func(string) bool
}

// NewProgress returns a Progress on o.Err.
func NewProgress(o Options, title string) *Progress {
	p := New(o)
	return &Progress{printer: p, title: title, start: p.o.Now()}
}

// Line takes a line of the work's output.
func (g *Progress) Line(text string) {
	text = Line(text)
	if g.tail = append(g.tail, text); len(g.tail) > tailMax {
		g.tail = g.tail[1:]
	}
	g.current = text
	if !g.printer.o.Live && (g.Plain == nil || g.Plain(text)) {
		g.printer.Note(text)
	}
	g.Tick()
}

// Tick makes the line move, once the first Line was there.
func (g *Progress) Tick() {
	p := g.printer
	if !p.o.Live || len(g.tail) == 0 {
		return
	}
	text := strings.Join([]string{seconds(p.o.Now().Sub(g.start)), g.title, g.current}, " · ")
	text = fit(text, p.width()-len(indent))
	if text = p.spinner() + (seg{dim, " " + text}).render(p.o.Err.Color); text != p.shown {
		p.put("\r" + text + "\x1b[K")
		p.shown, p.drawn = text, true
		p.flush()
	}
}

// Done removes the line and, if there was one, shows text in its place.
func (g *Progress) Done(text string) {
	if g.end(); len(g.tail) > 0 {
		g.printer.Note(text + " in " + Duration(g.printer.o.Now().Sub(g.start)))
	}
}

// Fail removes the line and shows the last lines of the work's output.
func (g *Progress) Fail() {
	if live := g.end(); !live && g.Plain == nil {
		return // they are all shown
	}
	for _, text := range g.tail {
		g.printer.Note(text)
	}
}

// end removes the line for good and reports whether there could be one.
func (g *Progress) end() (live bool) {
	g.printer.erase()
	g.printer.flush()
	live, g.printer.o.Live = g.printer.o.Live, false
	return live
}
