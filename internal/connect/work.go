package connect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

const (
	// attachPause is between tries to take a session over that another process drives.
	attachPause = time.Second
	// saveEvery is how often the number of stored events is written down; the control plane
	// knows better.
	saveEvery = 30 * time.Second
	// briefMax bounds what a report says in words, in characters; the control plane takes
	// a thousand bytes.
	briefMax = 240
)

// stopped is how the daemon's end ends its sessions.
var stopped = api.Stop{Outcome: event.Errored, Reason: "the runner was stopped"}

// errGivenBack ends the time before the agent runs, so that another runner may try.
var errGivenBack = errors.New("given back")

// work is one lease from its acceptance until the control plane has everything.
//
//	accepted ─> running ─> finished ─ everything stored, Done ─> forgotten
//	   └─> returned, declined ───────────────── Done ─────────> forgotten
//	any ─> fenced ─ ended ─> forgotten; the journal stays
type work struct {
	d     *Daemon
	kick  chan struct{} // capacity 1: to the uploader
	seen  chan struct{} // capacity 1: the session's events come from elsewhere now
	every atomic.Int64  // ms between uploads
	quit  context.CancelFunc

	mu       sync.Mutex
	lease    lease
	session  *runner.Session         // while it is driven here
	cancel   context.CancelCauseFunc // of what comes before the agent runs, while it does
	stopping *api.Stop
	inbox    []api.Command
	busy     bool // commands are being delivered
	saved    time.Time
	gone     bool          // the control plane needs no more of it
	idle     bool          // run has ended: all that is left is to hear that the control plane knows
	uploaded chan struct{} // closed when the upload has ended; nil before it begins

	quitUpload context.CancelFunc
	uploadErr  error // before uploaded is closed
}

func newWork(d *Daemon, l lease) *work {
	w := &work{d: d, lease: l, saved: time.Now(), kick: make(chan struct{}, 1), seen: make(chan struct{}, 1), quit: func() {}, quitUpload: func() {}}
	w.every.Store(defaultUploadMS)
	return w
}

// run takes the lease to its end. It returns when the control plane has all events of the
// session, or cannot have them, or ctx ends.
func (w *work) run(ctx context.Context) {
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	w.mu.Lock()
	w.quit = quit
	state := w.lease.State
	w.mu.Unlock()
	if state != task.Declined && state != task.Returned && w.drive(ctx) {
		w.settle(ctx)
	}
	w.mu.Lock()
	w.idle = ctx.Err() == nil
	lost := w.idle && w.lease.State == fenced
	w.mu.Unlock()
	if lost {
		w.lose()
	}
}

// lose gives a lost lease up, when nothing is left to do here. Nothing more is said about it.
func (w *work) lose() {
	w.d.Say(w.title() + ": the lease is lost; its events stay on this machine")
	w.d.forget(w.snapshot().Session)
}

// snapshot returns the lease as it is.
func (w *work) snapshot() lease {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lease
}

// report is what syncs say.
func (w *work) report() api.SessionReport {
	l := w.snapshot()
	return api.SessionReport{ID: l.Session, Token: l.Token, State: l.State, Reason: brief(l.Reason), Acked: l.Acked}
}

// brief is text for a report, on one line.
func brief(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "\uFFFD")), " ")
	if r := []rune(text); len(r) > briefMax {
		return string(r[:briefMax-1]) + "…"
	}
	return text
}

// over reports that nothing is left to do but to hear that the control plane knows.
func (w *work) over() bool {
	s := w.snapshot().State
	return s == task.Ended || s == task.Declined || s == task.Returned
}

// move records a new state, on disk first, and reports it. A lost lease stays lost.
func (w *work) move(to task.SessionState, reason string) {
	w.mu.Lock()
	if w.lease.State == fenced {
		w.mu.Unlock()
		return
	}
	w.lease.State, w.lease.Reason = to, reason
	w.save(true)
	w.mu.Unlock()
	w.d.change()
}

// save writes the lease down; durably, if sync is set. w.mu is held.
func (w *work) save(sync bool) {
	if w.gone {
		return
	}
	if err := w.d.book.save(w.lease, sync); err != nil {
		w.d.Log.WithError(err).Error("a lease's state cannot be written down")
	}
}

// forget removes what is written down.
func (w *work) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	if err := w.d.book.forget(w.lease.Session); err != nil {
		w.d.Log.WithError(err).Warn("a lease that is done stays on disk")
	}
	w.quit()
}

// setStored is told how many events the control plane has.
func (w *work) setStored(n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lease.Stored = n
	if now := time.Now(); now.Sub(w.saved) > saveEvery {
		w.saved = now
		w.save(false) // only spares work
	}
}

func (w *work) setCadence(ms int64) {
	if w.every.Swap(ms) != ms {
		signal(w.kick)
	}
}

// leave ends the work; what is left of it is on disk.
func (w *work) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.save(false)
	w.quit()
}

// events implements source.
func (w *work) events(ctx context.Context, from uint64) iter.Seq2[journal.Entry, error] {
	w.mu.Lock()
	s := w.session
	w.mu.Unlock()
	if s != nil {
		return s.EventsFar(ctx, from, api.InlineRawMax)
	}
	return journal.ReadFar(w.d.book.store.Journal(w.lease.Session), from, api.InlineRawMax)
}

// moved implements source.
func (w *work) moved() <-chan struct{} { return w.seen }

// upload brings the session's events to the control plane.
func (w *work) upload(ctx context.Context) error {
	if l := w.snapshot(); l.Local && l.Token == 0 {
		if err := w.announce(ctx); err != nil {
			return err
		}
	}
	l := w.snapshot()
	said := false
	u := uploader{
		client: w.d.Client, session: l.Session, token: l.Token, dir: w.d.book.store.Journal(l.Session), source: w, kick: w.kick,
		wait:   func() time.Duration { return time.Duration(w.every.Load()) * time.Millisecond },
		stored: w.setStored,
		answer: func(a api.Acked) {
			if said = false; a.UploadMS > 0 {
				w.every.Store(a.UploadMS)
			}
		},
		trouble: func(err error) {
			if !said { // once until it works again
				w.d.Log.WithField("session", l.Session).WithError(err).Warn("events are not uploaded yet")
			}
			said = true
		},
	}
	return u.run(ctx, l.Stored)
}

// title names the session for people.
func (w *work) title() string {
	l := w.snapshot()
	return fmt.Sprintf("task %q (session %s)", l.Task.Name(), short(l.Session))
}
