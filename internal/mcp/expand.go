package mcp

import (
	"fmt"
	"regexp"
	"strings"
)

// reference is ${NAME}, or what looks like the beginning of one.
func reference() *regexp.Regexp { return regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*\})?`) }

// expander replaces ${NAME} and notes which values are secret.
type expander struct {
	lookup  func(string) (string, bool)
	secrets [][]byte
}

// expand returns text with its variables replaced, or what is wrong with it.
func (x *expander) expand(text string) (value, problem string) {
	value = reference().ReplaceAllStringFunc(text, func(ref string) string {
		name := strings.TrimSuffix(strings.TrimPrefix(ref, "${"), "}")
		if name == "" {
			problem = "only ${NAME} is understood after a $"
			return ref
		}
		v, ok := x.lookup(name)
		if !ok {
			problem = fmt.Sprintf("${%s} is not given: add --env %s", name, name)
			return ref
		}
		x.secret(v)
		return v
	})
	if strings.ContainsRune(value, 0) {
		problem = "holds a zero byte"
	}
	return value, problem
}

// values expands the values of a server's env or headers.
func (x *expander) values(field string, given map[string]string, form *regexp.Regexp, note func(field, problem string)) map[string]string {
	var out map[string]string
	for _, key := range sortedKeys(given) {
		value, problem := x.expand(given[key])
		switch {
		case !form.MatchString(key):
			problem = "not a name"
		case problem == "" && field == "headers" && strings.ContainsFunc(value, isControl):
			problem = "holds a control character"
		}
		note(field+"."+key, problem)
		if isSecret(key) {
			x.secret(value)
			_, credentials, _ := strings.Cut(value, " ") // Bearer TOKEN
			x.secret(credentials)
		}
		if out == nil {
			out = map[string]string{}
		}
		out[key] = value
	}
	return out
}

func (x *expander) secret(value string) {
	if value != "" {
		x.secrets = append(x.secrets, []byte(value))
	}
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// isSecret reports whether what a header or variable of this name holds is secret.
func isSecret(name string) bool {
	name = strings.ToLower(name)
	for _, end := range []string{"authorization", "cookie", "token", "secret", "password", "key", "credentials"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}
