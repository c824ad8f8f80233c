//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
)

// TestSuccess is a whole session: words, a command, a file, usage, the end.
func TestSuccess(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind,
			modelapi.Text("I will look.").With(modelapi.Shell("cat seed.txt && echo made >made.txt")),
			modelapi.WriteFile("notes.txt", "first\nsecond\n"),
			modelapi.Text("all done"))
		b.write("seed.txt", "grain of 世界\n")
		r := b.run(b.runArgs()...)
		r.want(t, 0)

		if got := b.read("notes.txt") + b.read("made.txt"); got != "first\nsecond\nmade\n" {
			t.Errorf("files hold %q", got)
		}
		id := b.session()
		end := all[event.SessionFinished](b, id)[0]
		if end.Outcome != event.Succeeded || end.Result != "all done" {
			t.Errorf("ended %+v", end)
		}
		if end.Usage == nil || end.Usage.InputTokens != 3000 || end.Usage.OutputTokens != 150 {
			t.Errorf("usage %+v, want 3 requests of 1000 and 50 tokens", end.Usage)
		}
		started := all[event.SessionStarted](b, id)
		if len(started) != 1 || started[0].Agent != string(kind) || started[0].Version == "" || started[0].Cwd != agent.Workspace {
			t.Errorf("started %+v", started)
		}
		tools := all[event.ToolFinished](b, id)
		if len(tools) != 2 || !tools[0].OK || !strings.Contains(tools[0].Output, "grain of 世界") || !tools[1].OK {
			t.Errorf("tools %+v", tools)
		}
		if files := all[event.FileChanged](b, id); len(files) != 1 || filepath.Base(files[0].Path) != "notes.txt" {
			t.Errorf("file changes %+v", files)
		}
		if u := all[event.Unparsed](b, id); len(u) > 0 {
			t.Errorf("not understood: %+v", u)
		}
		b.sameEvents(r, id)
	})
}

// sameEvents checks that --json printed the journal, in order, each entry once.
func (b *bundle) sameEvents(r result, id string) {
	b.t.Helper()
	entries := b.entries(id)
	if len(entries) != len(r.events) {
		b.t.Fatalf("--json printed %d events, the journal has %d", len(r.events), len(entries))
	}
	for i, e := range entries {
		got := r.events[i]
		if got.Seq != e.Seq || string(got.Type) != e.Type || got.Session != id {
			b.t.Fatalf("--json printed %d %s, the journal has %d %s", got.Seq, got.Type, e.Seq, e.Type)
		}
	}
}

// TestMessageWhileWorking sends a message in the middle of a tool; it belongs to
// the same turn and is consumed once.
func TestMessageWhileWorking(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind,
			modelapi.Shell("sleep 2; echo tool ran"),
			modelapi.Shell("echo second"),
			modelapi.Text("both done"))
		s := b.startSession()
		b.awaitTool("sleep 2")
		id, err := s.Message("also mind <<the steering>>")
		if err != nil {
			t.Fatal(err)
		}
		if end := b.end(s); end.Outcome != event.Succeeded || end.Result != "both done" {
			t.Errorf("ended %+v", end)
		}
		for _, receipt := range []event.Type{event.TypeCommandQueued, event.TypeCommandDelivered, event.TypeCommandConsumed} {
			if n := b.receipts(s.ID, receipt, id); n != 1 {
				t.Errorf("%d × %s, want 1", n, receipt)
			}
		}
		if n := len(all[event.TurnFinished](b, s.ID)); n != 1 {
			t.Errorf("%d turns, want 1", n)
		}
		if n := b.said("<<the steering>>"); n != 1 {
			t.Errorf("the model read the message %d times", n)
		}
		b.writable(s.ID)
	})
}

// receipts counts the events of type about command.
func (b *bundle) receipts(session string, kind event.Type, command string) int {
	n := 0
	for _, e := range b.entries(session) {
		var d struct{ Command string }
		if e.Type == string(kind) && json.Unmarshal(e.Data, &d) == nil && d.Command == command {
			n++
		}
	}
	return n
}

// said counts how often text occurs in the last request of the conversation,
// which repeats everything before it.
func (b *bundle) said(text string) int {
	b.t.Helper()
	return countSaid(b.lastRequest().Body, text)
}

func (b *bundle) lastRequest() modelapi.Request {
	b.t.Helper()
	requests := b.api.Requests(b.token)
	for i := len(requests) - 1; i >= 0; i-- {
		if !requests[i].Side {
			return requests[i]
		}
	}
	b.t.Fatal("the agent made no request")
	return modelapi.Request{}
}

// countSaid counts occurrences in the strings of a JSON value.
func countSaid(body []byte, text string) int {
	var value any
	if json.Unmarshal(body, &value) != nil {
		return strings.Count(string(body), text)
	}
	return count(value, text)
}

func count(value any, text string) (n int) {
	switch v := value.(type) {
	case string:
		return strings.Count(v, text)
	case []any:
		for _, e := range v {
			n += count(e, text)
		}
	case map[string]any:
		for _, e := range v {
			n += count(e, text)
		}
	}
	return n
}

// writable checks that a person can list and remove the session.
func (b *bundle) writable(id string) {
	b.t.Helper()
	r := b.run("sessions", "show", id)
	r.want(b.t, 0)
	if !strings.Contains(r.stdout, string(event.Succeeded)) {
		b.t.Errorf("sessions show: %s", r.stdout)
	}
}

// TestInterrupt stops the turn in the middle of a tool: once for good, once with
// another message after it.
func TestInterrupt(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		t.Run("and leave", func(t *testing.T) {
			b := setup(t, kind, modelapi.Shell("echo working; sleep 60"), modelapi.Text("not reached"))
			s := b.startSession()
			b.awaitTool("sleep 60")
			time.Sleep(300 * time.Millisecond)
			if err := s.Interrupt(false); err != nil {
				t.Fatal(err)
			}
			if end := b.end(s); end.Outcome != event.Cancelled {
				t.Errorf("ended %+v", end)
			}
			if turns := all[event.TurnFinished](b, s.ID); len(turns) != 1 || turns[0].Status != event.TurnInterrupted {
				t.Errorf("turns %+v", turns)
			}
		})
		t.Run("and go on", func(t *testing.T) {
			b := setup(t, kind, modelapi.Shell("echo working; sleep 60"), modelapi.Text("as you wish"))
			s := b.startSession()
			b.awaitTool("sleep 60")
			time.Sleep(300 * time.Millisecond)
			if err := s.Interrupt(true); err != nil {
				t.Fatal(err)
			}
			b.await(func(e journal.Entry) bool { return e.Type == string(event.TypeTurnFinished) })
			if _, err := s.Message("do something else"); err != nil {
				t.Fatal(err)
			}
			if end := b.end(s); end.Outcome != event.Succeeded || end.Result != "as you wish" {
				t.Errorf("ended %+v", end)
			}
		})
	})
}

// TestLongLine has the model say 5 MB in one message: the vendor's line is in the
// journal whole, and the event shows a preview.
func TestLongLine(t *testing.T) {
	const size = 5 << 20
	text := modelapi.TextBytes(size).Text
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Text(text).With(modelapi.Shell("true")), modelapi.Text("said it"))
		r := b.run(b.runArgs()...)
		r.want(t, 0)
		want := sha256.Sum256([]byte(text))
		found := 0
		for _, e := range b.entries(b.session()) {
			if len(e.Raw) > size && e.Type == string(event.TypeMessage) {
				if sha256.Sum256([]byte(longest(e.Raw))) != want {
					t.Errorf("the line of %d bytes holds another text", len(e.Raw))
				}
				if !strings.HasPrefix(string(e.Data), `{"`) || len(e.Data) > 1<<20 {
					t.Errorf("the event has %d bytes", len(e.Data))
				}
				found++
			}
		}
		if found != 1 {
			t.Errorf("%d lines hold the text, want 1", found)
		}
	})
}

// longest returns the longest string in a JSON text.
func longest(raw []byte) string {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return ""
	}
	var best string
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			if len(v) > len(best) {
				best = v
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(value)
	return best
}

// TestForeignLines writes into the agent's stdout from inside the sandbox, as a
// hostile tool can: what nobody understands is kept byte for byte.
func TestForeignLines(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind,
			modelapi.Shell(`p=$(pgrep -ox `+string(kind)+`); kill -STOP $p # or its own lines would get in between
				printf 'not json \xff\xfe\x00 at all\n' >/proc/$p/fd/1
				printf '{"type":"from_the_future","n":1}\n' >/proc/$p/fd/1
				printf '\n[1,2\n' >/proc/$p/fd/1
				head -c 67108864 /dev/zero | tr '\0' x >/proc/$p/fd/1; echo >/proc/$p/fd/1
				kill -CONT $p`),
			modelapi.Text("done"))
		b.run(b.runArgs()...).want(t, 0)
		var kept []string
		for _, e := range b.entries(b.session()) {
			if e.Type == string(event.TypeUnparsed) {
				kept = append(kept, string(e.Raw))
			}
		}
		want := []string{"not json \xff\xfe\x00 at all", `{"type":"from_the_future","n":1}`, "", "[1,2", strings.Repeat("x", 64<<20)}
		if len(kept) != len(want) {
			t.Fatalf("%d lines are kept, want %d: %.300q", len(kept), len(want), kept)
		}
		for i := range want {
			if kept[i] != want[i] {
				t.Errorf("line %d is kept as %.100q", i, kept[i])
			}
		}
	})
}
