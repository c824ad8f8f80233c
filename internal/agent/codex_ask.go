package agent

import (
	"encoding/json"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// codexAsk holds what the server's requests for permission say.
type codexAsk struct {
	Command     json.RawMessage `json:"command"` // a string; in the old protocol a list
	Reason      string          `json:"reason"`
	Message     string          `json:"message"`
	ServerName  string          `json:"serverName"`
	Permissions json.RawMessage `json:"permissions"`
	Meta        struct {
		ApprovalKind string `json:"codex_approval_kind"`
		Tool         string `json:"tool_name"`
	} `json:"_meta"`
	Questions []struct {
		Question string `json:"question"`
	} `json:"questions"`
}

// codexNoMethod is JSON-RPC's code for a method that does not exist.
const codexNoMethod = -32601

// serverRequest answers a request at once: an agent that waits for an answer
// stalls. With approval policy "never" the server asks for next to nothing.
func (c *codex) serverRequest(s *codexStep, l codexLine) {
	var p codexAsk
	if len(l.Params) > 0 {
		_ = codexDecode(l.Params, &p) // the answer depends on little of it
	}
	ask := event.AskOpened{
		Ask:   "request-" + strings.Trim(string(l.ID), `"`),
		Kind:  "permission",
		Title: codexTitle(p.Reason + p.Message),
		Input: l.Params,
	}
	switch l.Method {
	case "item/commandExecution/requestApproval":
		ask.Tool = "commandExecution"
		if command := codexTexts(p.Command); command != "" {
			ask.Title = codexTitle(codexUnwrapShell(command))
		}
		c.answer(s, l, ask, map[string]any{"decision": "accept"})
	case "item/fileChange/requestApproval":
		ask.Tool = "fileChange"
		c.answer(s, l, ask, map[string]any{"decision": "accept"})
	case "execCommandApproval", "applyPatchApproval":
		ask.Tool = strings.TrimSuffix(l.Method, "Approval")
		c.answer(s, l, ask, map[string]any{"decision": "approved"})
	case "item/permissions/requestApproval":
		ask.Tool = "permissions"
		granted := p.Permissions
		if len(granted) == 0 || granted[0] != '{' {
			granted = json.RawMessage("{}")
		}
		c.answer(s, l, ask, map[string]any{"permissions": granted, "scope": "turn"})
	case "mcpServer/elicitation/request":
		c.elicitation(s, l, p, ask)
	case "item/tool/requestUserInput":
		ask.Kind, ask.Tool = "question", "requestUserInput"
		if len(p.Questions) > 0 {
			ask.Title = codexTitle(p.Questions[0].Question)
		}
		c.deny(s, l, ask, map[string]any{"answers": struct{}{}})
	case "account/chatgptAuthTokens/refresh", "attestation/generate", "item/tool/call":
		s.notice("warning", "refused the agent's request "+l.Method)
		c.refuseRequest(s, l)
	default:
		s.unparsed("unknown request " + codexTitle(l.Method))
		c.refuseRequest(s, l)
	}
}

// elicitation allows calls of MCP tools. A server that asks a person for data
// gets no answer from a runner.
func (c *codex) elicitation(s *codexStep, l codexLine, p codexAsk, ask event.AskOpened) {
	if p.Meta.ApprovalKind == "" {
		ask.Kind, ask.Tool = "question", "mcp__"+p.ServerName
		c.deny(s, l, ask, map[string]any{"action": "decline", "content": nil})
		return
	}
	ask.Tool = "mcp__" + p.ServerName + "__" + p.Meta.Tool
	c.answer(s, l, ask, map[string]any{"action": "accept", "content": struct{}{}})
}

func (c *codex) answer(s *codexStep, l codexLine, ask event.AskOpened, result any) {
	s.add(ask, event.AskAnswered{Ask: ask.Ask, Decision: "allow", By: "policy"})
	s.send(codexReply{ID: l.ID, Result: result})
}

func (c *codex) deny(s *codexStep, l codexLine, ask event.AskOpened, result any) {
	s.add(ask, event.AskAnswered{Ask: ask.Ask, Decision: "deny", By: "policy"})
	s.send(codexReply{ID: l.ID, Result: result})
}

func (c *codex) refuseRequest(s *codexStep, l codexLine) {
	s.send(codexReply{ID: l.ID, Error: &codexRPCError{Code: codexNoMethod, Message: "not supported by this client"}})
}
