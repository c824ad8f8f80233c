package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// codexFixture is a recording of the real app-server: one line per message, in
// both directions. Paths are scrubbed.
type codexFixture struct {
	Dir  string          `json:"dir"`
	Line json.RawMessage `json:"line"`
}

func readCodexFixture(t testing.TB, name string) []codexFixture {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var out []codexFixture
	for line := range bytes.Lines(data) {
		var f codexFixture
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var text string // some recordings hold the line as a string
		if json.Unmarshal(f.Line, &text) == nil && strings.HasPrefix(text, "{") {
			f.Line = json.RawMessage(text)
		}
		if f.Line[0] == '{' {
			out = append(out, f)
		}
	}
	return out
}

// codexPlayer plays a recording against an adapter: what the driver of the
// recording sent becomes a command, and the ids of the responses become those
// that the adapter chose. Its log is the golden file.
type codexPlayer struct {
	t        *testing.T
	a        Adapter
	log      bytes.Buffer
	recorded map[string][]string // class of a request -> ids in the recording
	sent     map[string][]string // class of a request -> ids that the adapter sent
	ids      map[string]string   // recorded id -> the adapter's
	skip     map[string]bool     // recorded requests that the adapter never makes
	steps    []func(Adapter) Step
	asking   bool // what the recording's driver answered becomes a command
}

func codexClass(method string) string {
	switch method {
	case "turn/start", "turn/steer":
		return "message"
	case "thread/resume":
		return "thread/start"
	}
	return method
}

func (p *codexPlayer) step(title string, f func(Adapter) Step) {
	p.steps = append(p.steps, f)
	fmt.Fprintln(&p.log, title)
	s := f(p.a)
	for _, e := range s.Events {
		data, err := json.Marshal(e)
		if err != nil {
			p.t.Fatalf("%s: %v", title, err)
		}
		fmt.Fprintf(&p.log, "  %s %s\n", e.EventType(), data)
	}
	for _, line := range s.Send {
		fmt.Fprintf(&p.log, "  > %s\n", line)
		var r struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
		}
		if err := json.Unmarshal(line, &r); err != nil {
			p.t.Fatalf("%s sent %q: %v", title, line, err)
		}
		if r.Method != "" && len(r.ID) > 0 {
			class := codexClass(r.Method)
			p.sent[class] = append(p.sent[class], string(r.ID))
			p.pair(class)
		}
	}
	if s.Terminate {
		fmt.Fprintln(&p.log, "  terminate")
	}
}

func (p *codexPlayer) pair(class string) {
	for len(p.sent[class]) > 0 && len(p.recorded[class]) > 0 {
		p.ids[p.recorded[class][0]] = p.sent[class][0]
		p.sent[class], p.recorded[class] = p.sent[class][1:], p.recorded[class][1:]
	}
}

func (p *codexPlayer) play(f codexFixture) {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params struct {
			Expected string       `json:"expectedTurnId"`
			Client   string       `json:"clientUserMessageId"`
			Input    []codexInput `json:"input"`
			ThreadID string       `json:"threadId"`
		} `json:"params"`
	}
	if err := json.Unmarshal(f.Line, &m); err != nil {
		p.t.Fatal(err)
	}
	id := string(m.ID)
	if f.Dir == "out" {
		p.out(f.Line, m.Method, id)
		return
	}
	if m.Method == "" && p.asking {
		p.answer(f.Line, id)
	}
	if m.Method == "" || id == "" {
		return
	}
	p.recorded[codexClass(m.Method)] = append(p.recorded[codexClass(m.Method)], id)
	switch {
	case m.Params.Expected == "wrong", m.Params.ThreadID == "nope": // provoked errors
		class := codexClass(m.Method)
		p.recorded[class] = p.recorded[class][:len(p.recorded[class])-1]
		p.skip[id] = true
	case m.Method == "turn/start", m.Method == "turn/steer":
		cmd := Command{ID: m.Params.Client, Kind: Message, Text: m.Params.Input[0].Text}
		if cmd.ID == "" {
			cmd.ID = "message-" + id
		}
		p.step("do message "+cmd.ID, func(a Adapter) Step { return a.Do(cmd) })
	case m.Method == "turn/interrupt":
		p.step("do interrupt", func(a Adapter) Step {
			return a.Do(Command{ID: "interrupt-" + id, Kind: Interrupt})
		})
	}
	p.pair(codexClass(m.Method))
}

func (p *codexPlayer) out(line json.RawMessage, method, id string) {
	title := method
	if method == "" {
		if p.skip[id] {
			return
		}
		mapped, ok := p.ids[id]
		if !ok {
			mapped = "99" + id // an answer to a request that the adapter does not make
		}
		line = bytes.Replace(line, []byte(`"id":`+id), []byte(`"id":`+mapped), 1)
		title = "response " + mapped
	}
	p.step("line "+title, func(a Adapter) Step { return a.Line(line) })
}

func newCodexPlayer(t *testing.T) *codexPlayer {
	return &codexPlayer{
		t: t, a: newCodex(Options{Kind: Codex, Model: "gpt-5.5"}),
		recorded: map[string][]string{}, sent: map[string][]string{}, ids: map[string]string{}, skip: map[string]bool{},
	}
}

func TestCodexRecordings(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/codex/*.jsonl")
	if err != nil || len(names) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			p := newCodexPlayer(t)
			p.step("start", Adapter.Start)
			for _, f := range readCodexFixture(t, name) {
				p.play(f)
			}
			fmt.Fprintln(&p.log, "idle", p.a.Idle())
			golden(t, strings.TrimSuffix(name, ".jsonl")+".golden", p.log.Bytes())

			// A restarted runner replays the same inputs into a fresh adapter.
			again := newCodexPlayer(t)
			for i, title := range titlesOf(p.log.String()) {
				if i < len(p.steps) {
					again.step(title, p.steps[i])
				}
			}
			fmt.Fprintln(&again.log, "idle", again.a.Idle())
			if !bytes.Equal(p.log.Bytes(), again.log.Bytes()) {
				t.Error("the replay differs from the first run")
			}
		})
	}
}

// titlesOf returns the lines of a player's log that open a step.
func titlesOf(log string) []string {
	var titles []string
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "  ") {
			titles = append(titles, strings.TrimSuffix(line, "\n"))
		}
	}
	return titles
}
