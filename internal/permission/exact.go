package permission

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// Exactly returns the rule that allows c, made by the same tool, and nothing else. The
// error says why there is none: a rule would be broader, or match what nobody has seen.
func Exactly(c Call) (Rule, error) {
	r := Rule{Decision: Allow, Kinds: []event.ToolKind{c.Kind}, Tools: []string{c.Tool}}
	switch {
	case c.Tool == "" || strings.Contains(c.Tool, "*"):
		return Rule{}, fmt.Errorf("the tool's name %q would stand for others in a rule", c.Tool)
	case c.Kind == event.KindShell && c.Command != "":
		r.Lines = []string{c.Command}
	case c.Kind == event.KindFetch && c.Host != "":
		r.Hosts = []string{c.Host}
	case len(c.Paths) == 1:
		r.Paths = c.Paths
	case len(c.Paths) > 1:
		return Rule{}, errors.New("it names several files, and a rule would allow each of them alone")
	case c.Kind != event.KindMCP:
		return Rule{}, errors.New("nothing tells this call from others of its tool")
	}
	for _, text := range append(append(append([]string{c.Tool}, r.Lines...), r.Paths...), r.Hosts...) {
		switch {
		case len(text) > lineMax || !utf8.ValidString(text):
			return Rule{}, fmt.Errorf("it is longer than %d bytes or no text", lineMax)
		case strings.Contains(text, "[redacted]") || strings.Contains(text, "…["):
			return Rule{}, errors.New("parts of it are hidden, so a rule would allow others as well")
		case strings.Contains(text, "*") && len(r.Lines) == 0:
			return Rule{}, errors.New("it has a *, which in a rule stands for any text")
		}
	}
	if err := r.validate(); err != nil {
		return Rule{}, err
	}
	if v := (Policy{Rules: []Rule{r}}).Decide(c); v.Decision != Allow {
		return Rule{}, errors.New("a rule cannot be sure what it means")
	}
	return r, nil
}

// yaml writes a rule that Exactly made as an item of a block list, indented by so many blanks.
func (r Rule) yaml(indent int) string {
	var b strings.Builder
	margin := strings.Repeat(" ", indent)
	fmt.Fprintf(&b, "%s- decision: %s\n", margin, r.Decision)
	field := func(name string, values []string) {
		if len(values) > 0 { // Go's escapes are YAML's, for text that is valid UTF-8
			fmt.Fprintf(&b, "%s  %s: %s\n", margin, name, strconv.Quote(values[0]))
		}
	}
	fmt.Fprintf(&b, "%s  kind: %s\n", margin, r.Kinds[0])
	field("tool", r.Tools)
	field("line", r.Lines)
	field("path", r.Paths)
	field("host", r.Hosts)
	return b.String()
}
