package agent

import (
	"encoding/json"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// notification handles a message of the server's that wants no answer.
func (c *codex) notification(s *codexStep, l codexLine) {
	switch l.Method {
	case "turn/started":
		c.turnStarted(s, l.Params)
	case "turn/completed":
		c.turnCompleted(s, l.Params)
	case "item/started", "item/completed":
		c.item(s, l.Method, l.Params)
	case "item/agentMessage/delta", "item/commandExecution/outputDelta":
		d := codexDelta{method: l.Method}
		if err := codexDecode(l.Params, &d); err != nil {
			s.unparsed(l.Method + ": " + err.Error())
			return
		}
		c.delta(s, d)
	case "serverRequest/resolved":
		c.requestResolved(s, l.Params)
	case "item/mcpToolCall/progress":
		c.progress(s, l)
	case "turn/plan/updated":
		c.planUpdated(s, l)
	case "thread/tokenUsage/updated":
		c.usageUpdated(s, l.Params)
	case "account/rateLimits/updated":
		c.limitsUpdated(s, l.Params)
	case "error":
		c.errorNotice(s, l.Params)
	case "model/rerouted":
		c.rerouted(s, l)
	case "hook/completed":
		c.hookCompleted(s, l)
	case "thread/goal/updated", "thread/goal/cleared":
		c.goalUpdated(s, l)
	case "item/autoApprovalReview/completed":
		c.reviewed(s, l)
	case "warning", "guardianWarning", "configWarning", "deprecationNotice", "mcpServer/startupStatus/updated":
		c.warning(s, l)
	default:
		if !codexSilent(l.Method) {
			s.unparsed("unknown notification " + codexTitle(l.Method))
			return
		}
		s.protocol(l.Method)
	}
}

// codexDelta is a piece of a message or of a command's output.
type codexDelta struct {
	method   string
	ThreadID string `json:"threadId"`
	ItemID   string `json:"itemId"`
	Delta    string `json:"delta"`
}

func (c *codex) delta(s *codexStep, d codexDelta) {
	switch {
	case d.method == "item/commandExecution/outputDelta":
		s.add(event.ToolOutput{Call: d.ItemID, Text: d.Delta})
	case c.own(d.ThreadID):
		s.add(event.MessageDelta{ID: d.ItemID, Text: d.Delta})
	default: // a spawned agent's: it would mix with ours; the whole message follows
		s.protocol(d.method)
	}
}

func (c *codex) progress(s *codexStep, l codexLine) {
	var p struct {
		ItemID  string `json:"itemId"`
		Message string `json:"message"`
	}
	if err := codexDecode(l.Params, &p); err != nil || p.ItemID == "" {
		s.unparsed("progress without an item")
		return
	}
	s.add(event.ToolOutput{Call: p.ItemID, Text: p.Message + "\n"})
}

func (c *codex) planUpdated(s *codexStep, l codexLine) {
	var p struct {
		codexScope
		Plan []struct {
			Step   string `json:"step"`
			Status string `json:"status"`
		} `json:"plan"`
	}
	if err := codexDecode(l.Params, &p); err != nil {
		s.unparsed("plan: " + err.Error())
		return
	}
	if !c.own(p.ThreadID) {
		s.protocol(l.Method)
		return
	}
	plan := event.PlanUpdated{Steps: make([]event.PlanStep, 0, len(p.Plan))}
	for _, step := range p.Plan {
		status := step.Status
		if status == "inProgress" {
			status = "in_progress"
		}
		plan.Steps = append(plan.Steps, event.PlanStep{Text: step.Step, Status: status})
	}
	s.add(plan)
}

// warning handles what is worth a notice in some of its states.
func (c *codex) warning(s *codexStep, l codexLine) {
	var p struct {
		Message string          `json:"message"`
		Summary string          `json:"summary"`
		Details string          `json:"details"`
		Name    string          `json:"name"`
		Error   string          `json:"error"`
		Status  json.RawMessage `json:"status"`
	}
	if err := codexDecode(l.Params, &p); err != nil {
		s.unparsed(l.Method + ": " + err.Error())
		return
	}
	var text string
	switch l.Method {
	case "mcpServer/startupStatus/updated":
		if string(p.Status) == `"failed"` {
			text = codexTitle("MCP server " + p.Name + " did not start, the agent works without it: " + p.Error)
		}
	case "configWarning":
		// Each session would warn that bubblewrap is missing, which Codex's own
		// sandbox needs and "danger-full-access" does not.
		if text = p.Summary; strings.Contains(text, "bubblewrap") {
			text = ""
		}
	default:
		text = p.Message + p.Summary
	}
	if text == "" {
		s.protocol(l.Method)
		return
	}
	if p.Details != "" {
		text += "\n" + p.Details
	}
	s.notice("warning", text)
}

// codexSilent reports whether a notification is known and of no interest to a
// person. The list is the schema's of 0.169.0 without those that are handled.
func codexSilent(method string) bool {
	switch method {
	case "thread/started", "thread/status/changed", "thread/readState/changed", "thread/archived", "thread/deleted", "thread/unarchived",
		"thread/closed", "thread/reverted", "thread/name/updated", "thread/section/changed",
		"thread/attachment/updated", "thread/prediction/updated",
		"thread/queue/changed", "thread/project/updated", "thread/environment/connected",
		"thread/environment/disconnected", "thread/settings/updated", "thread/compacted",
		"turn/diff/updated", "turn/moderationMetadata", "hook/started",
		"item/autoApprovalReview/started", "autoApprovalReview/strictReviewRequired",
		"item/plan/delta", "item/commandExecution/terminalInteraction", "item/fileChange/outputDelta",
		"item/fileChange/patchUpdated", "item/reasoning/summaryTextDelta", "item/reasoning/summaryPartAdded",
		"item/reasoning/textDelta", "command/exec/outputDelta", "process/outputDelta", "process/exited",
		"mcpServer/oauthLogin/completed", "mcpServer/event/stream/notification",
		"account/updated", "account/login/completed", "account/gatewayOAuth/changed",
		"app/list/updated", "skills/changed", "project/changed", "fs/changed",
		"remoteControl/status/changed", "externalAgentConfig/import/progress", "externalAgentConfig/import/completed",
		"model/verification", "model/safetyBuffering/updated",
		"modelProvider/authRecoveryStarted", "modelProvider/authRecoveryCompleted",
		"fuzzyFileSearch/sessionUpdated", "fuzzyFileSearch/sessionCompleted",
		"windows/worldWritableWarning", "windowsSandbox/setupCompleted":
		return true
	}
	return strings.HasPrefix(method, "thread/realtime/")
}
