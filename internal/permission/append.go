package permission

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// newFile begins a rules file.
const newFile = "# Permission rules: the first that matches decides. \"Allow always\" adds to the end.\nrules:\n"

// ErrDecided says that a file decides about a call already, so that no rule after it
// would change that.
var ErrDecided = errors.New("another rule comes first")

// Append returns the rules file data with the rule that Exactly makes for c at the end
// of its list. Every byte of data stays, and in its order. Blank data becomes a new file.
//
// If an earlier rule decides about c, the error is ErrDecided, and the verdict says how.
// The other errors say what is wrong with the file or with c.
func Append(data []byte, c Call) ([]byte, Verdict, error) {
	r, err := Exactly(c)
	if err != nil {
		return nil, Verdict{}, fmt.Errorf("no rule can say this: %w", err)
	}
	if len(bytes.Trim(data, " \r\n")) == 0 {
		return []byte(string(data) + newFile + r.yaml(2)), Verdict{Decision: Allow, Rule: 1}, nil
	}
	before, err := Parse(data)
	if err != nil {
		return nil, Verdict{}, err
	}
	after := Policy{Rules: append(slices.Clone(before.Rules), r), Default: before.Default}
	if v := before.Decide(c); v.Decision == Allow {
		return nil, v, ErrDecided
	}
	if v := after.Decide(c); v.Decision != Allow {
		return nil, v, ErrDecided
	}
	places, indent, err := ends(data)
	if err != nil {
		return nil, Verdict{}, err
	}
	for _, at := range places {
		head := string(data[:at])
		if head != "" && !strings.HasSuffix(head, "\n") {
			head += "\n"
		}
		if before.Rules == nil {
			head += "rules:\n"
		}
		out := []byte(head + r.yaml(indent) + string(data[at:]))
		if got, err := Parse(out); err == nil && reflect.DeepEqual(got, after) {
			return out, Verdict{Decision: Allow, Rule: len(after.Rules)}, nil
		}
	}
	return nil, Verdict{}, errors.New("there is no place for a rule that keeps the others as they are: end the file with its rules")
}

// ends returns where in data the list of rules may end, the likeliest place first, and
// the indentation of its items. Only reading the result again tells which is right: a
// comment may as well be a line of a text.
func ends(data []byte) (places []int, indent int, err error) {
	var root yaml.Node
	if err := yaml.Load(data, &root); err != nil {
		return nil, 0, err
	}
	starts := []int{0} // of the lines
	for i, b := range data {
		if b == '\n' {
			starts = append(starts, i+1)
		}
	}
	line := func(n int) string { // from 1
		end := len(data)
		if n < len(starts) {
			end = starts[n]
		}
		return string(data[starts[n-1]:end])
	}
	fields := root.Content[0]
	at := slices.IndexFunc(fields.Content, func(n *yaml.Node) bool { return n.Value == "rules" && n.Kind == yaml.ScalarNode })
	if fields.Style&yaml.FlowStyle != 0 || at >= 0 && fields.Content[at+1].Style&yaml.FlowStyle != 0 {
		return nil, 0, errors.New(`its rules are in brackets or JSON; to be added to, each has to be on lines of its own, after "- "`)
	}
	if at < 0 {
		return []int{len(data)}, 2, nil
	}
	first := fields.Content[at+1].Content[0].Line
	for first > 1 && !strings.HasPrefix(strings.TrimLeft(line(first), " "), "-") {
		first--
	}
	indent = len(line(first)) - len(strings.TrimLeft(line(first), " "))
	if at+2 >= len(fields.Content) {
		return []int{len(data)}, indent, nil
	}
	next := fields.Content[at+2].Line // the field after the rules
	up := next
	for up > 1 && isRemark(line(up-1)) {
		up--
	}
	return []int{starts[up-1], starts[next-1]}, indent, nil
}

// isRemark reports a blank line, or a comment that is not indented: it belongs to
// what follows.
func isRemark(line string) bool {
	return strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#")
}
