package agent

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
)

// claudeFields are the fields of a tool's input; see claudeExact.
type claudeFields map[string]json.RawMessage

func (f claudeFields) text(name string) string {
	var s string
	_ = json.Unmarshal(f[name], &s) // absent, or of another type: not this tool's
	return s
}

// call is what rules see of the call of a tool.
func (f claudeFields) call(tool string) permission.Call {
	c := permission.Call{Kind: claudeToolKind(tool), Tool: tool}
	file := f.text("file_path")
	if file == "" {
		file = f.text("notebook_path")
	}
	switch c.Kind {
	case event.KindShell:
		c.Command = f.text("command")
	case event.KindEdit, event.KindRead:
		if file != "" {
			c.Paths = []string{file}
		}
	case event.KindSearch:
		c.Paths = []string{"."}
		if p := f.text("path"); p != "" {
			c.Paths[0] = p
		}
		if p := f.text("pattern"); strings.HasPrefix(p, "/") || strings.Contains(p, "..") {
			c.Paths = append(c.Paths, p)
		}
	case event.KindFetch:
		c.Host = hostOf(f.text("url"))
	}
	return c
}

// diff shows what an edit would change.
func (f claudeFields) diff() string {
	var edits []struct {
		Old string `json:"old_string"`
		New string `json:"new_string"`
	}
	_ = json.Unmarshal(f["edits"], &edits) // of MultiEdit only
	diff := diffOf(f.text("old_string"), f.text("new_string")) + diffOf("", f.text("content")) + diffOf("", f.text("new_source"))
	for _, e := range edits {
		diff += diffOf(e.Old, e.New)
	}
	return diff
}

// title says in one line what a call is about, without the agent's own description.
func (f claudeFields) title(tool string, c permission.Call) string {
	switch {
	case c.Command != "":
		return claudeTitle(c.Command)
	case c.Kind == event.KindMCP:
		return claudeTitle(strings.Replace(strings.TrimPrefix(tool, "mcp__"), "__", ": ", 1))
	case c.Kind == event.KindFetch:
		return claudeTitle(f.text("url") + f.text("query"))
	case c.Kind == event.KindSearch:
		return claudeTitle(f.text("pattern") + " in " + strings.Join(c.Paths, ", "))
	case len(c.Paths) > 0:
		return claudeTitle(strings.Join(c.Paths, ", "))
	}
	return claudeTitle(tool)
}

// hostOf is the host that a URL leads to; empty if that is not clear. A client that
// reads URLs as browsers do sees a backslash as a slash, and drops tabs.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || strings.ContainsAny(text, "\\ \t\r\n") || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return u.Hostname()
}
