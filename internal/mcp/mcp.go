// Package mcp reads the MCP servers that a person gives to a session, and writes
// them in the form of each agent.
//
// The file is the common JSON form:
//
//	{"mcpServers": {
//	  "notes":  {"command": "python3", "args": ["/workspace/notes.py"], "env": {"API_KEY": "${NOTES_KEY}"}},
//	  "search": {"type": "http", "url": "https://mcp.example.com/v1", "headers": {"Authorization": "Bearer ${TOKEN}"}}}}
//
//	files -> Read: check, expand ${NAME} -> Config -> JSON (Claude Code), TOML (Codex)
//
// The agents themselves skip what they do not understand; here it is an error that
// names file, server and field. Nothing of a value is in an error, because it may be
// a secret. The package imports the standard library only.
package mcp

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
)

// fileMax bounds a file of servers, in bytes.
const fileMax = 1 << 20

// Config is the servers of a session, in the order of their names.
type Config struct {
	Servers []Server
	// Secrets are the values of the variables that the files name, and of headers
	// and variables that hold a secret by their name.
	Secrets [][]byte
}

// Server is one MCP server with everything expanded: a command that the agent
// starts in the sandbox, or a URL.
type Server struct {
	File string // that defines it, for messages
	Name string // letters, digits, - and _

	Command string
	Args    []string
	Env     map[string]string

	URL     string // http or https
	Headers map[string]string
}

// Read reads files of servers. lookup knows the values of ${NAME}; nothing else of
// the environment counts. The error joins one line for every problem.
func Read(files []string, lookup func(name string) (string, bool)) (Config, error) {
	var c Config
	var problems []error
	x := expander{lookup: lookup}
	for _, file := range files {
		data, err := readFile(file)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		servers, err := parse(file, data, &x)
		problems = append(problems, err)
		for _, s := range servers {
			if i := slices.IndexFunc(c.Servers, func(o Server) bool { return o.Name == s.Name }); i >= 0 {
				problems = append(problems, fmt.Errorf("%s: %s has a server of that name too", s.Where(), c.Servers[i].File))
				continue
			}
			c.Servers = append(c.Servers, s)
		}
	}
	slices.SortFunc(c.Servers, func(a, b Server) int { return strings.Compare(a.Name, b.Name) })
	c.Secrets = x.secrets
	if err := errors.Join(problems...); err != nil {
		return Config{}, err
	}
	return c, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, fileMax+1))
	if err != nil {
		return nil, err
	}
	if len(data) > fileMax {
		return nil, fmt.Errorf("%s: has more than %d MiB", name, fileMax>>20)
	}
	return data, nil
}

// Where says where the server is defined, for messages.
func (s Server) Where() string { return fmt.Sprintf("%s: server %q", s.File, s.Name) }

// Host is HOST:PORT of the server's URL, which the session must reach; empty for a
// command.
func (s Server) Host() string {
	u, err := url.Parse(s.URL)
	switch {
	case s.URL == "" || err != nil:
		return ""
	case u.Port() != "":
		return u.Host
	case u.Scheme == "http":
		return u.Host + ":80"
	}
	return u.Host + ":443"
}

// Names returns the servers' names.
func (c Config) Names() []string {
	var names []string
	for _, s := range c.Servers {
		names = append(names, s.Name)
	}
	return names
}

// Hosts returns what the session must reach for the servers, as egress rules.
func (c Config) Hosts() []string {
	var hosts []string
	for _, s := range c.Servers {
		if host := s.Host(); host != "" && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
