package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzCodexLine feeds two hostile lines to an adapter with a running turn:
// nothing panics, each line yields an event that can be marshalled, what is sent
// is one line of JSON, and a replay does the same.
func FuzzCodexLine(f *testing.F) {
	names, _ := filepath.Glob("testdata/codex/*.jsonl")
	for _, name := range names {
		for _, r := range readCodexFixture(f, name) {
			if r.Dir == "out" {
				f.Add([]byte(r.Line), []byte(`{"id":4,"result":{}}`))
			}
		}
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		run := func() []Step {
			a := newCodex(Options{Kind: Codex})
			steps := []Step{a.Start()}
			for _, line := range []string{
				`{"id":1,"result":{}}`, `{"id":2,"result":{"thread":{"id":"T"}}}`,
			} {
				steps = append(steps, a.Line([]byte(line)))
			}
			steps = append(steps, a.Do(Command{ID: "a", Kind: Message, Text: "x"}),
				a.Line([]byte(`{"id":3,"result":{"turn":{"id":"U"}}}`)),
				a.Do(Command{ID: "b", Kind: Message, Text: "y"}), a.Line(one),
				a.Do(Command{ID: "stop", Kind: Interrupt}), a.Line(two),
				a.Do(Command{ID: "end", Kind: End}))
			return steps
		}
		steps := run()
		if len(steps[6].Events) == 0 || len(steps[8].Events) == 0 {
			t.Error("a line without an event")
		}
		for _, s := range steps {
			for _, e := range s.Events {
				if _, err := json.Marshal(e); err != nil {
					t.Errorf("%+v: %v", e, err)
				}
			}
			for _, line := range s.Send {
				if !json.Valid(line) || bytes.ContainsAny(line, "\n\r") {
					t.Errorf("sent %q", line)
				}
			}
		}
		if again := run(); !reflect.DeepEqual(steps, again) {
			t.Error(cmp.Diff(steps, again))
		}
	})
}

// FuzzCodexScanDelta holds the fast way against the general one.
func FuzzCodexScanDelta(f *testing.F) {
	f.Add([]byte(codexDeltaLine("x\\n\\\"y")))
	f.Add([]byte(codexDeltaLine("\\u00e9\xff")))
	f.Add([]byte(codexDeltaLine("\\u001b[0m\\ud83d\\ude00")))
	f.Add([]byte(`{"method":"item/commandExecution/outputDelta","params":{"threadId":"T","turnId":"U","itemId":"I","delta":"d"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		fast, ok := codexScanDelta(line)
		if !ok {
			return
		}
		var l codexLine
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("accepted %q: %v", line, err)
		}
		slow := codexDelta{method: l.Method}
		if err := json.Unmarshal(l.Params, &slow); err != nil {
			t.Fatalf("accepted %q: %v", line, err)
		}
		if fast != slow || l.ID != nil {
			t.Errorf("%q: %+v, want %+v", line, fast, slow)
		}
	})
}

func codexDeltaLine(text string) string {
	return fmt.Sprintf(`{"method":"item/agentMessage/delta","params":{"threadId":"01a202db-63af-7da0-8794-2fbc1ca11269",`+
		`"turnId":"01a202db-63c0-7762-8e24-82bf2e394a9d","itemId":"msg_mock000028","delta":"%s"},"emittedAtMs":1795344262557}`, text)
}

func BenchmarkCodexLine(b *testing.B) {
	for name, line := range map[string]string{
		"delta":   codexDeltaLine(" after thinking"),
		"escaped": codexDeltaLine("\\u001b[1mbold\\u001b[0m\\n"),
		"general": codexDeltaLine("\\ud83d\\ude00"), // what the fast way leaves
		"command": `{"method":"item/completed","params":{"item":{"type":"commandExecution","id":"call_mock000027","command":"/bin/bash -lc 'echo hi'","cwd":"/workspace","status":"completed","commandActions":[{"type":"unknown","command":"echo hi"}],"aggregatedOutput":"hi\n","exitCode":0,"durationMs":253},"threadId":"T","turnId":"U"},"emittedAtMs":1795344262537}`,
	} {
		b.Run(name, func(b *testing.B) {
			a := newCodex(Options{Kind: Codex})
			data := []byte(line)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				a.Line(data)
			}
		})
	}
}
