// Package store is the control plane's database: SQLite in one file, reached by SQL
// that sqlc turned into Go (internal/store/sql), with forward-only migrations.
//
// Every exported method is one transaction. What it writes is on disk when it
// returns. Reads do not wait for writes. Methods are safe for concurrent use.
package store

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Errors that callers tell apart.
var (
	ErrNotFound = errors.New("not found")
	// ErrConflict: it is not in a state in which this can be done.
	ErrConflict = errors.New("conflict")
	// ErrFenced: the lease was lost to another attempt.
	ErrFenced = errors.New("the lease is lost")
	// ErrFull: no disk is left; nothing was written.
	ErrFull = errors.New("no space left for the database")
)

// GapError: events before the first of a batch are missing.
type GapError struct{ Acked uint64 }

func (e GapError) Error() string { return "events are missing" }

var errTODO = errors.New("not implemented")

// Store is an open database.
type Store struct{}

// Open opens or creates the database in dir, and migrates it. It returns an error that
// says so if a newer version of the program wrote it, or another process has it open.
func Open(ctx context.Context, dir string) (*Store, error) { return nil, errTODO }

// Close waits for what is being written.
func (s *Store) Close() error { return errTODO }

// Backup writes a consistent copy of the database and the artifacts, as a tar stream;
// the control plane goes on meanwhile.
func (s *Store) Backup(ctx context.Context, w io.Writer) error { return errTODO }

// Restore makes the directory dir of what Backup wrote. dir must not hold a database.
func Restore(ctx context.Context, dir string, r io.Reader) error { return errTODO }

// Retention removes finished tasks, with their sessions, events and artifacts, that
// finished before a time, audit entries likewise, and tokens that expired before it.
// It works in small transactions, and returns how many tasks it removed.
func (s *Store) Retention(ctx context.Context, before time.Time) (int, error) { return 0, errTODO }

// ---- tasks

// AddTask stores a new task as queued. With a key (of one request, by the caller's choice)
// that is known already, it returns the task of then, and added is false.
func (s *Store) AddTask(ctx context.Context, spec task.Spec, by, key string, now time.Time) (t task.Task, added bool, err error) {
	return t, false, errTODO
}

// Task returns a task with its sessions, newest first. id may be the beginning or the
// end of its id, if only one task has it.
func (s *Store) Task(ctx context.Context, id string) (task.Task, []task.Session, error) {
	return task.Task{}, nil, errTODO
}

// TaskFilter selects tasks; zero fields select all.
type TaskFilter struct {
	State  task.State
	Limit  int    // 0: 100; at most 1000
	Before string // a cursor that Tasks returned
}

// Tasks returns tasks, newest first, and the cursor of the next page, if any.
func (s *Store) Tasks(ctx context.Context, f TaskFilter) ([]task.Task, string, error) {
	return nil, "", errTODO
}

// QueueFilter selects what one runner could take.
type QueueFilter struct {
	Now        time.Time
	Workspaces []string   // names; the empty name is the runner's default one
	Agents     []string   // kinds
	Runner     []string   // the runner's name and id: other tasks that name a runner are left out
	After      *task.Task // continue behind it
	Limit      int
}

// Queue returns queued tasks that are due, in the order in which they are dispatched: by
// priority, then by age.
func (s *Store) Queue(ctx context.Context, f QueueFilter) ([]task.Task, error) { return nil, errTODO }

// Due returns unfinished tasks whose deadline is over, and when the next not_before or deadline
// of an unfinished task is (zero: never).
func (s *Store) Due(ctx context.Context, now time.Time) (overdue []task.Task, next time.Time, err error) {
	return nil, time.Time{}, errTODO
}

// FinishTask ends a task that has no open session. ErrConflict if it has one or is finished.
func (s *Store) FinishTask(ctx context.Context, id string, outcome event.Outcome, reason string, now time.Time) error {
	return errTODO
}

// RetryTask queues a finished task again, with a fresh count of attempts. ErrConflict otherwise.
func (s *Store) RetryTask(ctx context.Context, id string, now time.Time) (task.Task, error) {
	return task.Task{}, errTODO
}

// ---- sessions and leases

// Held is a session that a runner may still work at, as the dispatcher needs it.
type Held struct {
	Session   string
	Token     int64
	Task      task.Task
	Runner    string
	Workspace string // as the task names it
	State     task.SessionState
	OfferedAt time.Time
	// Stopping: somebody wants it ended; see StopSession.
	Stopping event.Outcome
	Reason   string
	Acked    int64 // command that the runner has reported last
	Commands int64 // the newest command
}

// HeldSessions returns all sessions that are offered, accepted or running, and lost ones that no
// other attempt has followed.
func (s *Store) HeldSessions(ctx context.Context) ([]Held, error) { return nil, errTODO }

// Offer assigns a queued task to a runner: a new session with a new lease token. ErrConflict if the
// task is not queued.
func (s *Store) Offer(ctx context.Context, taskID, runner, runnerName string, now time.Time) (Held, error) {
	return Held{}, errTODO
}

// Announce stores a task with its session, running on a runner that started it by itself. Repeating
// it returns the same lease; ErrConflict if the session is another runner's.
func (s *Store) Announce(ctx context.Context, a api.Announce, by string, now time.Time) (Held, error) {
	return Held{}, errTODO
}

// MoveSession records what the runner reports: accepted or running; and of one that is declined or
// returned also that its task is queued again (task.GivenBack). A report of what is known already
// changes nothing. ErrFenced if the session's task has a newer session or token is not its.
func (s *Store) MoveSession(ctx context.Context, session string, token int64, to task.SessionState, reason string, now time.Time) error {
	return errTODO
}

// EndSession ends an open session without its last event, as lost or because it was never accepted
// (to Gone, or Returned), and its task by task.After or task.GivenBack.
func (s *Store) EndSession(ctx context.Context, session string, to task.SessionState, outcome event.Outcome, reason string, now time.Time) (task.End, error) {
	return task.End{}, errTODO
}

// StopSession records that a session is to be ended, which its runner will hear and report.
func (s *Store) StopSession(ctx context.Context, session string, outcome event.Outcome, reason string) error {
	return errTODO
}

// Declined returns why runners declined a queued task, by runner id, since it was queued.
func (s *Store) Declined(ctx context.Context, taskID string) (map[string]string, error) {
	return nil, errTODO
}

// Session returns one session; id as in Task.
func (s *Store) Session(ctx context.Context, id string) (task.Session, error) {
	return task.Session{}, errTODO
}

// Sessions returns sessions, newest first; all of them, of one task, or in one state.
func (s *Store) Sessions(ctx context.Context, taskID string, state task.SessionState, limit int, before string) ([]task.Session, string, error) {
	return nil, "", errTODO
}

// ---- commands

// AddCommand queues a command for an open session. With an ID that the session has already, it
// returns that one and added is false. ErrConflict if the session has ended.
func (s *Store) AddCommand(ctx context.Context, session string, c api.NewCommand, by string, now time.Time) (cmd api.Command, added bool, err error) {
	return cmd, false, errTODO
}

// Commands returns those of a session after number after, at most limit.
func (s *Store) Commands(ctx context.Context, session string, after int64, limit int) ([]api.Command, error) {
	return nil, errTODO
}

// AckCommands records that the runner has journalled commands up to number acked.
func (s *Store) AckCommands(ctx context.Context, session string, acked int64) error { return errTODO }

// ---- events

// Batch is consecutive events of one session.
type Batch struct {
	Session string
	Token   int64
	Runner  string // id; the session must be its
	Events  []api.Event
}

// Appended says what a batch changed.
type Appended struct {
	Acked uint64
	New   int // events that were not known before
	// Finished: the batch had the session's last event, for the first time; Task is then
	// what became of its task.
	Finished *task.Session
	Task     *task.Task
	Asks     bool // an ask was opened or answered
}

// Append stores the new events of b, ignores those that it has, and returns the highest number
// up to which all are there. Many calls at a time share one commit. It returns GapError, ErrFenced,
// ErrNotFound or ErrFull; then nothing of b was stored.
func (s *Store) Append(ctx context.Context, b Batch) (Appended, error) { return Appended{}, errTODO }

// Events calls yield with the stored events of a session after number after, in order, as far
// as there are any, at most limit (0: all).
func (s *Store) Events(ctx context.Context, session string, after uint64, raw bool, limit int, yield func(*api.Event) error) error {
	return errTODO
}

// ---- artifacts

// ArtifactState is what is stored of an artifact so far.
type ArtifactState struct {
	Size     int64
	SHA256   string
	Received int64
	Complete bool
}

// Artifact returns the state of one, or ErrNotFound.
func (s *Store) Artifact(ctx context.Context, session, name string) (ArtifactState, error) {
	return ArtifactState{}, errTODO
}

// PutArtifact adds bytes from r at offset, which must be what was received so far (else ErrConflict).
// When all of size are there, their hash is compared, and a mismatch starts anew with ErrConflict.
func (s *Store) PutArtifact(ctx context.Context, b Batch, name string, size int64, sha256 string, offset int64, r io.Reader) (ArtifactState, error) {
	return ArtifactState{}, errTODO
}

// OpenArtifact opens a complete one for reading; the caller closes it.
func (s *Store) OpenArtifact(ctx context.Context, session, name string) (io.ReadSeekCloser, ArtifactState, error) {
	return nil, ArtifactState{}, errTODO
}

// ---- inbox

// Asks returns the open asks of open sessions, and finished tasks without success that nobody has
// dismissed, as inbox items, oldest first.
func (s *Store) Inbox(ctx context.Context) ([]api.InboxItem, error) { return nil, errTODO }

// Dismiss removes an outcome from the inbox.
func (s *Store) Dismiss(ctx context.Context, item string) error { return errTODO }

// OpenAsk returns an ask of a session that waits for an answer, or ErrNotFound.
func (s *Store) OpenAsk(ctx context.Context, session, ask string) (event.AskOpened, error) {
	return event.AskOpened{}, errTODO
}

// ---- runners

// SaveRunner stores a runner's state as it last said; the dispatcher calls it when that changes, and
// from time to time. ErrConflict if the device belongs to another runner already.
func (s *Store) SaveRunner(ctx context.Context, r api.Runner) error { return errTODO }

// Runners returns all runners that ever connected and were not removed.
func (s *Store) Runners(ctx context.Context) ([]api.Runner, error) { return nil, errTODO }

// RemoveRunner forgets a runner that has no open session (else ErrConflict).
func (s *Store) RemoveRunner(ctx context.Context, id string) error { return errTODO }

// ---- people and tokens

// TokenKind says what a token is for.
type TokenKind string

// The kinds of tokens.
const (
	BrowserToken  TokenKind = "browser"  // a cookie
	PersonalToken TokenKind = "personal" // rp_…
	DeviceToken   TokenKind = "device"   // rt_…
	SetupToken    TokenKind = "setup"    // makes the owner, once
)

// Caller is who a token stands for.
type Caller struct {
	Token  string // id
	Kind   TokenKind
	User   string // name; empty for a device
	Name   string // the token's
	Labels []string
	Runner string // of a device token: the runner that uses it, if any yet
}

// Owner returns the owner's name and password hash; ErrNotFound before the set-up.
func (s *Store) Owner(ctx context.Context) (name, passwordHash string, err error) {
	return "", "", errTODO
}

// SetOwner makes the owner, or changes name and password.
func (s *Store) SetOwner(ctx context.Context, name, passwordHash string) error { return errTODO }

// AddToken stores a token by its SHA-256.
func (s *Store) AddToken(ctx context.Context, kind TokenKind, user string, n api.NewToken, sha256 [32]byte, now time.Time) (api.Token, error) {
	return api.Token{}, errTODO
}

// Lookup returns who a token stands for; ErrNotFound if it is unknown, revoked or expired. That it was
// used is recorded within a minute.
func (s *Store) Lookup(ctx context.Context, sha256 [32]byte, now time.Time) (Caller, error) {
	return Caller{}, errTODO
}

// Tokens lists those of a kind that are not older than retention, newest first.
func (s *Store) Tokens(ctx context.Context, kind TokenKind) ([]api.Token, error) { return nil, errTODO }

// RevokeToken ends a token at once; id as in Task, or its name if that is unique.
func (s *Store) RevokeToken(ctx context.Context, kind TokenKind, id string, now time.Time) (api.Token, error) {
	return api.Token{}, errTODO
}

// ---- audit

// Record adds an entry.
func (s *Store) Record(ctx context.Context, e api.AuditEntry) error { return errTODO }

// AuditLog returns entries, newest first.
func (s *Store) AuditLog(ctx context.Context, before string, limit int) ([]api.AuditEntry, string, error) {
	return nil, "", errTODO
}
