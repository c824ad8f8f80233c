package agent

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// The fixtures are recordings of the real CLI: plain stdout, or one object per
// line of either direction. The names without prefix are of 2.1.197, v330- and
// state- of 2.1.330, state- with CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS.
type claudeFixtureLine struct {
	Dir  string          `json:"dir"` // "in", "out" or "note"
	Line json.RawMessage `json:"line"`
}

// claudeInput is what a fixture gives to the adapter: a command or a line.
type claudeInput struct {
	command *Command
	line    []byte
}

func (in claudeInput) to(a Adapter) Step {
	if in.command != nil {
		return a.Do(*in.command)
	}
	return a.Line(in.line)
}

func claudeFixtures(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/claude/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	return files
}

// readClaudeFixture returns a fixture's inputs. What its driver sent becomes a
// command, and the ids in the recorded answers become those that the adapter
// derives from the command's id.
func readClaudeFixture(t testing.TB, file string) []claudeInput {
	t.Helper()
	lines := claudeRecording(t, file)
	var inputs []claudeInput
	ids := strings.NewReplacer()
	for i, f := range lines {
		switch f.Dir {
		case "out":
			if bytes.Contains(f.Line, []byte("control_response")) {
				f.Line = json.RawMessage(ids.Replace(string(f.Line)))
			}
			inputs = append(inputs, claudeInput{line: f.Line})
		case "in":
			if c := claudeRecordedCommand(f.Line, lines[i:]); c != nil {
				inputs = append(inputs, claudeInput{command: c})
				switch c.Kind {
				case Interrupt:
					ids = strings.NewReplacer(`"`+c.ID+`"`, `"interrupt-`+c.ID+`"`)
				case End:
					ids = strings.NewReplacer(`"`+c.ID+`"`, `"end_session-`+c.ID+`"`)
				}
			}
		}
	}
	return inputs
}

// claudeRecording reads a recording; plain stdout counts as lines "out".
func claudeRecording(t testing.TB, file string) []claudeFixtureLine {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var lines []claudeFixtureLine
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		var f claudeFixtureLine
		if json.Unmarshal(line, &f) != nil || f.Dir == "" {
			f = claudeFixtureLine{Dir: "out", Line: line}
		}
		var text string
		if json.Unmarshal(f.Line, &text) == nil {
			f.Line = json.RawMessage(text)
		}
		lines = append(lines, f)
	}
	return lines
}

// claudeRecordedCommand returns the command that a recorded stdin line stands
// for, or nil. A message that was sent without id gets that of its replay.
func claudeRecordedCommand(line []byte, rest []claudeFixtureLine) *Command {
	var in struct {
		Type    string `json:"type"`
		UUID    string `json:"uuid"`
		ID      string `json:"request_id"`
		Message struct {
			Content string `json:"content"`
		} `json:"message"`
		Request claudeSubtype `json:"request"`
	}
	if json.Unmarshal(line, &in) != nil {
		return nil // the end of stdin
	}
	switch {
	case in.Type == "user":
		for i := 0; in.UUID == "" && i < len(rest); i++ {
			l, c := claudeLine{}, claudeUserMessage{}
			if json.Unmarshal(rest[i].Line, &l) == nil && l.Replay && json.Unmarshal(l.Message, &c) == nil && c.Content == in.Message.Content {
				in.UUID = l.UUID
			}
		}
		return &Command{ID: in.UUID, Kind: Message, Text: in.Message.Content}
	case in.Request.Subtype == "interrupt":
		return &Command{ID: in.ID, Kind: Interrupt}
	case in.Request.Subtype == "end_session":
		return &Command{ID: in.ID, Kind: End}
	}
	return nil
}

func testClaude() *claude {
	return newClaude(Options{Kind: Claude, Conversation: "5b1c9a0e-0000-4000-8000-000000000001"})
}

// TestClaudeRecordings compares what each recording becomes with a reviewed
// file: one line per event, line for stdin, and change of Idle.
func TestClaudeRecordings(t *testing.T) {
	t.Parallel()
	for _, file := range claudeFixtures(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".jsonl"), func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			enc := json.NewEncoder(&log)
			enc.SetEscapeHTML(false)
			write := func(v any) {
				if err := enc.Encode(v); err != nil {
					t.Fatal(err)
				}
			}
			a, idle := testClaude(), false
			for i, in := range readClaudeFixture(t, file) {
				if in.command != nil {
					write(map[string]any{"n": i, "do": in.command.Kind, "command": in.command.ID})
				}
				step := in.to(a)
				for _, e := range step.Events {
					write(struct {
						N    int        `json:"n"`
						Type event.Type `json:"type"`
						Data event.Data `json:"data"`
					}{i, e.EventType(), e})
				}
				for _, line := range step.Send {
					write(map[string]any{"n": i, "send": json.RawMessage(line)})
				}
				if in.command == nil && len(step.Events) == 0 {
					t.Errorf("line %d yields no event: %s", i, in.line)
				}
				if a.Idle() != idle {
					idle = !idle
					write(map[string]any{"n": i, "idle": idle})
				}
			}
			golden(t, strings.TrimSuffix(file, ".jsonl")+".golden", log.Bytes())
		})
	}
}

// TestClaudeReplay feeds every recording to a second adapter, as a new runner
// does: after each input it has to send what the first one sent, and to be
// equally idle. An adapter cannot look ahead, so this holds for every prefix.
func TestClaudeReplay(t *testing.T) {
	t.Parallel()
	for _, file := range claudeFixtures(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".jsonl"), func(t *testing.T) {
			t.Parallel()
			inputs := readClaudeFixture(t, file)
			first := testClaude()
			var steps []Step
			var idle []bool
			for _, in := range inputs {
				steps = append(steps, in.to(first))
				idle = append(idle, first.Idle())
			}
			again := testClaude()
			for n, in := range inputs {
				if diff := cmp.Diff(steps[n], in.to(again)); diff != "" {
					t.Fatalf("input %d (-first +replay):\n%s", n, diff)
				}
				if again.Idle() != idle[n] {
					t.Fatalf("input %d: Idle is %v, was %v", n, again.Idle(), idle[n])
				}
			}
		})
	}
}
