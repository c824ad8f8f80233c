package term

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// askRows bounds the rows of one ask. What is left out is said so loudly that nobody
// allows it without noticing.
const askRows = 120

// Ask shows what an ask is about, even if events are silenced.
func (p *Printer) Ask(d event.AskOpened) {
	muted := p.muted
	p.muted = false
	p.ask(d)
	p.draw()
	p.flush()
	p.muted = muted
}

// Prompt shows how an ask is answered. Quiet does not silence it.
func (p *Printer) Prompt(text string) {
	p.line(&p.o.Err, seg{yellow, "? "}, text, bold)
	p.draw()
	p.flush()
}

// ask shows everything that the decision needs: a head, then the command, the change or
// the question, with whatever could deceive the eye written out.
func (p *Printer) ask(d event.AskOpened) {
	head := map[event.AskKind]string{
		event.AskPermission: "the agent wants to use " + d.Tool,
		event.AskQuestion:   "the agent asks",
		event.AskForm:       d.Tool + " asks for data: " + d.Title,
	}[d.Kind]
	if head == "" {
		head = "the agent asks for " + d.Title
	}
	if d.Cwd != "" {
		head += " in " + d.Cwd
	}
	p.line(&p.o.Err, seg{yellow, "? "}, head, bold)
	rows := askBody(d)
	if n := len(rows) - askRows; n > 0 {
		rows = append(rows[:askRows:askRows], fmt.Sprintf("… %d MORE LINES ARE NOT SHOWN; logs --json has them", n))
	}
	if d.Cut {
		rows = append(rows, "… PARTS OF THIS ARE NOT SHOWN: it is too long")
	}
	for _, row := range rows {
		p.askRow(row)
	}
}

// askBody is what an ask shows, in lines.
func askBody(d event.AskOpened) (rows []string) {
	add := func(text string) {
		if text = strings.TrimSuffix(text, "\n"); text != "" {
			rows = append(rows, strings.Split(text, "\n")...)
		}
	}
	for i, q := range d.Questions {
		text := q.Text
		if len(d.Questions) > 1 {
			text = fmt.Sprintf("(%d) %s", i+1, text)
		}
		add(text)
		for n, o := range q.Options {
			choice := fmt.Sprintf("  %d  %s", n+1, o.Label)
			if o.Description != "" && o.Description != o.Label {
				choice += " – " + o.Description
			}
			add(choice)
		}
	}
	switch {
	case len(d.Questions) > 0:
	case d.Kind == event.AskForm:
		add(string(d.Schema))
	case d.Diff != "":
		add(strings.Join(d.Paths, ", "))
		add(d.Diff)
	case d.Command != "":
		add(d.Command)
		if d.Host != "" {
			add("to reach " + d.Host)
		}
	default:
		add(d.Title)
		add(string(d.Input))
	}
	return rows
}

// askRow shows one line of an ask, indented and cut where the terminal ends, not at
// words: blanks count in a command.
func (p *Printer) askRow(row string) {
	row = visible(row)
	width := p.width() - len(indent)
	if !p.o.Err.Terminal {
		width = lineMax
	}
	for first := true; row != "" || first; first = false {
		head, tail := row, ""
		if cells(row) > width {
			head, tail = split(row, width)
		}
		st := plain
		switch {
		case strings.HasPrefix(row, "+"):
			st = green
		case strings.HasPrefix(row, "-"):
			st = red
		}
		p.write(&p.o.Err, indent+seg{st, head}.render(p.o.Err.Color)+"\n")
		row = tail
	}
}

// visible writes out what a terminal would hide, reorder or act on.
func visible(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\t':
			b.WriteString("    ")
		case !unicode.IsPrint(r), unicode.In(r, unicode.Mn, unicode.Me), isVariation(r):
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// askOpened shows an ask that waits, and remembers what one is about until it closes.
func (p *Printer) askOpened(d event.AskOpened) {
	p.state.asks[d.Ask] = asked{title: d.Title, waits: d.Default != ""}
	if d.Default != "" {
		p.ask(d)
	}
}

func (p *Printer) askAnswered(d event.AskAnswered) {
	o := p.state.asks[d.Ask]
	delete(p.state.asks, d.Ask)
	title := fit(Line(o.title), 60)
	if title == "" {
		title = "a request of the agent's"
	}
	switch {
	case d.By == event.ByPolicy && d.Decision == event.DecideDeny && d.Rule > 0:
		p.line(&p.o.Err, seg{yellow, "! "}, fmt.Sprintf("denied by rule %d: %s", d.Rule, title), plain)
	case d.By == event.ByPolicy && d.Decision == event.DecideDeny:
		p.line(&p.o.Err, seg{yellow, "! "}, "nobody to ask, so declined: "+title, plain)
	case d.By == event.ByPolicy:
	default:
		what := map[event.Decision]string{
			event.DecideAllow: "allowed", event.DecideSession: "allowed for the session",
			event.DecideDeny: "denied", event.DecideStop: "denied, and the agent stopped",
		}[d.Decision]
		if d.Edited {
			what += " with other arguments"
		}
		p.line(&p.o.Err, seg{cyan, "› "}, what+": "+title, plain)
	}
}

func (p *Printer) askExpired(d event.AskExpired) {
	o := p.state.asks[d.Ask]
	delete(p.state.asks, d.Ask)
	text := "no longer asked: "
	if d.Reason == event.ExpiredTimeout {
		text = "nobody answered in time, so denied: "
	}
	p.line(&p.o.Err, seg{yellow, "! "}, text+fit(Line(o.title), 60), plain)
}

// asked is an ask that is open.
type asked struct {
	title string
	waits bool
}

// asking counts the asks that wait for a person.
func (s *state) asking() (n int) {
	for _, o := range s.asks {
		if o.waits {
			n++
		}
	}
	return n
}
