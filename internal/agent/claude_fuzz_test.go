package agent

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

func addClaudeSeeds(f *testing.F) {
	f.Helper()
	seen := map[string]bool{}
	for _, file := range claudeFixtures(f) {
		for _, in := range readClaudeFixture(f, file) {
			var l claudeLine
			if json.Unmarshal(in.line, &l) != nil || len(in.line) > 4096 {
				continue
			}
			if kind := l.Type + "/" + l.Subtype + "/" + l.Event.Type + "/" + l.Event.Delta.Type; !seen[kind] {
				seen[kind] = true
				f.Add(in.line)
			}
		}
	}
	f.Add([]byte(claudeDeltaLine))
	f.Add([]byte(`{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\ud83d\ude00 \ud83d \n\"\u001b"}},"parent_tool_use_id":"p","api_message_id":"m"}`))
	f.Add([]byte(`{"type":"stream_event","type":"result"}`))
	f.Add([]byte("null"))
}

// FuzzClaudeLine feeds a line twice, in a session that has begun: no panic, at
// least one event, events that survive the journal, and lines for stdin that are
// JSON without a newline.
func FuzzClaudeLine(f *testing.F) {
	addClaudeSeeds(f)
	f.Fuzz(func(t *testing.T, line []byte) {
		a := testClaude()
		a.Do(Command{ID: "m", Kind: Message, Text: "x"})
		a.Line([]byte(claudeInit))
		for range 2 {
			step := a.Line(line)
			if len(step.Events) == 0 {
				t.Fatal("no event")
			}
			for _, e := range step.Events {
				data, err := json.Marshal(e)
				if err != nil {
					t.Fatalf("%s: %v", e.EventType(), err)
				}
				if _, err := event.Decode(e.EventType(), data); err != nil {
					t.Fatalf("%s does not come back: %v", data, err)
				}
			}
			for _, s := range step.Send {
				if !json.Valid(s) {
					t.Fatalf("sent %q", s)
				}
			}
			a.Idle()
		}
	})
}

// FuzzClaudeScanDelta holds the fast way against the general one.
func FuzzClaudeScanDelta(f *testing.F) {
	addClaudeSeeds(f)
	f.Fuzz(func(t *testing.T, line []byte) {
		fast, ok := claudeScanDelta(line)
		if !ok || !utf8.Valid(line) {
			return
		}
		var slow claudeLine
		if err := json.Unmarshal(line, &slow); err != nil {
			t.Fatalf("accepted %q: %v", line, err)
		}
		if diff := cmp.Diff(slow, fast); diff != "" {
			t.Fatalf("%q (-general +fast):\n%s", line, diff)
		}
	})
}
