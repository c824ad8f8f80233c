package agent

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// Decoder turns what an agent printed into events, whoever started it: a bug
// report, a log of somebody's CI. It takes every form that the vendors print as
// one JSON value per line:
//
//	claude -p --output-format stream-json     one turn, or with stream-json on stdin many
//	codex app-server                          without the client's side
//	codex exec --json
//
// Nothing is sent, so that no command is ever delivered or consumed, and the
// answers to an agent's questions are not known. It is not safe for concurrent use.
type Decoder struct {
	kind Kind // empty: the first line of JSON decides
	line func([]byte) Step
}

// NewDecoder returns a decoder for kind's stdout; the empty kind is found out.
func NewDecoder(kind Kind) *Decoder { return &Decoder{kind: kind} }

// Line takes one complete line without its newline and returns what it says: at
// least one event. The slice is not kept.
func (d *Decoder) Line(line []byte) []event.Data {
	if d.line == nil && !d.choose(line) {
		return []event.Data{event.Unparsed{Reason: "not JSON of an agent's"}}
	}
	events := d.line(line).Events
	kept := events[:0]
	for _, e := range events {
		if a, ok := e.(event.AskAnswered); ok && a.By == "policy" {
			continue // the adapter's answer was not sent
		}
		kept = append(kept, e)
	}
	return kept
}

// choose finds the form of the stream by its first line of JSON.
func (d *Decoder) choose(line []byte) bool {
	var l struct {
		Type   *string         `json:"type"`
		Method *string         `json:"method"`
		Result json.RawMessage `json:"result"` // of a response, as is Error; in Claude's lines a text
		Error  json.RawMessage `json:"error"`
	}
	if !bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("{")) || json.Unmarshal(line, &l) != nil {
		return false
	}
	rpc := l.Type == nil && (l.Method != nil || l.Result != nil || l.Error != nil)
	switch {
	case d.kind != Claude && rpc:
		d.line = newCodexWatch().Line
	case l.Type == nil:
		return false
	case d.kind == Codex, d.kind == "" && codexExecType(*l.Type):
		d.line = newCodexExec().Line
	default:
		d.line = newClaude(Options{Kind: Claude}).Line
	}
	return true
}

// codexExecType reports a type that codex exec gives to its lines. "error" is
// never the first of them.
func codexExecType(t string) bool {
	return strings.HasPrefix(t, "thread.") || strings.HasPrefix(t, "turn.") || strings.HasPrefix(t, "item.")
}

// codexWatch reads the stdout of an app-server that somebody else talks to. The
// responses are to requests that it did not see.
type codexWatch struct{ codex }

func newCodexWatch() *codexWatch {
	w := &codexWatch{codex: *newCodex(Options{Kind: Codex}).(*codex)}
	w.phase = codexReady
	return w
}

// Line takes one line.
func (w *codexWatch) Line(line []byte) Step {
	var l codexLine
	if bytes.HasPrefix(line, []byte(`{"method"`)) || codexDecode(line, &l) != nil || l.Method != "" || !codexHasID(l.ID) {
		return w.codex.Line(line)
	}
	var s codexStep
	w.response(&s, l)
	return s.Step
}

// response tells by its content what a response answers.
func (w *codexWatch) response(s *codexStep, l codexLine) {
	var r struct {
		UserAgent string          `json:"userAgent"`
		Thread    json.RawMessage `json:"thread"`
		Model     string          `json:"model"`
	}
	_ = codexDecode(l.Result, &r) // other results say nothing to a person
	switch {
	case l.Error != nil:
		s.notice("warning", "codex refused a request: "+l.Error.Message)
	case r.UserAgent != "":
		w.initialized(s, l)
		s.protocol("initialize")
	case len(r.Thread) > 0 && r.Model != "":
		w.threadStarted(s, "thread/start", l)
	default:
		s.protocol("response")
	}
}
