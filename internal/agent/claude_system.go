package agent

import (
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
	case "task_notification":
		c.taskNotification(s, line)
	case "task_progress":
		c.taskProgress(s, line)
	case "task_list_statuses":
		c.planStatuses(s, line)
	case "compact_boundary":
		c.compacted(s, line)
	case "hook_response":
		c.hookResponse(s, line)
	case "model_fallback", "model_refusal_fallback", "model_consent_fallback":
		c.modelFallback(s, line)
	default:
		c.remark(s, subtype, line)
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
	if l.Model != c.model && c.model != "" {
		s.add(event.ModelChanged{From: c.model, To: l.Model})
	}
	c.model = l.Model
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
