// Package task is the vocabulary of the control plane: what somebody asked for
// (Task), one attempt at it (Session), what a person sends into one (Command), and
// the states that these pass through.
//
//	task:     queued -> assigned -> running -> finished
//	             ^---------------------'  (another attempt)
//	session:  offered -> accepted -> running -> finished
//
// Every move is in one table (state.go), which the store refuses to leave and the
// documentation is made of. The package holds data and rules; it does no I/O.
package task

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// Bounds of a task's fields. A task that exceeds one is refused by Spec.Check.
const (
	PromptMax    = 4 << 20 // bytes: one line of the agent's stdin
	TitleMax     = 200     // characters
	ListMax      = 64      // entries of any list
	NameMax      = 200     // bytes of a name, a host, a label
	AttemptsMax  = 20
	PriorityMax  = 1000 // and -PriorityMax
	TimeoutMax   = 7 * 24 * time.Hour
	DefaultTries = 3
)

// ErrInvalid says that a task cannot be accepted. It is wrapped with every reason.
var ErrInvalid = errors.New("invalid task")

// LostPolicy says what becomes of a task whose session was lost: its runner stayed
// away until its agent must have ended.
type LostPolicy string

// The policies for a lost session.
const (
	LostRequeue LostPolicy = "requeue" // another attempt, as far as MaxAttempts allows; the default
	LostFinish  LostPolicy = "finish"  // the task ends as lost
)

// Spec is what somebody asks for. Every field but Prompt may be empty. What it asks
// for can only narrow what the runner's owner allows.
//
//	{"prompt":"fix the failing test","agent":"codex","workspace":"shop","labels":["gpu"],"max_cost_micro_usd":2000000}
type Spec struct {
	Title  string `json:"title,omitempty"` // empty: the prompt's first line
	Prompt string `json:"prompt"`
	Agent  string `json:"agent,omitempty"` // "claude" or "codex"; empty: claude
	Model  string `json:"model,omitempty"` // empty: the vendor's default
	// Workspace is a name that a runner's owner gave to a directory; empty: the
	// runner's default one.
	Workspace string     `json:"workspace,omitempty"`
	Runner    string     `json:"runner,omitempty"`   // name or id of the only one that may take it
	Labels    []string   `json:"labels,omitempty"`   // all of which a runner must have
	Priority  int        `json:"priority,omitempty"` // the higher the earlier; 0 is ordinary
	NotBefore *time.Time `json:"not_before,omitempty"`
	// Deadline ends the task, wherever it stands, as timed_out.
	Deadline    *time.Time `json:"deadline,omitempty"`
	TimeoutMS   int64      `json:"timeout_ms,omitempty"`   // of one session; 0: the runner's default
	MaxAttempts int        `json:"max_attempts,omitempty"` // 0: DefaultTries
	OnLost      LostPolicy `json:"on_lost,omitempty"`

	Permissions  string   `json:"permissions,omitempty"` // "allow" or "ask"; empty: the runner's default
	AllowHosts   []string `json:"allow_hosts,omitempty"`
	Env          []string `json:"env,omitempty"` // KEY or KEY=VALUE
	Image        string   `json:"image,omitempty"`
	Account      string   `json:"account,omitempty"`
	MaxCostMicro int64    `json:"max_cost_micro_usd,omitempty"`
	MaxTokens    int64    `json:"max_tokens,omitempty"`
	MaxTurns     int64    `json:"max_turns,omitempty"`
}

// Task is a Spec with what became of it.
type Task struct {
	ID        string    `json:"id"`
	Spec                // flat in JSON
	State     State     `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	Attempts  int       `json:"attempts"` // sessions so far that count; see MaxAttempts
	// Why says in words what a queued task waits for.
	Why        string        `json:"why,omitempty"`
	Outcome    event.Outcome `json:"outcome,omitempty"`
	Reason     string        `json:"reason,omitempty"`
	FinishedAt *time.Time    `json:"finished_at,omitempty"`
	// Session is the newest attempt's id.
	Session string `json:"session,omitempty"`
}

// Session is one attempt at a task.
type Session struct {
	ID         string        `json:"id"`
	Task       string        `json:"task"`
	Attempt    int           `json:"attempt"`
	Runner     string        `json:"runner"` // id
	RunnerName string        `json:"runner_name"`
	Workspace  string        `json:"workspace,omitempty"`
	State      SessionState  `json:"state"`
	Away       bool          `json:"away,omitempty"` // the lease has run out; the runner may come back
	OfferedAt  time.Time     `json:"offered_at"`
	StartedAt  *time.Time    `json:"started_at,omitempty"`
	FinishedAt *time.Time    `json:"finished_at,omitempty"`
	LastSeq    uint64        `json:"last_seq"` // of the events that are stored
	Outcome    event.Outcome `json:"outcome,omitempty"`
	Reason     string        `json:"reason,omitempty"`
	Usage      *event.Usage  `json:"usage,omitempty"`
}

// Check returns ErrInvalid, wrapped, with everything that is wrong with s.
func (s Spec) Check() error {
	var problems []string
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	switch {
	case strings.TrimSpace(s.Prompt) == "":
		bad("the prompt is empty")
	case len(s.Prompt) > PromptMax:
		bad("the prompt has more than %d MiB", PromptMax>>20)
	}
	if utf8.RuneCountInString(s.Title) > TitleMax {
		bad("the title has more than %d characters", TitleMax)
	}
	if !slices.Contains([]string{"", "claude", "codex"}, s.Agent) {
		bad("agent %q is neither claude nor codex", s.Agent)
	}
	if !slices.Contains([]string{"", "allow", "ask"}, s.Permissions) {
		bad("permissions %q is neither allow nor ask", s.Permissions)
	}
	if !slices.Contains([]LostPolicy{"", LostRequeue, LostFinish}, s.OnLost) {
		bad("on_lost %q is neither requeue nor finish", s.OnLost)
	}
	if s.Priority > PriorityMax || s.Priority < -PriorityMax {
		bad("priority %d is not between -%d and %d", s.Priority, PriorityMax, PriorityMax)
	}
	if s.MaxAttempts < 0 || s.MaxAttempts > AttemptsMax {
		bad("max_attempts %d is not between 1 and %d", s.MaxAttempts, AttemptsMax)
	}
	if s.TimeoutMS < 0 || s.TimeoutMS > TimeoutMax.Milliseconds() {
		bad("timeout_ms %d is not between 1 and %d", s.TimeoutMS, TimeoutMax.Milliseconds())
	}
	if s.MaxCostMicro < 0 || s.MaxTokens < 0 || s.MaxTurns < 0 {
		bad("a budget is less than 0")
	}
	if s.NotBefore != nil && s.Deadline != nil && !s.Deadline.After(*s.NotBefore) {
		bad("the deadline is not after not_before")
	}
	for what, value := range map[string]string{"workspace": s.Workspace, "runner": s.Runner, "model": s.Model, "image": s.Image, "account": s.Account} {
		if err := checkName(value); err != nil {
			bad("%s %v", what, err)
		}
	}
	problems = append(problems, s.checkLists()...)
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems)
	return fmt.Errorf("%w: %s", ErrInvalid, strings.Join(problems, "; "))
}

func (s Spec) checkLists() (problems []string) {
	for what, list := range map[string][]string{"labels": s.Labels, "allow_hosts": s.AllowHosts, "env": s.Env} {
		if len(list) > ListMax {
			problems = append(problems, fmt.Sprintf("%s has more than %d entries", what, ListMax))
			continue
		}
		for _, v := range list {
			limit := NameMax
			if what == "env" {
				limit = 64 << 10
			}
			if v == "" || len(v) > limit || !utf8.ValidString(v) || strings.ContainsAny(v, "\x00") {
				problems = append(problems, fmt.Sprintf("%s: an entry is empty, too long or no text", what))
			}
		}
	}
	return problems
}

// checkName refuses what cannot be a name on one line.
func checkName(s string) error {
	if len(s) > NameMax || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("is too long or no plain text")
	}
	return nil
}

// Name is the task's title, or its prompt's first line.
func (s Spec) Name() string {
	if s.Title != "" {
		return s.Title
	}
	line, _, _ := strings.Cut(strings.TrimSpace(s.Prompt), "\n")
	if r := []rune(line); len(r) > 60 {
		line = string(r[:59]) + "…"
	}
	return line
}
