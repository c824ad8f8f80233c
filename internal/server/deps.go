package server

import (
	"context"
	"io"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Store is what the server reads and writes: *store.Store, which documents the methods.
type Store interface {
	tasks
	events
	artifacts
	inbox
	access
	audit
	disk
}

type tasks interface {
	Task(ctx context.Context, id string) (task.Task, []task.Session, error)
	Tasks(ctx context.Context, f store.TaskFilter) ([]task.Task, string, error)
	Session(ctx context.Context, id string) (task.Session, error)
	Sessions(ctx context.Context, taskID string, state task.SessionState, limit int, before string) ([]task.Session, string, error)
}

type events interface {
	Append(ctx context.Context, b store.Batch) (store.Appended, error)
	Events(ctx context.Context, session string, after uint64, raw bool, limit int, yield func(*api.Event) error) error
	Command(ctx context.Context, session, id string) (api.Command, error)
	Commands(ctx context.Context, session string, after int64, limit int) ([]api.Command, error)
}

type artifacts interface {
	Artifact(ctx context.Context, session, name string) (store.ArtifactState, error)
	PutArtifact(ctx context.Context, b store.Batch, name string, size int64, sha256 string, offset int64, r io.Reader) (store.ArtifactState, error)
	OpenArtifact(ctx context.Context, session, name string) (io.ReadSeekCloser, store.ArtifactState, error)
}

type inbox interface {
	Inbox(ctx context.Context) ([]api.InboxItem, error)
	Dismiss(ctx context.Context, item string) error
	OpenAsk(ctx context.Context, session, ask string) (event.AskOpened, error)
}

type access interface {
	Owner(ctx context.Context) (name, passwordHash string, err error)
	SetOwner(ctx context.Context, name, passwordHash string) error
	AddToken(ctx context.Context, kind store.TokenKind, user string, n api.NewToken, sha256 [32]byte, now time.Time) (api.Token, error)
	Lookup(ctx context.Context, sha256 [32]byte, now time.Time) (store.Caller, error)
	Tokens(ctx context.Context, kind store.TokenKind) ([]api.Token, error)
	RevokeToken(ctx context.Context, kind store.TokenKind, id string, now time.Time) (api.Token, error)
	RevokeTokens(ctx context.Context, kind store.TokenKind, now time.Time) ([]string, error)
}

type audit interface {
	Record(ctx context.Context, e api.AuditEntry) error
	AuditLog(ctx context.Context, before string, limit int) ([]api.AuditEntry, string, error)
	Retention(ctx context.Context, before time.Time) (int, error)
}

type disk interface {
	Check(ctx context.Context) error
	Disk() (database, free int64, err error)
}

// Dispatcher is who decides what runs where: *schedule.Dispatcher, which documents the
// methods.
type Dispatcher interface {
	queue
	runners
	live
}

type queue interface {
	Add(ctx context.Context, spec task.Spec, by, key string) (task.Task, bool, error)
	Cancel(ctx context.Context, id, by string) (task.Task, error)
	Retry(ctx context.Context, id string) (task.Task, error)
	Why(ctx context.Context, t task.Task) string
	Waiting(ctx context.Context) ([]api.InboxItem, error)
}

type runners interface {
	Sync(ctx context.Context, device store.Caller, r api.Sync) (api.SyncAnswer, error)
	Announce(ctx context.Context, device store.Caller, a api.Announce) (api.Lease, error)
	Runners(ctx context.Context) ([]api.Runner, error)
	Remove(ctx context.Context, id string) error
	Away(session string) bool
}

type live interface {
	Command(ctx context.Context, session string, c api.NewCommand, by string) (api.Command, error)
	Appended(session string, a store.Appended) (uploadMS int64)
	Watch(session string) (release func())
}
