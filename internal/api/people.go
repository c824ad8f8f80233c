package api

import (
	"encoding/json"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Tasks is a page of GET /api/v1/tasks, newest first; Next is the cursor of the
// following page, empty on the last.
type Tasks struct {
	Tasks []task.Task `json:"tasks"`
	Next  string      `json:"next,omitempty"`
}

// TaskDetail is GET /api/v1/tasks/{id}.
type TaskDetail struct {
	task.Task
	Sessions []task.Session `json:"sessions"`
}

// Sessions is GET /api/v1/sessions.
type Sessions struct {
	Sessions []task.Session `json:"sessions"`
	Next     string         `json:"next,omitempty"`
}

// NewCommand is POST /api/v1/sessions/{id}/commands; the answer is the Command.
// With an ID that is known already nothing new is queued.
type NewCommand struct {
	ID       string        `json:"id,omitempty"`
	Kind     CommandKind   `json:"kind"`
	Text     string        `json:"text,omitempty"`
	Priority string        `json:"priority,omitempty"`
	Answer   *event.Answer `json:"answer,omitempty"`
}

// Commands is GET /api/v1/sessions/{id}/commands, oldest first.
type Commands struct {
	Commands []Command `json:"commands"`
}

// Event is the envelope of one event, as NDJSON and as the data of an SSE message:
//
//	{"v":1,"session":"0198…","seq":7,"time":"2026-01-02T03:04:05.6Z","type":"message","data":{…},"raw":{…}}
//
// A vendor's line that is not JSON is in RawBytes, base64; one that is longer than
// InlineRawMax is an artifact that RawRef names. GET leaves all three out unless
// raw=1 is asked for.
type Event struct {
	V        int             `json:"v"`
	Session  string          `json:"session"`
	Seq      uint64          `json:"seq"`
	Time     time.Time       `json:"time"`
	Type     string          `json:"type"`
	Data     json.RawMessage `json:"data,omitempty"`
	Raw      json.RawMessage `json:"raw,omitempty"`
	RawBytes []byte          `json:"raw_bytes,omitempty"`
	RawRef   *RawRef         `json:"raw_ref,omitempty"`
}

// RawRef names an artifact of the same session.
type RawRef struct {
	Artifact string `json:"artifact"`
	Bytes    int64  `json:"bytes"`
	SHA256   string `json:"sha256"` // hexadecimal
	JSON     bool   `json:"json"`   // the line is one JSON value
}

// InboxKind says what an inbox item wants of a person.
type InboxKind string

// The kinds of inbox items.
const (
	InboxAsk     InboxKind = "ask"     // a session waits for an answer
	InboxOutcome InboxKind = "outcome" // a task ended without success
	InboxWaiting InboxKind = "waiting" // no runner can take a task as things are
)

// InboxItem is something that needs a person: GET /api/v1/inbox lists them, oldest
// first, and nothing else. POST /api/v1/inbox/{id}/dismiss removes an outcome.
type InboxItem struct {
	ID      string           `json:"id"`
	Kind    InboxKind        `json:"kind"`
	Since   time.Time        `json:"since"`
	Task    string           `json:"task"`
	Title   string           `json:"title"`
	Session string           `json:"session,omitempty"`
	Text    string           `json:"text"` // one line: the question, the reason
	Ask     *event.AskOpened `json:"ask,omitempty"`
	Outcome event.Outcome    `json:"outcome,omitempty"`
}

// Inbox is GET /api/v1/inbox.
type Inbox struct {
	Items []InboxItem `json:"items"`
}

// Runner is one line of GET /api/v1/runners.
type Runner struct {
	ID         string      `json:"id"`
	Name       string      `json:"name"`
	Version    string      `json:"version"`
	Connected  bool        `json:"connected"`
	SeenAt     time.Time   `json:"seen_at"`
	Capacity   int         `json:"capacity"`
	Running    int         `json:"running"`
	Labels     []string    `json:"labels,omitempty"`
	Workspaces []Workspace `json:"workspaces,omitempty"`
	Agents     []Agent     `json:"agents,omitempty"`
	Health     Health      `json:"health"`
	// LostAfterMS is as in Sync.
	LostAfterMS int64  `json:"lost_after_ms,omitempty"`
	Device      string `json:"device"` // id of its token
}

// Runners is GET /api/v1/runners.
type Runners struct {
	Runners []Runner `json:"runners"`
}

// Token is a device token (rt_…, GET /api/v1/devices) or a person's (rp_…, GET
// /api/v1/tokens), without its secret.
type Token struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Labels    []string   `json:"labels,omitempty"` // of a device: added to its runner's
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	UsedAt    *time.Time `json:"used_at,omitempty"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	Runner    string     `json:"runner,omitempty"` // id of the runner that uses it
}

// NewToken is POST /api/v1/devices and POST /api/v1/tokens. A device's labels are
// added to those that its runner says.
type NewToken struct {
	Name      string     `json:"name"`
	Labels    []string   `json:"labels,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// CreatedToken is the answer. Secret is shown this once; the store has its hash.
type CreatedToken struct {
	Token
	Secret string `json:"secret"`
}

// Tokens is GET /api/v1/devices and GET /api/v1/tokens.
type Tokens struct {
	Tokens []Token `json:"tokens"`
}

// AuditEntry is something that a person or a device did: GET /api/v1/audit, newest
// first.
type AuditEntry struct {
	ID     int64     `json:"id"`
	Time   time.Time `json:"time"`
	Actor  string    `json:"actor"`  // such as "owner alice", "device nas", "system"
	Action string    `json:"action"` // such as "task.create"
	Target string    `json:"target,omitempty"`
	Detail string    `json:"detail,omitempty"`
	From   string    `json:"from,omitempty"` // address
}

// Audit is GET /api/v1/audit.
type Audit struct {
	Entries []AuditEntry `json:"entries"`
	Next    string       `json:"next,omitempty"`
}

// Me is GET /api/v1/me: who the caller is.
type Me struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"` // "browser", "personal" or "device"
	Version string `json:"version"`
}

// Setup is POST /api/v1/setup: it makes the owner, with the token of the link that the
// control plane prints at its first start. The answer is Me, with a cookie.
type Setup struct {
	Token    string `json:"token"`
	Name     string `json:"name"`
	Password string `json:"password"`
}

// Login is POST /api/v1/login. The answer is Me, with a cookie. Programs use a personal
// token instead.
type Login struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}
