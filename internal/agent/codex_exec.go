package agent

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// codexExec reads `codex exec --json`, which nobody can talk to:
//
//	{"type":"thread.started","thread_id":"0198…"}
//	{"type":"turn.started"}
//	{"type":"item.completed","item":{"id":"item_0","type":"agent_message","text":"hi"}}
//	{"type":"turn.completed","usage":{"input_tokens":10,"output_tokens":2}}
//
// Its items are those of the app-server under other names, and are handled as
// such. Usage is the thread's so far.
type codexExec struct {
	codex
	last string // the last error: the failed turn repeats it
}

func newCodexExec() *codexExec { return &codexExec{codex: *newCodex(Options{Kind: Codex}).(*codex)} }

type codexExecLine struct {
	Type    string          `json:"type"`
	Thread  string          `json:"thread_id"`
	Item    *codexExecItem  `json:"item"`
	Usage   *codexExecUsage `json:"usage"`
	Error   *codexTurnError `json:"error"`
	Message string          `json:"message"`
}

type codexExecUsage struct {
	Input      int64 `json:"input_tokens"`
	Cached     int64 `json:"cached_input_tokens"`
	CacheWrite int64 `json:"cache_write_input_tokens"`
	Output     int64 `json:"output_tokens"`
	Reasoning  int64 `json:"reasoning_output_tokens"`
}

// codexExecItem has the fields of all types of items.
type codexExecItem struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Status    string          `json:"status"`
	Text      string          `json:"text"`    // agent_message, reasoning
	Message   string          `json:"message"` // error
	Command   string          `json:"command"` // command_execution
	Output    string          `json:"aggregated_output"`
	ExitCode  *int            `json:"exit_code"`
	Changes   []codexExecFile `json:"changes"` // file_change
	Server    string          `json:"server"`  // mcp_tool_call
	Tool      string          `json:"tool"`    // and collab_tool_call
	Arguments json.RawMessage `json:"arguments"`
	Result    json.RawMessage `json:"result"`
	Error     *codexRPCError  `json:"error"`
	Query     string          `json:"query"` // web_search
	Action    json.RawMessage `json:"action"`
	Prompt    string          `json:"prompt"` // collab_tool_call
	Receivers []string        `json:"receiver_thread_ids"`
	Todos     []struct {
		Text      string `json:"text"`
		Completed bool   `json:"completed"`
	} `json:"items"` // todo_list
}

type codexExecFile struct {
	Path string `json:"path"`
	Kind string `json:"kind"`
}

// Line takes one line.
func (c *codexExec) Line(line []byte) Step {
	var s codexStep
	var l codexExecLine
	switch err := codexDecode(line, &l); {
	case len(bytes.TrimSpace(line)) == 0:
		s.unparsed("empty line")
	case err != nil:
		s.unparsed("not a JSON object: " + err.Error())
	default:
		c.event(&s, l)
	}
	if len(s.Events) == 0 {
		s.protocol(codexTitle(l.Type))
	}
	return s.Step
}

func (c *codexExec) event(s *codexStep, l codexExecLine) {
	switch l.Type {
	case "thread.started":
		c.thread = l.Thread
		s.add(event.SessionStarted{Agent: string(Codex), Conversation: l.Thread})
	case "turn.started":
		c.setTurn("running")
		c.last = ""
		s.add(event.TurnStarted{})
	case "turn.completed", "turn.failed":
		c.finish(s, l)
	case "item.started", "item.updated", "item.completed":
		if l.Item == nil || l.Item.Type == "" {
			s.unparsed(l.Type + " without an item")
			return
		}
		c.execItem(s, l.Item, l.Type)
	case "error":
		c.last = l.Message
		switch {
		case strings.HasPrefix(l.Message, "Reconnecting"):
			s.notice("retry", l.Message)
		case c.turn == "":
			s.notice("warning", l.Message)
		} // else the turn fails next, and says the same
	default:
		s.unparsed("unknown type " + codexTitle(l.Type))
	}
}

// finish closes the turn. Why it failed is told by the text only.
func (c *codexExec) finish(s *codexStep, l codexExecLine) {
	t := codexTurn{Status: "completed", Error: l.Error}
	if l.Type == "turn.failed" {
		t.Status = "failed"
		if t.Error == nil {
			t.Error = &codexTurnError{Message: c.last}
		}
	}
	c.items.closeTurn(s, "")
	c.turn = ""
	if u := l.Usage; u != nil {
		c.usage[""] = codexUsage{spent: event.Usage{
			InputTokens: max(codexCount(u.Input)-codexCount(u.Cached)-codexCount(u.CacheWrite), 0), CachedTokens: codexCount(u.Cached),
			CacheWriteTokens: codexCount(u.CacheWrite), OutputTokens: codexCount(u.Output), ReasoningTokens: codexCount(u.Reasoning),
		}}
	}
	f := c.finished(t)
	switch {
	case f.Status != event.TurnFailed:
	case strings.Contains(f.Error, "usage limit"):
		f.Reason = event.ReasonUsageLimit
	case strings.Contains(f.Error, "401 Unauthorized"):
		f.Reason = event.ReasonAuth
	}
	s.add(f)
	if f.Usage != nil {
		s.add(event.UsageUpdated{Usage: *f.Usage})
	}
}

func (c *codexExec) execItem(s *codexStep, it *codexExecItem, phase string) {
	done := phase == "item.completed"
	switch it.Type {
	case "agent_message":
		if done {
			c.text = it.Text
			s.add(event.Message{ID: it.ID, Role: "assistant", Text: it.Text})
		}
	case "reasoning":
		if done && it.Text != "" {
			s.add(event.Thinking{Text: it.Text})
		}
	case "error":
		s.notice("warning", it.Message)
	case "todo_list":
		s.add(it.plan())
	case "command_execution", "file_change", "mcp_tool_call", "web_search", "collab_tool_call":
		if phase != "item.updated" {
			c.toolItem(s, it.item(), codexScope{}, done)
		}
	default:
		s.unparsed("unknown kind of item " + codexTitle(it.Type))
	}
}

// plan has no step in progress: exec tells only which are done.
func (it *codexExecItem) plan() event.PlanUpdated {
	plan := event.PlanUpdated{Steps: make([]event.PlanStep, 0, len(it.Todos))}
	for _, t := range it.Todos {
		status := "pending"
		if t.Completed {
			status = "completed"
		}
		plan.Steps = append(plan.Steps, event.PlanStep{Text: t.Text, Status: status})
	}
	return plan
}

// item is the tool call as the app-server describes it.
func (it *codexExecItem) item() *codexItem {
	names := map[string]string{
		"command_execution": "commandExecution", "file_change": "fileChange", "mcp_tool_call": "mcpToolCall",
		"web_search": "webSearch", "collab_tool_call": "collabAgentToolCall",
	}
	item := &codexItem{
		Type: names[it.Type], ID: it.ID, Status: it.Status, Command: it.Command, AggregatedOutput: it.Output,
		ExitCode: it.ExitCode, Server: it.Server, Tool: it.Tool, Arguments: it.Arguments, Result: it.Result,
		Error: it.Error, Query: it.Query, Action: it.Action, Prompt: it.Prompt, Receivers: it.Receivers,
	}
	for _, f := range it.Changes {
		change := codexChange{Path: f.Path}
		change.Kind.Type = f.Kind
		item.Changes = append(item.Changes, change)
	}
	return item
}
