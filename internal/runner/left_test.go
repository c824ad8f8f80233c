package runner

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/sandbox"
	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

// losesEngine makes b's engine go away when the agent prints ENGINE GOES, in mid-line
// and come back a minute later.
func (b *bundle) losesEngine() {
	var gone, went atomic.Bool
	b.engine.Fault = func(op, _ string) error {
		switch {
		case !gone.Load():
			return nil
		case op == "stdout":
			return io.EOF
		case op == "wait":
			return sandbox.ErrUnavailable
		}
		return nil
	}
	claude := b.engine.Programs["/opt/ratchetai/claude/claude"]
	b.engine.Programs["/opt/ratchetai/claude/claude"] = func(ctx context.Context, in sandboxtest.Inside) int {
		in.Stdout = splitter{in, &gone, &went}
		return claude(ctx, in)
	}
}

// splitter does that, once.
type splitter struct {
	in         sandboxtest.Inside
	gone, went *atomic.Bool
}

func (s splitter) Write(line []byte) (int, error) {
	before, after, found := strings.Cut(string(line), "ENGINE GOES")
	if !found || !s.went.CompareAndSwap(false, true) {
		_, err := io.WriteString(s.in.Stdout, before+after)
		return len(line), err
	}
	s.gone.Store(true)
	io.WriteString(s.in.Stdout, before)
	io.WriteString(s.in.Stderr, "so that it is read\n")
	time.Sleep(time.Minute)
	s.gone.Store(false)
	_, err := io.WriteString(s.in.Stdout, after)
	return len(line), err
}

// TestEngineGoneLeavesTheSession: what the agent had written of a line when the
// engine went is no line, and an attach finds the rest.
func TestEngineGoneLeavesTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, answer("helloENGINE GOES again"))
		b.losesEngine()
		s, err := b.Start(t.Context(), b.task)
		if err != nil {
			t.Fatal(err)
		}
		<-s.Done()
		if err := s.Left(); !errors.Is(err, ErrLeft) || !errors.Is(err, sandbox.ErrUnavailable) {
			t.Fatalf("left with %v", err)
		}
		if sum, err := b.Store.Summary(s.ID); err != nil || sum.State != Orphaned {
			t.Errorf("the session is %s, %v", sum.State, err)
		}
		if _, err := s.Message("too late"); err == nil {
			t.Error("it takes messages")
		}
		time.Sleep(61 * time.Second) // the engine is back
		again, err := b.Attach(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		<-again.Done()
		if end := again.Result(); end.Outcome != event.Succeeded || end.Result != "hello again" || again.Left() != nil {
			t.Errorf("ended %+v", end)
		}
		for _, e := range b.entries(t, s.ID) {
			if e.Type == string(event.TypeUnparsed) {
				t.Errorf("entry %d: half a line: %s", e.Seq, e.Raw)
			}
		}
	})
}

// TestStopIsTakenOver: the next runner knows that the agent was told to finish,
// does not tell it again, and gives it no more time than it had.
func TestStopIsTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, tool(func(n int, print func(string)) bool {
			if n == 2 {
				print(`{"type":"keep_alive"ENGINE GOES}`)
				return true
			}
			print(usage(n))
			print(call(n))
			return true
		}))
		b.losesEngine()
		b.task.Budget = Budget{Turns: 1}
		begin := time.Now()
		s, err := b.Start(t.Context(), b.task)
		if err != nil {
			t.Fatal(err)
		}
		<-s.Done()
		time.Sleep(61 * time.Second) // the engine is back
		if s, err = b.Attach(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
		<-s.Done()
		if end := s.Result(); end.Outcome != event.BudgetExceeded {
			t.Errorf("ended %+v", end)
		}
		if took := time.Since(begin).Round(time.Second); took != graceMax {
			t.Errorf("ended after %s, want %s", took, graceMax)
		}
		counts := map[string]int{}
		for _, e := range b.entries(t, s.ID) {
			counts[e.Type]++
		}
		if counts["session.stopping"] != 1 || counts["budget.exceeded"] != 1 || counts["command.queued"] != 4 { // prompt, message, interrupt, end
			t.Errorf("events: %v", counts)
		}
	})
}

// TestEndWithoutJournal: an agent that says nothing is ended though nothing can be
// written down.
func TestEndWithoutJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, tool(func(int, func(string)) bool { return true }))
		s, err := b.Start(t.Context(), b.task)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.journal.Close()
		s.End(event.Errored, "enough")
		waitFor(t, s)
		if !errors.Is(s.Left(), ErrLeft) {
			t.Errorf("left with %v", s.Left())
		}
	})
}
