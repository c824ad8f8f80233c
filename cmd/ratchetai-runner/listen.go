package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	xterm "golang.org/x/term"
)

// answerMax bounds one answer that a program writes to stdin, in bytes.
const answerMax = 4 << 20

// readJSON takes one answer per line until in ends. It is not waited for.
func (a *asker) readJSON(in io.Reader) {
	s := bufio.NewScanner(in)
	s.Buffer(nil, answerMax)
	for s.Scan() {
		if line := bytes.TrimSpace(s.Bytes()); len(line) > 0 {
			a.json(line)
		}
	}
	if err := s.Err(); err != nil {
		a.say("stdin: no more answers are read: " + err.Error())
	}
}

// listen lets the person at the terminal take part; without one, or with --json, a
// program may answer asks on stdin. Nothing is read from stdin otherwise: it may
// be somebody else's. The function that it returns gives the terminal back.
func (w *watch) listen(l *ladder) (stop func()) {
	stop = func() {}
	if !w.keyboard {
		return stop
	}
	if !w.view.json && (!w.view.quiet || w.asks) {
		if keys := openKeyboard(w.app.In, w.app.display().Live && !w.view.quiet); keys != nil {
			l.stay, w.asker.stay = true, true
			w.note("type a line to tell the agent more (/now, /later TEXT; /withdraw); Ctrl-C interrupts it")
			go keys.read(w.typed, func(line string, began time.Time) bool {
				return w.asker.line(line, began) || l.typed(line)
			})
			return keys.close
		}
	}
	if w.asks && (!xterm.IsTerminal(int(w.app.In.Fd())) || inForeground(w.app.In)) {
		signal.Ignore(syscall.SIGTTIN) // in the background a read fails, instead of stopping the program
		go w.asker.readJSON(w.app.In)
	}
	return stop
}

// promptAsk shows the ask to be answered next, when everything before is shown.
func (w *watch) promptAsk() {
	if w.asker == nil {
		return
	}
	if o, how, ok := w.asker.prompt(); ok {
		w.sink.prompt(o, how)
	}
}

// canType reports whether a person can type on in.
func canType(in *os.File) bool { return xterm.IsTerminal(int(in.Fd())) && inForeground(in) }
