package main

import (
	"bytes"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	xterm "golang.org/x/term"

	"github.com/sprawlto/ratchetai-runner/internal/term"
)

const (
	// messageMax bounds what is typed, in bytes.
	messageMax = 1 << 20
	// backgroundPause is how often a program in the background looks whether it
	// may read from the terminal again.
	backgroundPause = time.Second
)

// keyboard reads messages from the terminal while the status line is redrawn: it
// takes characters as they are typed and shows them itself.
type keyboard struct {
	in      *os.File
	editing bool // keys come one by one and unseen
	restore func()
	resumed chan os.Signal // SIGCONT; capacity 1
	once    sync.Once
}

// openKeyboard returns nil if in is no terminal or belongs to another program.
// live says whether what is typed can be shown; otherwise the terminal does it.
func openKeyboard(in *os.File, live bool) *keyboard {
	if !xterm.IsTerminal(int(in.Fd())) || !inForeground(in) {
		return nil
	}
	k := &keyboard{in: in, restore: func() {}, resumed: make(chan os.Signal, 1)}
	if live {
		if restore, err := keysOneByOne(in); err == nil {
			k.editing, k.restore = true, restore
			signal.Notify(k.resumed, syscall.SIGCONT)
			go k.again()
		}
	}
	// In the background a read fails, instead of stopping the program.
	signal.Ignore(syscall.SIGTTIN)
	return k
}

// again takes the terminal back after the program was stopped: the shell had it.
func (k *keyboard) again() {
	for range k.resumed {
		if inForeground(k.in) {
			_, _ = keysOneByOne(k.in)
		}
	}
}

// close gives the terminal back. A pending read is left to the program's end.
func (k *keyboard) close() {
	k.once.Do(func() {
		if k.editing {
			signal.Stop(k.resumed)
			close(k.resumed)
		}
		if inForeground(k.in) {
			k.restore()
		}
	})
}

// read passes what is typed to typed and every complete line, with the time of its
// first key, to send, until the terminal is gone. A line that send reports as not sent
// can be edited and sent again. It is not waited for: a read from a terminal cannot
// be ended.
func (k *keyboard) read(typed chan<- string, send func(line string, began time.Time) bool) {
	var e editor
	var began time.Time
	buf := make([]byte, 4096)
	for {
		n, err := k.in.Read(buf)
		if e.String() == "" {
			began = time.Now()
		}
		for _, text := range e.keys(buf[:n]) {
			if !send(text, began) && k.editing {
				e.restore(text)
			}
		}
		if k.editing && n > 0 {
			typed <- e.String()
		}
		if err == nil {
			continue
		}
		if inForeground(k.in) {
			return
		}
		time.Sleep(backgroundPause)
	}
}

// editor makes messages of keys. The zero value is ready.
type editor struct {
	rest  []byte // of an incomplete character
	text  []rune
	clean term.Sanitizer // takes out the cursor keys and their like
}

// String is what was typed since the last message.
func (e *editor) String() string { return string(e.text) }

// keys takes what one read returned and returns the messages that it completes.
// A newline that is not its last character was pasted and is part of the text.
func (e *editor) keys(in []byte) (messages []string) {
	in = append(e.rest, in...)
	for len(in) > 0 && (utf8.FullRune(in)) {
		r, n := utf8.DecodeRune(in)
		in = in[n:]
		if (r == '\r' || r == '\n') && len(in) == 0 {
			if text := strings.TrimSpace(string(e.text)); text != "" {
				messages = append(messages, text)
			}
			e.text = nil
			continue
		}
		e.key(r)
	}
	e.rest = bytes.Clone(in)
	return messages
}

// restore puts text before what was typed since.
func (e *editor) restore(text string) { e.text = append([]rune(text), e.text...) }

func (e *editor) key(r rune) {
	switch r {
	case '\r':
		r = '\n'
	case 0x7f, '\b':
		e.text = e.text[:max(len(e.text)-1, 0)]
		return
	case 0x15: // Ctrl-U
		e.text = nil
		return
	case 0x17: // Ctrl-W
		text := strings.TrimRight(string(e.text), " \n")
		e.text = []rune(text[:strings.LastIndexAny(text, " \n")+1])
		return
	}
	if len(e.text) < messageMax {
		e.text = append(e.text, []rune(e.clean.Add(string(r)))...)
	}
}
