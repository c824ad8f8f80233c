// Package api is what the control plane's HTTP API says: the types of its JSON, its
// errors, and its clients. A runner dials out only.
//
//	runner --sync (long poll)--> control plane    leases, commands, what to stop
//	       --events, artifacts-->                 what happened
//	people --tasks, sessions, inbox, …-->         the same control plane, with another kind of token
//
// internal/server/openapi.yaml describes every call. Unknown fields are ignored, so
// that a runner and a control plane of neighbouring versions understand each other.
package api

import (
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Protocol is the version of the runner protocol; the path has it, too.
const Protocol = 1

// Bounds of the protocol.
const (
	WaitMax      = 30 * time.Second // a long poll
	LeaseTime    = 60 * time.Second
	SyncMax      = 1 << 20   // bytes of a sync request's body
	BatchTarget  = 1 << 20   // bytes of events, uncompressed, after which a runner ends a batch
	BatchMax     = 4 << 20   // bytes, uncompressed, of the largest batch that is accepted
	InlineRawMax = 256 << 10 // bytes of a vendor's line above which it becomes an artifact
	ArtifactMax  = 256 << 20 // bytes
)

// Headers of uploads.
const (
	HeaderLease = "Lease-Token"
	HeaderFirst = "First-Seq" // of events
	// HeaderSHA256 is of an artifact, all of it, in hexadecimal.
	HeaderSHA256 = "Artifact-Sha256"
)

// Sync is a runner's report of its whole state: POST /api/v1/runner/sync. It is the
// heartbeat and renews every lease in it. The answer comes at once if there is
// something to say, else after WaitMS. Both are whole states, so that a lost
// answer repeats itself.
//
//	{"runner":"7c9e…","instance":"b1f0…","name":"nas","version":"v1.2.0","protocol":1,"capacity":2,"wait_ms":30000,
//	 "workspaces":[{"name":"shop","default":true}],"agents":[{"kind":"claude","version":"2.1.330","login":"ready"}],
//	 "health":{"ready":true},"sessions":[{"id":"0198…","token":41,"state":"running","acked":3}]}
type Sync struct {
	Runner   string `json:"runner"`   // its lasting id
	Instance string `json:"instance"` // of the process: the newest instance is the runner
	// Seq is 1, 2, 3 … of the instance's reports. A runner gives a poll up when its state
	// changes, so that an older report may arrive after a newer one: it is to be ignored.
	Seq      int64  `json:"seq"`
	Name     string `json:"name"`
	Version  string `json:"version"`
	Protocol int    `json:"protocol"`
	// Capacity is how many sessions may run at once, those in Sessions included.
	Capacity   int             `json:"capacity"`
	Labels     []string        `json:"labels,omitempty"`
	Workspaces []Workspace     `json:"workspaces,omitempty"`
	Agents     []Agent         `json:"agents,omitempty"`
	Health     Health          `json:"health"`
	Sessions   []SessionReport `json:"sessions,omitempty"`
	// WaitMS is how long the answer may be held, at most WaitMax; 0: not at all.
	WaitMS int64 `json:"wait_ms"`
	// LostAfterMS is how long after a lease ran out an agent may still work: the
	// sandbox's orphan time.
	LostAfterMS int64 `json:"lost_after_ms"`
}

// Workspace is a directory that the runner's owner offers; its path stays on the runner.
type Workspace struct {
	Name    string `json:"name"`
	Default bool   `json:"default,omitempty"`
	// Shared: several sessions may work in it at once; else one.
	Shared bool `json:"shared,omitempty"`
}

// Agent is one that the runner can start. Login is "ready", "logged_out" or
// "expired"; Detail says more, for people.
type Agent struct {
	Kind    string `json:"kind"`
	Version string `json:"version,omitempty"`
	Login   string `json:"login"`
	Detail  string `json:"detail,omitempty"`
}

// Health says whether the runner takes new sessions, and else why not, in words
// that complete "nas …": "has 0.4 GB of disk left", "is draining".
type Health struct {
	Ready   bool     `json:"ready"`
	Reasons []string `json:"reasons,omitempty"`
}

// SessionReport is the state of one session on its runner. It is repeated until the
// control plane has everything: a finished one until all events are acknowledged.
type SessionReport struct {
	ID    string `json:"id"`
	Token int64  `json:"token"` // of the lease
	// State is accepted, running, finished, declined or returned.
	State task.SessionState `json:"state"`
	// Reason says why it is declined or returned, in words that complete "nas …".
	Reason string `json:"reason,omitempty"`
	// Acked is the number of the last command that is in the session's journal.
	Acked int64 `json:"acked,omitempty"`
}

// SyncAnswer is what the control plane wants of the runner.
type SyncAnswer struct {
	// Leases are offers that the runner has not reported yet.
	Leases []Lease `json:"leases,omitempty"`
	// Renewed has each lease of the request that the runner still holds.
	Renewed []Renewal `json:"renewed,omitempty"`
	// Commands follow SessionReport.Acked, in order.
	Commands []Command `json:"commands,omitempty"`
	// Stop are sessions to end; those with Fenced are somebody else's by now.
	Stop []Stop `json:"stop,omitempty"`
	// Done are finished, declined or returned sessions that need not be reported again.
	Done []string `json:"done,omitempty"`
}

// Lease is a runner's right to make one attempt at a task.
type Lease struct {
	Session string    `json:"session"`
	Token   int64     `json:"token"` // the fence: greater than of every earlier attempt
	Attempt int       `json:"attempt"`
	Task    task.Task `json:"task"`
	// ExpiresInMS is how long the lease lasts unless a sync renews it.
	ExpiresInMS int64 `json:"expires_in_ms"`
}

// Renewal extends a lease and says how often the session's events are wanted.
type Renewal struct {
	Session     string `json:"session"`
	ExpiresInMS int64  `json:"expires_in_ms"`
	// UploadMS is the least time between the beginnings of two uploads of the
	// session's events: short while somebody watches.
	UploadMS int64 `json:"upload_ms"`
}

// CommandKind is what a command does.
type CommandKind string

// The kinds of commands.
const (
	CommandMessage   CommandKind = "message"   // Text to the agent, at Priority
	CommandWithdraw  CommandKind = "withdraw"  // takes the last message back that the agent has not read
	CommandInterrupt CommandKind = "interrupt" // ends the agent's turn; it waits for another message
	CommandCancel    CommandKind = "cancel"    // ends the session as cancelled, with Text as reason
	CommandAnswer    CommandKind = "answer"
)

// Command goes into a running session. Its ID is in the session's events
// command.queued, delivered, consumed and failed; one that comes twice counts once.
//
//	{"session":"0198…","seq":4,"id":"5fd1…","kind":"message","text":"use the staging database","priority":"next"}
type Command struct {
	Session   string        `json:"session"`
	Seq       int64         `json:"seq"` // 1, 2, 3 … in the session
	ID        string        `json:"id"`
	Kind      CommandKind   `json:"kind"`
	Text      string        `json:"text,omitempty"`
	Priority  string        `json:"priority,omitempty"` // of a message: now, next, later
	Answer    *event.Answer `json:"answer,omitempty"`
	CreatedAt time.Time     `json:"created_at"`
	CreatedBy string        `json:"created_by"`
}

// Stop tells the runner to end a session. Fenced: its lease is lost for good, so
// that its events are no longer accepted; its journal stays on the runner.
type Stop struct {
	Session string        `json:"session"`
	Outcome event.Outcome `json:"outcome"`
	Reason  string        `json:"reason"`
	Fenced  bool          `json:"fenced,omitempty"`
}

// Announce tells of a session that was started on the runner itself (run --url):
// POST /api/v1/runner/sessions. Repeating it changes nothing. The answer is a Lease.
type Announce struct {
	Runner  string    `json:"runner"`
	Name    string    `json:"name"`
	Session string    `json:"session"`
	Spec    task.Spec `json:"spec"` // Workspace is a name for people
}

// Acked answers an upload of events: everything up to this number is stored.
type Acked struct {
	Acked    uint64 `json:"acked"`
	UploadMS int64  `json:"upload_ms,omitempty"` // see Renewal
}

// Artifact is what is stored of an artifact so far: the answer of PUT and GET
// /api/v1/runner/sessions/{id}/artifacts/{name}. PUT has the headers HeaderLease,
// HeaderSHA256 and, unless it brings all of it, Content-Range: bytes 1000-1999/5000.
// It continues where Received ends; 409 says that it does not.
type Artifact struct {
	Name     string `json:"name"`
	Size     int64  `json:"size"`
	SHA256   string `json:"sha256"`
	Received int64  `json:"received"`
	Complete bool   `json:"complete"`
}
