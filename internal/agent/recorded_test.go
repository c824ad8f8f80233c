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

// Under testdata/recorded is what e2e/record made with the pinned versions: the
// agent's stdout, and for each command a line {"do":…} where it was given. The
// directories of streams that nobody answers have no commands. testdata/codex-exec
// has older recordings of codex exec.

// recordedConversation is Claude's session id in these recordings.
const recordedConversation = "c0000000-0000-4000-8000-00000000c1a0"

// recordedStep is a command or a line of a recording.
type recordedStep struct {
	command *Command
	line    []byte
}

func readRecorded(t testing.TB, file string) []recordedStep {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var steps []recordedStep
	for line := range bytes.Lines(data) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		var c struct {
			Do       CommandKind
			ID, Text string
		}
		if bytes.HasPrefix(line, []byte(`{"do":`)) && json.Unmarshal(line, &c) == nil {
			steps = append(steps, recordedStep{command: &Command{ID: c.ID, Kind: c.Do, Text: c.Text}})
			continue
		}
		steps = append(steps, recordedStep{line: line})
	}
	return steps
}

func recordings(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/" + dir + "/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings in %s: %v", dir, err)
	}
	return files
}

// recordedLog is the form of the golden files of these recordings.
type recordedLog struct {
	t   *testing.T
	buf bytes.Buffer
}

func (l *recordedLog) add(n int, kind string, v any) {
	l.t.Helper()
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		l.t.Fatal(err)
	}
	l.buf.WriteString(kind + " " + line.String())
	if kind == string(event.TypeUnparsed) {
		l.t.Errorf("line %d: %s", n+1, line.Bytes())
	}
}

// TestRecorded compares what each recorded session becomes with a reviewed file,
// and a replay of it, as a restarted runner does it, with the first run.
func TestRecorded(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{Kind: Claude, Conversation: recordedConversation},
		{Kind: Codex, Conversation: recordedConversation, Model: "gpt-5.5"},
	} {
		for _, file := range recordings(t, "recorded/"+string(o.Kind)) {
			t.Run(string(o.Kind)+"/"+filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				steps := readRecorded(t, file)
				first := playRecorded(t, New(o), steps)
				golden(t, strings.TrimSuffix(file, ".jsonl")+".golden", first)
				if diff := cmp.Diff(string(first), string(playRecorded(t, New(o), steps))); diff != "" {
					t.Errorf("the replay differs (-first +replay):\n%s", diff)
				}
			})
		}
	}
}

func playRecorded(t *testing.T, a Adapter, steps []recordedStep) []byte {
	t.Helper()
	log := &recordedLog{t: t}
	idle := a.Idle()
	take := func(n int, s Step) {
		t.Helper()
		for _, e := range s.Events {
			log.add(n, string(e.EventType()), e)
		}
		for _, line := range s.Send {
			log.add(n, ">", json.RawMessage(line))
		}
		if s.Terminate {
			log.add(n, "terminate", true)
		}
		if a.Idle() != idle {
			idle = !idle
			log.add(n, "idle", idle)
		}
	}
	take(0, a.Start())
	for n, s := range steps {
		if s.command != nil {
			log.add(n, "do "+string(s.command.Kind), s.command.ID)
			take(n, a.Do(*s.command))
			continue
		}
		step := a.Line(s.line)
		if len(step.Events) == 0 {
			t.Errorf("line %d yields no event: %s", n+1, s.line)
		}
		take(n, step)
	}
	if !a.Idle() {
		t.Error("the agent is not idle at the end")
	}
	return log.buf.Bytes()
}

// TestDecoderRecordings does the same for streams that nobody answers, and has
// the decoder find out what they are.
func TestDecoderRecordings(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"recorded/claude-print", "recorded/codex-exec", "codex-exec"} {
		for _, file := range recordings(t, dir) {
			t.Run(dir+"/"+filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				d, log := NewDecoder(""), &recordedLog{t: t}
				for n, s := range readRecorded(t, file) {
					for _, e := range d.Line(s.line) {
						log.add(n, string(e.EventType()), e)
					}
				}
				golden(t, strings.TrimSuffix(file, ".jsonl")+".golden", log.buf.Bytes())
			})
		}
	}
}

// TestDecoderWithoutStdin reads the sessions' stdout as somebody has it who did
// not record what was sent: every line still means something.
func TestDecoderWithoutStdin(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"recorded/claude", "recorded/codex"} {
		for _, file := range recordings(t, dir) {
			d := NewDecoder("")
			started := false
			for n, s := range readRecorded(t, file) {
				if s.command != nil {
					continue
				}
				for _, e := range d.Line(s.line) {
					switch e := e.(type) {
					case event.Unparsed:
						t.Errorf("%s:%d: %s", file, n+1, e.Reason)
					case event.SessionStarted:
						started = true
					case event.AskAnswered, event.CommandDelivered, event.CommandConsumed, event.CommandFailed:
						t.Errorf("%s:%d: %s, which a decoder cannot know", file, n+1, e.EventType())
					}
				}
			}
			if !started {
				t.Errorf("%s: no session.started", file)
			}
		}
	}
}

func TestDecoderForms(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		kind  Kind
		lines []string
		want  []event.Type // of all lines
	}{
		"not JSON":        {"", []string{"npm warn"}, []event.Type{event.TypeUnparsed}},
		"noise before":    {"", []string{"npm warn", `{"type":"turn.started"}`}, []event.Type{event.TypeUnparsed, event.TypeTurnStarted}},
		"claude":          {"", []string{`{"type":"system","subtype":"init","model":"m"}`}, []event.Type{event.TypeSessionStarted, event.TypeTurnStarted}},
		"exec":            {"", []string{`{"type":"thread.started","thread_id":"t"}`}, []event.Type{event.TypeSessionStarted}},
		"exec, error":     {Codex, []string{`{"type":"error","message":"no"}`}, []event.Type{event.TypeNotice}},
		"server":          {"", []string{`{"id":0,"result":{"userAgent":"x/0.169.0 (Debian)"}}`}, []event.Type{event.TypeProtocol}},
		"server, thread":  {"", []string{`{"id":7,"result":{"thread":{"id":"t"},"model":"gpt-5.5"}}`}, []event.Type{event.TypeSessionStarted}},
		"server, refusal": {Codex, []string{`{"id":"x","error":{"code":1,"message":"no"}}`}, []event.Type{event.TypeNotice}},
		"server, question": {"", []string{
			`{"method":"item/commandExecution/requestApproval","id":0,"params":{"command":"ls"}}`,
		}, []event.Type{event.TypeAskOpened}},
		"wrong kind": {Claude, []string{`{"method":"turn/started","params":{}}`}, []event.Type{event.TypeUnparsed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := NewDecoder(tt.kind)
			var got []event.Type
			for _, line := range tt.lines {
				for _, e := range d.Line([]byte(line)) {
					got = append(got, e.EventType())
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzDecoderLine feeds hostile lines: nothing panics, each yields an event that
// can be marshalled and read again.
func FuzzDecoderLine(f *testing.F) {
	for _, dir := range []string{"recorded/claude-print", "recorded/codex-exec", "codex-exec", "recorded/codex"} {
		for _, file := range recordings(f, dir) {
			steps := readRecorded(f, file)
			for i, s := range steps {
				f.Add(steps[max(i-1, 0)].line, s.line)
			}
		}
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		for _, kind := range []Kind{"", Claude, Codex} {
			d := NewDecoder(kind)
			for _, line := range [][]byte{one, two, one} {
				events := d.Line(line)
				if len(events) == 0 {
					t.Errorf("no event for %q", line)
				}
				for _, e := range events {
					data, err := json.Marshal(e)
					if err != nil {
						t.Fatalf("%+v: %v", e, err)
					}
					if _, err := event.Decode(e.EventType(), data); err != nil {
						t.Error(err)
					}
				}
			}
		}
	})
}
