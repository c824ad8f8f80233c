package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
)

func askingClaude() *claude {
	return newClaude(Options{Kind: Claude, Conversation: "c", Attended: true, Permissions: &permission.Policy{}})
}

// claudeRecordedAnswer is the answer that a recorded control_response stands for; nil
// if there is none.
func claudeRecordedAnswer(t *testing.T, line []byte) *event.Answer {
	t.Helper()
	var l struct {
		Type     string `json:"type"`
		Response struct {
			RequestID string `json:"request_id"`
			Response  struct {
				Behavior  string          `json:"behavior"`
				Message   string          `json:"message"`
				Interrupt bool            `json:"interrupt"`
				Input     json.RawMessage `json:"updatedInput"`
			} `json:"response"`
		} `json:"response"`
	}
	if json.Unmarshal(line, &l) != nil || l.Type != "control_response" {
		return nil
	}
	r := l.Response.Response
	a := &event.Answer{Ask: l.Response.RequestID, Decision: event.DecideAllow, Message: r.Message, Input: r.Input, By: event.ByPerson}
	switch {
	case r.Interrupt:
		a.Decision = event.DecideStop
	case r.Behavior == "deny":
		a.Decision = event.DecideDeny
	}
	var in struct {
		Answers map[string]string `json:"answers"`
	}
	if json.Unmarshal(r.Input, &in) == nil && in.Answers != nil {
		a.Input, a.Answers = nil, map[string][]string{}
		for q, text := range in.Answers {
			a.Answers[q] = []string{text}
		}
	}
	return a
}

// TestClaudeAskedRecordings plays recordings whose driver answered: our answers have
// to be the recorded ones, and a replay has to repeat them at every point.
func TestClaudeAskedRecordings(t *testing.T) {
	t.Parallel()
	asked := 0
	for _, file := range claudeFixtures(t) {
		var inputs []claudeInput
		var sent []json.RawMessage
		for i, l := range claudeRecording(t, file) {
			switch l.Dir {
			case "out":
				inputs = append(inputs, claudeInput{line: l.Line})
			case "in":
				if a := claudeRecordedAnswer(t, l.Line); a != nil {
					inputs = append(inputs, claudeInput{command: &Command{ID: fmt.Sprint("answer-", i), Kind: Answer, Answer: a}})
					sent = append(sent, l.Line)
				}
			}
		}
		if len(sent) == 0 {
			continue
		}
		asked++
		t.Run(strings.TrimSuffix(filepath.Base(file), ".jsonl"), func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			a, again := askingClaude(), askingClaude()
			for i, in := range inputs {
				step := in.to(a)
				for _, e := range step.Events {
					switch e.(type) {
					case event.AskOpened, event.AskAnswered, event.AskExpired, event.CommandDelivered, event.CommandFailed:
						data, err := json.Marshal(e)
						if err != nil {
							t.Fatal(err)
						}
						fmt.Fprintf(&log, "%d %s %s\n", i, e.EventType(), data)
					}
				}
				for _, line := range step.Send {
					fmt.Fprintf(&log, "%d > %s\n", i, line)
				}
				if diff := cmp.Diff(step, in.to(again)); diff != "" {
					t.Fatalf("input %d (-first +replay):\n%s", i, diff)
				}
			}
			golden(t, strings.TrimSuffix(file, ".jsonl")+".asked.golden", log.Bytes())
		})
	}
	if asked < 6 {
		t.Errorf("only %d recordings have answers", asked)
	}
}

// claudeRig is an adapter in which Bash waits with ask "r1".
func claudeRig(t *testing.T, input string) *claude {
	t.Helper()
	c := askingClaude()
	s := c.Line([]byte(fmt.Sprintf(claudeAskFmt, "Bash", input)))
	if o, ok := s.Events[0].(event.AskOpened); !ok || len(s.Events) != 1 || len(s.Send) != 0 || o.Default != event.DecideDeny {
		t.Fatalf("asked %+v", s)
	}
	return c
}

func answerTo(id string, a event.Answer) Command {
	if a.Ask == "" {
		a.Ask = "r1"
	}
	return Command{ID: id, Kind: Answer, Answer: &a}
}

func TestClaudeAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer event.Answer
		send   string // the reply; empty: the answer is refused
		event  event.Data
	}{
		"allow": {event.Answer{Decision: event.DecideAllow, By: event.ByPerson}, `{"behavior":"allow"}`,
			event.AskAnswered{Ask: "r1", Decision: event.DecideAllow, By: event.ByPerson, Command: "c1"}},
		"edited": {event.Answer{Decision: event.DecideAllow, Input: json.RawMessage(`{"command":"ls"}`)}, `{"behavior":"allow","updatedInput":{"command":"ls"}}`,
			event.AskAnswered{Ask: "r1", Decision: event.DecideAllow, Command: "c1", Edited: true}},
		"deny": {event.Answer{Decision: event.DecideDeny, Message: "no"}, `{"behavior":"deny","message":"no"}`,
			event.AskAnswered{Ask: "r1", Decision: event.DecideDeny, Command: "c1", Message: "no"}},
		"stop": {event.Answer{Decision: event.DecideStop}, `{"behavior":"deny","message":"` + askDenied + `","interrupt":true}`,
			event.AskAnswered{Ask: "r1", Decision: event.DecideStop, Command: "c1"}},
		"timeout": {event.Answer{Decision: event.DecideDeny, Message: "late", By: event.ByTimeout}, `{"behavior":"deny","message":"late"}`,
			event.AskExpired{Ask: "r1", Reason: event.ExpiredTimeout, Decision: event.DecideDeny, Command: "c1"}},
		"another ask": {event.Answer{Ask: "r2", Decision: event.DecideAllow}, "", event.CommandFailed{Command: "c1", Error: "the ask is not open"}},
		"no decision": {event.Answer{Decision: "maybe"}, "",
			event.CommandFailed{Command: "c1", Error: `decision "maybe" is none of ["allow" "allow_session" "deny" "stop"]`}},
		"bad input": {event.Answer{Decision: event.DecideAllow, Input: json.RawMessage(`7`)}, "",
			event.CommandFailed{Command: "c1", Error: "the input is no JSON object"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := claudeRig(t, `{"command":"rm x"}`)
			s := c.Do(answerTo("c1", tt.answer))
			if diff := cmp.Diff([]event.Data{tt.event}, s.Events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if tt.send == "" {
				if len(s.Send) != 0 || c.asks.open["r1"] == nil {
					t.Errorf("a refused answer sent %q", s.Send)
				}
				return
			}
			want := `{"type":"control_response","response":{"subtype":"success","request_id":"r1","response":` + tt.send + `}}`
			if len(s.Send) != 1 || string(s.Send[0]) != want {
				t.Errorf("sent %q, want %s", s.Send, want)
			}
			second := c.Do(answerTo("c2", tt.answer)) // arrives once
			if len(second.Send) != 0 {
				t.Errorf("the second answer sent %q", second.Send)
			}
			if s := c.Line(bytes.Clone(s.Send[0])); len(s.Events) != 1 || s.Events[0] != (event.CommandDelivered{Command: "c1"}) {
				t.Errorf("the receipt is %+v", s.Events)
			}
		})
	}
}

// What is allowed for the session is the same again, and nothing like it.
func TestClaudeAllowForSession(t *testing.T) {
	t.Parallel()
	c := claudeRig(t, `{"command":"make test","description":"first"}`)
	c.Do(answerTo("c1", event.Answer{Decision: event.DecideSession}))
	for input, waits := range map[string]bool{
		`{"command":"make test","description":"second"}`: false,
		`{"command":"make test x"}`:                      true,
	} {
		line := strings.Replace(fmt.Sprintf(claudeAskFmt, "Bash", input), "r1", "r-"+fmt.Sprint(len(input)), 1)
		if s := c.Line([]byte(line)); (len(s.Send) == 0) != waits {
			t.Errorf("%s sent %q", input, s.Send)
		}
	}
}

// The fields of an input are told apart by their exact names, as Claude does.
func TestClaudeHostileInput(t *testing.T) {
	t.Parallel()
	c := newClaude(Options{Permissions: &permission.Policy{Rules: []permission.Rule{{Decision: permission.Allow, Commands: []string{"ls"}}}}})
	for i, input := range []string{
		`{"command":"rm -rf /","Command":"ls"}`, `{"COMMAND":"ls"}`, `{"command":["ls"]}`, `{"command":"ls","command":"rm"}`,
	} {
		line := strings.Replace(fmt.Sprintf(claudeAskFmt, "Bash", input), "r1", fmt.Sprint("r", i), 1)
		s := c.Line([]byte(line))
		if o, ok := s.Events[0].(event.AskOpened); !ok || o.Command == "ls" || len(s.Send) != 0 {
			t.Errorf("%s: %+v %q", input, s.Events, s.Send)
		}
	}
	line := strings.Replace(fmt.Sprintf(claudeAskFmt, "Bash", `{"command":"ls"}`), "r1", "other", 1)
	if s := c.Line([]byte(line)); len(s.Send) != 1 {
		t.Errorf("ls waits: %+v", s)
	}
}

// Large asks are cut, flooding ones denied.
func TestClaudeAskBounds(t *testing.T) {
	t.Parallel()
	c := askingClaude()
	big := `{"file_path":"/workspace/x","content":"` + strings.Repeat("x\\n", 400<<10) + `"}`
	o := c.Line([]byte(fmt.Sprintf(claudeAskFmt, "Write", big))).Events[0].(event.AskOpened)
	if !o.Cut || o.Editable || len(encoded(o)) > askMax || o.Paths[0] != "/workspace/x" {
		t.Errorf("%d bytes, %+.200v", len(encoded(o)), o)
	}
	denied := 0
	for i := range asksMax + 10 {
		line := strings.Replace(fmt.Sprintf(claudeAskFmt, "Bash", fmt.Sprintf(`{"command":"x%d"}`, i)), "r1", fmt.Sprint("n", i), 1)
		denied += len(c.Line([]byte(line)).Send)
	}
	if denied != 11 || len(c.asks.open) != asksMax {
		t.Errorf("%d denied, %d open", denied, len(c.asks.open))
	}
}

func TestClaudeElicitation(t *testing.T) {
	t.Parallel()
	line := []byte(`{"type":"control_request","request_id":"r1","request":{"subtype":"elicitation","mcp_server_name":"db","message":"Which table?","requested_schema":{"type":"object"}}}`)
	c := askingClaude()
	if o := c.Line(line).Events[0].(event.AskOpened); o.Kind != event.AskForm || o.Title != "Which table?" || string(o.Schema) != `{"type":"object"}` {
		t.Fatalf("asked %+v", o)
	}
	s := c.Do(answerTo("c1", event.Answer{Decision: event.DecideAllow, Input: json.RawMessage(`{"table":"a"}`)}))
	if len(s.Send) != 1 || !strings.Contains(string(s.Send[0]), `"response":{"action":"accept","content":{"table":"a"}}`) {
		t.Errorf("sent %q", s.Send)
	}
	s = testClaude().Line(line)
	if len(s.Send) != 1 || !strings.Contains(string(s.Send[0]), `"response":{"action":"decline"}`) {
		t.Errorf("with nobody there: %q", s.Send)
	}
}
