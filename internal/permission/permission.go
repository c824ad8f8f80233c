// Package permission decides what an agent may do without a person: one policy for
// every vendor, in place of the vendors' own modes.
//
// A Policy is a list of rules, read from a file (Parse). An adapter describes each
// tool call as a Call, and Decide returns what the first rule that matches says:
// allow, ask a person, or deny.
//
// Everything in a Call was chosen by a model and may be hostile. So a rule that allows
// matches only what it is sure to understand, and a rule that denies or asks matches
// whatever looks like it. Matching knows text, not effects: a command that is
// allowed can start others, links are not followed, and a program that already runs in
// the sandbox is out of its reach. The sandbox is the boundary; a policy keeps an
// agent from what a person does not want done inside of it.
//
// The package is pure: no I/O, no clock, no state.
package permission

import (
	"slices"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// Decision is what a rule says.
type Decision string

// The decisions, from the weakest to the strictest.
const (
	Allow Decision = "allow"
	Ask   Decision = "ask"
	Deny  Decision = "deny"
)

// Call is a tool call as far as rules look at it.
type Call struct {
	Kind    event.ToolKind
	Tool    string   // the vendor's name of the tool
	Command string   // the command line of a shell call
	Paths   []string // that an edit, a read or a search names; relative to the workspace
	Host    string   // that a fetch goes to
}

// Policy is what an agent may do. The zero value asks about everything. It is stored
// with the session, and never changes.
type Policy struct {
	Rules []Rule `json:"rules,omitempty"`
	// Default decides about calls that no rule matches; empty: Ask.
	Default Decision `json:"default,omitempty"`
}

// Rule decides about the calls that all of its selectors match. A selector is a list,
// of which one has to match; an empty one matches everything.
type Rule struct {
	Decision Decision         `json:"decision"`
	Kinds    []event.ToolKind `json:"kind,omitempty"`
	Tools    []string         `json:"tool,omitempty"`
	Commands []string         `json:"command,omitempty"`
	Lines    []string         `json:"line,omitempty"` // whole command lines, to the byte; to allow only
	Paths    []string         `json:"path,omitempty"`
	Hosts    []string         `json:"host,omitempty"`
	Message  string           `json:"message,omitempty"` // for the agent, when denied
}

// AskFirst is the policy that asks before anything is changed, run or reached: reading
// and searching files is allowed, and so is a subagent, whose own calls are asked about.
func AskFirst() Policy {
	return Policy{Rules: []Rule{{
		Decision: Allow, Kinds: []event.ToolKind{event.KindRead, event.KindSearch, event.KindSubagent},
	}}}
}

// Verdict is what a policy says about a call.
type Verdict struct {
	Decision Decision
	Rule     int // which rule said so, from 1; 0 for the default
	Message  string
}

// Decide returns what the first matching rule says. A command line that is a list of
// plain commands is decided command by command, and the strictest verdict counts.
func (p Policy) Decide(c Call) Verdict {
	if c.Kind != event.KindShell {
		return p.first(c, line{})
	}
	whole := parseLine(c.Command)
	if !whole.plain {
		return p.first(c, whole)
	}
	var strictest Verdict
	for i, command := range whole.commands {
		v := p.first(c, line{plain: true, commands: [][]string{command}})
		if i == 0 || v.Decision.strictness() > strictest.Decision.strictness() {
			strictest = v
		}
	}
	return strictest
}

func (p Policy) first(c Call, l line) Verdict {
	for i, r := range p.Rules {
		if r.matches(c, l) {
			return Verdict{r.Decision, i + 1, r.Message}
		}
	}
	if p.Default == "" {
		return Verdict{Decision: Ask}
	}
	return Verdict{Decision: p.Default}
}

func (d Decision) strictness() int { return slices.Index([]Decision{Allow, Ask, Deny}, d) }

func (r Rule) matches(c Call, l line) bool {
	return (len(r.Kinds) == 0 || slices.Contains(r.Kinds, c.Kind)) &&
		(len(r.Tools) == 0 || anyOf(r.Tools, func(p string) bool { return wild(p, c.Tool) })) &&
		(len(r.Commands) == 0 || c.Kind == event.KindShell && r.matchesCommand(l)) &&
		(len(r.Lines) == 0 || c.Kind == event.KindShell && slices.Contains(r.Lines, c.Command)) &&
		(len(r.Paths) == 0 || r.matchesPaths(c.Paths)) &&
		(len(r.Hosts) == 0 || anyOf(r.Hosts, func(p string) bool { return matchHost(p, c.Host) }))
}

func anyOf(patterns []string, match func(string) bool) bool {
	return slices.ContainsFunc(patterns, match)
}

// matchesCommand: to allow, every command of a plain line has to match from its first
// word to its last; to ask or deny, the pattern may begin at any word of any command.
func (r Rule) matchesCommand(l line) bool {
	if r.Decision == Allow {
		return l.plain && !slices.ContainsFunc(l.commands, func(words []string) bool {
			return !anyOf(r.Commands, func(p string) bool { return matchCommand(p, words) })
		})
	}
	return slices.ContainsFunc(l.commands, func(words []string) bool {
		return anyOf(r.Commands, func(p string) bool { return matchAnywhere(p, words) })
	})
}

// matchesPaths: to allow, all paths have to match; to ask or deny, one.
func (r Rule) matchesPaths(paths []string) bool {
	matches := func(p string) bool {
		return anyOf(r.Paths, func(pattern string) bool { return matchPath(pattern, p) })
	}
	if r.Decision != Allow {
		return slices.ContainsFunc(paths, matches)
	}
	return len(paths) > 0 && !slices.ContainsFunc(paths, func(p string) bool { return !certain(p) || !matches(p) })
}
