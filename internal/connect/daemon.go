package connect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// Daemon is one connection of a runner to a control plane. Its methods are safe for
// concurrent use.
type Daemon struct {
	Config
	book     book
	id       string // the runner's
	instance string
	changed  chan struct{} // capacity 1: something is to be reported
	looker   looker
	reports  int64 // of serve only
	single   bool  // it reports one session, and is no runner otherwise

	mu       sync.Mutex
	works    map[string]*work // by session
	draining bool
	handBack bool  // draining, sessions that do not run yet are returned
	stopped  bool  // sessions are being ended
	refused  error // the control plane refuses this device
	finished map[event.Outcome]int

	connected bool
	answered  time.Time // when the control plane answered last

	running sync.WaitGroup
}

// New prepares a daemon; Run runs it. It returns ErrInUse if another has the state directory.
func New(c Config) (*Daemon, error) {
	return &Daemon{
		Config: c, book: book{c.Runner.Store}, id: c.Runner.Store.ID(), instance: uuid.NewString(),
		changed: make(chan struct{}, 1), works: map[string]*work{}, finished: map[event.Outcome]int{},
	}, nil
}

// Run takes over what an earlier daemon left, then serves the control plane until Drain was
// called and nothing is left to do, or the control plane refuses the device (ErrRefused) and the
// sessions have ended, or ctx ends. Then it returns soon, and its sessions go on: the next
// daemon takes them over.
func (d *Daemon) Run(ctx context.Context) error {
	held, err := lockState(d.book.store.Root())
	if err != nil {
		return err
	}
	defer held.Close()
	if err := d.resume(ctx); err != nil {
		return err
	}
	aside, cancel := context.WithCancel(ctx)
	defer cancel()
	d.running.Go(func() { d.sweep(aside) })
	d.running.Go(func() { d.warm(aside) })
	d.notify("READY=1")
	err = d.serve(ctx)
	d.notify("STOPPING=1")
	cancel()
	d.running.Wait()
	return err
}

// sweep ends what dead runners left behind.
func (d *Daemon) sweep(ctx context.Context) {
	if _, err := d.Runner.Sweep(ctx); err != nil && ctx.Err() == nil {
		d.Log.WithError(err).Debug("what dead runners left behind could not all be ended")
	}
}

// warm makes the image of sessions before the first one waits for it.
func (d *Daemon) warm(ctx context.Context) {
	for _, a := range d.agents() {
		if a.Login != loginReady {
			continue
		}
		t, err := d.Task(d.Workspaces[0].Name, agent.Kind(a.Kind))
		t.Kind = agent.Kind(a.Kind)
		if err == nil {
			err = d.Image(ctx, &t)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, sandbox.ErrUnavailable) {
			d.Say("sessions of " + a.Kind + " cannot start yet: " + err.Error())
		}
	}
	debug.FreeOSMemory() // a daemon that waits needs little of what its start took
}

// lockState makes sure that one daemon has the state directory.
func lockState(root string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(root, "connect.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, fmt.Errorf("%s: %w", root, err)
	}
	return f, nil
}

// resume goes on with every lease that an earlier daemon left.
func (d *Daemon) resume(ctx context.Context) error {
	all, err := d.book.load()
	if err != nil && all == nil {
		return err
	}
	if err != nil {
		d.Log.WithError(err).Warn("leases that cannot be read are left alone")
	}
	for _, l := range all {
		if l.URL != d.Client.URL() {
			d.Say(fmt.Sprintf("session %s belongs to %s and is left alone", short(l.Session), l.URL))
			continue
		}
		d.begin(ctx, l)
	}
	return nil
}

// begin starts the work at l, which is on disk.
func (d *Daemon) begin(ctx context.Context, l lease) {
	w := newWork(d, l)
	d.mu.Lock()
	d.works[l.Session] = w
	d.mu.Unlock()
	d.running.Go(func() { w.run(ctx) })
}

// notify tells the service manager, if there is one.
func (d *Daemon) notify(state string) {
	if d.Notify != nil {
		d.Notify(state)
	}
}

// answers notes whether the control plane does.
func (d *Daemon) answers(yes bool) {
	d.mu.Lock()
	changed := d.connected != yes
	d.connected = yes
	if yes {
		d.answered = time.Now()
	}
	d.mu.Unlock()
	if changed && yes {
		d.notify("STATUS=connected to " + d.Client.URL())
	} else if changed {
		d.notify("STATUS=the control plane is away: " + d.Client.URL())
	}
}

// change makes the daemon report its state at once.
func (d *Daemon) change() { signal(d.changed) }

// all returns the works, oldest first.
func (d *Daemon) all() []*work {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids := make([]string, 0, len(d.works))
	for id := range d.works {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	works := make([]*work, len(ids))
	for i, id := range ids {
		works[i] = d.works[id]
	}
	return works
}

func (d *Daemon) work(session string) *work {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.works[session]
}

// forget drops a work that the control plane needs no more.
func (d *Daemon) forget(session string) {
	d.mu.Lock()
	w := d.works[session]
	delete(d.works, session)
	d.mu.Unlock()
	if w != nil {
		w.forget()
		d.change()
	}
}

// Drain takes no more leases; Run returns when the sessions have ended. With handBack, those
// whose agent does not run yet are returned.
func (d *Daemon) Drain(handBack bool) {
	d.mu.Lock()
	d.draining, d.handBack = true, d.handBack || handBack
	d.mu.Unlock()
	if handBack {
		for _, w := range d.all() {
			w.giveBack(endsEarly)
		}
	}
	d.change()
}

// Stop ends all sessions as errored, so that their tasks are queued again, and drains.
func (d *Daemon) Stop() {
	d.mu.Lock()
	d.stopped = true
	d.mu.Unlock()
	d.Drain(true)
	for _, w := range d.all() {
		w.stop(stopped)
	}
}

// endsEarly is why a session is given back.
const endsEarly = "was asked to end before the agent ran"

func (d *Daemon) handsBack() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.handBack
}

// refuse is called when the control plane does not accept the device.
func (d *Daemon) refuse(err error) {
	d.mu.Lock()
	if d.refused == nil {
		d.refused = err
	}
	d.mu.Unlock()
	d.change()
}

// state of the daemon: whether it takes leases, and its refusal.
func (d *Daemon) standing() (draining, stopping bool, refused error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.draining, d.stopped, d.refused
}

// busy counts the works that take a place.
func (d *Daemon) busy() int {
	n := 0
	for _, w := range d.all() {
		if l := w.snapshot(); !l.Local && (l.State == task.Accepted || l.State == task.Active) {
			n++
		}
	}
	return n
}

// short is the end of an id, by which people know it.
func short(id string) string { return id[max(0, len(id)-12):] }

// count notes how a session ended.
func (d *Daemon) count(o event.Outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.finished[o]++
}
