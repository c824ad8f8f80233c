// Package event defines what happens in a session, independent of the vendor.
//
// An adapter (internal/agent) turns each line of an agent's stdout into events;
// the runner adds its own (egress, commands, the end) and appends all of them
// to the journal, which numbers them. Everything that shows a session (the
// terminal, the NDJSON output, later the inbox) reads these types and nothing
// of a vendor's.
//
// The package holds types, their JSON form and arithmetic on usage. It does no
// I/O and imports the standard library only.
package event

import (
	"encoding/json"
	"fmt"
)

// Type names an event as `thing.happened`; it is the envelope's "type".
type Type string

// The types of events. Each has exactly one Data type of this package.
const (
	TypeSessionStarted   Type = "session.started"
	TypeSessionStopping  Type = "session.stopping"
	TypeSessionFinished  Type = "session.finished"
	TypeTurnStarted      Type = "turn.started"
	TypeTurnFinished     Type = "turn.finished"
	TypeMessage          Type = "message"
	TypeMessageDelta     Type = "message.delta"
	TypeThinking         Type = "thinking"
	TypeToolStarted      Type = "tool.started"
	TypeToolOutput       Type = "tool.output"
	TypeToolFinished     Type = "tool.finished"
	TypeFileChanged      Type = "file.changed"
	TypePlanUpdated      Type = "plan.updated"
	TypeUsageUpdated     Type = "usage.updated"
	TypeLimitUpdated     Type = "limit.updated"
	TypeAskOpened        Type = "ask.opened"
	TypeAskAnswered      Type = "ask.answered"
	TypeAskExpired       Type = "ask.expired"
	TypeCommandQueued    Type = "command.queued"
	TypeCommandDelivered Type = "command.delivered"
	TypeCommandConsumed  Type = "command.consumed"
	TypeCommandFailed    Type = "command.failed"
	TypeCommandWithdrawn Type = "command.withdrawn"
	TypeEgressAllowed    Type = "egress.allowed"
	TypeEgressDenied     Type = "egress.denied"
	TypePathViolation    Type = "hostpath.violation"
	TypeBudgetWarned     Type = "budget.warned"
	TypeBudgetExceeded   Type = "budget.exceeded"
	TypeNotice           Type = "notice"
	TypeProtocol         Type = "agent.protocol"
	TypeUnparsed         Type = "agent.unparsed"
)

// Data is the content of one event, marshalled as the envelope's "data".
type Data interface{ EventType() Type }

// SessionStarted says what runs: sent once, when the agent has introduced itself.
//
//	{"agent":"claude","version":"2.1.330","model":"claude-opus-4-8","conversation":"0198…","cwd":"/workspace","tools":["Bash","Write"]}
type SessionStarted struct {
	Agent        string            `json:"agent"`
	Version      string            `json:"version,omitempty"`
	Model        string            `json:"model,omitempty"`
	Conversation string            `json:"conversation,omitempty"` // the vendor's id, for resuming
	Cwd          string            `json:"cwd,omitempty"`
	Tools        []string          `json:"tools,omitempty"`
	MCP          map[string]string `json:"mcp,omitempty"` // server name -> state as the vendor names it
}

// TurnStarted opens a turn: the agent took up a message and works.
type TurnStarted struct {
	Turn string `json:"turn,omitempty"` // the vendor's id, where it has one
}

// TurnFinished closes a turn.
type TurnFinished struct {
	Turn   string     `json:"turn,omitempty"`
	Status TurnStatus `json:"status"`
	// Reason is why the turn did not complete, in words of ReasonX below.
	Reason string `json:"reason,omitempty"`
	// Error is the vendor's text, for people.
	Error string `json:"error,omitempty"`
	// Text is the turn's result: the agent's closing message.
	Text       string `json:"text,omitempty"`
	Usage      *Usage `json:"usage,omitempty"` // of the session so far
	DurationMS int64  `json:"duration_ms,omitempty"`
	// ResetsAt is when a usage limit ends, RFC 3339; empty if unknown.
	ResetsAt string `json:"resets_at,omitempty"`
}

// TurnStatus says how a turn ended.
type TurnStatus string

// How a turn can end.
const (
	TurnCompleted   TurnStatus = "completed"
	TurnFailed      TurnStatus = "failed"
	TurnInterrupted TurnStatus = "interrupted"
)

// Why a turn failed, where the runner acts on the difference.
const (
	ReasonUsageLimit = "usage_limit"    // the subscription's window is used up
	ReasonAuth       = "authentication" // no login, or one the vendor refuses
	ReasonBudget     = "budget"         // the vendor's own cost cap
	ReasonMaxTurns   = "max_turns"
	ReasonAPI        = "api_error" // everything else the model's API answered
)

// Message is a complete message. Role is "user" or "assistant".
type Message struct {
	ID     string `json:"id,omitempty"`
	Role   string `json:"role"`
	Text   string `json:"text"`
	Parent string `json:"parent,omitempty"` // call id of the subagent that speaks
}

// MessageDelta is a piece of a message that is still being written. The whole
// text follows as a Message, so that a reader may ignore deltas.
type MessageDelta struct {
	ID   string `json:"id,omitempty"`
	Text string `json:"text"`
}

// Thinking is a piece of the agent's reasoning, as far as the vendor shows it.
type Thinking struct {
	Text   string `json:"text"`
	Parent string `json:"parent,omitempty"`
}

// ToolKind groups the vendors' tools by what they do.
type ToolKind string

// The kinds of tools.
const (
	KindShell    ToolKind = "shell"
	KindEdit     ToolKind = "edit"
	KindRead     ToolKind = "read"
	KindSearch   ToolKind = "search"
	KindFetch    ToolKind = "fetch"
	KindMCP      ToolKind = "mcp"
	KindSubagent ToolKind = "subagent"
	KindOther    ToolKind = "other"
)

// ToolStarted says that the agent called a tool.
type ToolStarted struct {
	Call   string          `json:"call"` // the id that links started, output and finished
	Name   string          `json:"name"`
	Kind   ToolKind        `json:"kind"`
	Title  string          `json:"title,omitempty"` // one line for people: the command, the path
	Input  json.RawMessage `json:"input,omitempty"`
	Parent string          `json:"parent,omitempty"`
}

// ToolOutput is a piece of a running tool's output.
type ToolOutput struct {
	Call string `json:"call"`
	Text string `json:"text"`
}

// ToolFinished closes a tool call.
type ToolFinished struct {
	Call       string `json:"call"`
	OK         bool   `json:"ok"`
	ExitCode   *int   `json:"exit_code,omitempty"`
	Output     string `json:"output,omitempty"`
	DurationMS int64  `json:"duration_ms,omitempty"`
}

// FileChanged says that the agent changed a file by one of its own tools.
// Operation is "add", "update" or "delete"; Added and Removed count lines.
type FileChanged struct {
	Path      string `json:"path"`
	Operation string `json:"operation"`
	Added     int    `json:"added,omitempty"`
	Removed   int    `json:"removed,omitempty"`
	// Diff is the change in unified form, without file names, at most 32 KiB of
	// whole lines; empty if the vendor does not say it.
	Diff string `json:"diff,omitempty"`
}

// PlanUpdated is the agent's list of steps.
type PlanUpdated struct {
	Steps []PlanStep `json:"steps"`
}

// PlanStep is one step; Status is "pending", "in_progress" or "completed".
type PlanStep struct {
	Text   string `json:"text"`
	Status string `json:"status"`
}

// UsageUpdated is what the session has used so far.
type UsageUpdated struct {
	Usage Usage `json:"usage"`
}

// LimitUpdated is the state of one usage window of the subscription.
type LimitUpdated struct {
	Window      string   `json:"window"`                 // such as "five_hour", or a length such as "300m"
	UsedPercent *float64 `json:"used_percent,omitempty"` // nil: the vendor does not say
	ResetsAt    string   `json:"resets_at,omitempty"`    // RFC 3339
	Status      string   `json:"status,omitempty"`       // "allowed", "warning" or "rejected"
}

// CommandQueued is a command that the runner has accepted. It is in the journal
// before the agent sees it, so that no restart loses it.
type CommandQueued struct {
	Command  string  `json:"command"` // the command's id
	Kind     string  `json:"kind"`    // "message", "interrupt", "withdraw", "answer" or "end"
	Text     string  `json:"text,omitempty"`
	Priority string  `json:"priority,omitempty"` // of a message: "now", "next" or "later"; empty is "next"
	Answer   *Answer `json:"answer,omitempty"`
}

// CommandDelivered says that the agent has received the command.
type CommandDelivered struct {
	Command string `json:"command"`
}

// CommandConsumed says that the agent acts on the command: the model saw it.
type CommandConsumed struct {
	Command string `json:"command"`
}

// CommandFailed says that the agent refused the command.
type CommandFailed struct {
	Command string `json:"command"`
	Error   string `json:"error"`
}

// CommandWithdrawn says that a message was taken back: the model does not see it.
type CommandWithdrawn struct {
	Command string `json:"command"`
}

// EgressAllowed is a connection that the session's proxy let through.
type EgressAllowed struct {
	Host   string `json:"host"`
	Port   int    `json:"port"`
	Method string `json:"method"`
}

// EgressDenied is a connection that the session's proxy refused.
type EgressDenied struct {
	Host   string `json:"host"`
	Port   int    `json:"port,omitempty"`
	Method string `json:"method,omitempty"`
	Reason string `json:"reason"`
}

// PathViolation says that a path of the workspace which tools of the host run or
// trust is not as it was when the session began; sent just before the session's
// end. What is "created", "changed" or "deleted", or, at the session's start,
// "unprotected": the path could not be made read-only. Reason says what the host
// does with the path, or why it is unprotected.
//
//	{"path":"sub/.vscode","what":"created","reason":"VS Code runs its tasks and programs that its settings name"}
type PathViolation struct {
	Path   string `json:"path"` // relative to the workspace
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// Notice is something worth knowing that changes nothing: a retry, a line on
// the agent's stderr, a warning of the runner's. Kind is "retry", "stderr",
// "warning" or "info".
type Notice struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// Protocol is a line of the vendor's protocol that is understood and says
// nothing to a person: a handshake or a receipt. It stays in the journal
// because a restarted runner replays every line.
type Protocol struct {
	Name string `json:"name"`
}

// Unparsed is a line that no adapter understood. The line is kept as raw.
type Unparsed struct {
	Reason string `json:"reason"`
}

func (SessionStarted) EventType() Type   { return TypeSessionStarted }
func (TurnStarted) EventType() Type      { return TypeTurnStarted }
func (TurnFinished) EventType() Type     { return TypeTurnFinished }
func (Message) EventType() Type          { return TypeMessage }
func (MessageDelta) EventType() Type     { return TypeMessageDelta }
func (Thinking) EventType() Type         { return TypeThinking }
func (ToolStarted) EventType() Type      { return TypeToolStarted }
func (ToolOutput) EventType() Type       { return TypeToolOutput }
func (ToolFinished) EventType() Type     { return TypeToolFinished }
func (FileChanged) EventType() Type      { return TypeFileChanged }
func (PlanUpdated) EventType() Type      { return TypePlanUpdated }
func (UsageUpdated) EventType() Type     { return TypeUsageUpdated }
func (LimitUpdated) EventType() Type     { return TypeLimitUpdated }
func (AskOpened) EventType() Type        { return TypeAskOpened }
func (AskAnswered) EventType() Type      { return TypeAskAnswered }
func (AskExpired) EventType() Type       { return TypeAskExpired }
func (CommandQueued) EventType() Type    { return TypeCommandQueued }
func (CommandDelivered) EventType() Type { return TypeCommandDelivered }
func (CommandConsumed) EventType() Type  { return TypeCommandConsumed }
func (CommandFailed) EventType() Type    { return TypeCommandFailed }
func (CommandWithdrawn) EventType() Type { return TypeCommandWithdrawn }
func (EgressAllowed) EventType() Type    { return TypeEgressAllowed }
func (EgressDenied) EventType() Type     { return TypeEgressDenied }
func (PathViolation) EventType() Type    { return TypePathViolation }
func (Notice) EventType() Type           { return TypeNotice }
func (Protocol) EventType() Type         { return TypeProtocol }
func (Unparsed) EventType() Type         { return TypeUnparsed }

// Decode parses the data of an event of type t. A type that this version does
// not know is an error; readers of a newer journal skip it.
func Decode(t Type, data []byte) (Data, error) {
	switch t {
	case TypeSessionStarted:
		return decode[SessionStarted](data)
	case TypeSessionStopping:
		return decode[SessionStopping](data)
	case TypeSessionFinished:
		return decode[SessionFinished](data)
	case TypeTurnStarted:
		return decode[TurnStarted](data)
	case TypeTurnFinished:
		return decode[TurnFinished](data)
	case TypeMessage:
		return decode[Message](data)
	case TypeMessageDelta:
		return decode[MessageDelta](data)
	case TypeThinking:
		return decode[Thinking](data)
	case TypeToolStarted:
		return decode[ToolStarted](data)
	case TypeToolOutput:
		return decode[ToolOutput](data)
	case TypeToolFinished:
		return decode[ToolFinished](data)
	case TypeFileChanged:
		return decode[FileChanged](data)
	case TypePlanUpdated:
		return decode[PlanUpdated](data)
	case TypeUsageUpdated:
		return decode[UsageUpdated](data)
	case TypeLimitUpdated:
		return decode[LimitUpdated](data)
	case TypeAskOpened:
		return decode[AskOpened](data)
	case TypeAskAnswered:
		return decode[AskAnswered](data)
	case TypeAskExpired:
		return decode[AskExpired](data)
	case TypeCommandQueued:
		return decode[CommandQueued](data)
	case TypeCommandDelivered:
		return decode[CommandDelivered](data)
	case TypeCommandConsumed:
		return decode[CommandConsumed](data)
	case TypeCommandFailed:
		return decode[CommandFailed](data)
	case TypeCommandWithdrawn:
		return decode[CommandWithdrawn](data)
	case TypeEgressAllowed:
		return decode[EgressAllowed](data)
	case TypeEgressDenied:
		return decode[EgressDenied](data)
	case TypeModelChanged:
		return decode[ModelChanged](data)
	case TypeContextCompacted:
		return decode[ContextCompacted](data)
	case TypeHookFinished:
		return decode[HookFinished](data)
	case TypeBackgroundStarted:
		return decode[BackgroundStarted](data)
	case TypeBackgroundFinished:
		return decode[BackgroundFinished](data)
	case TypePathViolation:
		return decode[PathViolation](data)
	case TypeBudgetWarned:
		return decode[BudgetWarned](data)
	case TypeBudgetExceeded:
		return decode[BudgetOverrun](data)
	case TypeNotice:
		return decode[Notice](data)
	case TypeProtocol:
		return decode[Protocol](data)
	case TypeUnparsed:
		return decode[Unparsed](data)
	}
	return nil, fmt.Errorf("unknown event type %q", t)
}

func decode[T Data](data []byte) (Data, error) {
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("decode event %s: %w", v.EventType(), err)
	}
	return v, nil
}
