package term

import (
	"io"
	"strings"
)

// A terminal that can (DEC mode 2026) shows what stands between these two at
// once; others ignore them. Over a slow line the status line could be seen
// missing otherwise.
const (
	updateBegins = "\x1b[?2026h"
	updateEnds   = "\x1b[?2026l"
)

// send queues text for a stream. One event is one write, so that nothing in it
// flickers.
func (p *Printer) send(s *Stream, text string) {
	toErr := s == &p.o.Err || p.o.Live && p.o.Out.Terminal
	if toErr != p.toErr {
		p.flush()
		p.toErr = toErr
	}
	p.queue.WriteString(text)
}

// flush writes what is queued. A stream that nobody reads any more is no reason
// to stop.
func (p *Printer) flush() {
	text := p.queue.String()
	p.queue.Reset()
	if text == "" {
		return
	}
	w := p.o.Out.W
	if p.toErr {
		w = p.o.Err.W
	}
	if p.o.Live && strings.HasPrefix(text, "\r") { // it replaces something
		text = updateBegins + text + updateEnds
	}
	_, _ = io.WriteString(w, text)
}
