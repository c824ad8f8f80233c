package runner

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/redact"
)

// deltas redacts text that arrives in pieces: a secret can be split between two
// lines, of which neither shows it. Each text has a stream of its own, which
// holds back what may be a secret's beginning until the next piece or the end.
type deltas map[textID]*redact.Stream

// textID is whose text it is: a message's, or the output of a tool's call.
type textID struct {
	tool bool
	id   string
}

// redact returns events with the pieces of text in them redacted. The result
// may be shorter than events, when a piece is held back as a whole, or longer.
func (d *deltas) redact(set *redact.Set, events []event.Data) []event.Data {
	if len(*d) == 0 && !slices.ContainsFunc(events, isPiece) {
		return events
	}
	out := make([]event.Data, 0, len(events))
	for _, e := range events {
		switch e := e.(type) {
		case event.MessageDelta:
			if text := d.write(set, textID{id: e.ID}, e.Text); text != "" {
				out = append(out, event.MessageDelta{ID: e.ID, Text: text})
			}
			continue
		case event.ToolOutput:
			if text := d.write(set, textID{tool: true, id: e.Call}, e.Text); text != "" {
				out = append(out, event.ToolOutput{Call: e.Call, Text: text})
			}
			continue
		case event.Message:
			out = d.end(out, textID{id: e.ID})
		case event.ToolFinished:
			out = d.end(out, textID{tool: true, id: e.Call})
		case event.TurnFinished:
			for key := range *d {
				out = d.end(out, key)
			}
		}
		out = append(out, e)
	}
	return out
}

func isPiece(e event.Data) bool {
	t := e.EventType()
	return t == event.TypeMessageDelta || t == event.TypeToolOutput
}

func (d *deltas) write(set *redact.Set, key textID, text string) string {
	s := (*d)[key]
	if s == nil {
		if *d == nil {
			*d = make(deltas)
		}
		s = set.Stream()
		(*d)[key] = s
	}
	safe := s.Write([]byte(text))
	if string(safe) == text { // without a copy, as good as always
		return text
	}
	return string(safe)
}

// end appends what the text's stream still held.
func (d *deltas) end(out []event.Data, key textID) []event.Data {
	s := (*d)[key]
	if s == nil {
		return out
	}
	delete(*d, key)
	text := string(s.Flush())
	if text == "" {
		return out
	}
	if key.tool {
		return append(out, event.ToolOutput{Call: key.id, Text: text})
	}
	return append(out, event.MessageDelta{ID: key.id, Text: text})
}

// withRaw attaches the line that caused entries to the last of them. A line that
// holds nothing but a piece of text is not kept: the whole text follows in a
// later line, and together such lines could spell a secret.
func withRaw(entries []journal.Entry, events []event.Data, raw []byte, out int64, sum uint32) []journal.Entry {
	if onlyPieces(entries, events) {
		if len(entries) == 0 {
			held, _ := json.Marshal(event.Protocol{Name: "held back"})
			entries = append(entries, journal.Entry{Type: string(event.TypeProtocol), Data: held})
		}
		raw = nil
	}
	last := &entries[len(entries)-1]
	last.Raw, last.Out, last.Sum = raw, out, sum
	last.RawJSON = len(raw) > 0 && len(raw) <= previewAbove && json.Valid(raw)
	return entries
}

// onlyPieces reports whether events are nothing but pieces. entries are their form
// in the journal, where another event stands for one that is too large.
func onlyPieces(entries []journal.Entry, events []event.Data) bool {
	for i, e := range events {
		p, ok := e.(event.Protocol)
		if !isPiece(e) && (!ok || !isFragment(p.Name)) || entries[i].Type != string(e.EventType()) {
			return false
		}
	}
	return true
}

// isFragment reports whether a line that says nothing to a person holds a piece of
// something longer: of a tool's input, of thinking, of a subagent's message. Both
// vendors call those deltas; Claude's message_delta has usage, which a replay needs.
func isFragment(protocol string) bool {
	return strings.HasSuffix(strings.ToLower(protocol), "delta") && protocol != "stream_event/message_delta"
}
