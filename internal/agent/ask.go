package agent

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
)

const (
	// asksMax bounds the asks that are open at a time; more are denied.
	asksMax = 256
	// askMax is the size of an ask's data from which its long parts are cut, in bytes.
	askMax = 512 << 10
	// askPart is what remains of a part then, in bytes.
	askPart = 64 << 10
)

// What an agent is told where no person writes a message.
const (
	askNobody  = "Nobody can answer questions in this session. Decide yourself what serves the task best, and say in your final message what you assumed."
	askDenied  = "The person at the controls denied this."
	askRule    = "A rule of this session denies this. Do not try to reach the same in another way."
	askTooMany = "Too many requests wait for an answer."
)

// asks are the open asks of a session, and what was allowed for the rest of it. They
// change with lines and commands only, so that a replay has the same.
type asks struct {
	policy  *permission.Policy // nil allows everything
	open    map[string]*ask    // by id
	granted map[string]bool    // calls that were allowed for the session
	told    map[string]string  // asks whose answer has no receipt yet -> command id
}

// ask is one open ask. id is the vendor's id of the request.
type ask struct {
	event.AskOpened
	id    json.RawMessage
	call  permission.Call
	input json.RawMessage // whole, where AskOpened.Input may be cut
	form  string          // of the reply, as the vendor's adapter knows it
}

func newAsks(policy *permission.Policy) asks {
	return asks{policy: policy, open: map[string]*ask{}, granted: map[string]bool{}, told: map[string]string{}}
}

// verdict is what the policy and the person's earlier answers say about a call.
func (a *asks) verdict(c permission.Call) permission.Verdict {
	if a.policy == nil {
		return permission.Verdict{Decision: permission.Allow}
	}
	v := a.policy.Decide(c)
	if v.Decision == permission.Ask && a.granted[grantKey(c)] {
		v.Decision = permission.Allow
	}
	if v.Decision == permission.Ask && len(a.open) >= asksMax {
		return permission.Verdict{Decision: permission.Deny, Message: askTooMany}
	}
	return v
}

// grantKey is equal for calls that are allowed together: the same tool with the same
// command, paths and host.
func grantKey(c permission.Call) string { return string(encoded(c)) }

// grantable reports whether a call is described well enough to allow it again.
func grantable(c permission.Call) bool {
	return c.Command != "" || len(c.Paths) > 0 || c.Host != "" || c.Kind == event.KindMCP
}

// wait opens o: it waits for a person from now on. The event says so by its Default.
func (a *asks) wait(o *ask) event.AskOpened {
	o.Default = event.DecideDeny
	o.Options = []event.Decision{event.DecideAllow, event.DecideDeny, event.DecideStop}
	if o.Kind == event.AskPermission && grantable(o.call) {
		o.Options = []event.Decision{event.DecideAllow, event.DecideSession, event.DecideDeny, event.DecideStop}
	}
	cutAsk(&o.AskOpened)
	a.open[o.Ask] = o
	return o.AskOpened
}

// take closes the ask that a command answers, unless that is none of its answers.
func (a *asks) take(c Command) (*ask, event.Data) {
	fail := func(text string) event.Data { return event.CommandFailed{Command: c.ID, Error: text} }
	if c.Answer == nil {
		return nil, fail("an answer without content")
	}
	o := a.open[c.Answer.Ask]
	if o == nil {
		return nil, fail("the ask is not open")
	}
	if err := c.Answer.Check(o.AskOpened); err != nil {
		return nil, fail(err.Error())
	}
	delete(a.open, o.Ask)
	a.told[o.Ask] = c.ID
	if c.Answer.Decision == event.DecideSession {
		a.granted[grantKey(o.call)] = true
	}
	if c.Answer.By == event.ByTimeout {
		return o, event.AskExpired{Ask: o.Ask, Reason: event.ExpiredTimeout, Decision: c.Answer.Decision, Command: c.ID}
	}
	return o, event.AskAnswered{
		Ask: o.Ask, Decision: c.Answer.Decision, By: c.Answer.By, Command: c.ID,
		Message: c.Answer.Message, Edited: len(c.Answer.Input) > 0 && o.Kind == event.AskPermission,
	}
}

// withdraw closes an ask that the agent gave up; nil if it was not open.
func (a *asks) withdraw(id string) event.Data {
	if a.open[id] == nil {
		return nil
	}
	delete(a.open, id)
	return event.AskExpired{Ask: id, Reason: event.ExpiredWithdrawn}
}

// receipt is for an agent that says that it has an answer; nil if that is no news.
func (a *asks) receipt(id string) event.Data {
	command, ok := a.told[id]
	if !ok {
		return nil
	}
	delete(a.told, id)
	return event.CommandDelivered{Command: command}
}

// denial is what the agent is told about one.
func denial(a *event.Answer) string {
	if a.Message != "" {
		return a.Message
	}
	return askDenied
}

func encoded(v any) []byte {
	data, _ := json.Marshal(v) // fails for a broken RawMessage only, of which there is none here
	return data
}

// cutAsk shortens what is too long to be carried around. The agent's own request
// is not changed by that.
func cutAsk(o *event.AskOpened) {
	if len(encoded(o)) <= askMax {
		return
	}
	o.Cut, o.Editable, o.Input, o.Schema = true, false, nil, nil
	o.Command, o.Diff = cutText(o.Command), cutText(o.Diff)
	if len(encoded(o.Paths)) > askPart {
		o.Paths = o.Paths[:min(len(o.Paths), 8)]
	}
	if len(encoded(o)) > askMax {
		o.Paths, o.Questions = nil, nil
	}
}

func cutText(s string) string {
	if len(s) <= askPart {
		return s
	}
	head, tail := s[:askPart/2], s[len(s)-askPart/2:]
	return strings.ToValidUTF8(head, "") + fmt.Sprintf("\n…[%d bytes are not shown]…\n", len(s)-askPart) + strings.ToValidUTF8(tail, "")
}

// diffOf writes what an edit takes out and puts in as the lines of a diff.
func diffOf(old, text string) string {
	var b strings.Builder
	write := func(mark, part string) {
		if part == "" {
			return
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(part, "\n"), "\n") {
			b.WriteString(mark + line + "\n")
		}
	}
	write("-", old)
	write("+", text)
	return b.String()
}
