package mcp

import (
	"bytes"
	"encoding/json"
	"strings"
)

// JSON is the file that Claude Code reads with --mcp-config.
func (c Config) JSON() []byte {
	type server struct {
		Type    string            `json:"type"`
		Command string            `json:"command,omitempty"`
		Args    []string          `json:"args,omitempty"`
		Env     map[string]string `json:"env,omitempty"`
		URL     string            `json:"url,omitempty"`
		Headers map[string]string `json:"headers,omitempty"`
	}
	all := map[string]server{}
	for _, s := range c.Servers {
		kind := "stdio"
		if s.URL != "" {
			kind = "http"
		}
		all[s.Name] = server{kind, s.Command, s.Args, s.Env, s.URL, s.Headers}
	}
	return encode(map[string]any{"mcpServers": all})
}

// TOML is the part of Codex's config.toml that names the servers. Codex gives a
// command a few variables of its own environment only: pass names those that it
// needs besides, as Claude Code gives it all. Unless ask is set, tools run without
// being asked about: with its policy "never" Codex would refuse every call of one.
func (c Config) TOML(pass []string, ask bool) []byte {
	var b bytes.Buffer
	mode := "default_tools_approval_mode = \"approve\"\n"
	if ask {
		mode = ""
	}
	for _, s := range c.Servers {
		b.WriteString("[mcp_servers." + toml(s.Name) + "]\n" + mode)
		if s.URL != "" {
			b.WriteString("url = " + toml(s.URL) + "\nhttp_headers = " + tomlTable(s.Headers) + "\n")
			continue
		}
		b.WriteString("command = " + toml(s.Command) + "\nargs = " + tomlArray(s.Args) + "\nenv = " + tomlTable(s.Env) + "\n")
		var vars []string
		for _, name := range pass {
			if _, own := s.Env[name]; !own {
				vars = append(vars, name)
			}
		}
		b.WriteString("env_vars = " + tomlArray(vars) + "\n")
	}
	return b.Bytes()
}

// toml quotes text as a basic string. JSON's escapes are TOML's too; of the
// characters that TOML does not take as they are, JSON leaves one.
func toml(text string) string {
	return strings.ReplaceAll(string(encode(text)), "\x7f", `\u007f`)
}

func tomlArray(texts []string) string {
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = toml(t)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func tomlTable(m map[string]string) string {
	var pairs []string
	for _, k := range sortedKeys(m) {
		pairs = append(pairs, toml(k)+" = "+toml(m[k]))
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

// encode is v as JSON in one line, without HTML escapes; strings and maps of them
// cannot fail.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
