package agent

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

func (r codexRig) steer(id string, p Priority) Step {
	return r.a.Do(Command{ID: id, Kind: Message, Text: "text of " + id, Priority: p})
}

func (r codexRig) withdraw(id string) Step { return r.a.Do(Command{ID: id, Kind: Withdraw}) }

func TestCodexLaterWaitsForTheEndOfTheTurn(t *testing.T) {
	t.Parallel()
	r := newCodexRigInTurn(t)
	r.want(r.steer("l1", Later), "")
	r.want(r.steer("l2", Later), "")
	r.want(r.steer("n", Next), "4 turn/steer n")
	// The steering has not been answered: it may have come too late.
	r.want(r.line(codexTurnEnd("U", "completed")), "", event.TurnFinished{Turn: "U", Status: event.TurnCompleted})
	r.wantIdle(false)
	r.want(r.line(`{"id":4,"error":{"code":-32600,"message":"no active turn to steer"}}`), "5 turn/start n",
		event.Protocol{Name: "turn/steer"})
	r.want(r.line(`{"id":5,"result":{"turn":{"id":"V"}}}`), "", event.CommandDelivered{Command: "n"})
	r.line(codexUserItem("n"))
	r.want(r.line(codexTurnEnd("V", "completed")), "6 turn/start l1", event.TurnFinished{Turn: "V", Status: event.TurnCompleted})
	r.want(r.line(`{"id":6,"result":{"turn":{"id":"W"}}}`), "", event.CommandDelivered{Command: "l1"})
	r.line(codexUserItem("l1"))
	r.want(r.line(codexTurnEnd("W", "completed")), "7 turn/start l2", event.TurnFinished{Turn: "W", Status: event.TurnCompleted})
	r.wantIdle(false)
}

func TestCodexNow(t *testing.T) {
	t.Parallel()
	broken := event.TurnFinished{Turn: "U", Status: event.TurnInterrupted}
	t.Run("in a turn", func(t *testing.T) {
		t.Parallel()
		r := newCodexRigInTurn(t)
		r.steer("l", Later)
		r.want(r.steer("n1", Now), "4 turn/interrupt")
		r.want(r.steer("n2", Now), "") // the turn is interrupted already
		r.want(r.steer("x", Next), "") // or it would be steered into a turn that ends
		r.want(r.line(`{"id":4,"result":{}}`), "", event.Protocol{Name: "turn/interrupt"})
		r.want(r.line(codexTurnEnd("U", "interrupted")), "5 turn/start n1", broken)
		r.wantIdle(false)
		r.want(r.line(`{"id":5,"result":{"turn":{"id":"V"}}}`), "6 turn/steer n2; 7 turn/steer x", event.CommandDelivered{Command: "n1"})
		r.line(`{"method":"turn/started","params":{"threadId":"T","turn":{"id":"V"}}}`)
		r.want(r.steer("n3", Now), "8 turn/interrupt")
		// V had not read n1: it is sent again, and first.
		r.want(r.line(codexTurnEnd("V", "interrupted")), "9 turn/start n1", event.TurnFinished{Turn: "V", Status: event.TurnInterrupted})
		r.want(r.line(`{"id":9,"result":{"turn":{"id":"W"}}}`), "10 turn/steer n3", event.Protocol{Name: "turn/start"})
		r.want(r.line(`{"id":6,"error":{"code":-32600,"message":"no active turn to steer"}}`), "11 turn/start n2", event.Protocol{Name: "turn/steer"})
	})
	t.Run("no turn", func(t *testing.T) {
		t.Parallel()
		r := newCodexRig(t)
		r.want(r.steer("n", Now), "3 turn/start n")
	})
	t.Run("before the prompt is read", func(t *testing.T) {
		t.Parallel()
		r := newCodexRig(t)
		r.message("a")
		r.want(r.steer("n", Now), "")
		r.line(`{"id":3,"result":{"turn":{"id":"U","status":"inProgress"}}}`)
		r.want(r.line(`{"method":"turn/started","params":{"threadId":"T","turn":{"id":"U"}}}`), "4 turn/interrupt", event.TurnStarted{Turn: "U"})
		r.want(r.line(codexTurnEnd("U", "interrupted")), "5 turn/start n", broken)
		r.want(r.line(`{"id":5,"result":{"turn":{"id":"V"}}}`), "6 turn/start a", event.CommandDelivered{Command: "n"})
	})
	t.Run("the turn ends by itself", func(t *testing.T) {
		t.Parallel()
		r := newCodexRigInTurn(t)
		r.steer("n", Now)
		r.want(r.line(codexTurnEnd("U", "completed")), "5 turn/start n", event.TurnFinished{Turn: "U", Status: event.TurnCompleted})
		r.want(r.line(`{"id":4,"error":{"code":-32600,"message":"no active turn"}}`), "", event.Protocol{Name: "turn/interrupt"})
	})
}

func TestCodexWithdraw(t *testing.T) {
	t.Parallel()
	nothing := func(id string) event.Data { return event.CommandFailed{Command: id, Error: withdrawNothing} }
	t.Run("the prompt stays", func(t *testing.T) {
		t.Parallel()
		r := codexRig{t, newCodex(Options{Kind: Codex})}
		r.a.Start()
		r.message("a")
		r.want(r.withdraw("w"), "", nothing("w"))
	})
	t.Run("what is held", func(t *testing.T) {
		t.Parallel()
		r := newCodexRigInTurn(t)
		r.steer("l1", Later)
		r.steer("l2", Later)
		r.want(r.withdraw("w1"), "", event.CommandDelivered{Command: "w1"}, event.CommandWithdrawn{Command: "l2"})
		r.want(r.withdraw("w2"), "", event.CommandDelivered{Command: "w2"}, event.CommandWithdrawn{Command: "l1"})
		r.want(r.withdraw("w3"), "", nothing("w3"))
		r.line(codexTurnEnd("U", "completed"))
		r.wantIdle(true)
	})
	t.Run("what is sent", func(t *testing.T) {
		t.Parallel()
		r := newCodexRigInTurn(t)
		late := event.CommandFailed{Command: "w", Error: withdrawLate}
		r.steer("l", Later)
		r.steer("n", Next)
		r.want(r.withdraw("w"), "", late)
		r.line(`{"id":4,"result":{"turnId":"U"}}`)
		r.want(r.withdraw("w"), "", late)
		r.line(codexUserItem("n"))
		r.want(r.withdraw("w"), "", event.CommandDelivered{Command: "w"}, event.CommandWithdrawn{Command: "l"})
	})
}

func TestCodexEndDropsLater(t *testing.T) {
	t.Parallel()
	r := newCodexRigInTurn(t)
	r.steer("l", Later)
	r.want(r.a.Do(Command{ID: "end", Kind: End}), "", event.CommandFailed{Command: "l", Error: "the session is ending"})
	if s := r.line(codexTurnEnd("U", "completed")); !s.Terminate {
		t.Error("did not end after the turn")
	}
}

func TestClaudePriority(t *testing.T) {
	t.Parallel()
	for p, want := range map[Priority]string{"": "next", Next: "next", Now: "now", Later: "later"} {
		got := testClaude().Do(Command{ID: "a", Kind: Message, Text: "x", Priority: p})
		if line := `{"type":"user","message":{"role":"user","content":"x"},"uuid":"a","priority":"` + want + `"}`; string(got.Send[0]) != line {
			t.Errorf("sent %q", got.Send)
		}
	}
}

func TestClaudeWithdraw(t *testing.T) {
	t.Parallel()
	answer := func(command string, cancelled bool) []byte {
		return fmt.Appendf(nil, `{"type":"control_response","response":{"subtype":"success","request_id":"cancel_async_message-%s","response":{"cancelled":%t}}}`, command, cancelled)
	}
	check := func(got Step, sent string, want ...event.Data) {
		t.Helper()
		if diff := cmp.Diff(want, got.Events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if sent == "" && len(got.Send) == 0 {
			return
		}
		if want := `{"type":"control_request","request_id":"cancel_async_message-` + sent + `"}}`; len(got.Send) != 1 || string(got.Send[0]) != want {
			t.Errorf("sent %q, want %s", got.Send, want)
		}
	}
	a := testClaude()
	withdraw := func(id string) Step { return a.Do(Command{ID: id, Kind: Withdraw}) }
	const request = `","request":{"subtype":"cancel_async_message","message_uuid":"`

	a.Do(Command{ID: "prompt", Kind: Message, Text: "x"})
	check(withdraw("w0"), "", event.CommandFailed{Command: "w0", Error: withdrawNothing})
	for _, line := range []string{claudeBusy, claudeReceipt("prompt", "started"), claudeInit} {
		a.Line([]byte(line))
	}
	a.Do(Command{ID: "b", Kind: Message, Text: "x"})
	a.Do(Command{ID: "c", Kind: Message, Text: "x"})
	a.Do(Command{ID: "d", Kind: Message, Text: "x"})
	check(withdraw("w1"), "w1"+request+"d")
	check(withdraw("w2"), "w2"+request+"c") // d is on its way back
	check(a.Line(answer("w1", true)), "", event.CommandDelivered{Command: "w1"}, event.CommandWithdrawn{Command: "d"})
	// The receipt may come before the answer.
	check(a.Line([]byte(claudeReceipt("c", "cancelled"))), "", event.CommandWithdrawn{Command: "c"})
	check(a.Line(answer("w2", true)), "", event.CommandDelivered{Command: "w2"})
	check(withdraw("w3"), "w3"+request+"b")
	check(a.Line([]byte(claudeReceipt("b", "started"))), "", event.CommandConsumed{Command: "b"})
	check(a.Line(answer("w3", false)), "", event.CommandFailed{Command: "w3", Error: withdrawLate})
	check(withdraw("w4"), "", event.CommandFailed{Command: "w4", Error: withdrawNothing})
	a.Line([]byte(claudeDone))
	if a.Line([]byte(claudeIdle)); !a.Idle() {
		t.Error("not idle though nothing waits")
	}
}
