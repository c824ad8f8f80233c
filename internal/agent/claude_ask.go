package agent

import (
	"bytes"
	"encoding/json"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
)

// claudeAskedTools are the tools about which Claude asks in every case: by itself it
// runs reads and commands that it takes for harmless. Rules of ours come after.
const claudeAskedTools = `{"permissions":{"ask":["Bash","PowerShell","Monitor","Edit","Write","MultiEdit","NotebookEdit",` +
	`"Read","NotebookRead","Glob","Grep","LS","WebFetch","WebSearch","Agent","Task","Skill","mcp__*"]}}`

type claudeAsk struct {
	RequestID string `json:"request_id"`
	Request   struct {
		Subtype string          `json:"subtype"`
		Tool    string          `json:"tool_name"`
		Input   json.RawMessage `json:"input"`
		Call    string          `json:"tool_use_id"`
		Server  string          `json:"mcp_server_name"` // and below: of an elicitation
		Message string          `json:"message"`
		Mode    string          `json:"mode"`
		URL     string          `json:"url"`
		Schema  json.RawMessage `json:"requested_schema"`
	} `json:"request"`
}

// controlRequest takes a request of Claude's, which waits for the answer without limit.
func (c *claude) controlRequest(s *claudeStep, line []byte) {
	var l claudeAsk
	s.decode(line, &l)
	switch {
	case l.RequestID == "":
		s.flaw = "control request without id"
	case c.asks.open[l.RequestID] != nil:
		s.flaw = "control request with the id of another"
	case l.Request.Subtype == "can_use_tool" && l.Request.Tool == "AskUserQuestion":
		c.question(s, l)
	case l.Request.Subtype == "can_use_tool":
		c.canUseTool(s, l)
	case l.Request.Subtype == "elicitation":
		c.elicitation(s, l)
	default:
		s.add(event.Notice{Kind: "warning", Text: claudeTitle("the agent asked for " + l.Request.Subtype + ", which is not supported")})
		s.send(claudeControlReply{Type: "control_response", Response: claudeReplyInner{
			Subtype: "error", RequestID: l.RequestID, Error: "unsupported request: " + l.Request.Subtype,
		}})
	}
}

func (c *claude) canUseTool(s *claudeStep, l claudeAsk) {
	r := l.Request
	in := claudeExact(r.Input)
	o := &ask{call: in.call(r.Tool), input: r.Input, AskOpened: event.AskOpened{
		Ask: l.RequestID, Kind: event.AskPermission, Call: r.Call, Tool: r.Tool, ToolKind: claudeToolKind(r.Tool),
		Diff: in.diff(), Input: r.Input, Editable: true,
	}}
	o.Command, o.Paths, o.Host = o.call.Command, o.call.Paths, o.call.Host
	o.Title = in.title(r.Tool, o.call)
	v := c.asks.verdict(o.call)
	if in == nil { // nothing to judge
		v = permission.Verdict{Decision: permission.Deny, Message: "the permission request came without the tool's input"}
	}
	if v.Decision == permission.Ask {
		s.add(c.asks.wait(o))
		return
	}
	answer := event.Answer{Decision: event.DecideAllow}
	if v.Decision == permission.Deny {
		answer = event.Answer{Decision: event.DecideDeny, Message: v.Message}
		if v.Message == "" {
			answer.Message = askRule
		}
	}
	c.settleAsk(s, o, answer, v.Rule)
}

// question takes AskUserQuestion, whose answer is a changed input.
func (c *claude) question(s *claudeStep, l claudeAsk) {
	var in struct {
		Questions []struct {
			Question string         `json:"question"`
			Header   string         `json:"header"`
			Options  []event.Choice `json:"options"`
			Multiple bool           `json:"multiSelect"`
		} `json:"questions"`
	}
	s.decode(l.Request.Input, &in)
	o := &ask{form: "question", input: l.Request.Input, AskOpened: event.AskOpened{
		Ask: l.RequestID, Kind: event.AskQuestion, Call: l.Request.Call, Tool: l.Request.Tool,
		ToolKind: event.KindOther,
	}}
	for _, q := range in.Questions {
		o.Questions = append(o.Questions, event.Question{
			ID: q.Question, Header: q.Header, Text: q.Question, Options: q.Options, Multiple: q.Multiple,
		})
	}
	if len(o.Questions) > 0 {
		o.Title = claudeTitle(o.Questions[0].Text)
	}
	c.openOrDecline(s, o, len(o.Questions) > 0)
}

// elicitation takes an MCP server's request for data from a person.
func (c *claude) elicitation(s *claudeStep, l claudeAsk) {
	r := l.Request
	o := &ask{form: "elicitation", AskOpened: event.AskOpened{
		Ask: l.RequestID, Kind: event.AskForm, Tool: "mcp__" + r.Server, ToolKind: event.KindMCP,
		Title: claudeTitle(r.Message), Host: hostOf(r.URL), Schema: r.Schema,
	}}
	c.openOrDecline(s, o, r.Mode != "url") // nobody here can visit a page for it
}

// openOrDecline lets o wait if somebody can answer it.
func (c *claude) openOrDecline(s *claudeStep, o *ask, possible bool) {
	if c.opts.Attended && possible && len(c.asks.open) < asksMax {
		s.add(c.asks.wait(o))
		return
	}
	c.settleAsk(s, o, event.Answer{Decision: event.DecideDeny, Message: askNobody}, 0)
}

// settleAsk answers an ask in the step that opened it.
func (c *claude) settleAsk(s *claudeStep, o *ask, a event.Answer, rule int) {
	cutAsk(&o.AskOpened)
	s.add(o.AskOpened)
	s.add(event.AskAnswered{Ask: o.Ask, Decision: a.Decision, By: event.ByPolicy, Rule: rule})
	c.reply(s, o, &a)
}

// answer takes a person's answer, or the runner's when the time was over.
func (c *claude) answer(s *claudeStep, cmd Command) {
	o, e := c.asks.take(cmd)
	s.add(e)
	if o != nil {
		c.reply(s, o, cmd.Answer)
	}
}

// reply sends the answer. A call that is allowed as it is runs with the input that
// Claude has: ours may have lost a secret to redaction.
func (c *claude) reply(s *claudeStep, o *ask, a *event.Answer) {
	var reply any
	allow := a.Decision == event.DecideAllow || a.Decision == event.DecideSession
	switch {
	case o.form == "elicitation" && allow:
		reply = claudeElicited{Action: "accept", Content: a.Input}
	case o.form == "elicitation":
		reply = claudeElicited{Action: "decline"}
	case o.form == "question" && allow:
		reply = claudeDecision{Behavior: "allow", UpdatedInput: claudeAnswers(o.input, a.Answers)}
	case allow:
		reply = claudeDecision{Behavior: "allow", UpdatedInput: a.Input}
	default:
		reply = claudeDecision{Behavior: "deny", Message: denial(a), Interrupt: a.Decision == event.DecideStop}
	}
	s.send(claudeControlReply{Type: "control_response", Response: claudeReplyInner{
		Subtype: "success", RequestID: o.Ask, Response: reply,
	}})
	if o.form == "elicitation" && a.Decision == event.DecideStop {
		c.request(s, c.asks.told[o.Ask], claudeSubtype{Subtype: "interrupt"})
	}
}

// claudeAnswers adds the answers to the questions' input; several of one question
// are joined as Claude itself does.
func claudeAnswers(input json.RawMessage, answers map[string][]string) json.RawMessage {
	fields := claudeExact(input)
	texts := map[string]string{}
	for id, all := range answers {
		for i, text := range all {
			if i > 0 {
				texts[id] += ", "
			}
			texts[id] += text
		}
	}
	fields["answers"] = encoded(texts)
	return encoded(fields)
}

// controlResponse takes the answer to a request of ours. With
// --replay-user-messages Claude also repeats our own answers here.
func (c *claude) controlResponse(s *claudeStep, line []byte) {
	var l struct {
		Response struct {
			Subtype   string `json:"subtype"`
			RequestID string `json:"request_id"`
			Error     string `json:"error"`
			Response  struct {
				Cancelled bool        `json:"cancelled"`
				Session   claudeSpent `json:"session"`
			} `json:"response"`
		} `json:"response"`
	}
	s.decode(line, &l)
	if l.Response.RequestID == claudeBaseID && l.Response.Subtype == "success" {
		c.meter.base = l.Response.Response.Session.usage()
	}
	command, ok := c.requests[l.Response.RequestID]
	switch {
	case !ok:
		if e := c.asks.receipt(l.Response.RequestID); e != nil {
			s.add(e)
			return
		}
		s.protocol("control_response")
		return
	case c.withdrawal(s, l.Response.RequestID, l.Response.Response.Cancelled, l.Response.Error):
	case l.Response.Subtype == "success":
		s.add(event.CommandDelivered{Command: command})
	default:
		s.add(event.CommandFailed{Command: command, Error: l.Response.Error})
	}
	delete(c.requests, l.Response.RequestID)
}

// cancelRequest takes back a request that Claude made.
func (c *claude) cancelRequest(s *claudeStep, line []byte) {
	var l claudeAsk
	s.decode(line, &l)
	if e := c.asks.withdraw(l.RequestID); e != nil {
		s.add(e)
		return
	}
	s.protocol("control_cancel_request")
}

// claudeExact has the fields of a tool's input by their exact names: encoding/json
// would take "Command" for "command", and Claude does not.
func claudeExact(input json.RawMessage) claudeFields {
	var fields claudeFields
	if input = bytes.TrimSpace(input); len(input) > 0 && input[0] == '{' {
		_ = json.Unmarshal(input, &fields) // it is part of a line that was decoded
	}
	return fields
}
