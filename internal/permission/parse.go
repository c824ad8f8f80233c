package permission

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// Bounds of a rules file.
const (
	fileMax  = 1 << 20 // bytes
	rulesMax = 1000
)

// Parse reads a policy from YAML or JSON, which is YAML. The file is strict: the
// error names the line and the field of everything that it does not understand.
//
//	rules:                      # the first that matches decides
//	  - decision: deny
//	    command: git push *
//	    message: nothing leaves this machine
//	  - decision: allow
//	    kind: [read, search]
//	default: ask
func Parse(data []byte) (Policy, error) {
	var p parser
	if len(data) > fileMax {
		return Policy{}, fmt.Errorf("larger than %d bytes", fileMax)
	}
	var root yaml.Node
	if len(bytes.TrimSpace(data)) == 0 {
		return Policy{}, errors.New("empty: a policy without rules is written as rules: []")
	}
	if err := yaml.Load(data, &root); err != nil {
		return Policy{}, err
	}
	policy := p.policy(&root)
	return policy, errors.Join(p.problems...)
}

type parser struct{ problems []error }

func (p *parser) fail(n *yaml.Node, format string, args ...any) {
	p.problems = append(p.problems, fmt.Errorf("line %d: "+format, append([]any{n.Line}, args...)...))
}

func (p *parser) policy(n *yaml.Node) (out Policy) {
	if n.Kind == yaml.DocumentNode && len(n.Content) == 1 {
		n = n.Content[0]
	}
	p.fields(n, map[string]func(*yaml.Node){
		"rules": func(v *yaml.Node) {
			switch {
			case v.Kind != yaml.SequenceNode:
				p.fail(v, `"rules" is no list`)
			case len(v.Content) > rulesMax:
				p.fail(v, "more than %d rules", rulesMax)
			default:
				for _, r := range v.Content {
					out.Rules = append(out.Rules, p.rule(r))
				}
			}
		},
		"default": func(v *yaml.Node) { out.Default = p.decision(v) },
	})
	return out
}

func (p *parser) rule(n *yaml.Node) (r Rule) {
	before := len(p.problems)
	list := func(to *[]string, name string) func(*yaml.Node) {
		return func(v *yaml.Node) { *to = p.list(v, name) }
	}
	p.fields(n, map[string]func(*yaml.Node){
		"decision": func(v *yaml.Node) { r.Decision = p.decision(v) },
		"kind": func(v *yaml.Node) {
			for _, k := range p.list(v, "kind") {
				r.Kinds = append(r.Kinds, event.ToolKind(k))
			}
		},
		"tool": list(&r.Tools, "tool"), "command": list(&r.Commands, "command"),
		"line": list(&r.Lines, "line"), "path": list(&r.Paths, "path"), "host": list(&r.Hosts, "host"),
		"message": func(v *yaml.Node) { r.Message = p.text(v, "message") },
	})
	if len(p.problems) == before {
		if err := r.validate(); err != nil {
			p.fail(n, "%w", err)
		}
	}
	return r
}

// fields gives each field of a mapping to the function of its name.
func (p *parser) fields(n *yaml.Node, known map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.fail(n, "a mapping of fields is expected here")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		take := known[key.Value]
		switch {
		case take == nil:
			names := make([]string, 0, len(known))
			for name := range known {
				names = append(names, name)
			}
			slices.Sort(names)
			p.fail(key, "unknown field %q; there are %s", key.Value, strings.Join(names, ", "))
		case seen[key.Value]:
			p.fail(key, "field %q comes twice", key.Value)
		default:
			seen[key.Value] = true
			take(value)
		}
	}
}

func (p *parser) text(n *yaml.Node, field string) string {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || n.Value == "" {
		p.fail(n, "%q has to be a text; quote it if it looks like something else", field)
		return ""
	}
	return n.Value
}

// list reads one text or a list of them.
func (p *parser) list(n *yaml.Node, field string) []string {
	if n.Kind != yaml.SequenceNode {
		return []string{p.text(n, field)}
	}
	if len(n.Content) == 0 {
		p.fail(n, "%q is an empty list, which matches nothing", field)
	}
	var all []string
	for _, v := range n.Content {
		all = append(all, p.text(v, field))
	}
	return all
}

func (p *parser) decision(n *yaml.Node) Decision {
	d := Decision(n.Value)
	if n.Kind != yaml.ScalarNode || d.strictness() < 0 {
		p.fail(n, "decision %q is none of allow, ask, deny", n.Value)
	}
	return d
}

func kinds() []event.ToolKind {
	return []event.ToolKind{
		event.KindShell, event.KindEdit, event.KindRead, event.KindSearch, event.KindFetch,
		event.KindMCP, event.KindSubagent, event.KindOther,
	}
}

// validate refuses rules that would never match, or mean something else than they say.
func (r Rule) validate() error {
	for _, k := range r.Kinds {
		if !slices.Contains(kinds(), k) {
			return fmt.Errorf("unknown kind %q; there are %q", k, kinds())
		}
	}
	for _, h := range r.Hosts {
		name := strings.TrimPrefix(h, "*.")
		if name == "" || strings.ContainsAny(name, "*/:@ ") {
			return fmt.Errorf("host %q is no host name or *.domain", h)
		}
	}
	for _, c := range r.Commands {
		if len(strings.Fields(c)) == 0 || strings.Contains(c, "**") {
			return fmt.Errorf("command %q is no command; \"*\" stands for any text, as the last word for any words", c)
		}
	}
	only := func(selector []string, name string, of ...event.ToolKind) error {
		if len(selector) > 0 && len(r.Kinds) > 0 && !slices.ContainsFunc(of, func(k event.ToolKind) bool { return slices.Contains(r.Kinds, k) }) {
			return fmt.Errorf("%s belongs to kind %q, so this rule never matches", name, of)
		}
		return nil
	}
	if r.Decision == "" {
		return errors.New("a rule needs a decision: allow, ask or deny")
	}
	if r.Message != "" && r.Decision != Deny {
		return errors.New("a message goes with decision deny")
	}
	if len(r.Lines) > 0 && r.Decision != Allow {
		return errors.New("a line goes with decision allow: to deny or ask, a command has to look alike only")
	}
	return errors.Join(
		only(r.Commands, "command", event.KindShell),
		only(r.Lines, "line", event.KindShell),
		only(r.Paths, "path", event.KindEdit, event.KindRead, event.KindSearch),
		only(r.Hosts, "host", event.KindFetch),
	)
}
