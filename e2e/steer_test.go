//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

// TestPriorities sends two messages while a tool runs: the model reads "next" in the
// same turn and "later", which came first, in one of its own.
func TestPriorities(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind,
			modelapi.Shell("sleep 2; echo tool ran"),
			modelapi.Shell("echo second"),
			modelapi.Text("turn done"),
			modelapi.Text("later done"))
		s := b.startSession()
		b.awaitTool("sleep 2")
		later := b.steer(s, "<<later>>", agent.Later)
		next := b.steer(s, "<<next>>", agent.Next)
		if end := b.end(s); end.Outcome != event.Succeeded || end.Result != "later done" {
			t.Errorf("ended %+v", end)
		}
		b.inOrder("<<next>>", "<<later>>")
		b.wantReceipts(s, later, next)
		if n := len(all[event.TurnFinished](b, s.ID)); n != 2 {
			t.Errorf("%d turns, want 2", n)
		}
	})
}

// TestNow sends two messages while a tool runs that takes longer than the test: "now"
// does not wait for it and overtakes "next".
func TestNow(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind,
			modelapi.Shell("echo working; sleep 300"),
			modelapi.Shell("echo second"),
			modelapi.Text("now and next done"),
			modelapi.Text("(spare)"))
		s := b.startSession()
		b.awaitTool("sleep 300")
		next := b.steer(s, "<<next>>", agent.Next)
		now := b.steer(s, "<<now>>", agent.Now)
		if end := b.end(s); end.Outcome != event.Succeeded {
			t.Errorf("ended %+v", end)
		}
		b.inOrder("<<now>>", "<<next>>")
		b.wantReceipts(s, now, next)
	})
}

// TestWithdraw takes messages back: one that waits for the end of the turn, and one
// that the model has read.
func TestWithdraw(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind,
			modelapi.Shell("sleep 2; echo tool ran"),
			modelapi.Shell("sleep 2; echo second tool"),
			modelapi.Text("done"))
		s := b.startSession()
		b.awaitTool("sleep 2; echo tool")
		taken := b.steer(s, "<<taken back>>", agent.Later)
		if _, err := s.Withdraw(); err != nil {
			t.Fatal(err)
		}
		b.await(func(e journal.Entry) bool { return e.Type == string(event.TypeCommandWithdrawn) })
		kept := b.steer(s, "<<kept>>", agent.Next)
		b.awaitTool("second tool")
		late, err := s.Withdraw()
		if err != nil {
			t.Fatal(err)
		}
		if end := b.end(s); end.Outcome != event.Succeeded || end.Result != "done" {
			t.Errorf("ended %+v", end)
		}
		if n := b.receipts(s.ID, event.TypeCommandWithdrawn, taken); n != 1 {
			t.Errorf("%d × withdrawn, want 1", n)
		}
		if n := b.receipts(s.ID, event.TypeCommandFailed, late); n != 1 || len(all[event.CommandFailed](b, s.ID)) != 1 {
			t.Errorf("failed: %+v", all[event.CommandFailed](b, s.ID))
		}
		b.wantReceipts(s, kept)
		if n := b.said("<<taken back>>"); n != 0 {
			t.Errorf("the model read what was taken back %d times", n)
		}
	})
}

func (b *bundle) steer(s *runner.Session, text string, p agent.Priority) (id string) {
	b.t.Helper()
	id, err := s.Steer(text, p)
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

// wantReceipts checks that each command was queued, delivered and consumed once.
func (b *bundle) wantReceipts(s *runner.Session, commands ...string) {
	b.t.Helper()
	for _, id := range commands {
		for _, receipt := range []event.Type{event.TypeCommandQueued, event.TypeCommandDelivered, event.TypeCommandConsumed} {
			if n := b.receipts(s.ID, receipt, id); n != 1 {
				b.t.Errorf("%d × %s of %s, want 1", n, receipt, id)
			}
		}
	}
}

// inOrder checks that the model read texts once each, in this order.
func (b *bundle) inOrder(texts ...string) {
	b.t.Helper()
	var places []int
	for _, text := range texts {
		if n := b.said(text); n != 1 {
			b.t.Errorf("the model read %s %d times", text, n)
		}
		places = append(places, strings.Index(string(b.lastRequest().Body), text))
	}
	if !slices.IsSorted(places) {
		b.t.Errorf("%v are at %v", texts, places)
	}
}
