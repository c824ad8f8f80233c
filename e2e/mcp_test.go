//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// stdioServer is an MCP server for the sandbox, with one tool that tells what it was
// given.
const stdioServer = `import json, os, sys
for line in sys.stdin:
    m = json.loads(line)
    if "id" not in m:
        continue
    r = {}
    if m["method"] == "initialize":
        r = {"protocolVersion": m["params"]["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": {"name": "here", "version": "1"}}
    elif m["method"] == "tools/list":
        r = {"tools": [{"name": "tell", "description": "tells", "inputSchema": {"type": "object", "properties": {"word": {"type": "string"}}}}]}
    elif m["method"] == "tools/call":
        text = "heard %s, key of %d bytes %s, args %s, proxy %s" % (m["params"]["arguments"]["word"], len(os.environ["API_KEY"]),
            os.environ["API_KEY"], sys.argv[1:], os.environ.get("HTTPS_PROXY"))
        r = {"content": [{"type": "text", "text": text}]}
    print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": r}), flush=True)
`

// httpServer is an MCP server on this machine. It notes the keys that it was given.
type httpServer struct {
	mu   sync.Mutex
	keys map[string]bool
}

func (h *httpServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.keys[r.Header.Get("Authorization")] = true
	h.mu.Unlock()
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params struct {
			Version   string `json:"protocolVersion"`
			Arguments struct {
				Word string `json:"word"`
			} `json:"arguments"`
		} `json:"params"`
	}
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if json.NewDecoder(r.Body).Decode(&m) != nil || m.ID == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	result := map[string]any{}
	switch m.Method {
	case "initialize":
		result = map[string]any{
			"protocolVersion": m.Params.Version, "capabilities": map[string]any{"tools": map[string]any{}},
			"serverInfo": map[string]any{"name": "there", "version": "1"},
		}
	case "tools/list":
		result = map[string]any{"tools": []any{map[string]any{
			"name": "say", "description": "says", "inputSchema": map[string]any{"type": "object", "properties": map[string]any{"word": map[string]any{"type": "string"}}},
		}}}
	case "tools/call":
		result = map[string]any{"content": []any{map[string]any{"type": "text", "text": "over http: " + m.Params.Arguments.Word}}}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": m.ID, "result": result})
}

// TestMCP gives both agents the same file of servers: a command in the sandbox, one
// on this machine's loopback, and one that is down.
func TestMCP(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		there := &httpServer{keys: map[string]bool{}}
		web := httptest.NewServer(there)
		t.Cleanup(web.Close)
		down := httptest.NewServer(http.NotFoundHandler())
		down.Close()
		b := setup(t, kind,
			modelapi.MCP("here", "tell", map[string]any{"word": "hi"}),
			// Claude Code connected to a server at its second try once in 30 runs, half a
			// second after it had begun.
			modelapi.MCP("there", "say", map[string]any{"word": "ho"}).After(2*time.Second),
			// Codex tries a server for two seconds before it says that it is down.
			modelapi.Text("both answered").After(6*time.Second))
		file := b.mcpFile(`{"mcpServers": {
			` + b.stdioServer() + `,
			"there": {"type": "http", "url": "http://` + gateway(web.URL) + `/mcp", "headers": {"Authorization": "Bearer ${THERE}"}},
			"down": {"type": "http", "url": "http://` + gateway(down.URL) + `/mcp"}}}`)
		r := b.run(b.runArgs("--mcp-config", file, "--env", "KEY_OF_HERE="+mcpKey, "--env", "THERE="+mcpToken)...)
		r.want(t, 0)

		id := b.session()
		tools := all[event.ToolFinished](b, id)
		var output string
		for _, f := range tools {
			output += f.Output + "\n"
		}
		for _, want := range []string{"heard hi, key of 18 bytes [redacted]", "127.0.0.1:3128", "over http: ho"} {
			if !strings.Contains(output, want) {
				t.Errorf("%q is not in the tools' output: %s%s", want, output, r.story())
			}
		}
		if !strings.Contains(strings.ReplaceAll(output, `\`, ""), `['a b"c']`) {
			t.Errorf("the command got other arguments: %s", output)
		}
		for _, s := range all[event.ToolStarted](b, id) {
			if s.Kind != event.KindMCP {
				t.Errorf("tool %+v is not of an MCP server", s)
			}
		}
		if !there.keys["Bearer "+mcpToken] || len(there.keys) != 1 {
			t.Errorf("the server was given %v", there.keys)
		}
		if started := all[event.SessionStarted](b, id); len(started) != 1 || len(started[0].MCP) != 3 {
			t.Errorf("started %+v", started)
		} else {
			t.Log(started[0].MCP)
		}
		notices := ""
		for _, n := range all[event.Notice](b, id) {
			notices += n.Text + "\n"
		}
		if strings.Count(notices, "MCP server down did not start") != 1 || strings.Contains(notices, "MCP server here") {
			t.Errorf("notices: %s", notices)
		}
		b.nothingHolds(id, mcpKey, mcpToken)
	})
}

// Secrets of the servers.
const mcpKey, mcpToken = "k-0123456789-stdio", "t-0123456789-http"

// stdioServer puts the server into the workspace and returns its entry, which needs
// KEY_OF_HERE.
func (b *bundle) stdioServer() string {
	b.write("server.py", stdioServer)
	return `"here": {"command": "python3", "args": ["/workspace/server.py", "a b\"c"], "env": {"API_KEY": "${KEY_OF_HERE}"}}`
}

// TestMCPAfterRestart kills the runner before a server's tool is called: the next
// one knows neither file nor variable, and has to keep the secret nevertheless.
func TestMCPAfterRestart(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind,
			modelapi.Shell("sleep 2; echo tool ran"),
			modelapi.MCP("here", "tell", map[string]any{"word": "again"}),
			modelapi.Text("done"))
		file := b.mcpFile(`{"mcpServers": {` + b.stdioServer() + `}}`)
		c := b.start(b.runArgs("--mcp-config", file, "--env", "KEY_OF_HERE="+mcpKey)...)
		b.awaitTool("sleep 2")
		_ = c.Process.Kill()
		_ = c.Wait()
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		id := b.session()
		b.run("attach", id).want(t, 0)
		tools := all[event.ToolFinished](b, id)
		if len(tools) != 2 || !strings.Contains(tools[1].Output, "heard again, key of 18 bytes [redacted]") {
			t.Errorf("tools %+v", tools)
		}
		b.nothingHolds(id, mcpKey)
	})
}

// mcpFile writes a file of servers outside of the workspace.
func (b *bundle) mcpFile(text string) string {
	b.t.Helper()
	name := filepath.Join(b.base, "mcp.json")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return name
}

// nothingHolds checks that no file of the session's directory holds a secret, the
// agent's own home apart.
func (b *bundle) nothingHolds(id string, secrets ...string) {
	b.t.Helper()
	dir := b.store.Journal(id)
	files, err := os.ReadDir(dir)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range files {
		if f.IsDir() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			b.t.Fatal(err)
		}
		for _, secret := range secrets {
			if strings.Contains(string(data), secret) {
				b.t.Errorf("%s holds the secret %s", f.Name(), secret)
			}
		}
	}
}
