package runner

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/sandbox"
	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

const fakeToken = "sk-ant-api03-0123456789abcdefghijklmnopqrstuvwxyz"

// bundle is a runner whose engine runs claude as a function.
type bundle struct {
	*Runner
	engine *sandboxtest.Fake
	task   Task
}

// setup returns a runner for which claude is `script`, called for each line of
// its stdin with a function that prints a line; it ends when script returns false.
func setup(t *testing.T, script func(line map[string]any, print func(string)) bool) *bundle {
	t.Helper()
	store, err := OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	claude := func(_ context.Context, in sandboxtest.Inside) int {
		print := func(s string) { io.WriteString(in.Stdout, s+"\n") }
		stdin := bufio.NewScanner(in.Stdin)
		stdin.Buffer(nil, 16<<20)
		for stdin.Scan() {
			var line map[string]any
			if err := json.Unmarshal(stdin.Bytes(), &line); err != nil {
				fmt.Fprintln(in.Stderr, "bad line:", stdin.Text())
				return 9
			}
			if !script(line, print) {
				return 0
			}
		}
		return 0
	}
	engine := &sandboxtest.Fake{Programs: map[string]sandboxtest.Program{"/opt/ratchetai/claude/claude": claude}}
	log := logrus.New()
	log.SetOutput(t.Output())
	return &bundle{
		Runner: &Runner{Store: store, Engine: engine, Log: log, Home: t.TempDir(), Getenv: func(k string) string {
			return map[string]string{"ANTHROPIC_API_KEY": fakeToken}[k]
		}},
		engine: engine,
		task: Task{
			Prompt: "say hello", Kind: agent.Claude, Workspace: t.TempDir(), Image: "test",
			User: fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()),
		},
	}
}

// answer is a Claude that gives text to every message and leaves when asked.
func answer(text string) func(map[string]any, func(string)) bool {
	return func(line map[string]any, print func(string)) bool {
		if line["type"] == "control_request" {
			print(fmt.Sprintf(`{"type":"control_response","response":{"subtype":"success","request_id":%q}}`, line["request_id"]))
			return line["request"].(map[string]any)["subtype"] != "end_session"
		}
		quoted, _ := json.Marshal(text)
		print(`{"type":"system","subtype":"init","session_id":"c","model":"m","cwd":"/workspace","claude_code_version":"2","tools":[]}`)
		print(fmt.Sprintf(`{"type":"user","message":{"role":"user","content":"x"},"uuid":%q,"isReplay":true}`, line["uuid"]))
		print(fmt.Sprintf(`{"type":"assistant","message":{"id":"m1","role":"assistant","content":[{"type":"text","text":%s}]}}`, quoted))
		print(fmt.Sprintf(`{"type":"result","subtype":"success","is_error":false,"result":%s,"session_id":"c"}`, quoted))
		return true
	}
}

func (b *bundle) run(t *testing.T) (*Session, event.SessionFinished) {
	t.Helper()
	s, err := b.Start(t.Context(), b.task)
	if err != nil {
		t.Fatal(err)
	}
	return s, waitFor(t, s)
}

func waitFor(t *testing.T, s *Session) event.SessionFinished {
	t.Helper()
	select {
	case <-s.Done():
		return s.Result()
	case <-time.After(30 * time.Second):
		t.Fatal("the session does not end")
		panic("unreachable")
	}
}

// entries reads a finished session's journal, which must be numbered without gaps.
func (b *bundle) entries(t *testing.T, id string) []journal.Entry {
	t.Helper()
	var all []journal.Entry
	for e, err := range journal.Read(b.Store.Journal(id), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Seq != uint64(len(all))+1 {
			t.Fatalf("entry %d follows entry %d", e.Seq, len(all))
		}
		all = append(all, e)
	}
	return all
}

func TestSessionSucceedsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	s, end := b.run(t)
	if end.Outcome != event.Succeeded || end.Result != "hello" {
		t.Fatalf("ended %+v", end)
	}
	all := b.entries(t, s.ID)
	if first, last := all[0].Type, all[len(all)-1].Type; first != "command.queued" || last != "session.finished" {
		t.Errorf("journal runs from %s to %s", first, last)
	}
	for _, name := range []string{"sandbox", "login"} {
		if _, err := os.Stat(filepath.Join(b.Store.dir(s.ID), name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left over: %v", name, err)
		}
	}
	if left, _ := b.engine.List(t.Context(), ""); len(left) > 0 {
		t.Errorf("containers left over: %v", left)
	}
	sum, err := b.Store.Summary(s.ID)
	if err != nil || sum.State != Finished || sum.End.Outcome != event.Succeeded {
		t.Errorf("listed as %+v, %v", sum, err)
	}
	if _, err := b.Attach(t.Context(), s.ID); !errors.Is(err, ErrFinished) {
		t.Errorf("attached to a finished session: %v", err)
	}
}

func TestStartFailureIsRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	b.engine.Images = []string{"another"}
	if _, err := b.Start(t.Context(), b.task); !errors.Is(err, sandbox.ErrNoImage) {
		t.Fatalf("started: %v", err)
	}
	all, err := b.Store.List()
	if err != nil || len(all) != 1 || all[0].End == nil || all[0].End.Outcome != event.Errored {
		t.Errorf("listed %+v, %v", all, err)
	}
}

func TestWithoutLoginNothingIsCreated(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	b.Getenv = func(string) string { return "" }
	if _, err := b.Start(t.Context(), b.task); !errors.Is(err, credential.ErrNoLogin) {
		t.Fatalf("started: %v", err)
	}
	if all, _ := b.Store.List(); len(all) > 0 {
		t.Errorf("listed %+v", all)
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	result := func(rest string) func(map[string]any, func(string)) bool {
		return func(line map[string]any, print func(string)) bool {
			if line["type"] == "control_request" {
				return false
			}
			answer("x")(line, func(s string) {
				if strings.Contains(s, `"result"`) {
					s = `{"type":"result","session_id":"c",` + rest + `}`
				}
				print(s)
			})
			return true
		}
	}
	for name, test := range map[string]struct {
		script func(map[string]any, func(string)) bool
		want   event.Outcome
	}{
		"api error is no success":  {result(`"subtype":"success","is_error":true,"api_error_status":500,"result":"overloaded"`), event.Failed},
		"max turns":                {result(`"subtype":"error_max_turns","is_error":true,"errors":["too many"]`), event.BudgetExceeded},
		"ends without a result":    {func(map[string]any, func(string)) bool { return false }, event.Lost},
		"prints nonsense and ends": {func(_ map[string]any, print func(string)) bool { print("\xff{"); return false }, event.Lost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, end := setup(t, test.script).run(t); end.Outcome != test.want {
				t.Errorf("ended %+v, want %s", end, test.want)
			}
		})
	}
}

func TestInterruptEndsAsCancelled(t *testing.T) {
	t.Parallel()
	b := setup(t, func(line map[string]any, print func(string)) bool {
		request, _ := line["request"].(map[string]any)
		switch {
		case line["type"] == "user":
			print(`{"type":"system","subtype":"init","session_id":"c","model":"m"}`)
			print(fmt.Sprintf(`{"type":"user","message":{"role":"user","content":"x"},"uuid":%q,"isReplay":true}`, line["uuid"]))
		case request["subtype"] == "interrupt":
			print(fmt.Sprintf(`{"type":"control_response","response":{"subtype":"success","request_id":%q}}`, line["request_id"]))
			print(`{"type":"result","subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_streaming","session_id":"c"}`)
		case request["subtype"] == "end_session":
			return false
		}
		return true
	})
	s, err := b.Start(t.Context(), b.task)
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range journal.Follow(t.Context(), b.Store.Journal(s.ID), 1, string(event.TypeCommandConsumed)) {
		if err != nil {
			t.Fatal(e, err)
		}
	}
	if err := s.Interrupt(false); err != nil {
		t.Fatal(err)
	}
	if end := waitFor(t, s); end.Outcome != event.Cancelled {
		t.Errorf("ended %+v", end)
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	b := setup(t, func(line map[string]any, _ func(string)) bool { return line["type"] == "user" })
	b.task.Timeout = 50 * time.Millisecond
	if _, end := b.run(t); end.Outcome != event.TimedOut {
		t.Errorf("ended %+v", end)
	}
}

// A token must not reach the journal, whole or in pieces that follow each other.
func TestTokensAreRedacted(t *testing.T) {
	t.Parallel()
	forms := fakeToken + " " + base64.StdEncoding.EncodeToString([]byte("Bearer "+fakeToken))
	b := setup(t, func(line map[string]any, print func(string)) bool {
		if line["type"] == "user" {
			for i := 0; i < len(fakeToken); i += 3 {
				print(fmt.Sprintf(`{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":%q}}}`,
					fakeToken[i:min(i+3, len(fakeToken))]))
			}
		}
		return answer(forms)(line, print)
	})
	s, end := b.run(t)
	if strings.Contains(end.Result, "0123456789") {
		t.Errorf("the result shows %q", end.Result)
	}
	file, err := os.ReadFile(filepath.Join(b.Store.Journal(s.ID), journal.FileName))
	if err != nil {
		t.Fatal(err)
	}
	var streamed strings.Builder
	for _, e := range b.entries(t, s.ID) {
		if e.Type == string(event.TypeMessageDelta) {
			var d event.MessageDelta
			if err := json.Unmarshal(e.Data, &d); err != nil {
				t.Fatal(err)
			}
			streamed.WriteString(d.Text)
		}
	}
	if !strings.Contains(streamed.String(), "[redacted]") {
		t.Errorf("the deltas say %q", streamed.String())
	}
	for _, secret := range []string{fakeToken, "lmnopqrstuv", base64.StdEncoding.EncodeToString([]byte(fakeToken))[4:40]} {
		if bytes.Contains(file, []byte(secret)) || strings.Contains(streamed.String(), secret) {
			t.Errorf("%q is in the journal", secret)
		}
	}
}

// A line of any size and any bytes is in the journal exactly as it was printed.
func TestLinesAreKeptExactly(t *testing.T) {
	t.Parallel()
	lines := []string{
		`{"type":"assistant","message":{"id":"big","role":"assistant","content":[{"type":"text","text":"` + strings.Repeat("äöü€", 1<<19) + `"}]}}`,
		"not json \xff\xfe " + strings.Repeat("x", 100<<10),
		`{"type":"never.seen","x":[` + strings.Repeat(`"0123456789",`, 1<<18) + `1]}`,
	}
	b := setup(t, func(line map[string]any, print func(string)) bool {
		if line["type"] == "user" {
			for _, l := range lines {
				print(l)
			}
		}
		return answer("done")(line, print)
	})
	s, end := b.run(t)
	if end.Outcome != event.Succeeded {
		t.Fatalf("ended %+v", end)
	}
	kept := map[string]int{}
	for _, e := range b.entries(t, s.ID) {
		kept[string(e.Raw)]++
	}
	for i, l := range lines {
		if kept[l] != 1 {
			t.Errorf("line %d is kept %d times", i, kept[l])
		}
	}
}

func TestSweepRemovesForeignContainers(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	spec := sandbox.Spec{
		ID: "no-such-session", Runner: b.Store.runner, Image: "test", User: "1:1", State: t.TempDir(), Dir: "/",
		Command: []string{"/opt/ratchetai/claude/claude"},
	}
	p, err := b.engine.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := b.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, _ := b.engine.List(t.Context(), ""); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// TestFloodOfLines: lines of two bytes take two hundred in the journal, which has a
// bound too.
func TestFloodOfLines(t *testing.T) {
	t.Parallel()
	b := setup(t, func(line map[string]any, print func(string)) bool {
		if line["type"] == "user" {
			print(strings.Repeat("x\n", 60_000))
		}
		return answer("not reached")(line, print)
	})
	b.task.Limits.StdoutBytes = 1 << 20
	s, end := b.run(t)
	if end.Outcome != event.Failed || end.Reason != tooMuch {
		t.Errorf("ended %+v", end)
	}
	if n := len(b.entries(t, s.ID)); n > 40_000 {
		t.Errorf("%d entries", n)
	}
}
