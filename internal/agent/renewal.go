package agent

import (
	"encoding/json"
	"slices"
	"strings"
)

// Renewal is how a vendor's CLI is brought to renew its login without calling a
// model.
type Renewal struct {
	Process
	Lines [][]byte // for its stdin, which is then left open until the file has changed
	// Answered reports whether a line of its stdout answers the last of Lines, and
	// what the vendor had against it.
	Answered func(line []byte) (answered bool, problem string)
	// Config is true for a CLI that needs the login's directory as its own (Claude
	// replaces the file); false for one that follows a link to the file (Codex).
	Config bool
}

const claudeRenew = "renew"

// NewRenewal returns how kind renews. Measured with the versions above: Claude
// does by itself on `initialize`, in the last five minutes of a login; Codex
// whenever account/read asks for it.
func NewRenewal(kind Kind) Renewal {
	if kind == Codex {
		p := newCodex(Options{Kind: kind}).Process()
		p.Hosts = []string{"auth.openai.com", "chatgpt.com"}
		p.Denied = nil
		var s codexStep
		s.send(codexRequest{ID: 1, Method: "initialize", Params: codexInitialize{
			ClientInfo: codexClientInfo{Name: "ratchetai-runner", Title: "ratchetai-runner", Version: "1"},
		}})
		s.send(codexNotification{Method: "initialized"})
		s.send(codexRequest{ID: 2, Method: "account/read", Params: map[string]bool{"refreshToken": true}})
		return Renewal{Process: p, Lines: s.Send, Answered: codexAnswered}
	}
	p := newClaude(Options{Kind: kind}).Process()
	p.Command = []string{
		claudeBinary, "-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose",
		// No settings of the person's, which may name programs and another API.
		"--setting-sources", "project", "--strict-mcp-config",
	}
	p.Hosts, p.Denied = []string{claudeLoginHost, claudeAPIHost}, nil
	// With the variable, its state file would be in the login's directory.
	p.Env = slices.DeleteFunc(p.Env, func(e string) bool { return strings.HasPrefix(e, "CLAUDE_CONFIG_DIR=") })
	var s claudeStep
	s.send(claudeControlRequest{Type: "control_request", RequestID: claudeRenew, Request: claudeSubtype{Subtype: "initialize"}})
	return Renewal{Process: p, Lines: s.Send, Answered: claudeAnswered, Config: true}
}

func codexAnswered(line []byte) (bool, string) {
	var l codexLine
	if json.Unmarshal(line, &l) != nil || l.Method != "" || string(l.ID) != "2" {
		return false, ""
	}
	if l.Error != nil {
		return true, l.Error.Message
	}
	return true, ""
}

// claudeAnswered finds the answer to initialize, which says nothing of the renewal.
func claudeAnswered(line []byte) (bool, string) {
	var l struct {
		Type     string
		Response struct {
			RequestID string `json:"request_id"`
		}
	}
	return json.Unmarshal(line, &l) == nil && l.Type == "control_response" && l.Response.RequestID == claudeRenew, ""
}

// SignIn returns the vendor's own command for a person who logs in, which needs a
// terminal but no browser beside it: Claude shows an address and asks for the code
// that it leads to, Codex shows an address and a code to type there.
func SignIn(kind Kind) Process {
	p := NewRenewal(kind).Process
	if kind == Codex {
		p.Command = []string{codexBinary, "login", "--device-auth", "-c", `cli_auth_credentials_store="file"`}
		return p
	}
	p.Command = []string{claudeBinary, "auth", "login", "--claudeai"}
	return p
}
