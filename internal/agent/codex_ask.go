package agent

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
)

// codexAsk holds what the server's requests for permission say.
type codexAsk struct {
	ItemID      string          `json:"itemId"`
	Command     json.RawMessage `json:"command"` // a string; in the old protocol a list
	Cwd         string          `json:"cwd"`
	GrantRoot   string          `json:"grantRoot"` // a directory that it wants to write from now on
	Message     string          `json:"message"`
	ServerName  string          `json:"serverName"`
	Permissions json.RawMessage `json:"permissions"`
	Schema      json.RawMessage `json:"requestedSchema"`
	Mode        string          `json:"mode"`
	Network     *struct {
		Host string `json:"host"`
	} `json:"networkApprovalContext"`
	FileChanges map[string]json.RawMessage `json:"fileChanges"` // of the old protocol
	Meta        struct {
		ApprovalKind string          `json:"codex_approval_kind"`
		Tool         string          `json:"tool_name"`
		Params       json.RawMessage `json:"tool_params"`
	} `json:"_meta"`
	Questions []struct {
		ID       string         `json:"id"`
		Header   string         `json:"header"`
		Question string         `json:"question"`
		Options  []event.Choice `json:"options"`
	} `json:"questions"`
}

// serverRequest takes a request of the server's, which waits for the answer without
// limit. With approval policy "never" it asks for next to nothing.
func (c *codex) serverRequest(s *codexStep, l codexLine) {
	var p codexAsk
	if len(l.Params) > 0 {
		_ = codexDecode(l.Params, &p) // the answer depends on little of it
	}
	o := &ask{id: l.ID, form: codexDecides, AskOpened: event.AskOpened{
		Ask: codexAskID(l.ID), Kind: event.AskPermission, Call: p.ItemID, Cwd: p.Cwd,
	}}
	if c.asks.open[o.Ask] != nil {
		s.unparsed("request with the id of another")
		return
	}
	switch l.Method {
	case "item/commandExecution/requestApproval":
		c.askCommand(o, p, "commandExecution")
	case "item/fileChange/requestApproval":
		c.askChange(o, p, "fileChange")
	case "execCommandApproval":
		o.form = codexDecidesOld
		c.askCommand(o, p, "execCommand")
	case "applyPatchApproval":
		o.form = codexDecidesOld
		c.askChange(o, p, "applyPatch")
	case "item/permissions/requestApproval":
		o.form, o.input, o.Input, o.Title = codexGrants, p.Permissions, p.Permissions, "more permissions"
		o.call = permission.Call{Kind: event.KindOther, Tool: "permissions"}
	case "mcpServer/elicitation/request":
		c.askMCP(o, p)
	case "item/tool/requestUserInput":
		c.askUser(o, p)
	case "account/chatgptAuthTokens/refresh", "attestation/generate", "item/tool/call":
		s.notice("warning", "refused the agent's request "+l.Method)
		c.refuseRequest(s, l)
		return
	default:
		s.unparsed("unknown request " + codexTitle(l.Method))
		c.refuseRequest(s, l)
		return
	}
	o.Tool, o.ToolKind = o.call.Tool, o.call.Kind
	o.Paths, o.Host = o.call.Paths, o.call.Host
	c.openOrSettle(s, o)
}

func codexAskID(id json.RawMessage) string { return "request-" + strings.Trim(string(id), `"`) }

func (c *codex) askCommand(o *ask, p codexAsk, tool string) {
	whole := codexTexts(p.Command)
	var argv []string
	if len(p.Command) > 0 && p.Command[0] == '[' && codexDecode(p.Command, &argv) == nil {
		whole = codexJoin(argv)
	}
	o.Command = codexScript(whole)
	o.Title = codexTitle(o.Command)
	o.call = permission.Call{Kind: event.KindShell, Tool: tool, Command: o.Command}
	if p.Network != nil { // a running command wants to reach a host
		o.call = permission.Call{Kind: event.KindFetch, Tool: tool, Host: p.Network.Host}
		o.Title = codexTitle("reach " + p.Network.Host + " for " + o.Command)
	}
}

// askChange describes a change of files, which the item that was started shows.
func (c *codex) askChange(o *ask, p codexAsk, tool string) {
	var paths []string
	for _, change := range c.items.changes(p.ItemID) {
		paths = append(paths, change.Path)
		if change.Kind.MovePath != "" && change.Kind.MovePath != change.Path {
			paths = append(paths, change.Kind.MovePath)
		}
		o.Diff += change.diff()
	}
	for path := range p.FileChanges {
		paths = append(paths, path)
	}
	if p.GrantRoot != "" {
		paths = append(paths, p.GrantRoot)
	}
	slices.Sort(paths)
	o.call = permission.Call{Kind: event.KindEdit, Tool: tool, Paths: slices.Compact(paths)}
	o.Title = codexTitle(strings.Join(o.call.Paths, ", "))
}

// askMCP takes a call of an MCP tool, or a server's request for data from a person.
func (c *codex) askMCP(o *ask, p codexAsk) {
	o.form = codexElicits
	if p.Meta.ApprovalKind != "" {
		o.call = permission.Call{Kind: event.KindMCP, Tool: "mcp__" + p.ServerName + "__" + p.Meta.Tool}
		o.Title, o.Input = codexTitle(p.ServerName+": "+p.Meta.Tool), p.Meta.Params
		return
	}
	o.Kind, o.Schema, o.Title = event.AskForm, p.Schema, codexTitle(p.Message)
	o.call = permission.Call{Kind: event.KindMCP, Tool: "mcp__" + p.ServerName}
	if p.Mode == "url" {
		o.Schema = nil // nobody here can visit a page for it
	}
}

func (c *codex) askUser(o *ask, p codexAsk) {
	o.Kind, o.form = event.AskQuestion, codexAnswers
	o.call = permission.Call{Kind: event.KindOther, Tool: "requestUserInput"}
	for _, q := range p.Questions {
		o.Questions = append(o.Questions, event.Question{ID: q.ID, Header: q.Header, Text: q.Question, Options: q.Options})
	}
	if len(p.Questions) > 0 {
		o.Title = codexTitle(p.Questions[0].Question)
	}
}

// openOrSettle lets o wait for a person, or answers it in the same step.
func (c *codex) openOrSettle(s *codexStep, o *ask) {
	v := permission.Verdict{Decision: permission.Deny, Message: askNobody}
	switch o.Kind {
	case event.AskPermission:
		v = c.asks.verdict(o.call)
		if o.call.Kind == event.KindEdit && len(o.call.Paths) == 0 && v.Decision == permission.Allow && c.o.Permissions != nil {
			v = permission.Verdict{Decision: permission.Deny, Message: "The request does not say which files it is about."}
		}
	case event.AskQuestion, event.AskForm:
		if c.o.Attended && len(o.Questions)+len(o.Schema) > 0 && len(c.asks.open) < asksMax {
			v.Decision = permission.Ask
		}
	}
	if v.Decision == permission.Ask {
		s.add(c.asks.wait(o))
		return
	}
	a := event.Answer{Decision: event.DecideAllow}
	if v.Decision == permission.Deny {
		a = event.Answer{Decision: event.DecideDeny, Message: v.Message}
	}
	cutAsk(&o.AskOpened)
	s.add(o.AskOpened, event.AskAnswered{Ask: o.Ask, Decision: a.Decision, By: event.ByPolicy, Rule: v.Rule})
	c.reply(s, o, &a, "denied-"+o.Ask)
}

// answer takes a person's answer, or the runner's when the time was over.
func (c *codex) answer(s *codexStep, cmd Command) {
	o, e := c.asks.take(cmd)
	s.add(e)
	if o != nil {
		c.reply(s, o, cmd.Answer, cmd.ID)
	}
}
