package agent

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// codexLimit is the last known state of one usage window.
type codexLimit struct {
	window   string
	full     bool
	resetsAt int64 // Unix seconds; 0 is unknown
}

func (c *codex) setTurn(id string) {
	c.turn, c.begun = id, false
	c.text, c.failure, c.sent = "", nil, nil
}

func (c *codex) turnStarted(s *codexStep, params json.RawMessage) {
	var p struct {
		codexScope
		Turn codexTurn `json:"turn"`
	}
	switch err := codexDecode(params, &p); {
	case err != nil || p.Turn.ID == "":
		s.unparsed("turn/started without a turn")
	case !c.own(p.ThreadID):
		s.protocol("turn/started")
	default:
		if c.turn != p.Turn.ID {
			c.setTurn(p.Turn.ID)
		}
		c.begun = true
		s.add(event.TurnStarted{Turn: p.Turn.ID})
	}
}

// own reports whether a notification is about the session's own thread.
func (c *codex) own(thread string) bool { return thread == "" || thread == c.thread }

func (c *codex) turnCompleted(s *codexStep, params json.RawMessage) {
	var p struct {
		codexScope
		Turn codexTurn `json:"turn"`
	}
	if err := codexDecode(params, &p); err != nil || p.Turn.ID == "" {
		s.unparsed("turn/completed without a turn")
		return
	}
	t := p.Turn
	if t.Status != "completed" {
		// The commands of a turn that was stopped live on, but are never
		// reported as completed. Those of a completed one are, when they end.
		c.items.closeTurn(s, t.ID)
	}
	if !c.own(p.ThreadID) {
		s.protocol("turn/completed")
		return
	}
	c.ended, c.endedStatus = t.ID, t.Status
	if t.ID == c.turn {
		c.turn, c.begun = "", false
		for _, m := range c.held {
			m.urgent = false
		}
		for _, id := range c.sent {
			if t.Status == "interrupted" {
				s.add(event.CommandConsumed{Command: id})
			}
		}
		c.sent = nil
	}
	s.add(c.finished(t))
	c.settle(s, t.ID, t.Status)
	if c.turn == "" && !c.starting && len(c.held) == 0 {
		c.dropStops(s)
	}
}

// dropStops refuses the interrupts that found no turn to stop.
func (c *codex) dropStops(s *codexStep) {
	for _, id := range c.stops {
		s.fail(id, "no turn is running")
	}
	c.stops = nil
}

// settle decides about the messages that a turn had accepted and not taken in
// when it ended. The model never sees them (measured: a message steered just
// before an interrupt was in no later request), so they are sent again, except
// when there is no point.
func (c *codex) settle(s *codexStep, turn, status string) {
	var rest []*codexMessage
	for _, m := range c.taken {
		switch {
		case m.turn != turn:
			rest = append(rest, m)
		case status == "interrupted" && m.opener && turn != c.broken:
			s.fail(m.id, "interrupted before the agent saw it")
		case status == "failed" || m.opener && turn != c.broken:
			s.fail(m.id, "the turn ended before the agent saw it")
		default:
			m.restart = true
			c.hold(m)
		}
	}
	c.taken = rest
}

// finished describes the end of a turn.
func (c *codex) finished(t codexTurn) event.TurnFinished {
	f := event.TurnFinished{Turn: t.ID, Text: c.text, DurationMS: t.DurationMS}
	if len(c.usage) > 0 {
		usage := c.totalUsage()
		f.Usage = &usage
	}
	switch t.Status {
	case "completed":
		f.Status = event.TurnCompleted
		return f
	case "interrupted":
		f.Status = event.TurnInterrupted
		return f
	}
	f.Status = event.TurnFailed
	f.Reason = event.ReasonAPI
	e := t.Error
	if e == nil {
		e = c.failure
	}
	if e == nil {
		f.Error = "codex ended the turn as " + strconv.Quote(codexTitle(t.Status))
		return f
	}
	f.Error, f.Reason = e.text(), codexReason(e.Info)
	if f.Reason == event.ReasonUsageLimit {
		f.ResetsAt = c.resetsAt()
	}
	return f
}

// text returns the message. For some refusals that is the API's answer as it
// came: {"error":{"message":"…"}}.
func (e *codexTurnError) text() string {
	var body struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if strings.HasPrefix(e.Message, "{") && codexDecode([]byte(e.Message), &body) == nil && body.Error.Message != "" {
		return body.Error.Message
	}
	return e.Message
}

// codexReason maps codexErrorInfo: a word, or an object with one member such as
// {"httpConnectionFailed":{"httpStatusCode":401}}.
func codexReason(info json.RawMessage) string {
	switch string(info) {
	case `"usageLimitExceeded"`:
		return event.ReasonUsageLimit
	case `"unauthorized"`:
		return event.ReasonAuth
	case `"sessionBudgetExceeded"`:
		return event.ReasonBudget
	}
	var kinds map[string]struct {
		Status int `json:"httpStatusCode"`
	}
	if bytes.HasPrefix(info, []byte("{")) && codexDecode(info, &kinds) == nil {
		for _, k := range kinds {
			if k.Status == 401 {
				return event.ReasonAuth
			}
		}
	}
	return event.ReasonAPI
}

// errorNotice handles the notification "error".
func (c *codex) errorNotice(s *codexStep, params json.RawMessage) {
	var p struct {
		codexScope
		Error     *codexTurnError `json:"error"`
		WillRetry bool            `json:"willRetry"`
	}
	if err := codexDecode(params, &p); err != nil || p.Error == nil {
		s.unparsed("error without an error")
		return
	}
	text := p.Error.Message
	if p.Error.Details != "" {
		text += " (" + p.Error.Details + ")"
	}
	if p.WillRetry {
		s.notice("retry", text)
		return
	}
	if c.own(p.ThreadID) && c.turn != "" {
		c.failure = p.Error
		s.protocol("error") // the turn ends next, and says the same
		return
	}
	s.notice("warning", text)
}

// limitsUpdated reports each window that the line has: lines are sparse.
func (c *codex) limitsUpdated(s *codexStep, params json.RawMessage) {
	var p struct {
		RateLimits struct {
			LimitID   string       `json:"limitId"`
			Primary   *codexWindow `json:"primary"`
			Secondary *codexWindow `json:"secondary"`
		} `json:"rateLimits"`
	}
	if err := codexDecode(params, &p); err != nil {
		s.unparsed("rate limits: " + err.Error())
		return
	}
	id := p.RateLimits.LimitID
	c.limit(s, id, "primary", p.RateLimits.Primary)
	c.limit(s, id, "secondary", p.RateLimits.Secondary)
	if len(s.Events) == 0 {
		s.protocol("account/rateLimits/updated")
	}
}

func (c *codex) limit(s *codexStep, id, name string, w *codexWindow) {
	if w == nil {
		return
	}
	l := codexLimit{window: name, resetsAt: w.ResetsAt}
	if w.Minutes > 0 {
		l.window = strconv.FormatInt(w.Minutes, 10) + "m"
	}
	if id != "" && id != "codex" { // a limit of one model's
		l.window = codexTitle(id) + " " + l.window
	}
	l.full = w.UsedPercent != nil && *w.UsedPercent >= 100
	c.storeLimit(l)
	e := event.LimitUpdated{Window: l.window, UsedPercent: w.UsedPercent, ResetsAt: codexTime(l.resetsAt)}
	switch {
	case l.full:
		e.Status = "rejected"
	case w.UsedPercent != nil:
		e.Status = "allowed"
	}
	s.add(e)
}

func (c *codex) storeLimit(l codexLimit) {
	for i := range c.limits {
		if c.limits[i].window == l.window {
			c.limits[i] = l
			return
		}
	}
	if len(c.limits) < maxTracked {
		c.limits = append(c.limits, l)
	}
}

// resetsAt is when the last of the windows that are used up opens again. The
// server sends the limits before it fails the turn for them.
func (c *codex) resetsAt() string {
	var last int64
	for _, l := range c.limits {
		if l.full {
			last = max(last, l.resetsAt)
		}
	}
	return codexTime(last)
}

func codexTime(unix int64) string {
	if unix <= 0 || unix > 253402300799 { // the year 9999, RFC 3339's last
		return ""
	}
	return time.Unix(unix, 0).UTC().Format(time.RFC3339)
}
