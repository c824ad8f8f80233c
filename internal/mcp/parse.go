package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const fields = "type, command, args, env, url and headers"

// entry is a server as the file has it.
type entry struct {
	Type    string            `json:"type"`
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
}

// parse returns the servers of one file that are right; the error has one line for
// each problem.
func parse(file string, data []byte, x *expander) ([]Server, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, fmt.Errorf("%s: not a JSON object: %w", file, err)
	}
	if key := repeated(data); key != "" {
		return nil, fmt.Errorf("%s: %q is there twice", file, key)
	}
	var all map[string]json.RawMessage
	for _, key := range sortedKeys(top) {
		if key != "mcpServers" {
			return nil, fmt.Errorf("%s: unknown field %q: only mcpServers is understood", file, key)
		}
		if err := json.Unmarshal(top[key], &all); err != nil {
			return nil, fmt.Errorf("%s: mcpServers is not an object of servers", file)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no server in mcpServers", file)
	}
	var servers []Server
	var problems []error
	for _, name := range sortedKeys(all) {
		s := Server{File: file, Name: name}
		e, err := decode(all[name])
		if err == nil {
			err = errors.Join(s.fill(e, x)...)
		}
		if err == nil {
			servers = append(servers, s)
			continue
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			problems = append(problems, fmt.Errorf("%s: %s", s.Where(), line))
		}
	}
	return servers, errors.Join(problems...)
}

func decode(raw json.RawMessage) (entry, error) {
	var e entry
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(&e)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return e, nil
	case errors.As(err, &wrong) && wrong.Field == "":
		return e, fmt.Errorf("%s where an object belongs", wrong.Value)
	case errors.As(err, &wrong):
		return e, fmt.Errorf("%s: %s where a %s belongs", wrong.Field, wrong.Value, wrong.Type)
	}
	return e, fmt.Errorf("%s: only %s are understood", strings.TrimPrefix(err.Error(), "json: "), fields)
}

// fill checks e and takes it over, expanded.
func (s *Server) fill(e entry, x *expander) (problems []error) {
	note := func(field, problem string) {
		if problem != "" {
			problems = append(problems, fmt.Errorf("%s: %s", field, problem))
		}
	}
	if !nameForm().MatchString(s.Name) {
		note("name", "use 1 to 64 letters, digits, - and _")
	}
	switch {
	case e.Command != "" && e.URL != "":
		note("url", "a server has either a command or a url")
	case e.Command == "" && e.URL == "":
		note("command", "a server needs a command or a url")
	case e.Type != "" && e.Type != "stdio" && e.Type != "http":
		note("type", fmt.Sprintf("%q is none of stdio, http", e.Type))
	case e.Type == "stdio" && e.URL != "" || e.Type == "http" && e.Command != "":
		note("type", fmt.Sprintf("%s, but the server has a %s", e.Type, map[bool]string{true: "url", false: "command"}[e.URL != ""]))
	case e.URL != "" && (len(e.Args) > 0 || len(e.Env) > 0):
		note("url", "args and env belong to a server with a command")
	case e.Command != "" && len(e.Headers) > 0:
		note("headers", "they belong to a server with a url")
	}
	note("url", checkURL(e.URL))
	expand := func(field, text string) string {
		value, problem := x.expand(text)
		note(field, problem)
		return value
	}
	s.Command, s.URL = expand("command", e.Command), expand("url", e.URL)
	for i, arg := range e.Args {
		s.Args = append(s.Args, expand(fmt.Sprintf("args[%d]", i), arg))
	}
	s.Env = x.values("env", e.Env, envForm(), note)
	s.Headers = x.values("headers", e.Headers, headerForm(), note)
	return problems
}

func nameForm() *regexp.Regexp   { return regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`) }
func envForm() *regexp.Regexp    { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`) }
func headerForm() *regexp.Regexp { return regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$") }

// checkURL says what is wrong with a URL as the file has it, if it has one.
func checkURL(text string) string {
	if text == "" {
		return ""
	}
	_, rest, _ := strings.Cut(text, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	u, err := url.Parse(reference().ReplaceAllLiteralString(text, "x"))
	switch {
	case strings.Contains(rest, "${"):
		return "its host cannot come from a variable: it decides what the session may reach"
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "not an http or https URL"
	case u.User != nil:
		return "a user name does not belong there: use headers"
	}
	return ""
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
