package schedule

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

const (
	// repeatAfter is how long an answer is held that says nothing but what the last one
	// said: a runner that has not acted yet does not ask without a pause.
	repeatAfter = time.Second
	// commandsMax bounds the commands of one session in an answer.
	commandsMax = 16
	// commandBytes is how much commands say after which an answer takes no more.
	commandBytes = 1 << 20
	// watchedMS and unwatchedMS are how often a session's events are wanted.
	watchedMS, unwatchedMS = 10, 1000
)

// poll is one call of Sync that waits for something to say. Dispatcher.mu guards it, but
// for the channel.
type poll struct {
	changed    chan struct{}   // capacity 1: look again; never closed
	superseded bool            // another instance has taken over
	reported   map[string]bool // sessions
	report     uint64          // hash of the sessions in the report
	done       []string
	stop       []api.Stop
}

func newPoll(reports []api.SessionReport) *poll {
	p := &poll{changed: make(chan struct{}, 1)}
	if len(reports) == 0 {
		return p
	}
	p.reported = make(map[string]bool, len(reports))
	h := fnv.New64a()
	for _, s := range reports {
		p.reported[s.ID] = true
		fmt.Fprintf(h, "%s %s %d\n", s.ID, s.State, s.Acked)
	}
	p.report = h.Sum64()
	return p
}

func (p *poll) wake() {
	select {
	case p.changed <- struct{}{}:
	default: // it will look anyway
	}
}

// hold answers as Sync says.
func (d *Dispatcher) hold(ctx context.Context, r *runner, p *poll, wait time.Duration) (api.SyncAnswer, error) {
	began := time.Now()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for over := wait == 0; ; {
		a, said, there, err := d.answer(ctx, r, p)
		switch {
		case err != nil:
			d.leave(r, p, nil)
			return api.SyncAnswer{}, err
		case !there:
			d.leave(r, p, nil) // it may be that nobody hears it
			return a, nil
		case over || d.news(r, said):
			d.leave(r, p, &said)
			return a, nil
		case said.items != 0 && wait > repeatAfter:
			wait = repeatAfter
			timer.Reset(max(0, wait-time.Since(began)))
		}
		select {
		case <-p.changed:
		case <-timer.C:
			over = true
		case <-ctx.Done():
			d.leave(r, p, nil) // nobody hears it
			return a, nil
		}
	}
}

// news reports whether an answer says something that the last one did not.
func (d *Dispatcher) news(r *runner, s saying) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return s.items != 0 && (s.items != r.said.items || s.report != r.said.report) || s.watched != 0 && s.watched != r.said.watched
}

// leave ends a poll; said is what was answered, if anything.
func (d *Dispatcher) leave(r *runner, p *poll, said *saying) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r.seen = time.Now()
	if r.poll == p {
		r.poll = nil
	}
	if said != nil && !p.superseded {
		r.said = *said
	}
}
