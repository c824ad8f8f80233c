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
// In mode host-dir the session sees the host's directory itself, read-only, and
// its link leads there. Without a login file, one of the runner's own accounts or
// a key or token in the runner's environment is used.
//
// Somebody must renew what a session cannot: Keep has the vendor's own CLI do it,
// one keeper for a login file on the machine, before the login ends.
//
// The package starts no CLI itself. On macOS Claude Code
// keeps its login in the Keychain and there is no file: there, `claude
// setup-token` and CLAUDE_CODE_OAUTH_TOKEN are the way. The same holds for Codex
// with cli_auth_credentials_store="keyring" and an API key.
//
// No error and no String method of this package shows a token.
package credential

import (
	"errors"
	"time"
)

// The agents whose logins are known.
const (
	Claude = "claude"
	Codex  = "codex"
)

// Mode says where a login comes from.
type Mode string

// The modes.
const (
	ModeMount   Mode = "mount"    // a login file, projected
	ModeHostDir Mode = "host-dir" // the directory of a login file, as it is
	ModeEnv     Mode = "env"      // a variable of the runner's environment
)

// What can be wrong with a login. The errors that wrap them say what to do.
var (
	ErrNoLogin   = errors.New("no login")
	ErrExpired   = errors.New("the login has expired")
	ErrMalformed = errors.New("not a login file")
)

// Source is a login that was found. It is immutable and safe for concurrent use.
type Source struct {
	Agent   string // Claude or Codex
	Mode    Mode
	Account string // name of the runner's own account; empty: the host's login
	Path    string // of the login file; empty in mode env
	Var     string // name of the variable, in mode env

	value string // of the variable
}

// Describe names the source for people: which file or which variable.
func (s Source) Describe() string {
	switch {
	case s.Mode == ModeEnv:
		return s.Agent + ": " + s.Var + " of the environment"
	case s.Account != "":
		return s.Agent + ": the account " + s.Account
	}
	return s.Agent + ": the login in " + s.Path
}

// again says how to log in again.
func (s Source) again() string {
	if s.Account != "" {
		return "run `ratchetai-runner login " + s.Agent + " --account " + s.Account + "`"
	}
	a, _ := lookup(s.Agent)
	return a.hint
}

// String and GoString keep the variable's value out of logs.
func (s Source) String() string { return s.Describe() }

// GoString is String.
func (s Source) GoString() string { return s.Describe() }

// agent holds what differs between the vendors.
type agent struct {
	dirVar, dir, file string        // the config directory's variable, its default, the login file in it
	lead              time.Duration // how long before a login ends the CLI can renew it
	vars              []string      // variables that hold a login, best first
	hint              string        // what a person without a login does
	renew             string        // what a person with an expired login does
}

func lookup(kind string) (agent, bool) {
	switch kind {
	case Claude:
		return agent{
			dirVar: "CLAUDE_CONFIG_DIR", dir: ".claude", file: ".credentials.json",
			lead: 4*time.Minute + 30*time.Second, // 2.1.330 renews in the last five minutes only
			// The subscription first: a key beside it would be billed apart.
			vars:  []string{"CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"},
			hint:  "run `ratchetai-runner login claude`, or `claude` once and log in there, or set CLAUDE_CODE_OAUTH_TOKEN from `claude setup-token`",
			renew: "run `claude` once on this machine and send a message, which renews it",
		}, true
	case Codex:
		return agent{
			dirVar: "CODEX_HOME", dir: ".codex", file: "auth.json",
			lead:  10 * time.Minute,
			vars:  []string{"CODEX_API_KEY", "OPENAI_API_KEY"},
			hint:  "run `ratchetai-runner login codex`, or `codex login`, or set OPENAI_API_KEY",
			renew: "run `codex` once on this machine and send a message, which renews it",
		}, true
	}
	return agent{}, false
}
