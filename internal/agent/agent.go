// Package agent drives the vendors' CLIs: it knows the command line and the
// stdio protocol of each, and nothing about containers, files or time.
//
// An Adapter is a pure state machine. The runner feeds it what happened, in the
// order in which it is journalled: every line of the agent's stdout (Line) and
// every command (Do). Each step yields events for the journal and lines for the
// agent's stdin. Nothing else goes in: no clock, no random number, no I/O.
//
// That purity is what makes a session survive its runner. A new runner feeds the
// journalled lines and commands to a fresh adapter, which thereby reaches the
// same state and yields the same stdin lines in the same order. Stdin lines are
// numbered and the sandbox drops those that it already has (package sandbox), so
// the new runner sends all of them again and each arrives exactly once.
//
// Facts about the CLIs were measured with Claude Code 2.1.330 and Codex 0.169.0;
// docs/ARCHITECTURE.md says how.
package agent

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
)

// Kind names a vendor's agent.
type Kind string

// The agents.
const (
	Claude Kind = "claude"
	Codex  Kind = "codex"
)

// Transcripts is the directory below Home that holds the agent's conversations, and
// is all that another sandbox needs to go on with one. The name of each file there
// contains the id of its conversation.
func (k Kind) Transcripts() string {
	if k == Codex {
		return ".codex/sessions"
	}
	return ".claude/projects"
}

// Workspace and Home are where every sandbox has them, so that a conversation
// can go on in another sandbox: transcripts and trust keys name these paths.
const (
	Workspace = "/workspace"
	Home      = "/home/agent"
)

// Options is what an adapter needs to know at the start. It is stored with the
// session, because the replay needs the same.
type Options struct {
	Kind         Kind   `json:"kind"`
	Model        string `json:"model,omitempty"` // the vendor's name; empty: the vendor's default
	Conversation string `json:"conversation"`    // UUID that Claude uses as its session id
	// Resume is the vendor's id of an earlier conversation that goes on here; with
	// Fork in a copy with an id of its own.
	Resume string `json:"resume,omitempty"`
	Fork   bool   `json:"fork,omitempty"`
	// Instructions is the text of the workspace's AGENTS.md for agents that do
	// not read it from an untrusted project (Codex).
	Instructions string `json:"instructions,omitempty"`
	// MCP are the names of the session's MCP servers; what they are is in
	// Process.MCP.
	MCP []string `json:"mcp,omitempty"`
	// BaseURL of the model's API; empty: the vendor's own.
	BaseURL string `json:"base_url,omitempty"`
	// Permissions decides about tool calls; nil allows all of them.
	Permissions *permission.Policy `json:"permissions,omitempty"`
	// Attended says that somebody can answer the agent's questions. Otherwise it is
	// told at once to decide itself.
	Attended bool `json:"attended,omitempty"`
}

// hosts returns what the agent must reach: the vendor's hosts, or the one that
// takes their place.
func (o Options) hosts(vendor ...string) []string {
	if u, err := url.Parse(o.BaseURL); err == nil && u.Host != "" {
		return []string{u.Host}
	}
	return vendor
}

// ParseModel splits "claude", "codex" or "claude:opus" into agent and model.
func ParseModel(s string) (Kind, string, error) {
	kind, model, hasModel := strings.Cut(s, ":")
	switch k := Kind(kind); {
	case k != Claude && k != Codex:
		return "", "", fmt.Errorf("unknown agent %q: use claude, codex, claude:MODEL or codex:MODEL", kind)
	case hasModel && model == "":
		return "", "", fmt.Errorf("no model after %q: use %s:MODEL, or %s for its default", s, kind, kind)
	default:
		return k, model, nil
	}
}

// Process is what to run in the sandbox.
type Process struct {
	Command []string
	Env     []string // KEY=VALUE, without credentials and proxy settings
	// MCP is where the agent looks for the file of its MCP servers, if Options
	// name any. It is in a file because it may hold secrets, and everybody on a
	// machine sees command lines.
	MCP string
	// Hosts that the agent needs, as egress rules.
	Hosts []string
	// Denied hosts are refused even when somebody allows them: an agent that
	// reaches its login server there would spend the host's refresh token.
	Denied []string
}

// CommandKind says what a command wants.
type CommandKind string

// The kinds of commands.
const (
	Message   CommandKind = "message"   // Text for the agent
	Interrupt CommandKind = "interrupt" // stop the running turn
	Withdraw  CommandKind = "withdraw"  // take back the last message that the model has not seen, the first one apart
	Answer    CommandKind = "answer"    // decide an ask, by Command.Answer
	End       CommandKind = "end"       // leave, once idle
)

// What a hostile agent can make an adapter remember: so many things of a kind, with
// ids and other texts of so many bytes.
const (
	maxTracked   = 4096
	maxTrackedID = 4096
)

// Priority says when a message reaches the model.
type Priority string

// The priorities of messages. Those of one priority stay in their order.
const (
	Now   Priority = "now"   // the running turn is stopped for it
	Next  Priority = "next"  // in the running turn, as soon as the agent takes it in; empty is the same
	Later Priority = "later" // when the running turn has ended
)

// Command is what a person or the runner sends into a session.
type Command struct {
	ID       string // UUID
	Kind     CommandKind
	Text     string
	Priority Priority      // of a message
	Answer   *event.Answer // of kind Answer
}

// What a withdrawal that comes too late is told.
const (
	withdrawNothing = "no message waits: the agent has seen them all"
	withdrawLate    = "the message is already with the agent"
)

// Step is what follows from one line or command.
type Step struct {
	Events []event.Data
	Send   [][]byte // lines for the agent's stdin, without newline
	// Terminate asks the runner to send SIGTERM: the agent has no other end.
	Terminate bool
}

// Adapter speaks one vendor's protocol for one session. It is not safe for
// concurrent use. No method blocks or fails: what is not understood becomes an
// event.Unparsed.
type Adapter interface {
	// Process returns what to run.
	Process() Process
	// Start opens the protocol. It is the first step of every session.
	Start() Step
	// Line takes one complete line of stdout without its newline; the slice is
	// not kept. Every line yields at least one event.
	Line(line []byte) Step
	// Do takes a command. A message is accepted at any time, and held back
	// until the protocol is ready for it.
	Do(c Command) Step
	// Idle reports that the agent has answered every message it was given and
	// waits for another.
	Idle() bool
}

// New returns the adapter for o.Kind, which ParseModel has checked.
func New(o Options) Adapter {
	if o.Kind == Codex {
		return newCodex(o)
	}
	return newClaude(o)
}
