package agent

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// codexItems knows which items have started and not completed.
type codexItems struct {
	open   []codexOpenItem
	closed map[string]struct{} // tool calls that ended without completing
}

type codexOpenItem struct {
	id, turn string
	tool     bool
	changes  []codexChange // of a fileChange: a request for permission only names it
}

func newCodexItems() codexItems { return codexItems{closed: map[string]struct{}{}} }

// start notes an item; it returns false if it is open already.
func (x *codexItems) start(id, turn string, tool bool) bool {
	if slices.ContainsFunc(x.open, func(o codexOpenItem) bool { return o.id == id }) {
		return false
	}
	if len(x.open) < maxTracked && len(id)+len(turn) <= maxTrackedID {
		x.open = append(x.open, codexOpenItem{id: id, turn: turn, tool: tool})
	}
	return true
}

// finish forgets an item; it returns false if it was not open.
func (x *codexItems) finish(id string) bool {
	i := slices.IndexFunc(x.open, func(o codexOpenItem) bool { return o.id == id })
	if i < 0 {
		return false
	}
	x.open = slices.Delete(x.open, i, i+1)
	return true
}

// closeTurn ends the tool calls that a stopped turn leaves behind.
func (x *codexItems) closeTurn(s *codexStep, turn string) {
	x.open = slices.DeleteFunc(x.open, func(o codexOpenItem) bool {
		if o.turn != turn {
			return false
		}
		if o.tool {
			s.add(event.ToolFinished{Call: o.id})
			if len(x.closed) < maxTracked {
				x.closed[o.id] = struct{}{}
			}
		}
		return true
	})
}

// item handles item/started and item/completed.
func (c *codex) item(s *codexStep, method string, params json.RawMessage) {
	var p struct {
		codexScope
		Item codexItem `json:"item"`
	}
	switch err := codexDecode(params, &p); {
	case err != nil:
		s.unparsed(method + ": " + err.Error())
		return
	case p.Item.Type == "":
		s.unparsed(method + " without an item")
		return
	}
	it, done, parent := &p.Item, method == "item/completed", c.parentOf(p.ThreadID)
	c.noteSpawned(it)
	switch it.Type {
	case "userMessage":
		c.userMessage(s, it, p.codexScope, done)
	case "agentMessage":
		if done {
			if parent == "" {
				c.text = it.Text
			}
			s.add(event.Message{ID: it.ID, Role: "assistant", Text: it.Text, Parent: parent})
		}
	case "reasoning":
		if text := it.reasoning(); done && text != "" {
			s.add(event.Thinking{Text: text, Parent: parent})
		}
	case "plan":
		if done {
			s.add(event.PlanUpdated{Steps: []event.PlanStep{{Text: it.Text, Status: "pending"}}})
		}
	case "contextCompaction":
		if done {
			s.add(event.ContextCompacted{})
		}
	case "hookPrompt":
		if done {
			s.notice("info", "hook: "+it.fragments())
		}
	case "enteredReviewMode":
		if !done {
			s.notice("info", "review started: "+codexTitle(it.Review))
		}
	case "exitedReviewMode":
		if done {
			s.notice("info", "review finished: "+it.Review)
		}
	default:
		c.toolItem(s, it, p.codexScope, done)
	}
	if len(s.Events) == 0 {
		s.protocol(method)
	}
}

// userMessage is the ack that the model sees the message from now on.
func (c *codex) userMessage(s *codexStep, it *codexItem, scope codexScope, done bool) {
	if done && c.items.finish(it.ID) || !done && !c.items.start(it.ID, scope.TurnID, false) {
		return
	}
	s.add(event.Message{ID: it.ID, Role: "user", Text: codexTexts(it.Content), Parent: c.parentOf(scope.ThreadID)})
	if it.ClientID != "" && c.own(scope.ThreadID) {
		c.consumed(s, it.ClientID)
	}
}

func (c *codex) consumed(s *codexStep, id string) {
	for i, m := range c.taken {
		if m.id == id {
			c.taken = slices.Delete(c.taken, i, i+1)
			s.add(event.CommandConsumed{Command: id})
			return
		}
	}
	for _, call := range c.calls { // the item overtook the response
		if call.message != nil && call.message.id == id && !call.message.consumed {
			call.message.consumed = true
			s.add(event.CommandConsumed{Command: id})
			return
		}
	}
}

// toolItem handles the items that are calls of tools.
func (c *codex) toolItem(s *codexStep, it *codexItem, scope codexScope, done bool) {
	started, ok := it.tool()
	if !ok {
		s.unparsed("unknown kind of item " + codexTitle(it.Type))
		return
	}
	started.Parent = c.parentOf(scope.ThreadID)
	if !done {
		if c.items.start(it.ID, scope.TurnID, true) {
			c.items.setChanges(it.ID, it.Changes)
			s.add(started)
		}
		return
	}
	if _, late := c.items.closed[it.ID]; late {
		delete(c.items.closed, it.ID)
		return
	}
	if !c.items.finish(it.ID) {
		s.add(started)
	}
	if it.Status == "completed" {
		for _, change := range it.Changes {
			s.add(change.events()...)
		}
	}
	s.add(event.ToolFinished{
		Call: it.ID, OK: it.succeeded(), ExitCode: it.ExitCode, Output: it.output(), DurationMS: it.DurationMS,
	})
}

// noteSpawned remembers which call spawned which thread, so that the events of
// the thread can name their parent.
func (c *codex) noteSpawned(it *codexItem) {
	threads := it.Receivers
	if it.AgentThreadID != "" {
		threads = append(threads, it.AgentThreadID)
	}
	for _, thread := range threads {
		if _, ok := c.parents[thread]; !ok && !c.own(thread) && len(c.parents) < maxTracked && len(thread)+len(it.ID) <= maxTrackedID {
			c.parents[thread] = it.ID
		}
	}
}

// parentOf returns the call that spawned thread; empty for the session's own.
func (c *codex) parentOf(thread string) string {
	if c.own(thread) {
		return ""
	}
	if call, ok := c.parents[thread]; ok {
		return call
	}
	return thread
}

// tool describes the call; false for an item of an unknown kind.
func (it *codexItem) tool() (event.ToolStarted, bool) {
	t := event.ToolStarted{Call: it.ID, Name: it.Type, Kind: event.KindOther}
	switch it.Type {
	case "commandExecution":
		t.Kind, t.Title = event.KindShell, codexTitle(codexUnwrapShell(it.Command))
		t.Input = codexEncode(map[string]string{"command": it.Command, "cwd": it.Cwd})
	case "fileChange":
		t.Kind, t.Title = event.KindEdit, codexTitle(it.paths())
		t.Input = codexEncode(map[string]any{"changes": it.Changes})
	case "mcpToolCall":
		t.Kind, t.Name = event.KindMCP, "mcp__"+it.Server+"__"+it.Tool
		t.Title, t.Input = codexTitle(it.Server+": "+it.Tool), it.Arguments
	case "dynamicToolCall":
		t.Name, t.Title, t.Input = it.Tool, codexTitle(it.Tool), it.Arguments
	case "collabAgentToolCall":
		t.Kind, t.Name, t.Title = event.KindSubagent, it.Tool, codexTitle(it.Prompt)
		t.Input = codexEncode(map[string]any{"prompt": it.Prompt, "threads": it.Receivers})
	case "subAgentActivity":
		t.Kind, t.Title = event.KindSubagent, codexTitle(it.Kind+" "+it.AgentPath)
	case "webSearch":
		t.Kind, t.Title, t.Input = event.KindFetch, codexTitle(it.searched()), it.Action
	case "imageView":
		t.Kind, t.Title = event.KindRead, codexTitle(it.Path)
	case "functionCallOutput":
		t.Name, t.Title = it.Name, codexTitle(it.Name)
	case "sleep", "imageGeneration":
	default:
		return t, false
	}
	return t, true
}

func (it *codexItem) succeeded() bool {
	switch {
	case it.Status != "completed" && it.Status != "", it.Error != nil:
		return false
	case it.ExitCode != nil && *it.ExitCode != 0:
		return false
	}
	return it.Success == nil || *it.Success
}

func (it *codexItem) output() string {
	switch {
	case it.Error != nil:
		return it.Error.Message
	case it.Type == "commandExecution":
		return it.AggregatedOutput
	case it.Type == "mcpToolCall":
		var r struct {
			Content json.RawMessage `json:"content"`
		}
		_ = codexDecode(it.Result, &r) // nothing to show then
		return codexTexts(r.Content)
	case it.Type == "dynamicToolCall":
		return codexTexts(it.ContentItems)
	}
	return codexTexts(it.Output)
}

func (it *codexItem) reasoning() string {
	if len(it.Summary) > 0 {
		return strings.Join(it.Summary, "\n\n")
	}
	var parts []string
	_ = codexDecode(it.Content, &parts) // absent, as a rule
	return strings.Join(parts, "\n\n")
}

func (it *codexItem) fragments() string {
	var texts []string
	for _, f := range it.Fragments {
		texts = append(texts, f.Text)
	}
	return strings.Join(texts, "\n")
}

func (it *codexItem) paths() string {
	var paths []string
	for _, change := range it.Changes {
		paths = append(paths, change.Path)
	}
	return strings.Join(paths, ", ")
}

// searched is what a webSearch looked for or opened.
func (it *codexItem) searched() string {
	var a struct {
		URL string `json:"url"`
	}
	if it.Query == "" && codexDecode(it.Action, &a) == nil {
		return a.URL
	}
	return it.Query
}

// events describes one changed file. A moved file is gone here and new there.
func (f codexChange) events() []event.Data {
	added, removed := f.count()
	if f.Kind.MovePath != "" && f.Kind.MovePath != f.Path {
		return []event.Data{
			event.FileChanged{Path: f.Path, Operation: "delete"},
			event.FileChanged{Path: f.Kind.MovePath, Operation: "add", Added: added, Removed: removed, Diff: f.unified()},
		}
	}
	return []event.Data{event.FileChanged{Path: f.Path, Operation: f.Kind.Type, Added: added, Removed: removed, Diff: f.unified()}}
}

// unified is the change as event.FileChanged has it.
func (f codexChange) unified() string {
	switch f.Kind.Type {
	case "add":
		return wholeDiff("+", f.Diff)
	case "delete":
		return wholeDiff("-", f.Diff)
	}
	// The diff of a moved file ends with a line that says where to.
	return cutDiff(strings.TrimSuffix(f.Diff, "\n\nMoved to: "+f.Kind.MovePath))
}

// count counts lines. The diff of an added or deleted file is its content; that
// of an updated one starts with its first hunk.
func (f codexChange) count() (added, removed int) {
	lines := strings.Count(f.Diff, "\n")
	if f.Diff != "" && !strings.HasSuffix(f.Diff, "\n") {
		lines++
	}
	switch f.Kind.Type {
	case "add":
		return lines, 0
	case "delete":
		return 0, lines
	}
	inHunk := false
	for line := range strings.Lines(f.Diff) {
		switch {
		case strings.HasPrefix(line, "@@"):
			inHunk = true
		case inHunk && line[0] == '+':
			added++
		case inHunk && line[0] == '-':
			removed++
		}
	}
	return added, removed
}
