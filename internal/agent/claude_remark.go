package agent

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// claudeRemark has the fields of the system lines that may concern a person.
type claudeRemark struct {
	Status        string          `json:"status"`
	CompactError  string          `json:"compact_error"`
	CompactResult string          `json:"compact_result"`
	Attempt       int             `json:"attempt"`
	MaxRetries    int             `json:"max_retries"`
	DelayMS       float64         `json:"retry_delay_ms"`
	ErrorStatus   json.RawMessage `json:"error_status"`
	Error         json.RawMessage `json:"error"` // a word, or what was wrong
	ErrorCode     string          `json:"error_code"`
	Text          string          `json:"text"`
	Content       string          `json:"content"`
	Level         string          `json:"level"`
	ToolName      string          `json:"tool_name"`
	Message       string          `json:"message"`
	Kind          string          `json:"kind"`
	Branch        string          `json:"branch"`
	URL           string          `json:"url"`
	Written       []string        `json:"written_paths"`
}

// remark turns the system lines that only inform into notices, or into protocol
// when they say nothing new. The subtypes are those of 2.1.330's own schema.
func (c *claude) remark(s *claudeStep, subtype string, line []byte) {
	var l claudeRemark
	s.decode(line, &l)
	kind, text := "info", ""
	switch subtype {
	case "status":
		kind, text = l.status()
	case "api_retry":
		kind, text = "retry", l.retry()
	case "api_error":
		kind, text = "warning", "model API: "+l.cause()
	case "permission_denied":
		kind, text = "warning", "denied: "+l.ToolName+" "+l.Message
	case "notification":
		text = l.Text
	case "informational", "model_refusal_no_fallback":
		if text = l.Content; l.Level == "warning" || subtype != "informational" {
			kind = "warning"
		}
	case "local_command_output", "scheduled_task_fire", "away_summary", "permission_retry":
		text = l.Content
	case "memory_saved":
		text = "saved to memory: " + strings.Join(l.Written, ", ")
	case "code_change_published":
		text = "published " + l.URL
	case "vcs_state_changed":
		text = strings.TrimSpace("git " + l.Kind + " " + l.Branch)
	case "session_writes_lost":
		kind, text = "warning", "the agent could not save its transcript: "+l.ErrorCode
	case "mirror_error":
		kind, text = "warning", "the agent could not save its transcript: "+l.cause()
	default:
		if !claudeSilent(subtype) {
			s.flaw = "unknown system line " + subtype
			return
		}
	}
	if text = claudeNotice(text); text == "" {
		s.protocol("system/" + subtype)
		return
	}
	s.add(event.Notice{Kind: kind, Text: text})
}

// claudeNotice bounds a text that may be a whole report.
func claudeNotice(text string) string {
	const limit = 4000
	if text = strings.TrimSpace(text); len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + " …"
	}
	return text
}

func (l claudeRemark) status() (kind, text string) {
	switch {
	case l.Status == "compacting":
		return "info", "the conversation is being compacted"
	case l.CompactResult == "failed":
		return "warning", "compacting failed: " + l.CompactError
	}
	return "info", ""
}

// cause is the error as a text: it is a word, or an object with a message.
func (l claudeRemark) cause() string {
	var text string
	var e struct {
		Message   string `json:"message"`
		Formatted string `json:"formatted"`
	}
	if json.Unmarshal(l.Error, &text) == nil {
		return text
	}
	_ = json.Unmarshal(l.Error, &e) // another shape has no text
	if e.Formatted != "" {
		return e.Formatted
	}
	return e.Message
}

// retry describes an api_retry line; without an HTTP status there was no answer.
func (l claudeRemark) retry() string {
	cause := l.cause()
	if status := string(l.ErrorStatus); status != "" && status != "null" {
		cause = "HTTP " + status + ", " + cause
	}
	wait := strconv.FormatFloat(l.DelayMS/1000, 'f', 1, 64)
	return fmt.Sprintf("model API: %s; retry %d of %d in %s s", cause, l.Attempt, l.MaxRetries, wait)
}

// authStatus takes the progress of a login, which a runner never starts.
func (c *claude) authStatus(s *claudeStep, line []byte) {
	var l claudeRemark
	s.decode(line, &l)
	if text := l.cause(); text != "" {
		s.add(event.Notice{Kind: "warning", Text: claudeNotice("login: " + text)})
		return
	}
	s.protocol("auth_status")
}

// claudeSilent reports whether a system line is known and of no interest to a
// person: receipts, and what only the vendor's own screens draw.
func claudeSilent(subtype string) bool {
	switch subtype {
	case "thinking_tokens", "hook_started", "hook_progress", "stop_hook_summary",
		"task_started", "task_updated", "task_summary", "agents_killed",
		"files_persisted", "file_snapshot", "file_attachments_missing", "commands_changed", "session_metadata",
		"session_title_changed", "post_turn_summary", "control_request_progress",
		"turn_starting", "turn_duration", "turn_preempted", "turn_handoff_available", "turn_began_before_init",
		"memory_recall", "thinking", "shell_cwd", "dev_intent", "per_turn_effort_changed",
		"permission_check_status", "peer_message_hold", "plugin_install", "elicitation_complete",
		"feedback_draft_queued", "inherited_asks_settled", "late_allow_not_run", "instruction_size_warning",
		"cloud_session_delta", "upgrade_relay_marker", "worker_shutting_down", "local_command":
		return true
	}
	return strings.HasPrefix(subtype, "ui_")
}
