// Package schedule decides what runs where: which runner gets which task, for how long,
// and what becomes of a task whose runner stays away.
//
//	new task, free runner ─> match ─> offer ─> accepted ─> running ─> finished
//	                                    │ no answer in OfferTime: queued again
//	lease runs out ─> away ─> the runner is back: goes on
//	                   └───> agent must have ended: lost, by the task's policy queued again
//
// What is lasting is in the store; who is connected, and when leases run out, is in memory,
// by the monotonic clock: a control plane that starts gives every lease its whole time, and
// a clock that jumps ends none.
package schedule

import (
	"context"
	"errors"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// OfferTime is how long a runner has to accept what it is offered.
const OfferTime = 15 * time.Second

// Errors that callers tell apart, besides the store's.
var (
	// ErrSuperseded: another process is this runner by now.
	ErrSuperseded = errors.New("another process is this runner now")
	// ErrDevice: the token belongs to another runner.
	ErrDevice = errors.New("this device token belongs to another runner")
)

var errTODO = errors.New("not implemented")

// Dispatcher matches tasks and runners. Its methods are safe for concurrent use.
type Dispatcher struct{}

// New makes a dispatcher of what is in s.
func New(s *store.Store, log logrus.FieldLogger) *Dispatcher { return &Dispatcher{} }

// Run loads what is held, then keeps leases, deadlines and offers until ctx ends.
func (d *Dispatcher) Run(ctx context.Context) error { return errTODO }

// Sync takes in a runner's report and answers at once if there is something to say, else
// when there is, or after the report's wait, or when ctx ends (then with what is renewed).
func (d *Dispatcher) Sync(ctx context.Context, device store.Caller, r api.Sync) (api.SyncAnswer, error) {
	return api.SyncAnswer{}, errTODO
}

// Announce takes in a session that a runner started by itself.
func (d *Dispatcher) Announce(ctx context.Context, device store.Caller, a api.Announce) (api.Lease, error) {
	return api.Lease{}, errTODO
}

// Add stores a task and dispatches it; see store.AddTask.
func (d *Dispatcher) Add(ctx context.Context, spec task.Spec, by, key string) (task.Task, bool, error) {
	return task.Task{}, false, errTODO
}

// Cancel ends a task: at once if it is queued, else its runner is told to.
func (d *Dispatcher) Cancel(ctx context.Context, id, by string) (task.Task, error) {
	return task.Task{}, errTODO
}

// Retry queues a finished task again.
func (d *Dispatcher) Retry(ctx context.Context, id string) (task.Task, error) {
	return task.Task{}, errTODO
}

// Command queues a command for a session and wakes its runner; see store.AddCommand.
func (d *Dispatcher) Command(ctx context.Context, session string, c api.NewCommand, by string) (api.Command, error) {
	return api.Command{}, errTODO
}

// Appended tells of what an upload changed; the answer is how often events are wanted.
func (d *Dispatcher) Appended(session string, a store.Appended) (uploadMS int64) { return 0 }

// Watch says that somebody follows a session live, until the function it returns is called.
func (d *Dispatcher) Watch(session string) (release func()) { return func() {} }

// Why says in words what a queued task waits for.
func (d *Dispatcher) Why(ctx context.Context, t task.Task) string { return "" }

// Waiting returns queued tasks that no connected runner could take as things are, with why,
// as inbox items.
func (d *Dispatcher) Waiting(ctx context.Context) ([]api.InboxItem, error) { return nil, errTODO }

// Away reports whether the lease of a session has run out while its runner is away.
func (d *Dispatcher) Away(session string) bool { return false }

// Runners returns all runners, with who is connected.
func (d *Dispatcher) Runners(ctx context.Context) ([]api.Runner, error) { return nil, errTODO }

// Observer is told what the metrics count.
type Observer interface {
	QueueWait(time.Duration)                // from due until offered
	PickUp(time.Duration)                   // from offered until accepted
	PollAge(runner string, _ time.Duration) // from one sync to the next
	Outcome(event.Outcome)
}
