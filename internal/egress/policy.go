package egress

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Policy says which targets a session may reach. It is immutable and safe for concurrent use; the zero value allows
// nothing.
type Policy struct {
	allow, deny []Rule
}

// Parse makes a policy that allows what specs name: presets ([Presets]) and rules ([ParseRule]), in any order,
// repetitions ignored. The error joins one line for every spec that is wrong, each with the spec and a hint; the policy
// is then the zero value.
func Parse(specs ...string) (Policy, error) {
	return Policy{}.Allow(specs...)
}

// Allow returns p with specs allowed in addition, for example after a person has answered an ask. Denied hosts stay
// denied. Errors are those of Parse.
func (p Policy) Allow(specs ...string) (Policy, error) {
	rules, err := parseRules(specs)
	if err != nil {
		return Policy{}, err
	}
	return Policy{allow: merge(p.allow, rules), deny: p.deny}, nil
}

// Deny returns p without what specs name; a denial wins over every permission, and without a port it covers all ports.
// It keeps honest clients off a host (a token renewal, say). Names alone cannot keep a hostile one from a service that
// also answers on an allowed host. Errors are those of Parse.
func (p Policy) Deny(specs ...string) (Policy, error) {
	rules, err := parseRules(specs)
	if err != nil {
		return Policy{}, err
	}
	return Policy{allow: p.allow, deny: merge(p.deny, rules)}, nil
}

// Check returns Allowed for t, Denied when a denial covers it or no rule could name it, else NotListed.
func (p Policy) Check(t Target) Verdict {
	if slices.ContainsFunc(p.deny, func(r Rule) bool { return r.Denies(t) }) {
		return Denied
	}
	if slices.ContainsFunc(p.allow, func(r Rule) bool { return r.Allows(t) }) {
		return Allowed
	}
	if _, err := ParseRule(t.String()); err != nil {
		return Denied
	}
	return NotListed
}

// Allowed returns the permitted rules in canonical form, sorted, with presets expanded.
func (p Policy) Allowed() []string { return canonical(p.allow) }

// Denied returns the prohibited rules in canonical form, sorted.
func (p Policy) Denied() []string { return canonical(p.deny) }

func parseRules(specs []string) ([]Rule, error) {
	var rules []Rule
	var problems []error
	presets := Presets()
	for _, spec := range specs {
		texts := []string{spec}
		if i := slices.IndexFunc(presets, func(p Preset) bool { return p.Name == spec }); i >= 0 {
			texts = presets[i].Rules
		}
		for _, text := range texts {
			rule, err := ParseRule(text)
			if err != nil {
				problems = append(problems, fmt.Errorf("egress rule %.100q: %w%s", spec, err, hint(spec, presets)))
				continue
			}
			rules = append(rules, rule)
		}
	}
	return rules, errors.Join(problems...)
}

// hint adds the names of the presets where somebody probably meant one.
func hint(spec string, presets []Preset) string {
	if spec != "" && strings.ContainsAny(spec, ".:/*") {
		return ""
	}
	names := make([]string, 0, len(presets))
	for _, p := range presets {
		names = append(names, p.Name)
	}
	return "; use host[:port], *.domain[:port] or a preset: " + strings.Join(names, ", ")
}

func merge(have, more []Rule) []Rule {
	all := slices.Clone(have)
	for _, r := range more {
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}

func canonical(rules []Rule) []string {
	texts := make([]string, 0, len(rules))
	for _, r := range rules {
		texts = append(texts, r.String())
	}
	slices.Sort(texts)
	return texts
}
