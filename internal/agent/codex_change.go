package agent

import (
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// rerouted says that the vendor put another model in the place of the chosen one.
func (c *codex) rerouted(s *codexStep, l codexLine) {
	var p struct {
		From   string `json:"fromModel"`
		To     string `json:"toModel"`
		Reason string `json:"reason"`
	}
	if err := codexDecode(l.Params, &p); err != nil || p.To == "" {
		s.unparsed(l.Method + " without a model")
		return
	}
	s.add(event.ModelChanged{From: p.From, To: p.To, Reason: p.Reason})
}

// hookCompleted tells how a hook ended.
//
//	{"method":"hook/completed","params":{"run":{"eventName":"preToolUse","status":"blocked","entries":[{"kind":"feedback","text":"no"}]}}}
func (c *codex) hookCompleted(s *codexStep, l codexLine) {
	var p struct {
		Run struct {
			EventName     string `json:"eventName"`
			Status        string `json:"status"`
			StatusMessage string `json:"statusMessage"`
			Entries       []struct {
				Text string `json:"text"`
			} `json:"entries"`
		} `json:"run"`
	}
	if err := codexDecode(l.Params, &p); err != nil || p.Run.EventName == "" {
		s.unparsed(l.Method + " without a hook")
		return
	}
	e := event.HookFinished{Name: p.Run.EventName, Outcome: event.HookCompleted}
	switch p.Run.Status {
	case "blocked", "stopped":
		e.Outcome = event.HookBlocked
	case "failed":
		e.Outcome = event.HookFailed
	}
	texts := []string{}
	for _, entry := range p.Run.Entries {
		texts = append(texts, entry.Text)
	}
	if len(texts) == 0 && p.Run.StatusMessage != "" {
		texts = append(texts, p.Run.StatusMessage)
	}
	e.Output = strings.Join(texts, "\n")
	s.add(e)
}

// goalUpdated shows the goal that the thread works on when it or its state is
// another. The line comes for every change of its token count as well. A goal
// that was cleared comes without one.
func (c *codex) goalUpdated(s *codexStep, l codexLine) {
	var p struct {
		codexScope
		Goal struct {
			Objective string `json:"objective"`
			Status    string `json:"status"`
		} `json:"goal"`
	}
	if err := codexDecode(l.Params, &p); err != nil {
		s.unparsed(l.Method + ": " + err.Error())
		return
	}
	if c.own(p.ThreadID) {
		c.goalActive = p.Goal.Status == "active"
	}
	text := "goal " + p.Goal.Status + ": " + codexTitle(p.Goal.Objective)
	if text == c.goal || p.Goal.Objective == "" || !c.own(p.ThreadID) {
		s.protocol(l.Method)
		return
	}
	c.goal = text
	s.notice("info", text)
}

// reviewed tells what the vendor's own reviewer decided about a call.
func (c *codex) reviewed(s *codexStep, l codexLine) {
	var p struct {
		Review struct {
			Status    string `json:"status"`
			Rationale string `json:"rationale"`
		} `json:"review"`
	}
	if err := codexDecode(l.Params, &p); err != nil {
		s.unparsed(l.Method + ": " + err.Error())
		return
	}
	if p.Review.Status == "" || p.Review.Status == "approved" {
		s.protocol(l.Method)
		return
	}
	s.notice("warning", codexTitle("the reviewer's decision is "+p.Review.Status+": "+p.Review.Rationale))
}
