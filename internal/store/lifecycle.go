package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// attempt is a session with its task, while one transaction moves both. Every move is
// one that package task allows.
type attempt struct {
	s   sql.Session
	t   sql.Task
	was string // the task's state in the database
}

func load(ctx context.Context, q *sql.Queries, session string) (attempt, error) {
	s, err := q.Session(ctx, session)
	if err != nil {
		return attempt{}, err
	}
	t, err := q.Task(ctx, s.Task)
	return attempt{s: s, t: t, was: t.State}, err
}

// lease returns an error unless token is the session's and no other attempt followed it.
func (a *attempt) lease(token int64) error {
	if a.s.Key != token || a.t.Session != a.s.ID {
		return ErrFenced
	}
	return nil
}

// over reports whether the task ended for another reason than that the session was
// lost, such as a person's: then nothing that the session reports changes that.
func (a *attempt) over() bool {
	return a.t.State == string(task.Finished) && a.t.Outcome != string(event.Lost)
}

// enter takes the session to another state. One that was thought lost is back: the
// attempt counts when it ends, unless the task is over with it counted.
func (a *attempt) enter(to task.SessionState) error {
	from := task.SessionState(a.s.State)
	if err := from.Check(to); err != nil {
		return fmt.Errorf("session %s: %w: %w", a.s.ID, ErrConflict, err)
	}
	a.s.State = string(to)
	if from == task.Gone {
		a.s.Outcome, a.s.Reason, a.s.FinishedAt = "", "", 0
		if !a.over() {
			a.t.Attempts = max(a.t.Attempts-1, 0)
		}
	}
	return nil
}

// become takes the task to another state.
func (a *attempt) become(to task.State) error {
	if from := task.State(a.t.State); from != to {
		if err := from.Check(to); err != nil {
			return fmt.Errorf("task %s: %w: %w", a.t.ID, ErrConflict, err)
		}
	}
	a.t.State, a.t.Outcome, a.t.Reason, a.t.FinishedAt, a.t.Dismissed = string(to), "", "", 0, 0
	return nil
}

// start records that the agent runs, since when it says so.
func (a *attempt) start(since int64) error {
	if err := a.enter(task.Active); err != nil {
		return err
	}
	a.s.StartedAt = since
	return a.become(task.Running)
}

// end ends the session, at a time that its runner says, and its task or this attempt
// at it.
func (a *attempt) end(to task.SessionState, outcome event.Outcome, reason string, when int64, now time.Time) (task.End, error) {
	if err := a.enter(to); err != nil {
		return task.End{}, err
	}
	a.s.Outcome, a.s.Reason, a.s.FinishedAt = string(outcome), reason, when
	if a.over() {
		return task.End{State: task.Finished, Outcome: event.Outcome(a.t.Outcome), Reason: a.t.Reason}, nil
	}
	end, err := a.after(to, outcome, reason)
	if err != nil {
		return end, err
	}
	if err := a.become(end.State); err != nil {
		return end, err
	}
	if end.Counts {
		a.t.Attempts++
	}
	a.t.Reason = end.Reason
	if end.State == task.Finished {
		a.t.Outcome, a.t.FinishedAt = string(end.Outcome), nanos(now)
	}
	return end, nil
}

// after decides what becomes of the task. One that somebody wants ended is not tried
// again, however the session ended.
func (a *attempt) after(to task.SessionState, outcome event.Outcome, reason string) (task.End, error) {
	end := task.GivenBack(reason)
	if to == task.Ended || to == task.Gone {
		var spec task.Spec
		if err := json.Unmarshal(a.t.Spec, &spec); err != nil {
			return end, fmt.Errorf("task %s: %w", a.t.ID, err)
		}
		end = task.After(spec, int(a.t.Attempts), outcome, reason)
	}
	if end.State == task.Queued && a.s.StopOutcome != "" {
		end = task.End{State: task.Finished, Outcome: event.Outcome(a.s.StopOutcome), Reason: a.s.StopReason, Counts: end.Counts}
	}
	return end, nil
}

// save writes both.
func (a *attempt) save(ctx context.Context, q *sql.Queries) error {
	err := q.SetSession(ctx, sql.SetSessionParams{
		Key: a.s.Key, State: a.s.State, StartedAt: a.s.StartedAt, FinishedAt: a.s.FinishedAt, LastSeq: a.s.LastSeq,
		Outcome: a.s.Outcome, Reason: a.s.Reason, Usage: a.s.Usage,
	})
	if err != nil {
		return err
	}
	if !task.SessionState(a.s.State).Open() {
		if _, err := q.CloseAsks(ctx, a.s.Key); err != nil {
			return err
		}
	}
	return saveTask(ctx, q, a.t, a.was)
}

// saveTask writes what can change of a task. ErrConflict if its state is not was by now.
func saveTask(ctx context.Context, q *sql.Queries, t sql.Task, was string) error {
	n, err := q.SetTask(ctx, sql.SetTaskParams{
		ID: t.ID, Was: was, State: t.State, Attempts: t.Attempts, Session: t.Session,
		Outcome: t.Outcome, Reason: t.Reason, FinishedAt: t.FinishedAt, Dismissed: t.Dismissed,
	})
	if err == nil && n == 0 {
		err = fmt.Errorf("task %s: %w: it is no longer %s", t.ID, ErrConflict, was)
	}
	return err
}
