package agent

import (
	"encoding/json"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// claudeTrouble is what the lines before a result said about its failure. The
// usage window outlives the turn: Claude repeats its state only when it changes.
type claudeTrouble struct {
	kind     string // the assistant line's error, such as "rate_limit"
	rejected bool   // the usage window is used up
	limit    string // and until when
}

// apiError takes the message that Claude makes up when the API failed. It is
// nobody's answer, and the result repeats it, so that it becomes a notice.
func (c *claude) apiError(s *claudeStep, line []byte, m claudeMessage) bool {
	if m.Model != "<synthetic>" {
		return false
	}
	var l struct {
		Error string `json:"error"`
	}
	s.decode(line, &l)
	if l.Error == "" {
		return false
	}
	c.trouble.kind = l.Error
	var text strings.Builder
	for _, b := range claudeBlocks(s, m.Content) {
		text.WriteString(b.Text)
	}
	s.add(event.Notice{Kind: "warning", Text: text.String()})
	return true
}

type claudeResult struct {
	Subtype    string                 `json:"subtype"`
	IsError    bool                   `json:"is_error"`
	APIStatus  int                    `json:"api_error_status"`
	APIError   string                 `json:"api_error"`
	Terminal   string                 `json:"terminal_reason"`
	Shutdown   bool                   `json:"interrupted_by_shutdown"`
	Result     string                 `json:"result"`
	Errors     []string               `json:"errors"`
	DurationMS int64                  `json:"duration_ms"`
	Cost       json.RawMessage        `json:"total_cost_usd"`
	Models     map[string]claudeModel `json:"modelUsage"`
	Messages   []string               `json:"user_message_uuids"`
	Structured json.RawMessage        `json:"structured_output"` // with --json-schema, in place of a text
}

func (c *claude) result(s *claudeStep, line []byte) {
	var r claudeResult
	s.decode(line, &r)
	c.consumeAll(s, r.Messages)
	c.turn, c.starting = false, false
	c.answered = true
	c.meter.settle(claudeSpent{r.Cost, r.Models})
	usage := c.meter.total()

	e := event.TurnFinished{Status: event.TurnCompleted, Usage: &usage, DurationMS: r.DurationMS}
	switch {
	case r.interrupted():
		e.Status = event.TurnInterrupted
	case r.IsError || r.Subtype != "success":
		e.Status = event.TurnFailed
		e.Reason = c.reason(r)
		if e.Error = r.Result; e.Error == "" {
			e.Error = strings.Join(r.Errors, "; ")
		}
		if e.Reason == event.ReasonUsageLimit {
			e.ResetsAt = c.trouble.limit
		}
	default:
		if e.Text = r.Result; e.Text == "" && len(r.Structured) > 0 && r.Structured[0] == '{' {
			e.Text = string(r.Structured)
		}
	}
	s.add(e)
	s.add(event.UsageUpdated{Usage: usage})
}

// interrupted reports that somebody stopped the turn. Its errors are then the
// vendor's own diagnostics.
func (r claudeResult) interrupted() bool {
	return r.Shutdown || strings.HasPrefix(r.Terminal, "aborted_")
}

// reason says why a turn failed. 2.1.330 names a usage limit in api_error; older
// versions only in the line before and in the text ("You've hit your session
// limit · resets 1:52pm (UTC)").
func (c *claude) reason(r claudeResult) string {
	switch {
	case r.Subtype == "error_max_turns":
		return event.ReasonMaxTurns
	case r.Subtype == "error_max_budget_usd":
		return event.ReasonBudget
	case r.APIError == "usage_limit_reached",
		r.APIStatus == 429 && c.trouble.rejected,
		c.trouble.kind == "rate_limit" && claudeLimitText(r.Result):
		return event.ReasonUsageLimit
	}
	switch c.trouble.kind {
	case "authentication_failed", "oauth_org_not_allowed", "account_on_hold", "verification_required":
		return event.ReasonAuth
	}
	if r.APIStatus == 401 {
		return event.ReasonAuth
	}
	if r.Subtype == "success" || c.trouble.kind != "" {
		return event.ReasonAPI
	}
	return ""
}

func claudeLimitText(text string) bool {
	return strings.Contains(text, "limit") && (strings.HasPrefix(text, "You've hit your") || strings.Contains(text, "limit reached"))
}
