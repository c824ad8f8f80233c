package connect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

const (
	// pauseMin and pauseMax are how long the next poll waits for something to report, after
	// an answer that should lead to that: what follows from it then goes along.
	pauseMin = 20 * time.Millisecond
	pauseMax = time.Second
	// drainedMax is how long a daemon that is to end waits for a control plane that is away.
	drainedMax = 30 * time.Second
)

// line is the connection to the control plane, as serve sees it.
type line struct {
	pauses
	up    bool
	away  time.Time     // since when the control plane is away, or none
	pause time.Duration // after an answer that should have changed something
}

// serve polls until there is nothing left to do.
func (d *Daemon) serve(ctx context.Context) error {
	l := &line{pauses: newPauses(), pause: pauseMin}
	for ctx.Err() == nil {
		draining, _, refused := d.standing()
		switch {
		case refused != nil:
			return d.endRefused(ctx, refused)
		case draining && d.drained(l.away):
			return nil
		}
		d.notify("WATCHDOG=1") // an away control plane is no reason to be restarted
		asked := time.Now()
		answer, err := d.poll(ctx, l.up)
		switch {
		case errors.Is(err, errChanged):
			l.pause = pauseMin
		case err == nil:
			d.heard(l)
			d.follow(ctx, l, answer, asked)
		case !d.fatal(err) && ctx.Err() == nil:
			d.missed(l, err)
			sleep(ctx, l.soon(err), d.changed)
		}
	}
	return nil
}

// heard notes that the control plane answers.
func (d *Daemon) heard(l *line) {
	if !l.up && !d.single {
		d.sayConnected(l.away)
	}
	if !l.up {
		d.kick()
	}
	l.up, l.away = true, time.Time{}
	l.reset()
	d.answers(true)
}

// missed notes that it does not.
func (d *Daemon) missed(l *line, err error) {
	if l.away.IsZero() {
		l.away = time.Now()
		d.Say("the control plane is away: " + err.Error())
	}
	l.up = false
	d.answers(false)
}

// follow does what an answer says, and waits for the time of the next poll.
func (d *Daemon) follow(ctx context.Context, l *line, answer api.SyncAnswer, asked time.Time) {
	switch {
	case d.apply(ctx, answer):
		sleep(ctx, l.pause, d.changed)
		l.pause = min(2*l.pause, pauseMax)
	case time.Since(asked) < d.Interval:
		l.pause = pauseMin
		sleep(ctx, d.Interval-time.Since(asked), d.changed)
	default:
		l.pause = pauseMin
	}
}

// errChanged: there is something new to report.
var errChanged = errors.New("the runner's state has changed")

// poll reports the daemon's state and returns the answer, which may be held unless it is to
// tell whether the control plane is there. What changes meanwhile ends it with errChanged.
func (d *Daemon) poll(ctx context.Context, held bool) (api.SyncAnswer, error) {
	select {
	case <-d.changed: // the report has it
	default:
	}
	r := d.state(ctx)
	if !held {
		r.WaitMS = 0
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	polled := make(chan struct{}) // closed when there is an answer
	done := make(chan struct{})   // closed when nobody waits for a change any more
	go func() {
		defer close(done)
		select {
		case <-d.changed:
			cancel(errChanged)
		case <-polled:
		}
	}()
	answer, err := d.Client.Sync(ctx, r)
	close(polled)
	<-done
	if err != nil && errors.Is(context.Cause(ctx), errChanged) {
		return answer, errChanged
	}
	if err == nil && errors.Is(context.Cause(ctx), errChanged) {
		d.change() // the answer was faster
	}
	return answer, err
}

// state is the report of everything.
func (d *Daemon) state(ctx context.Context) api.Sync {
	d.reports++
	r := api.Sync{
		Seq:    d.reports,
		Runner: d.id, Instance: d.instance, Name: d.Name, Version: d.Version, Protocol: api.Protocol,
		Capacity: d.Capacity, Labels: d.Labels, WaitMS: api.WaitMax.Milliseconds(), LostAfterMS: d.OrphanAfter.Milliseconds(),
	}
	if d.Interval > 0 {
		r.WaitMS = 0
	}
	for _, w := range d.Workspaces {
		r.Workspaces = append(r.Workspaces, api.Workspace{Name: w.Name, Default: w.Default, Shared: w.Shared})
	}
	if d.single {
		r.Health.Reasons = []string{"runs one session of its own"}
	} else {
		r.Health, r.Agents = d.look(ctx)
	}
	if draining, _, _ := d.standing(); draining {
		r.Health.Ready = false
		r.Health.Reasons = append([]string{"is draining"}, r.Health.Reasons...)
	}
	for _, w := range d.all() {
		if s := w.report(); s.State != fenced && s.Token != 0 {
			r.Sessions = append(r.Sessions, s)
		}
	}
	return r
}

// apply does what the control plane wants, and reports whether that should change the
// daemon's state.
func (d *Daemon) apply(ctx context.Context, a api.SyncAnswer) bool {
	for _, l := range a.Leases {
		d.take(ctx, l)
	}
	for _, r := range a.Renewed {
		if w := d.work(r.Session); w != nil && r.UploadMS > 0 {
			w.setCadence(r.UploadMS)
		}
	}
	for _, s := range a.Stop {
		if w := d.work(s.Session); w != nil {
			w.stop(s)
		}
	}
	bySession := map[string][]api.Command{}
	for _, c := range a.Commands {
		bySession[c.Session] = append(bySession[c.Session], c)
	}
	for id, commands := range bySession {
		if w := d.work(id); w != nil {
			w.command(commands)
		}
	}
	for _, id := range a.Done {
		if w := d.work(id); w != nil && w.over() {
			d.forget(id)
		}
	}
	return len(a.Leases)+len(a.Stop)+len(a.Commands)+len(a.Done) > 0
}

// take accepts an offer, or says why not.
func (d *Daemon) take(ctx context.Context, offer api.Lease) {
	if d.work(offer.Session) != nil {
		return
	}
	l := newLease(d.Client.URL(), offer)
	_, err := d.sessionTask(offer.Task.Spec)
	draining, _, _ := d.standing()
	health, _ := d.look(ctx)
	switch {
	case draining:
		l.State, l.Reason = task.Returned, "is draining"
	case d.busy() >= d.Capacity:
		l.State, l.Reason = task.Returned, "is full"
	case err != nil:
		l.State, l.Reason = task.Declined, err.Error()
	case !health.Ready: // since the last report
		l.State, l.Reason = task.Returned, strings.Join(health.Reasons, ", ")
	}
	if err := d.book.save(l, true); err != nil {
		// Nothing was reported, so that it will be offered again, here or elsewhere.
		d.Log.WithError(err).Error("a lease cannot be accepted")
		return
	}
	if l.State == task.Accepted {
		d.Say(fmt.Sprintf("task %q accepted: session %s", l.Task.Name(), short(l.Session)))
	} else {
		d.Say(fmt.Sprintf("task %q %s: %s", l.Task.Name(), l.State, l.Reason))
	}
	d.begin(ctx, l)
	d.change()
}

// fatal reports that err ends the daemon, and notes that.
func (d *Daemon) fatal(err error) bool {
	switch refusal(err) {
	case api.CodeUnauthorized, api.CodeForbidden, api.CodeSuperseded:
	default:
		if !errors.Is(err, api.ErrPlain) {
			return false
		}
	}
	d.refuse(err)
	return true
}

// endRefused waits for the sessions' ends; their events stay on this machine.
func (d *Daemon) endRefused(ctx context.Context, why error) error {
	err := why
	if !errors.Is(why, api.ErrPlain) {
		err = fmt.Errorf("%w: %w", ErrRefused, why)
	}
	n := d.busy()
	if n > 0 {
		d.Say(fmt.Sprintf("%v; %d sessions go on to their end, and this runner ends with the last", err, n))
	}
	for d.busy() > 0 && ctx.Err() == nil {
		d.notify("WATCHDOG=1") // sessions may take hours
		sleep(ctx, time.Minute, d.changed)
	}
	for _, w := range d.all() {
		w.leave()
	}
	return err
}

// drained reports that a daemon that is to end can.
func (d *Daemon) drained(away time.Time) bool {
	all := d.all()
	if len(all) > 0 && (d.busy() > 0 || away.IsZero() || time.Since(away) < drainedMax) {
		return false
	}
	for _, w := range all {
		w.leave()
	}
	return true
}

// kick lets the uploads go on that waited for the control plane.
func (d *Daemon) kick() {
	for _, w := range d.all() {
		signal(w.kick)
	}
}

func (d *Daemon) sayConnected(away time.Time) {
	if !away.IsZero() {
		d.Say(fmt.Sprintf("connected again to %s after %s", d.Client.URL(), time.Since(away).Round(time.Second)))
		return
	}
	d.Say(fmt.Sprintf("connected to %s as %s: %s, %s at a time", d.Client.URL(), d.Name, many(len(d.Workspaces), "workspace"), many(d.Capacity, "session")))
}

// many is a number of things in words.
func many(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
