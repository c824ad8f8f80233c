package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Bounds of what is taken out of events: a runner may send anything.
const (
	reasonMax = 4 << 10 // bytes
	askIDMax  = 200
)

// projection is what a batch of events says about its session. Data that cannot be
// decoded says nothing, except that the last event is the last one all the same.
type projection struct {
	key        int64
	asks       bool
	started    bool
	startedAt  int64
	usage      *event.Usage
	finished   *event.SessionFinished
	finishedAt int64
}

// see takes in one event that was not known before. Asks are written at once.
func (p *projection) see(ctx context.Context, q *sql.Queries, e *api.Event) error {
	switch event.Type(e.Type) {
	case event.TypeSessionStarted:
		p.started, p.startedAt = true, nanos(e.Time)
	case event.TypeTurnFinished:
		if d, ok := decoded[event.TurnFinished](e); ok && d.Usage != nil {
			p.usage = d.Usage
		}
	case event.TypeUsageUpdated:
		if d, ok := decoded[event.UsageUpdated](e); ok {
			p.usage = &d.Usage
		}
	case event.TypeSessionFinished:
		p.finish(e)
	case event.TypeAskOpened:
		// One without a default is answered by a policy, at once.
		if d, ok := decoded[event.AskOpened](e); ok && d.Default != "" && d.Ask != "" && len(d.Ask) <= askIDMax {
			p.asks = true
			return q.OpenAsk(ctx, sql.OpenAskParams{Session: p.key, Ask: d.Ask, OpenedAt: nanos(e.Time), Seq: int64(e.Seq)})
		}
	case event.TypeAskAnswered:
		if d, ok := decoded[event.AskAnswered](e); ok {
			return p.closeAsk(ctx, q, d.Ask)
		}
	case event.TypeAskExpired:
		if d, ok := decoded[event.AskExpired](e); ok {
			return p.closeAsk(ctx, q, d.Ask)
		}
	}
	return nil
}

func (p *projection) closeAsk(ctx context.Context, q *sql.Queries, ask string) error {
	n, err := q.CloseAsk(ctx, p.key, ask)
	p.asks = p.asks || n > 0
	return err
}

// finish takes in a session's last event. Outcomes of a newer version are kept.
func (p *projection) finish(e *api.Event) {
	if p.finished != nil {
		return
	}
	d, ok := decoded[event.SessionFinished](e)
	if !ok || !isWord(string(d.Outcome)) {
		d = event.SessionFinished{Outcome: event.Errored, Reason: "the session's last event cannot be understood: see its data"}
	}
	d.Reason = cut(d.Reason)
	p.finished, p.finishedAt = &d, nanos(e.Time)
	if d.Usage != nil {
		p.usage = d.Usage
	}
}

// changes reports whether the session's row says something else now.
func (p *projection) changes() bool { return p.started || p.usage != nil || p.finished != nil }

// apply writes it, with last as the session's newest event.
func (p *projection) apply(ctx context.Context, q *sql.Queries, session string, last uint64, now time.Time, out *Appended) error {
	a, err := load(ctx, q, session)
	if err != nil {
		return err
	}
	a.s.LastSeq = int64(last)
	if p.usage != nil {
		usage, err := json.Marshal(p.usage)
		if err != nil {
			return err
		}
		a.s.Usage = string(usage)
	}
	if err := p.move(&a, now); err != nil {
		return err
	}
	if err := a.save(ctx, q); err != nil || p.finished == nil || a.s.State != string(task.Ended) {
		return err
	}
	t, err := toTask(a.t)
	if err != nil {
		return err
	}
	s := toSession(a.s)
	out.Finished, out.Task = &s, &t
	return nil
}

// move takes session and task along, where they are not beyond that.
func (p *projection) move(a *attempt, now time.Time) error {
	state := task.SessionState(a.s.State)
	switch {
	case !p.started:
	case state == task.Active:
		if a.s.StartedAt == 0 || p.startedAt != 0 {
			a.s.StartedAt = p.startedAt // the sync call was earlier than the event
		}
	case state.Check(task.Active) == nil && !a.over():
		if err := a.start(p.startedAt); err != nil {
			return err
		}
	}
	if p.finished == nil || task.SessionState(a.s.State).Check(task.Ended) != nil {
		return nil
	}
	_, err := a.end(task.Ended, p.finished.Outcome, p.finished.Reason, p.finishedAt, now)
	return err
}

// decoded is e's data, if it is of type T.
func decoded[T event.Data](e *api.Event) (d T, ok bool) {
	return d, json.Unmarshal(e.Data, &d) == nil
}

// isWord reports whether s can be the name of an outcome.
func isWord(s string) bool {
	return s != "" && len(s) <= 40 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// cut bounds a reason.
func cut(s string) string {
	if len(s) <= reasonMax {
		return s
	}
	return strings.ToValidUTF8(s[:reasonMax], "") + "…"
}
