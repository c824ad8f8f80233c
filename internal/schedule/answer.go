package schedule

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// saying is what an answer says, as hashes that differ if that does; 0: nothing.
type saying struct {
	items   uint64 // offers, commands, stops, done
	watched uint64 // which sessions are watched
	report  uint64 // to which report it was the answer
}

// answer returns what is to be said to a runner as things are. there is false if another
// poll has taken the place of p; ErrSuperseded if another process has.
func (d *Dispatcher) answer(ctx context.Context, r *runner, p *poll) (a api.SyncAnswer, s saying, there bool, err error) {
	type from struct {
		session string
		acked   int64
	}
	var commands []from
	now := time.Now()
	d.mu.Lock()
	if p.superseded {
		d.mu.Unlock()
		return a, s, false, ErrSuperseded
	}
	there = r.poll == p
	for _, h := range r.held {
		if h.State == task.Offered {
			d.answerOffer(&a, h, now)
			continue
		}
		if !p.reported[h.Session] {
			continue
		}
		h.expires = now.Add(api.LeaseTime)
		a.Renewed = append(a.Renewed, api.Renewal{Session: h.Session, ExpiresInMS: api.LeaseTime.Milliseconds(), UploadMS: d.uploadMS(h.Session)})
		if h.Stopping != "" {
			a.Stop = append(a.Stop, api.Stop{Session: h.Session, Outcome: h.Stopping, Reason: h.Reason})
		}
		if h.Commands > h.acked && !h.over {
			commands = append(commands, from{h.Session, h.acked})
		}
	}
	a.Stop = append(a.Stop, p.stop...)
	a.Done = slices.Clone(p.done)
	d.mu.Unlock()
	bytes := 0
	for _, c := range commands {
		if bytes > commandBytes {
			break // the rest follows when these are acknowledged
		}
		list, err := d.store.Commands(ctx, c.session, c.acked, commandsMax)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return a, s, there, fmt.Errorf("read commands of session %s: %w", c.session, err)
		}
		for _, cmd := range list {
			if bytes += size(&cmd); bytes > commandBytes && len(a.Commands) > 0 {
				break
			}
			a.Commands = append(a.Commands, cmd)
		}
	}
	s = say(&a)
	s.report = p.report
	return a, s, there, nil
}

// size is about how much a command says, in bytes.
func size(c *api.Command) int {
	if c.Answer == nil {
		return len(c.Text)
	}
	answer, _ := json.Marshal(c.Answer) // it came as JSON
	return len(answer)
}

// answerOffer offers h, or says that it is not wanted any more.
func (d *Dispatcher) answerOffer(a *api.SyncAnswer, h *held, now time.Time) {
	if h.Stopping != "" {
		a.Stop = append(a.Stop, api.Stop{Session: h.Session, Outcome: h.Stopping, Reason: h.Reason})
		return
	}
	if now.After(h.expires) {
		return // the next tick takes it back
	}
	h.told = true
	a.Leases = append(a.Leases, api.Lease{
		Session: h.Session, Token: h.Token, Attempt: h.Attempt, Task: h.Task,
		ExpiresInMS: max(0, h.expires.Sub(now).Milliseconds()),
	})
}

func (d *Dispatcher) uploadMS(session string) int64 {
	if d.watched[session] > 0 {
		return watchedMS
	}
	return unwatchedMS
}

// say sums up an answer, which it also puts in order. An empty one allocates nothing.
func say(a *api.SyncAnswer) (s saying) {
	if len(a.Leases)+len(a.Commands)+len(a.Stop)+len(a.Done) > 0 {
		slices.SortFunc(a.Leases, func(x, y api.Lease) int { return cmp.Compare(x.Session, y.Session) })
		slices.SortFunc(a.Stop, func(x, y api.Stop) int { return cmp.Compare(x.Session, y.Session) })
		slices.SortStableFunc(a.Commands, func(x, y api.Command) int { return cmp.Compare(x.Session, y.Session) })
		slices.Sort(a.Done)
		h := fnv.New64a()
		for _, l := range a.Leases {
			fmt.Fprintf(h, "lease %s\n", l.Session)
		}
		for _, c := range a.Commands {
			fmt.Fprintf(h, "command %s %d\n", c.Session, c.Seq)
		}
		for _, st := range a.Stop {
			fmt.Fprintf(h, "stop %s %s %t\n", st.Session, st.Outcome, st.Fenced)
		}
		for _, id := range a.Done {
			fmt.Fprintf(h, "done %s\n", id)
		}
		s.items = h.Sum64()
	}
	if len(a.Renewed) == 0 {
		return s
	}
	slices.SortFunc(a.Renewed, func(x, y api.Renewal) int { return cmp.Compare(x.Session, y.Session) })
	h := fnv.New64a()
	n := 0
	for _, r := range a.Renewed {
		if r.UploadMS == watchedMS {
			fmt.Fprintln(h, r.Session)
			n++
		}
	}
	if n > 0 {
		s.watched = h.Sum64()
	}
	return s
}
