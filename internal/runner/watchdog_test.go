package runner

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// tool is a Claude that calls a tool and then does what its caller says to every
// message; it leaves when asked.
func tool(onMessage func(n int, print func(string)) bool) func(map[string]any, func(string)) bool {
	n := 0
	return func(line map[string]any, print func(string)) bool {
		if line["type"] == "control_request" {
			print(fmt.Sprintf(`{"type":"control_response","response":{"subtype":"success","request_id":%q}}`, line["request_id"]))
			switch line["request"].(map[string]any)["subtype"] {
			case "interrupt":
				print(`{"type":"result","subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_tools","session_id":"c"}`)
			case "end_session":
				return false
			}
			return true
		}
		print(`{"type":"system","subtype":"init","session_id":"c","model":"claude-opus-4-8"}`)
		print(fmt.Sprintf(`{"type":"user","message":{"role":"user","content":"x"},"uuid":%q,"isReplay":true}`, line["uuid"]))
		n++
		return onMessage(n, print)
	}
}

func call(n int) string {
	return fmt.Sprintf(`{"type":"assistant","message":{"id":"m%d","model":"claude-opus-4-8","role":"assistant","content":[{"type":"tool_use","id":"t%d","name":"Bash","input":{"command":"true"}}],"usage":{"input_tokens":1000}}}`, n, n)
}

func usage(n int) string {
	return fmt.Sprintf(`{"type":"stream_event","event":{"type":"message_start","message":{"id":"m%d","model":"claude-opus-4-8","usage":{"input_tokens":1000,"output_tokens":1}}}}`, n) +
		"\n" + `{"type":"stream_event","event":{"type":"message_delta","usage":{"output_tokens":50}}}`
}

// timed runs the bundle's task in a synctest bubble and returns how it ended and
// after which time.
func (b *bundle) timed(t *testing.T) (*Session, event.SessionFinished, time.Duration) {
	t.Helper()
	begin := time.Now()
	s, err := b.Start(t.Context(), b.task)
	if err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	return s, s.Result(), time.Since(begin)
}

func TestSilenceStalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, tool(func(_ int, print func(string)) bool {
			time.Sleep(4 * time.Minute) // alive until then
			print(call(1))
			return true
		}))
		b.task.Silence = 5 * time.Minute
		_, end, took := b.timed(t)
		if end.Outcome != event.Stalled || took.Round(time.Minute) != 9*time.Minute {
			t.Errorf("after %s ended %+v", took, end)
		}
	})
}

func TestSilenceOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, tool(func(int, func(string)) bool { return true }))
		b.task.Silence = -1
		if _, end, _ := b.timed(t); end.Outcome != event.TimedOut {
			t.Errorf("ended %+v", end)
		}
	})
}

// TestDeadlineIsWarnedOf warns of the deadline, has the agent finish, and ends it on time
// when it does not.
func TestDeadlineIsWarnedOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, tool(func(_ int, print func(string)) bool { print(call(1)); return true }))
		b.task.Silence = -1
		s, end, took := b.timed(t)
		if end.Outcome != event.TimedOut || took.Round(time.Minute) != DefaultTimeout {
			t.Errorf("after %s ended %+v", took, end)
		}
		at := map[string]time.Duration{}
		for _, e := range b.entries(t, s.ID) {
			at[e.Type] = e.Time.Sub(s.Created).Round(time.Second)
		}
		if at["budget.warned"] != 96*time.Minute || at["session.stopping"] != 118*time.Minute {
			t.Errorf("warned and told at %s, %s", at["budget.warned"], at["session.stopping"])
		}
	})
}

// TestGrace has an agent that does not finish though its budget is used up.
func TestGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, tool(func(n int, print func(string)) bool {
			print(usage(n))
			print(call(n))
			return true
		}))
		b.task.Budget = Budget{Turns: 1}
		s, end, took := b.timed(t)
		if end.Outcome != event.BudgetExceeded || !strings.Contains(end.Reason, "1 of 1") || took.Round(time.Second) != graceMax {
			t.Errorf("after %s ended %+v", took, end)
		}
		told := 0
		for _, e := range b.entries(t, s.ID) {
			if e.Type == string(event.TypeCommandQueued) && strings.Contains(string(e.Data), "Finish now") {
				told++
			}
		}
		if told != 1 {
			t.Errorf("told %d times", told)
		}
	})
}

func TestCostBudgetNeedsAPrice(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	b.task.Budget = Budget{CostMicroUSD: 1}
	if _, end := b.run(t); end.Outcome != event.Errored || !strings.Contains(end.Reason, "price") {
		t.Errorf("ended %+v", end)
	}
}
