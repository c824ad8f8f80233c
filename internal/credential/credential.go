// Package credential finds the host's logins and projects what a session may
// have of them.
//
// A session never gets a refresh token: whoever can refresh logs the host out
// (the vendors rotate them). So a login file of the host is copied without its
// refresh tokens into a directory that is mounted read-only into the sandbox,
// and copied again whenever the host's file changes:
//
//	~/.claude/.credentials.json ─┐                  ┌─ /home/agent/.claude/.credentials.json
//	                             ├─ Project, Watch ─┤   (a link into the mount)
//	~/.codex/auth.json ──────────┘                  └─ /home/agent/.codex/auth.json
//
// Without such a file, a key or token in the runner's environment is used.
//
// The package renews nothing and starts no CLI: it reads. On macOS Claude Code
// keeps its login in the Keychain and there is no file: there, `claude
// setup-token` and CLAUDE_CODE_OAUTH_TOKEN are the way. The same holds for Codex
// with cli_auth_credentials_store="keyring" and an API key.
//
// No error and no String method of this package shows a token.
package credential

import "errors"

// The agents whose logins are known.
const (
	Claude = "claude"
	Codex  = "codex"
)

// Mode says where a login comes from.
type Mode string

// The modes.
const (
	ModeMount Mode = "mount" // a login file of the host's, projected
	ModeEnv   Mode = "env"   // a variable of the runner's environment
)

// What can be wrong with a login. The errors that wrap them say what to do.
var (
	ErrNoLogin   = errors.New("no login")
	ErrExpired   = errors.New("the login has expired")
	ErrMalformed = errors.New("not a login file")
)

// Source is a login that was found. It is immutable and safe for concurrent use.
type Source struct {
	Agent string // Claude or Codex
	Mode  Mode
	Path  string // of the login file, in mode mount
	Var   string // name of the variable, in mode env

	value string // of the variable
}

// Describe names the source for people: which file or which variable.
func (s Source) Describe() string {
	if s.Mode == ModeEnv {
		return s.Agent + ": " + s.Var + " of the environment"
	}
	return s.Agent + ": the login in " + s.Path
}

// String and GoString keep the variable's value out of logs.
func (s Source) String() string { return s.Describe() }

// GoString is String.
func (s Source) GoString() string { return s.Describe() }

// agent holds what differs between the vendors.
type agent struct {
	dirVar, dir, file string   // the config directory's variable, its default, the login file in it
	vars              []string // variables that hold a login, best first
	hint              string   // what a person without a login does
	renew             string   // what a person with an expired login does
}

func lookup(kind string) (agent, bool) {
	switch kind {
	case Claude:
		return agent{
			dirVar: "CLAUDE_CONFIG_DIR", dir: ".claude", file: ".credentials.json",
			// The subscription first: a key beside it would be billed apart.
			vars:  []string{"CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"},
			hint:  "run `claude` once and log in, or set CLAUDE_CODE_OAUTH_TOKEN from `claude setup-token`",
			renew: "run `claude` once on this machine and send a message, which renews it",
		}, true
	case Codex:
		return agent{
			dirVar: "CODEX_HOME", dir: ".codex", file: "auth.json",
			vars:  []string{"CODEX_API_KEY", "OPENAI_API_KEY"},
			hint:  "run `codex login`, or set OPENAI_API_KEY",
			renew: "run `codex` once on this machine and send a message, which renews it",
		}, true
	}
	return agent{}, false
}
