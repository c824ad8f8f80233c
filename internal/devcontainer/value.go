package devcontainer

import (
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
)

var envKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// The variables that a repository does not set: those that move an agent's API or
// login, its proxy or its trust to somewhere else, or put code into its process.
var (
	ownPrefixes = []string{"ANTHROPIC_", "CLAUDE_", "CODEX_", "OPENAI_", "AWS_", "GOOGLE_", "VERTEX_", "AZURE_", "LD_", "BUN_", "NODE_", "RATCHETAI_", "DISABLE_", "GIT_", "SSL_"}
	ownNames    = []string{
		"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT",
		"BASH_ENV", "ENV", "SHELL", "HOME", "PATH", "TMPDIR", "IFS", "JAVA_TOOL_OPTIONS", "IS_SANDBOX",
	}
)

func own(key string) bool {
	upper := strings.ToUpper(key)
	return slices.Contains(ownNames, upper) || slices.ContainsFunc(ownPrefixes, func(p string) bool { return strings.HasPrefix(upper, p) })
}

// environment adds the variables in value, the property key's, to env.
func (c *Config) environment(key string, value json.RawMessage, env map[string]string, folder string) error {
	var given map[string]*string // null unsets one
	if err := json.Unmarshal(value, &given); err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(given)) {
		if given[k] == nil {
			delete(env, k)
			continue
		}
		v := expand(*given[k], folder)
		if own(k) || !envKey.MatchString(k) || strings.Contains(v, "${") || strings.ContainsRune(v, 0) {
			c.Ignored = append(c.Ignored, key+"."+k)
			continue
		}
		env[k] = v
	}
	return nil
}

// expand fills in the only variables that say nothing about the machine.
func expand(s, folder string) string {
	return strings.NewReplacer("${containerWorkspaceFolder}", folder, "${containerWorkspaceFolderBasename}", folder[strings.LastIndexByte(folder, '/')+1:]).Replace(s)
}

// command returns a command property as text for sh -c: a line, a list of
// arguments, or several of both by name, which run one after the other.
func command(value json.RawMessage) (string, error) {
	var line string
	if json.Unmarshal(value, &line) == nil {
		return line, nil
	}
	var args []string
	if json.Unmarshal(value, &args) == nil {
		for i := range args {
			args[i] = Quote(args[i])
		}
		return strings.Join(args, " "), nil
	}
	var named map[string]json.RawMessage
	if json.Unmarshal(value, &named) != nil {
		return "", errors.New("not a string, a list of strings, or an object of both")
	}
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(named)) {
		if strings.HasPrefix(strings.TrimSpace(string(named[k])), "{") {
			return "", errors.New("not a string, a list of strings, or an object of both")
		}
		text, err := command(named[k])
		if err != nil {
			return "", err
		}
		lines = append(lines, "sh -c "+Quote(text))
	}
	return strings.Join(lines, " && "), nil
}

// Quote returns s as one word for a shell.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
