package main

import (
	"fmt"
	"io"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

// sink shows a session's journal. It is used by one goroutine.
type sink interface {
	entry(e journal.Entry) // in order; below skip they are only taken in
	waits(text string)     // what a session that has not begun waits for
	note(text string)      // what the runner has to say and nobody needs to read
	say(text string)
	input(text string) // what the person is typing
	prompt(o event.AskOpened, how string)
	tick()
	close()
}

// humanSink shows text.
type humanSink struct {
	printer *term.Printer
	skip    uint64 // entries before this seq are not shown
	quiet   bool
	unshown map[string]bool // asks that were not shown when they opened
}

func (h *humanSink) entry(e journal.Entry) {
	d, err := event.Decode(event.Type(e.Type), e.Data)
	if err != nil {
		return // of a later version of this program
	}
	if e.Seq < h.skip {
		h.printer.Skip(e.Time, d)
		h.hide(d)
		return
	}
	if h.quiet {
		h.hide(d)
	}
	h.printer.Event(e.Time, d)
}

// hide remembers an ask that is not shown, in case that it waits.
func (h *humanSink) hide(d event.Data) {
	if o, ok := d.(event.AskOpened); ok && o.Default != "" {
		if h.unshown == nil {
			h.unshown = map[string]bool{}
		}
		h.unshown[o.Ask] = true
	}
}

func (h *humanSink) prompt(o event.AskOpened, how string) {
	if h.unshown[o.Ask] {
		h.printer.Ask(o)
	}
	h.printer.Prompt(how)
}

func (h *humanSink) waits(text string) { h.printer.Waits(text) }
func (h *humanSink) note(text string)  { h.printer.Note(text) }
func (h *humanSink) say(text string)   { h.printer.Say(text) }
func (h *humanSink) input(text string) { h.printer.Input(text) }
func (h *humanSink) tick()             { h.printer.Tick() }
func (h *humanSink) close()            { h.printer.Close() }

// jsonSink prints envelopes on out; what the runner says goes to err.
type jsonSink struct {
	out, err io.Writer
	session  string
	skip     uint64
	buf      []byte
}

func (j *jsonSink) entry(e journal.Entry) {
	if e.Seq < j.skip {
		return
	}
	j.buf = append(e.AppendJSON(j.buf[:0], j.session), '\n')
	_, _ = j.out.Write(j.buf) // whoever reads may leave
}

func (j *jsonSink) waits(text string)              { j.say(text) }
func (j *jsonSink) note(text string)               { j.say(text) }
func (j *jsonSink) say(text string)                { fmt.Fprintf(j.err, "%s: %s\n", name, term.Line(text)) }
func (j *jsonSink) input(string)                   {}
func (j *jsonSink) prompt(event.AskOpened, string) {}
func (j *jsonSink) tick()                          {}
func (j *jsonSink) close()                         {}

// tailFrom returns the seq from which the last n entries that mean something to a
// person are shown; all of them if n is negative.
func tailFrom(dir string, n int) (uint64, error) {
	if n < 0 {
		return 0, nil
	}
	var last []uint64 // the seqs of at most n entries
	end := uint64(0)
	for e, err := range journal.Read(dir, 1) {
		if err != nil {
			return 0, err
		}
		end = e.Seq
		switch event.Type(e.Type) {
		case event.TypeMessageDelta, event.TypeToolOutput, event.TypeProtocol:
			continue
		}
		if last = append(last, e.Seq); len(last) > n {
			last = last[1:]
		}
	}
	if len(last) == 0 {
		return end + 1, nil
	}
	return last[0], nil
}
