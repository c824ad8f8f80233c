package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// claudeCall is a tool call that has not finished.
type claudeCall struct {
	name string
	kind event.ToolKind
	path string // of an edit

	main    bool   // not a subagent's, which has a plan of its own
	subject string // of a step of the plan, in TaskUpdate
}

// claudeToolKinds groups Claude's own tools; mcp__ names are apart.
func claudeToolKind(name string) event.ToolKind {
	switch name {
	case "Bash", "BashOutput", "KillShell", "KillBash", "Monitor", "PowerShell":
		return event.KindShell
	case "Edit", "Write", "MultiEdit", "NotebookEdit":
		return event.KindEdit
	case "Read", "NotebookRead":
		return event.KindRead
	case "Glob", "Grep", "LS":
		return event.KindSearch
	case "WebFetch", "WebSearch", "web_search", "web_fetch":
		return event.KindFetch
	case "Task", "Agent":
		return event.KindSubagent
	case "ListMcpResourcesTool", "ReadMcpResourceTool":
		return event.KindMCP
	}
	if strings.HasPrefix(name, "mcp__") {
		return event.KindMCP
	}
	return event.KindOther
}

// claudeToolInput has the fields of the tools' inputs that make a title.
type claudeToolInput struct {
	Command      string `json:"command"`
	FilePath     string `json:"file_path"`
	NotebookPath string `json:"notebook_path"`
	Path         string `json:"path"`
	Pattern      string `json:"pattern"`
	URL          string `json:"url"`
	Query        string `json:"query"`
	Description  string `json:"description"`
	Skill        string `json:"skill"`
	Subject      string `json:"subject"`
}

func claudeDecodeInput(input json.RawMessage) claudeToolInput {
	var in claudeToolInput
	_ = json.Unmarshal(input, &in) // a tool of another shape has another title
	return in
}

// claudeToolTitle says in one line what a call is about.
func claudeToolTitle(name string, input json.RawMessage) string {
	in := claudeDecodeInput(input)
	if rest, ok := strings.CutPrefix(name, "mcp__"); ok {
		return claudeTitle(strings.Replace(rest, "__", ": ", 1))
	}
	for _, t := range []string{
		in.Command, in.FilePath, in.NotebookPath, in.Pattern,
		in.URL, in.Query, in.Skill, in.Subject, in.Description, in.Path,
	} {
		if t != "" {
			return claudeTitle(t)
		}
	}
	return ""
}

// claudeTitle makes one line of at most 200 characters out of any text.
func claudeTitle(text string) string {
	const limit = 200
	text = strings.TrimSpace(text)
	line, _, cut := strings.Cut(text, "\n")
	line = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, line))
	if utf8.RuneCountInString(line) > limit {
		line, cut = string([]rune(line)[:limit]), true
	}
	if cut {
		line += " …"
	}
	return line
}

func (c *claude) toolUse(s *claudeStep, b claudeBlock, parent string) {
	call := claudeCall{name: b.Name, kind: claudeToolKind(b.Name), main: parent == ""}
	if call.kind == event.KindEdit {
		in := claudeDecodeInput(b.Input)
		if call.path = in.FilePath; call.path == "" {
			call.path = in.NotebookPath
		}
	}
	if b.Name == "TaskUpdate" {
		call.subject = claudeDecodeInput(b.Input).Subject
	}
	c.track(b.ID, call)
	s.add(event.ToolStarted{
		Call: b.ID, Name: b.Name, Kind: call.kind,
		Title: claudeToolTitle(b.Name, b.Input), Input: b.Input, Parent: parent,
	})
	if b.Name == "TodoWrite" && parent == "" {
		claudePlan(s, b.Input)
	}
}

// track remembers a call until its result. Those that never get one do not add up.
func (c *claude) track(id string, call claudeCall) {
	if len(c.calls) == maxTracked {
		clear(c.calls)
	}
	if len(id)+len(call.name)+len(call.path)+len(call.subject) <= maxTrackedID {
		c.calls[id] = call
	}
}

// toolResult closes a call. typed is the line's tool_use_result, whose form
// depends on the tool.
func (c *claude) toolResult(s *claudeStep, b claudeBlock, typed json.RawMessage) {
	call := c.calls[b.ToolUseID]
	delete(c.calls, b.ToolUseID)
	e := event.ToolFinished{Call: b.ToolUseID, OK: !b.IsError, Output: claudeOutput(b.Content)}
	if call.name == "Bash" {
		e.ExitCode = claudeExitCode(b.IsError, e.Output, typed)
	}
	s.add(e)
	if call.kind == event.KindEdit && e.OK {
		s.add(claudeFileChange(call, typed))
	}
	switch call.name {
	case "TaskCreate", "TaskUpdate", "TaskList":
		if call.main && e.OK {
			c.planResult(s, call, typed)
		}
	}
}

// claudeOutput is the text of a tool's result: a string, or blocks of which only
// texts are shown.
func claudeOutput(content json.RawMessage) string {
	content = bytes.TrimLeft(content, " \t\r\n")
	if len(content) == 0 {
		return ""
	}
	if content[0] == '"' {
		var text string
		_ = json.Unmarshal(content, &text)
		return text
	}
	var blocks []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	_ = json.Unmarshal(content, &blocks)
	var out []string
	for _, b := range blocks {
		switch {
		case b.Type == "text":
			out = append(out, b.Text)
		case b.Type != "":
			out = append(out, "["+b.Type+"]")
		}
	}
	return strings.Join(out, "\n")
}

// claudeExitCode derives a command's exit code: Claude says it in the first line
// of a failure ("Exit code 127\n…") and not at all otherwise. Commands that were
// interrupted or moved to the background have none.
func claudeExitCode(failed bool, output string, typed json.RawMessage) *int {
	if failed {
		rest, ok := strings.CutPrefix(output, "Exit code ")
		if !ok {
			return nil
		}
		number, _, _ := strings.Cut(rest, "\n")
		code, err := strconv.Atoi(number)
		if err != nil {
			return nil
		}
		return &code
	}
	var r struct {
		Stdout      *string `json:"stdout"`
		Interrupted bool    `json:"interrupted"`
		Background  string  `json:"backgroundTaskId"`
	}
	if json.Unmarshal(typed, &r) != nil || r.Stdout == nil || r.Interrupted || r.Background != "" {
		return nil
	}
	return new(int)
}

// claudeFileChange counts the lines of an edit from its patch. A new file has no
// patch, but its content. A result without either (NotebookEdit) counts nothing.
func claudeFileChange(call claudeCall, typed json.RawMessage) event.FileChanged {
	var r struct {
		Type    string `json:"type"`
		Path    string `json:"filePath"`
		Content string `json:"content"`
		Patch   []struct {
			OldStart int      `json:"oldStart"`
			OldLines int      `json:"oldLines"`
			NewStart int      `json:"newStart"`
			NewLines int      `json:"newLines"`
			Lines    []string `json:"lines"`
		} `json:"structuredPatch"`
	}
	_ = json.Unmarshal(typed, &r)
	e := event.FileChanged{Path: r.Path, Operation: "update"}
	if e.Path == "" {
		e.Path = call.path
	}
	if r.Type == "create" {
		e.Operation, e.Added = "add", claudeLines(r.Content)
		e.Diff = wholeDiff("+", r.Content)
	}
	var diff strings.Builder
	for _, hunk := range r.Patch {
		fmt.Fprintf(&diff, "@@ -%d,%d +%d,%d @@\n%s\n", hunk.OldStart, hunk.OldLines, hunk.NewStart, hunk.NewLines, strings.Join(hunk.Lines, "\n"))
		for _, line := range hunk.Lines {
			switch {
			case strings.HasPrefix(line, "+"):
				e.Added++
			case strings.HasPrefix(line, "-"):
				e.Removed++
			}
		}
	}
	if diff.Len() > 0 {
		e.Diff = cutDiff(diff.String())
	}
	return e
}

// claudeLines counts lines, a last one without newline included.
func claudeLines(text string) int {
	n := strings.Count(text, "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		n++
	}
	return n
}
