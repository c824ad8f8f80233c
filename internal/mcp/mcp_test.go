package mcp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func variables(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	one := write(t, "one.json", `{"mcpServers": {
		"web":  {"type": "http", "url": "https://mcp.example.com/${PATH_KEY}?a=1", "headers": {"Authorization": "Bearer ${TOKEN}", "Accept": "text/plain"}},
		"cmd":  {"command": "run", "args": ["$HOME", "--key=${TOKEN}"], "env": {"API_KEY": "literal-secret", "MODE": "fast"}}}}`)
	two := write(t, "two.json", `{"mcpServers": {"alt": {"type": "stdio", "command": "x"}, "port": {"url": "http://host.ratchet.internal:8080/mcp"}, "plain": {"url": "http://mcp.example.com"}}}`)
	c, err := Read([]string{one, two}, variables("TOKEN", "t0ken", "PATH_KEY", "p/th"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Server{
		{File: two, Name: "alt", Command: "x"},
		{File: one, Name: "cmd", Command: "run", Args: []string{"$HOME", "--key=t0ken"}, Env: map[string]string{"API_KEY": "literal-secret", "MODE": "fast"}},
		{File: two, Name: "plain", URL: "http://mcp.example.com"},
		{File: two, Name: "port", URL: "http://host.ratchet.internal:8080/mcp"},
		{File: one, Name: "web", URL: "https://mcp.example.com/p/th?a=1", Headers: map[string]string{"Authorization": "Bearer t0ken", "Accept": "text/plain"}},
	}
	if diff := cmp.Diff(want, c.Servers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"mcp.example.com:80", "host.ratchet.internal:8080", "mcp.example.com:443"}, c.Hosts()); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"alt", "cmd", "plain", "port", "web"}, c.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	secrets := map[string]bool{}
	for _, s := range c.Secrets {
		secrets[string(s)] = true
	}
	if diff := cmp.Diff(map[string]bool{"t0ken": true, "p/th": true, "literal-secret": true, "Bearer t0ken": true}, secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

func TestReadNothing(t *testing.T) {
	t.Parallel()
	c, err := Read(nil, variables())
	if err != nil || len(c.Servers)+len(c.Secrets) != 0 || c.Hosts() != nil || c.Names() != nil {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"no JSON", `{`, "not a JSON object"},
		{"a list", `[]`, "not a JSON object"},
		{"another key", `{"servers": {}}`, `unknown field "servers": only mcpServers`},
		{"no object of servers", `{"mcpServers": []}`, "mcpServers is not an object"},
		{"a server twice", `{"mcpServers": {"a": {"command": "x", "args": ["a", "a"], "env": {"a": "b"}}, "b": {"command": "a"}, "a": {"command": "y"}}}`, `"a" is there twice`},
		{"a variable twice", `{"mcpServers": {"a": {"command": "x", "env": {"K": "1", "K": "2"}}}}`, `"K" is there twice`},
		{"no server", `{"mcpServers": {}}`, "no server"},
		{"nothing at all", `{}`, "no server"},
		{"no object", `{"mcpServers": {"a": "x"}}`, `server "a": string where an object belongs`},
		{"null", `{"mcpServers": {"a": null}}`, `server "a": command: a server needs a command or a url`},
		{"a typo", `{"mcpServers": {"a": {"comand": "x"}}}`, `server "a": unknown field "comand": only type, command`},
		{"a wrong type", `{"mcpServers": {"a": {"command": "x", "args": "y"}}}`, `server "a": args: string where a []string belongs`},
		{"a number", `{"mcpServers": {"a": {"command": "x", "env": {"N": 1}}}}`, `server "a": env`},
		{"a name", `{"mcpServers": {"a b": {"command": "x"}}}`, `server "a b": name: use`},
		{"both", `{"mcpServers": {"a": {"command": "x", "url": "https://a.example"}}}`, "url: a server has either"},
		{"sse", `{"mcpServers": {"a": {"type": "sse", "url": "https://a.example"}}}`, `type: "sse" is none of stdio, http`},
		{"another type", `{"mcpServers": {"a": {"type": "stdio", "url": "https://a.example"}}}`, "type: stdio, but the server has a url"},
		{"headers of a command", `{"mcpServers": {"a": {"command": "x", "headers": {"A": "b"}}}}`, "headers: they belong"},
		{"args of a url", `{"mcpServers": {"a": {"url": "https://a.example", "args": ["x"]}}}`, "url: args and env belong"},
		{"no URL", `{"mcpServers": {"a": {"url": "a.example/x"}}}`, "url: not an http or https URL"},
		{"another scheme", `{"mcpServers": {"a": {"url": "ws://a.example/x"}}}`, "url: not an http or https URL"},
		{"a user", `{"mcpServers": {"a": {"url": "https://u:hidden@a.example/x"}}}`, "url: a user name does not belong"},
		{"host from a variable", `{"mcpServers": {"a": {"url": "https://${V}.example/x"}}}`, "url: its host cannot come from a variable"},
		{"all from a variable", `{"mcpServers": {"a": {"url": "${V}"}}}`, "url: not an http or https URL"},
		{"unknown variable", `{"mcpServers": {"a": {"command": "x", "args": ["", "${W}"]}}}`, "args[1]: ${W} is not given: add --env W"},
		{"a default", `{"mcpServers": {"a": {"command": "${V:-x}"}}}`, "command: only ${NAME}"},
		{"a zero byte", `{"mcpServers": {"a": {"command": "x\u0000"}}}`, "command: holds a zero byte"},
		{"header's name", `{"mcpServers": {"a": {"url": "https://a.example", "headers": {"A b": "c"}}}}`, "headers.A b: not a name"},
		{"header's value", `{"mcpServers": {"a": {"url": "https://a.example", "headers": {"A": "${LINES}"}}}}`, "headers.A: holds a control character"},
		{"variable's name", `{"mcpServers": {"a": {"command": "x", "env": {"A-B": "c"}}}}`, "env.A-B: not a name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			file := write(t, "mcp.json", tc.text)
			c, err := Read([]string{file}, variables("V", "hidden", "LINES", "hidden\r\nX: y"))
			if err == nil || len(c.Servers) != 0 {
				t.Fatalf("accepted as %+v", c)
			}
			for _, want := range []string{tc.want, file + ": "} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "hidden") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

func TestReadSeveral(t *testing.T) {
	t.Parallel()
	one := write(t, "one.json", `{"mcpServers": {"a": {"command": "x"}, "b": {"command": ""}}}`)
	two := write(t, "two.json", `{"mcpServers": {"a": {"command": "y"}}}`)
	_, err := Read([]string{one, two, "missing.json"}, variables())
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		one + `: server "b": command`, two + `: server "a": ` + one + " has a server of that name too", "missing.json",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	c := Config{Servers: []Server{
		{Name: "a-b", Command: "run", Args: []string{"q\"u\\o\te", "é<&>\x7f\x01"}, Env: map[string]string{"A": "1", "PATH": "/x"}},
		{Name: "none", Command: "run"},
		{Name: "web", URL: "https://mcp.example.com/?a=1&b", Headers: map[string]string{"X.Y": "v"}},
	}}
	if diff := cmp.Diff(`{"mcpServers":{`+
		`"a-b":{"type":"stdio","command":"run","args":["q\"u\\o\te","é<&>`+"\x7f"+`\u0001"],"env":{"A":"1","PATH":"/x"}},`+
		`"none":{"type":"stdio","command":"run"},`+
		`"web":{"type":"http","url":"https://mcp.example.com/?a=1&b","headers":{"X.Y":"v"}}}}`, string(c.JSON())); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(`[mcp_servers."a-b"]
default_tools_approval_mode = "approve"
command = "run"
args = ["q\"u\\o\te", "é<&>\u007f\u0001"]
env = {"A" = "1", "PATH" = "/x"}
env_vars = ["HTTPS_PROXY"]
[mcp_servers."none"]
default_tools_approval_mode = "approve"
command = "run"
args = []
env = {}
env_vars = ["HTTPS_PROXY", "PATH"]
[mcp_servers."web"]
default_tools_approval_mode = "approve"
url = "https://mcp.example.com/?a=1&b"
http_headers = {"X.Y" = "v"}
`, string(c.TOML([]string{"HTTPS_PROXY", "PATH"}, false))); diff != "" {
		t.Errorf("TOML (-want +got):\n%s", diff)
	}
	if asked := string(c.TOML(nil, true)); strings.Contains(asked, "approv") {
		t.Errorf("tools would run unasked: %s", asked)
	}
}
