// Package schedule decides what runs where: which runner gets which task, for how long,
// and what becomes of a task whose runner stays away.
//
//	new task, free runner ─> match ─> offer ─> accepted ─> running ─> finished
//	                                    │ no answer in OfferTime: queued again
//	lease runs out ─> away ─> the runner is back: goes on
//	                   └───> agent must have ended: lost, by the task's policy queued again
//
// What is lasting is in the store; who is connected, when leases run out, and an index of
// what is queued are in memory. Leases run by the monotonic clock: a control plane that starts
// gives every lease its whole time, and a clock that jumps ends none. A task is offered only to a
// runner whose poll is there to answer, so that an absent runner delays nothing.
//
// Locks, in the order in which they are taken: runner.syncing (one report at a time), one of
// Dispatcher.moving (one move of a task at a time, the write to the store included), and
// Dispatcher.mu (what is in memory; never held while the store works).
package schedule

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

const (
	// OfferTime is how long a runner has to accept what it is offered.
	OfferTime = 15 * time.Second
	// DefaultLostAfter is how long after its lease ran out a session may go on, if its
	// runner never said that.
	DefaultLostAfter = time.Hour
	// lostMargin is added to what the runner says: its agents take a while to end.
	lostMargin = time.Minute
	// tick is how often time-outs are looked for.
	tick = time.Second
	// retryPause is how long a task rests that the store could not assign.
	retryPause = time.Second
	// failedPause is how long a task rests, the first time, that a runner failed to run, before
	// the same runner tries it again: what is wrong there may be over by then.
	failedPause    = 5 * time.Second
	failedPauseMax = 5 * time.Minute
	// returnedPause is how long a runner is not offered a task again that it returned.
	returnedPause = 10 * time.Second
)

// Errors that callers tell apart, besides the store's.
var (
	// ErrSuperseded: another process is this runner by now.
	ErrSuperseded = errors.New("another process is this runner now")
	// ErrDevice: the token belongs to another runner.
	ErrDevice = errors.New("this device token belongs to another runner")
	// ErrInvalid: a report that makes no sense; it is wrapped with why.
	ErrInvalid = errors.New("invalid report")
)

// Store is what the dispatcher needs of the database; see package store for what each
// method promises.
type Store interface {
	Tasks
	Sessions
	Runners
}

// Tasks is the part of the store that holds them.
type Tasks interface {
	AddTask(ctx context.Context, spec task.Spec, by, key string, now time.Time) (task.Task, bool, error)
	Task(ctx context.Context, id string) (task.Task, []task.Session, error)
	Tasks(ctx context.Context, f store.TaskFilter) ([]task.Task, string, error)
	FinishTask(ctx context.Context, id string, outcome event.Outcome, reason string, now time.Time) error
	RetryTask(ctx context.Context, id string) (task.Task, error)
}

// Sessions is the part of the store that holds them.
type Sessions interface {
	HeldSessions(ctx context.Context) ([]store.Held, error)
	Session(ctx context.Context, id string) (task.Session, error)
	Offer(ctx context.Context, taskID, runner, runnerName string, now time.Time) (store.Held, error)
	Announce(ctx context.Context, a api.Announce, by string, now time.Time) (store.Held, error)
	MoveSession(ctx context.Context, session string, token int64, to task.SessionState, reason string, now time.Time) error
	EndSession(ctx context.Context, session string, to task.SessionState, outcome event.Outcome, reason string, now time.Time) (task.End, error)
	StopSession(ctx context.Context, session string, outcome event.Outcome, reason string) error
}

// Runners is the part of the store that holds them, and what is said to them.
type Runners interface {
	SaveRunner(ctx context.Context, r api.Runner) error
	Runners(ctx context.Context) ([]api.Runner, error)
	RemoveRunner(ctx context.Context, id string) error
	AddCommand(ctx context.Context, session string, c api.NewCommand, by string, now time.Time) (api.Command, bool, error)
	Commands(ctx context.Context, session string, after int64, limit int) ([]api.Command, error)
}

// Observer is told what the metrics count. Its methods must not block.
type Observer interface {
	QueueWait(time.Duration)                // from due until offered
	PickUp(time.Duration)                   // from offered until accepted
	PollAge(runner string, _ time.Duration) // from one sync to the next
	Outcome(event.Outcome)                  // of a task
}

// Dispatcher matches tasks and runners. Its methods are safe for concurrent use. They may
// write to the store, and wait for that, even when their context ends.
type Dispatcher struct {
	store   Store
	log     logrus.FieldLogger
	observe Observer
	begun   time.Time
	moving  [64]sync.Mutex // by task; never two at a time

	mu      sync.Mutex
	queue   queue
	runners map[string]*runner // all that the store knows
	held    map[string]*held   // open sessions
	watched map[string]int     // how many follow a session live
}

// New makes a dispatcher of what is in s. o may be nil.
func New(ctx context.Context, s Store, log logrus.FieldLogger, o Observer) (*Dispatcher, error) {
	if o == nil {
		o = blind{}
	}
	d := &Dispatcher{
		store: s, log: log, observe: o, begun: time.Now(), queue: newQueue(),
		runners: map[string]*runner{}, held: map[string]*held{}, watched: map[string]int{},
	}
	if err := d.load(ctx); err != nil {
		return nil, fmt.Errorf("load what is queued and held: %w", err)
	}
	return d, nil
}

// Run keeps leases, deadlines and offers until ctx ends.
func (d *Dispatcher) Run(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			d.expire(ctx)
		}
	}
}

// move makes sure that nobody else moves a task, until the function it returns is called.
func (d *Dispatcher) move(taskID string) (release func()) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(taskID))
	m := &d.moving[h.Sum32()%uint32(len(d.moving))]
	m.Lock()
	return m.Unlock
}

type blind struct{}

func (blind) QueueWait(time.Duration)       {}
func (blind) PickUp(time.Duration)          {}
func (blind) PollAge(string, time.Duration) {}
func (blind) Outcome(event.Outcome)         {}
