package runner

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

// TestReplayKeepsOnlyWhatIsSent: a takeover takes no memory for what an agent has said.
func TestReplayKeepsOnlyWhatIsSent(t *testing.T) {
	t.Parallel()
	b := setup(t, tool(func(_ int, print func(string)) bool {
		for n := range 1000 {
			print(call(n))
		}
		return false
	}))
	ended, _ := b.run(t)
	held, err := b.Store.lock(ended.ID)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.open(ended.Record, held)
	if err != nil {
		t.Fatal(err)
	}
	defer held.release()
	defer s.journal.Close()
	if err := s.replay(b.Store.dir(s.ID)); err != nil {
		t.Fatal(err)
	}
	for _, step := range s.pending {
		if len(step.Events) > 0 || len(step.Send) == 0 {
			t.Fatalf("%d steps are kept, such as %+v", len(s.pending), step)
		}
	}
}

// TestFailedTakeoverLetsGo: a runner that cannot drive a sandbox does not keep it from
// being an orphan, which ends in time.
func TestFailedTakeoverLetsGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, tool(func(int, func(string)) bool { return true }))
		link := &sandboxtest.Link{Engine: b.engine}
		b.Engine = link
		s, err := b.Start(t.Context(), b.task)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		link.Cut()
		<-s.Done()
		link.Mend()
		bad := errors.New("no stdin")
		b.engine.Fault = func(op, _ string) error {
			if op == "send" {
				return bad
			}
			return nil
		}
		if _, err := b.Attach(t.Context(), s.ID); !errors.Is(err, bad) {
			t.Fatalf("attached: %v", err)
		}
		b.engine.Fault = nil
		time.Sleep(DefaultOrphanAfter + time.Minute)
		again, err := b.Attach(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		if end := waitFor(t, again); end.Outcome != event.Lost {
			t.Errorf("ended %+v", end)
		}
	})
}

// TestTakeoverOfALongPrompt: what a person says is journalled whole, however long: without it a
// new runner would not know what the agent was told.
func TestTakeoverOfALongPrompt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reply, heard := answer("hello"), 0
		b := setup(t, func(line map[string]any, print func(string)) bool {
			if line["type"] != "control_request" {
				heard++
				time.Sleep(time.Minute)
			}
			return reply(line, print)
		})
		b.task.Prompt = strings.Repeat("x", 3<<20)
		link := &sandboxtest.Link{Engine: b.engine}
		b.Engine = link
		s, err := b.Start(t.Context(), b.task)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		link.Cut()
		<-s.Done()
		link.Mend()
		again, err := b.Attach(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.Message(strings.Repeat("x", 9<<20)); err == nil {
			t.Error("a message is taken that no line of stdin holds")
		}
		if _, err := again.Message("and then?"); err != nil {
			t.Error(err)
		}
		<-again.Done()
		if end := again.Result(); end.Outcome != event.Succeeded || heard != 2 {
			t.Errorf("ended %+v, and the agent heard %d messages", end, heard)
		}
	})
}
