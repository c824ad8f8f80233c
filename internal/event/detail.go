package event

// The types of events around the agent's work. Their Data types are below.
const (
	TypeModelChanged       Type = "model.changed"
	TypeContextCompacted   Type = "context.compacted"
	TypeHookFinished       Type = "hook.finished"
	TypeBackgroundStarted  Type = "background.started"
	TypeBackgroundFinished Type = "background.finished"
)

// ModelChanged says that another model answers from now on: a person chose it,
// or the vendor put it in the place of one that failed.
//
//	{"from":"claude-opus-4-8","to":"claude-sonnet-4-5","reason":"Switched to Sonnet 4.5 due to high demand for Opus 4.8"}
type ModelChanged struct {
	From   string `json:"from,omitempty"`
	To     string `json:"to"`
	Reason string `json:"reason,omitempty"` // the vendor's text, for people
}

// ContextCompacted says that the conversation was replaced by its summary.
// Tokens are of the conversation; 0 where the vendor does not say.
type ContextCompacted struct {
	Trigger      string `json:"trigger,omitempty"` // "auto" or "manual"
	TokensBefore int64  `json:"tokens_before,omitempty"`
	TokensAfter  int64  `json:"tokens_after,omitempty"`
}

// HookOutcome says how a hook ended.
type HookOutcome string

// How a hook can end. A blocked call or turn is the hook's decision.
const (
	HookCompleted HookOutcome = "completed"
	HookBlocked   HookOutcome = "blocked"
	HookFailed    HookOutcome = "failed"
	HookCancelled HookOutcome = "cancelled"
)

// HookFinished is a hook of the agent's configuration that ran.
type HookFinished struct {
	Name    string      `json:"name"` // such as "PreToolUse:Bash"
	Outcome HookOutcome `json:"outcome"`
	Output  string      `json:"output,omitempty"`
}

// BackgroundStarted says that work goes on beside the conversation: a command or
// a subagent that the agent does not wait for.
type BackgroundStarted struct {
	Task  string   `json:"task"`
	Kind  ToolKind `json:"kind"` // KindShell, KindSubagent or KindOther
	Title string   `json:"title,omitempty"`
}

// BackgroundFinished closes a BackgroundStarted. Status is "completed", "failed"
// or "stopped".
type BackgroundFinished struct {
	Task    string `json:"task"`
	Status  string `json:"status"`
	Summary string `json:"summary,omitempty"`
}

// EventType implements Data.
func (ModelChanged) EventType() Type { return TypeModelChanged }

// EventType implements Data.
func (ContextCompacted) EventType() Type { return TypeContextCompacted }

// EventType implements Data.
func (HookFinished) EventType() Type { return TypeHookFinished }

// EventType implements Data.
func (BackgroundStarted) EventType() Type { return TypeBackgroundStarted }

// EventType implements Data.
func (BackgroundFinished) EventType() Type { return TypeBackgroundFinished }
