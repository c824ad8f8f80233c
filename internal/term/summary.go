package term

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

const (
	summaryResultMax = 64 << 10 // bytes of the agent's closing message
	summaryListMax   = 100      // files and destinations that are listed
)

// Summary is a session in Markdown, for a page such as a CI system's. The zero
// value is ready. Text of the agent's is quoted, loads no picture and holds no
// HTML, so that it can neither pass for the runner's nor send anything away.
type Summary struct {
	started event.SessionStarted
	end     event.SessionFinished
	kinds   []string // of tools, as they first ran
	tools   map[string]*tally
	running state
	files   []string
	changed map[string]event.FileChanged // by path, the lines added up
	hosts   []string
	denied  map[string]int
	guarded []event.PathViolation
}

// tally counts the calls of one kind of tool.
type tally struct{ calls, failed int }

// Add takes the session's next event in.
func (s *Summary) Add(d event.Data) {
	switch d := d.(type) {
	case event.SessionStarted:
		s.started = d
	case event.ToolStarted:
		s.running.tools = append(s.running.tools, tool{call: d.Call, label: label(d.Kind, d.Name)})
	case event.ToolFinished:
		s.tool(d)
	case event.FileChanged:
		s.file(d)
	case event.EgressDenied:
		s.host(fmt.Sprintf("%s:%d", d.Host, d.Port))
	case event.PathViolation:
		s.guarded = append(s.guarded, d)
	case event.SessionFinished:
		s.end = d
	}
}

func (s *Summary) tool(d event.ToolFinished) {
	t, _ := s.running.take(d.Call)
	if s.tools == nil {
		s.tools = make(map[string]*tally)
	}
	if s.tools[t.label] == nil {
		s.tools[t.label] = new(tally)
		s.kinds = append(s.kinds, t.label)
	}
	s.tools[t.label].calls++
	if !d.OK {
		s.tools[t.label].failed++
	}
}

func (s *Summary) file(d event.FileChanged) {
	if s.changed == nil {
		s.changed = make(map[string]event.FileChanged)
	}
	sum, ok := s.changed[d.Path]
	if !ok {
		s.files = append(s.files, d.Path)
	}
	sum.Added += d.Added
	sum.Removed += d.Removed
	s.changed[d.Path] = sum
}

func (s *Summary) host(name string) {
	if s.denied == nil {
		s.denied = make(map[string]int)
	}
	if s.denied[name]++; s.denied[name] == 1 {
		s.hosts = append(s.hosts, name)
	}
}

// Markdown is the summary of what was added.
func (s *Summary) Markdown(session string) string {
	var b strings.Builder
	mark := "❌"
	if s.end.Outcome == event.Succeeded {
		mark = "✅"
	}
	facts := []string{Outcome(s.end.Outcome), Duration(msec(s.end.DurationMS))}
	if s.end.Usage != nil {
		facts = append(facts, Usage(*s.end.Usage))
	}
	facts = slices.DeleteFunc(facts, func(f string) bool { return f == "" })
	fmt.Fprintf(&b, "### %s %s\n\n", mark, strings.Join(facts, " · "))
	if s.end.Reason != "" {
		b.WriteString(quoted(s.end.Reason))
	}
	if s.end.Result != "" {
		b.WriteString(quoted(s.end.Result))
	}
	agent := strings.Join(strings.Fields(s.started.Agent+" "+s.started.Version+" "+s.started.Model), " ")
	if agent != "" {
		fmt.Fprintf(&b, "- Agent: %s\n", codeSpanOf(agent))
	}
	var tools []string
	for _, k := range s.kinds {
		text := fmt.Sprintf("%s %d", codeSpanOf(k), s.tools[k].calls)
		if n := s.tools[k].failed; n > 0 {
			text += fmt.Sprintf(" (%d failed)", n)
		}
		tools = append(tools, text)
	}
	if len(tools) > 0 {
		fmt.Fprintf(&b, "- Tools: %s\n", strings.Join(tools, ", "))
	}
	fmt.Fprintf(&b, "- Session: %s\n", codeSpanOf(session))
	list(&b, "Changed files", s.files, func(path string) string {
		return fmt.Sprintf("+%d −%d", s.changed[path].Added, s.changed[path].Removed)
	})
	list(&b, "Denied destinations", s.hosts, func(host string) string {
		return fmt.Sprintf("(%d ×)", s.denied[host])
	})
	paths := make([]string, len(s.guarded))
	about := make(map[string]string)
	for i, v := range s.guarded {
		paths[i], about[v.Path] = v.Path, Line(v.What)
	}
	list(&b, "Guarded paths, which tools of a machine run or trust", paths, func(path string) string { return about[path] })
	return b.String() + "\n"
}

// list shows names, each with what is known of it.
func list(b *strings.Builder, title string, names []string, about func(string) string) {
	if len(names) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n\n", title)
	for i, name := range names {
		if i == summaryListMax {
			fmt.Fprintf(b, "- … and %d more\n", len(names)-i)
			break
		}
		fmt.Fprintf(b, "- %s %s\n", codeSpanOf(name), about(name))
	}
}

// quoted is text as a quotation in which Markdown works, but no HTML and no
// picture: an address that a reader's browser, or a proxy for it, fetches can
// carry anything away. The word joiner breaks both and is not seen, in code
// either.
func quoted(text string) string {
	text = strings.TrimSpace(Clean(text))
	if len(text) > summaryResultMax {
		text = strings.ToValidUTF8(text[:summaryResultMax], "") + "…"
	}
	text = strings.NewReplacer("<", "<\u2060", "![", "!\u2060[").Replace(text)
	return "> " + strings.ReplaceAll(text, "\n", "\n> ") + "\n\n"
}

// codeSpanOf is one line of text as code.
func codeSpanOf(text string) string {
	if text = fit(Line(text), 200); text == "" {
		return "?"
	}
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	if fence != "`" {
		text = " " + text + " "
	}
	return fence + text + fence
}
