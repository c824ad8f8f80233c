package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// read makes an answer of a line; nil if more lines are wanted.
func (a *asker) read(o event.AskOpened, text string) (*event.Answer, error) {
	answer := &event.Answer{Ask: o.Ask, By: event.ByPerson}
	key, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case key == "n" && (rest == "" || o.Kind == event.AskPermission):
		answer.Decision, answer.Message = event.DecideDeny, rest
	case text == "s":
		answer.Decision = event.DecideStop
	case o.Kind == event.AskForm:
		answer.Decision, answer.Input = event.DecideAllow, json.RawMessage(text)
	case o.Kind == event.AskQuestion && len(o.Questions) > 0:
		q := o.Questions[len(a.answers)]
		a.answers[q.ID] = chosen(q, text)
		if len(a.answers) < len(o.Questions) {
			return nil, nil
		}
		answer.Decision, answer.Answers = event.DecideAllow, a.answers
		a.answers = map[string][]string{}
	case text == "y":
		answer.Decision = event.DecideAllow
	case text == "a":
		answer.Decision = event.DecideSession
	case text == "A" || text == "always":
		answer.Decision = event.DecideAlways
	case key == "e" && rest != "":
		answer.Decision, answer.Input = event.DecideAllow, edited(o, rest)
	default:
		return nil, errors.New("not understood; " + a.keys(o) + ", /next TEXT: a message to the agent")
	}
	return answer, nil
}

// chosen is what a line answers to q: numbers of its choices, or free text.
func chosen(q event.Question, text string) []string {
	var labels []string
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		n := 0
		if _, err := fmt.Sscanf(part, "%d", &n); err != nil || fmt.Sprint(n) != part || n < 1 || n > len(q.Options) {
			return []string{text}
		}
		labels = append(labels, q.Options[n-1].Label)
	}
	if len(labels) == 0 || len(labels) > 1 && !q.Multiple {
		return []string{text}
	}
	return labels
}

// edited is the input of o with another command; for other tools text is the input.
func edited(o event.AskOpened, text string) json.RawMessage {
	var fields map[string]json.RawMessage
	if o.Command == "" || json.Unmarshal(o.Input, &fields) != nil {
		return json.RawMessage(text)
	}
	command, err := json.Marshal(text)
	if err != nil {
		return json.RawMessage(text) // is no text; the session refuses it
	}
	fields["command"] = command
	input, err := json.Marshal(fields)
	if err != nil {
		return json.RawMessage(text)
	}
	return input
}
