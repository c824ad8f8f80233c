package agent

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

func (c *claude) system(s *claudeStep, subtype string, line []byte) {
	switch subtype {
	case "init":
		c.init(s, line)
	case "session_state_changed":
		c.stateChanged(s, line)
	case "background_tasks_changed":
		c.tasksChanged(s, line)
	case "status", "api_retry", "task_notification", "hook_response", "notification", "informational", "permission_denied":
		c.remark(s, subtype, line)
	case "compact_boundary", "thinking_tokens", "hook_started", "hook_progress",
		"task_started", "task_progress", "task_updated", "task_summary",
		"files_persisted", "commands_changed", "session_metadata", "session_title_changed",
		"post_turn_summary", "control_request_progress", "turn_starting":
		s.protocol("system/" + subtype)
	default:
		s.flaw = "unknown system line " + subtype
	}
}

// init opens every turn; the first one introduces the agent too.
func (c *claude) init(s *claudeStep, line []byte) {
	var l struct {
		Version string   `json:"claude_code_version"`
		Model   string   `json:"model"`
		Session string   `json:"session_id"`
		Cwd     string   `json:"cwd"`
		Tools   []string `json:"tools"`
		MCP     []struct {
			Name   string `json:"name"`
			Status string `json:"status"`
		} `json:"mcp_servers"`
	}
	s.decode(line, &l)
	if !c.introduced {
		c.introduced = true
		e := event.SessionStarted{
			Agent: string(Claude), Version: l.Version, Model: l.Model,
			Conversation: l.Session, Cwd: l.Cwd, Tools: l.Tools,
		}
		for _, m := range l.MCP {
			if e.MCP == nil {
				e.MCP = map[string]string{}
			}
			e.MCP[m.Name] = m.Status
		}
		s.add(e)
		for _, m := range l.MCP {
			if m.Status == "failed" {
				s.add(event.Notice{Kind: "warning", Text: claudeTitle("MCP server " + m.Name + " did not start, the agent works without it")})
			}
		}
	}
	if !c.openTurn(s) {
		s.protocol("system/init")
	}
}

// stateChanged takes Claude's own word on whether it is idle. An idle Claude has
// no turn, even if the line that ended it was lost.
func (c *claude) stateChanged(s *claudeStep, line []byte) {
	var l struct {
		State string `json:"state"`
	}
	s.decode(line, &l)
	c.state = l.State
	if l.State == "idle" {
		c.turn, c.starting = false, false
		c.answered = c.answered || len(c.messages) > c.waiting
	}
	s.protocol("system/session_state_changed/" + l.State)
}

// tasksChanged takes the list of everything that runs in the background.
func (c *claude) tasksChanged(s *claudeStep, line []byte) {
	var l struct {
		Tasks []struct {
			ID   string `json:"task_id"`
			Type string `json:"task_type"`
		} `json:"tasks"`
	}
	s.decode(line, &l)
	c.background, c.shells = map[string]bool{}, 0
	for _, t := range l.Tasks {
		c.background[t.ID] = true
		if t.Type == "local_bash" {
			c.shells++
		}
	}
	s.protocol("system/background_tasks_changed")
}

// claudeRemark has the fields of the system lines that may concern a person.
type claudeRemark struct {
	Status        string          `json:"status"`
	CompactError  string          `json:"compact_error"`
	CompactResult string          `json:"compact_result"`
	Attempt       int             `json:"attempt"`
	MaxRetries    int             `json:"max_retries"`
	DelayMS       float64         `json:"retry_delay_ms"`
	ErrorStatus   json.RawMessage `json:"error_status"`
	Error         string          `json:"error"`
	TaskID        string          `json:"task_id"`
	Summary       string          `json:"summary"`
	HookName      string          `json:"hook_name"`
	Outcome       string          `json:"outcome"`
	Stderr        string          `json:"stderr"`
	Text          string          `json:"text"`
	Content       string          `json:"content"`
	ToolName      string          `json:"tool_name"`
	Message       string          `json:"message"`
}

// remark turns a system line into a notice, or into protocol when it says
// nothing new.
func (c *claude) remark(s *claudeStep, subtype string, line []byte) {
	var l claudeRemark
	s.decode(line, &l)
	kind, text := "info", ""
	switch subtype {
	case "status":
		switch {
		case l.Status == "compacting":
			text = "the conversation is being compacted"
		case l.CompactResult == "failed":
			kind, text = "warning", "compacting failed: "+l.CompactError
		}
	case "api_retry":
		kind, text = "retry", l.retry()
	case "task_notification":
		if c.background[l.TaskID] { // others end with their tool call
			text = claudeTitle("background task " + l.Status + ": " + l.Summary)
		}
	case "hook_response":
		if l.Outcome == "error" {
			kind, text = "warning", claudeTitle("hook "+l.HookName+" failed: "+l.Stderr)
		}
	case "permission_denied":
		kind, text = "warning", claudeTitle("denied: "+l.ToolName+" "+l.Message)
	case "notification":
		text = l.Text
	case "informational":
		text = l.Content
	}
	if text == "" {
		s.protocol("system/" + subtype)
		return
	}
	s.add(event.Notice{Kind: kind, Text: text})
}

// retry describes an api_retry line; without an HTTP status there was no answer.
func (l claudeRemark) retry() string {
	cause := l.Error
	if status := string(l.ErrorStatus); status != "" && status != "null" {
		cause = "HTTP " + status + ", " + cause
	}
	wait := strconv.FormatFloat(l.DelayMS/1000, 'f', 1, 64)
	return fmt.Sprintf("model API: %s; retry %d of %d in %s s", cause, l.Attempt, l.MaxRetries, wait)
}

// rateLimit takes the state of a usage window. 2.1.330 leaves the window's name
// out while nothing is near its limit.
func (c *claude) rateLimit(s *claudeStep, line []byte) {
	var l struct {
		Info struct {
			Status      string   `json:"status"`
			ResetsAt    int64    `json:"resetsAt"`
			Window      string   `json:"rateLimitType"`
			Utilization *float64 `json:"utilization"`
		} `json:"rate_limit_info"`
	}
	s.decode(line, &l)
	e := event.LimitUpdated{Window: l.Info.Window, Status: l.Info.Status}
	if l.Info.Status == "allowed_warning" {
		e.Status = "warning"
	}
	if l.Info.ResetsAt > 0 && l.Info.ResetsAt < claudeLastSecond {
		e.ResetsAt = time.Unix(l.Info.ResetsAt, 0).UTC().Format(time.RFC3339)
	}
	if l.Info.Utilization != nil {
		percent := *l.Info.Utilization * 100
		e.UsedPercent = &percent
	}
	c.trouble.rejected = e.Status == "rejected"
	c.trouble.limit = ""
	if c.trouble.rejected {
		c.trouble.limit = e.ResetsAt
	}
	if e.Window == "" && e.Status == "allowed" {
		s.protocol("rate_limit_event")
		return
	}
	s.add(e)
}

// claudeLastSecond is the end of the year 9999, the last that RFC 3339 can write.
const claudeLastSecond = 253402300800
