package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
)

// asker lets the person, or a program on stdin, answer what the session asks. The
// view feeds it (entry, prompt), the keyboard or stdin answers (line, json). It is
// safe for concurrent use.
type asker struct {
	answer  func(a event.Answer, stay bool) error
	distant bool         // a runner elsewhere keeps the rules
	stay    bool         // after a stop, somebody can tell the agent what to do
	say     func(string) // must not block
	now     func() time.Time

	mu      sync.Mutex
	open    []event.AskOpened // oldest first; the first is the one that is answered
	shown   string            // the ask whose prompt the person has seen
	shownAt time.Time
	answers map[string][]string // to the first questions of that ask
}

// entry takes in what happened.
func (a *asker) entry(e journal.Entry) {
	switch event.Type(e.Type) {
	case event.TypeAskOpened, event.TypeAskAnswered, event.TypeAskExpired:
	default:
		return
	}
	d, err := event.Decode(event.Type(e.Type), e.Data)
	if err != nil {
		return // of a later version of this program
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	closed := ""
	switch d := d.(type) {
	case event.AskOpened:
		if d.Default != "" { // it waits
			a.open = append(a.open, d)
		}
	case event.AskAnswered:
		closed = d.Ask
	case event.AskExpired:
		closed = d.Ask
	}
	a.open = slices.DeleteFunc(a.open, func(o event.AskOpened) bool { return o.Ask == closed })
}

// forget drops what is open: another session comes.
func (a *asker) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open, a.shown, a.answers = nil, "", nil
}

// prompt returns the ask to be answered next and how, once for each.
func (a *asker) prompt() (o event.AskOpened, how string, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.open) == 0 || a.open[0].Ask == a.shown {
		return o, "", false
	}
	o = a.open[0]
	a.shown, a.shownAt, a.answers = o.Ask, a.now(), map[string][]string{}
	return o, a.keys(o) + a.deadline(o), true
}

// keys says what can be typed.
func (a *asker) keys(o event.AskOpened) string {
	switch {
	case o.Kind == event.AskQuestion && len(o.Questions) > 0:
		text := "type a number or an answer; n: decide yourself, s: stop"
		if q := o.Questions[min(len(a.answers), len(o.Questions)-1)]; len(o.Questions) > 1 {
			text = fmt.Sprintf("(%d) %s: ", len(a.answers)+1, q.Text) + text
		}
		return text
	case o.Kind == event.AskQuestion: // too long to be shown
		return "n: decide yourself, s: stop"
	case o.Kind == event.AskForm:
		return "type a JSON object with the data; n: decline, s: stop"
	}
	keys := []string{"y: allow"}
	if slices.Contains(o.Options, event.DecideSession) {
		keys = append(keys, "a: allow the same for the session")
		if !a.distant {
			keys = append(keys, "A: always")
		}
	}
	keys = append(keys, "n [why]: deny", "s: deny and stop")
	if o.Editable {
		what := "JSON"
		if o.Command != "" {
			what = "COMMAND"
		}
		keys = append(keys, "e "+what+": allow this instead")
	}
	return strings.Join(keys, ", ")
}

func (a *asker) deadline(o event.AskOpened) string {
	at, err := time.Parse(time.RFC3339, o.ExpiresAt)
	if err != nil {
		return ""
	}
	return "; denied at " + at.Local().Format("15:04:05")
}

// line takes what the person typed, beginning at began, and reports whether it was
// meant for an ask. What was begun before the ask could be seen is not, nor
// what begins with a slash: that is for the agent in every case.
func (a *asker) line(text string, began time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if strings.HasPrefix(text, "/") || len(a.open) == 0 {
		return false
	}
	o := a.open[0]
	if o.Ask != a.shown || began.Before(a.shownAt) {
		key, _, _ := strings.Cut(text, " ")
		if len(key) > 1 {
			return false
		}
		a.say("another question came up while you typed, so nothing was answered")
		return true
	}
	answer, err := a.read(o, text)
	switch {
	case err != nil:
		a.say(err.Error())
	case answer != nil:
		a.give(*answer)
	default:
		a.say(a.keys(o)) // the next question
	}
	return true
}

func (a *asker) give(answer event.Answer) {
	if err := a.answer(answer, a.stay); err != nil {
		a.say("not answered: " + err.Error())
		return
	}
	if answer.Decision == event.DecideStop && a.stay {
		a.say("stopped: type what to do instead, or press Ctrl-C twice to end the session")
	}
}

// json takes an answer from a program: {"ask":"…","decision":"allow"}.
func (a *asker) json(line []byte) {
	var answer event.Answer
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	err := d.Decode(&answer)
	if err == nil && d.More() {
		err = errors.New("more than one value")
	}
	if err != nil {
		a.say("stdin: no answer: " + err.Error())
		return
	}
	answer.By = event.ByPerson
	a.give(answer)
}
