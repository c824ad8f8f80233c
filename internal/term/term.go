// Package term shows a session to a person: events in, text out.
//
//	event -> Printer -> Out: what the agent says and does
//	                 -> Err: what the runner says, and the status line
//
// Everything an agent writes is hostile here. Two rules keep it from passing for
// the program's own words: control sequences are removed (Sanitizer), and lines
// of the agent's text are indented, while every line of the program's begins at
// the left edge with one of its marks. On a terminal the text is wrapped here,
// because a line that the terminal wraps goes on at the left edge.
//
// The agent's messages are Markdown, which is rendered on a terminal while it
// arrives. What was shown is never taken back; a log gets it as it was written.
//
// A terminal gets colours and a status line that is redrawn in place; anything
// else gets plain lines that are never taken back.
//
// The package does no I/O besides the writers it is given, starts no goroutine
// and reads no clock but Options.Now.
package term

import (
	"io"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

const (
	indent       = "  "
	defaultWidth = 80
	lineMax      = 2000 // cells of one line of the program's
	minWidth     = 20
)

// Stream is one of the two outputs.
type Stream struct {
	W        io.Writer
	Terminal bool // wraps and may redraw; else plain lines
	Color    bool
}

// Options says how to show a session.
type Options struct {
	Out, Err Stream
	// Width is the terminal's, in cells, asked for whenever something is laid out.
	// nil or less than 20 means 80.
	Width func() int
	// Live shows the status line on Err, which must be a terminal. If Out is one,
	// too, it must be the same: all goes to Err then, in one piece.
	Live bool
	// Quiet shows the agent's final message on Out, and on Err only why a session
	// did not succeed.
	Quiet bool
	// Verbose shows what the agent prints on its stderr, too.
	Verbose bool
	// Now is the clock of the status line; nil is time.Now.
	Now func() time.Time
}

// Printer shows one session. It is not safe for concurrent use.
type Printer struct {
	o     Options
	muted bool // an event is taken in, not shown
	state state
	text  text
	drawn bool            // the status line is on the screen
	below int             // and stands below a line of text with so many cells; 0: it has its own
	shown string          // the status line
	input string          // what the person is typing
	queue strings.Builder // what is written next, to Err or to Out
	toErr bool
	last  time.Time // when something was shown last
	prev  block     // what was shown last
}

// block is a kind of output; a blank line stands between two kinds.
type block int

const (
	blockNone block = iota
	blockText
	blockLine
)

// New returns a Printer.
func New(o Options) *Printer {
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Printer{o: o, last: o.Now()}
	p.state.init()
	return p
}

// Skip takes an event in without showing it, so that what follows is understood:
// running tools, tokens, the time.
func (p *Printer) Skip(t time.Time, d event.Data) {
	p.muted = true
	p.show(t, d)
	p.finishText()
	p.prev = blockNone
	p.muted = false
}

// Event shows what happened at t. Events come in the order of the journal.
func (p *Printer) Event(t time.Time, d event.Data) {
	p.show(t, d)
	p.draw()
	p.flush()
}

// Say shows a line of the runner's own on Err. Quiet does not silence it.
func (p *Printer) Say(text string) {
	p.line(&p.o.Err, seg{yellow, "! "}, text, plain)
	p.draw()
	p.flush()
}

// Note is Say for what need not be read. Quiet silences it.
func (p *Printer) Note(text string) {
	if p.o.Quiet {
		return
	}
	p.line(&p.o.Err, seg{dim, "· "}, text, dim)
	p.draw()
	p.flush()
}

// Waits shows what a session waits for that has not begun: in the status line, else as
// a note.
func (p *Printer) Waits(text string) {
	if p.state.phase = Line(text); !p.o.Live {
		p.Note(text)
		return
	}
	p.Tick()
}

// Input shows what a person is typing in place of the status line; "" shows the
// status line again.
func (p *Printer) Input(text string) {
	p.input = text
	if p.draw(); p.drawn {
		p.redraw()
	}
	p.flush()
}

// Tick redraws the status line; about ten times a second make it move. Without
// one it says once a minute that a silent session still works.
func (p *Printer) Tick() {
	switch {
	case p.o.Live && p.drawn:
		p.redraw()
	case p.o.Live:
		p.draw()
	case !p.o.Quiet && p.state.started && p.o.Now().Sub(p.last) >= heartbeat:
		p.line(&p.o.Err, seg{dim, "· "}, "still working: "+p.state.doing(p.o.Now(), lineMax), dim)
	}
	p.flush()
}

// heartbeat is how long a log may be silent: CI systems end jobs that are.
const heartbeat = time.Minute

// Close removes the status line and ends an unfinished line.
func (p *Printer) Close() {
	p.erase()
	p.finishText()
	p.flush()
}

// width is that of one line, without the last cell: a terminal that got exactly
// a full line has its cursor nowhere in particular.
func (p *Printer) width() int {
	w := 0
	if p.o.Width != nil {
		w = p.o.Width()
	}
	if w < minWidth {
		w = defaultWidth
	}
	return w - 1
}

// write shows text on a stream, unless an event is only taken in.
func (p *Printer) write(s *Stream, text string) {
	if p.muted || text == "" {
		return
	}
	p.erase()
	p.last = p.o.Now()
	p.send(s, text)
}

// line shows one line that begins with a mark. text may be anything; on a
// terminal it is wrapped, indented like the agent's text.
func (p *Printer) line(s *Stream, mark seg, text string, st style) {
	p.startLine()
	text = fit(Line(text), lineMax)
	if !s.Terminal {
		p.write(s, mark.render(s.Color)+seg{st, text}.render(s.Color)+"\n")
		return
	}
	rows := wrap(text, p.width()-len(indent))
	for i, row := range rows {
		rows[i] = seg{st, row}.render(s.Color)
	}
	p.write(s, mark.render(s.Color)+strings.Join(rows, "\n"+indent)+"\n")
}

// startLine ends the agent's text, if it was last.
func (p *Printer) startLine() {
	p.finishText()
	if p.prev == blockText {
		p.write(&p.o.Out, "\n")
	}
	p.prev = blockLine
}
