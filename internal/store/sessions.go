package store

import (
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Held is an open session, as the dispatcher needs it.
type Held struct {
	Session   string
	Token     int64
	Attempt   int
	Task      task.Task
	Runner    string
	Workspace string // as the task names it
	State     task.SessionState
	OfferedAt time.Time
	// Stopping: somebody wants it ended; see StopSession.
	Stopping event.Outcome
	Reason   string
	Commands int64 // the newest command
}

func held(s sql.Session, t sql.Task) (Held, error) {
	full, err := toTask(t)
	return Held{
		Session: s.ID, Token: s.Key, Attempt: int(s.Attempt), Task: full, Runner: s.Runner, Workspace: s.Workspace,
		State: task.SessionState(s.State), OfferedAt: at(s.OfferedAt), Stopping: event.Outcome(s.StopOutcome),
		Reason: s.StopReason, Commands: s.Commands,
	}, err
}

// HeldSessions returns all sessions that are offered, accepted or running.
func (s *Store) HeldSessions(ctx context.Context) ([]Held, error) {
	rows, err := s.read.HeldSessions(ctx)
	if err != nil {
		return nil, fmt.Errorf("held sessions: %w", err)
	}
	list := make([]Held, 0, len(rows))
	for _, r := range rows {
		t, err := s.read.Task(ctx, r.Task)
		if errors.Is(err, dbsql.ErrNoRows) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("held sessions: %w", err)
		}
		h, err := held(r, t)
		if err != nil {
			return nil, err
		}
		list = append(list, h)
	}
	return list, nil
}

// Offer assigns a queued task to a runner: a new session with a new lease token. ErrConflict if the
// task is not queued.
func (s *Store) Offer(ctx context.Context, taskID, runner, runnerName string, now time.Time) (Held, error) {
	var h Held
	err := s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error {
		t, err := q.Task(ctx, taskID)
		if err != nil {
			return err
		}
		if t.State != string(task.Queued) {
			return fmt.Errorf("%w: it is %s", ErrConflict, t.State)
		}
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		t.State, t.Session, t.Reason = string(task.Assigned), id.String(), ""
		h, err = insertSession(ctx, q, t, task.Offered, runner, runnerName, now)
		if err != nil {
			return err
		}
		return saveTask(ctx, q, t, string(task.Queued))
	})
	if err != nil {
		return Held{}, fmt.Errorf("offer task %s: %w", taskID, err)
	}
	return h, nil
}

// insertSession makes t.Session.
func insertSession(ctx context.Context, q *sql.Queries, t sql.Task, state task.SessionState, runner, name string, now time.Time) (Held, error) {
	full, err := toTask(t)
	if err != nil {
		return Held{}, err
	}
	_, err = q.InsertSession(ctx, sql.InsertSessionParams{
		ID: t.Session, Task: t.ID, State: string(state), Attempt: t.Attempts + 1, Runner: runner, RunnerName: name,
		Workspace: full.Workspace, OfferedAt: nanos(now),
	})
	if err != nil {
		return Held{}, err
	}
	row, err := q.Session(ctx, t.Session)
	if err != nil {
		return Held{}, err
	}
	return held(row, t)
}

// Announce stores a task with its session, running on a runner that started it by itself. Repeating
// it returns the same lease; ErrConflict if the session is another runner's. No other runner
// ever gets such a task.
func (s *Store) Announce(ctx context.Context, a api.Announce, by string, now time.Time) (Held, error) {
	var h Held
	a.Spec.MaxAttempts, a.Spec.OnLost = 1, task.LostFinish
	err := s.write(ctx, len(a.Spec.Prompt), func(ctx context.Context, q *sql.Queries) error {
		known, err := load(ctx, q, a.Session)
		if err == nil {
			if known.s.Runner != a.Runner {
				return fmt.Errorf("%w: it is another runner's", ErrConflict)
			}
			h, err = held(known.s, known.t)
			return err
		}
		if !errors.Is(err, dbsql.ErrNoRows) {
			return err
		}
		t, err := insertTask(ctx, q, a.Spec, task.Running, by, "", now)
		if err != nil {
			return err
		}
		t.Session = a.Session
		if h, err = insertSession(ctx, q, t, task.Active, a.Runner, a.Name, now); err != nil {
			return err
		}
		return saveTask(ctx, q, t, string(task.Running))
	})
	if err != nil {
		return Held{}, fmt.Errorf("announce session %s: %w", a.Session, err)
	}
	return h, nil
}

// MoveSession records what the runner reports: accepted or running; and of one that is declined or
// returned also that its task is queued again (task.GivenBack). A report of what is known already,
// or that is older than what is known, changes nothing. ErrFenced if the session's task has a newer
// session, token is not its, or the session was taken from the runner.
func (s *Store) MoveSession(ctx context.Context, session string, token int64, to task.SessionState, reason string, now time.Time) error {
	err := s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error {
		a, err := load(ctx, q, session)
		if err != nil {
			return err
		}
		if err := a.lease(token); err != nil {
			return err
		}
		from := task.SessionState(a.s.State)
		if from == to || from == task.Ended || from == task.Active && to == task.Accepted {
			return nil
		}
		if from.Check(to) != nil || from == task.Gone && a.over() {
			return ErrFenced
		}
		switch to {
		case task.Accepted:
			err = a.enter(to)
		case task.Active:
			err = a.start(nanos(now))
		case task.Declined, task.Returned:
			_, err = a.end(to, "", reason, nanos(now), now)
		default:
			err = fmt.Errorf("%w: a runner does not report %s so", ErrConflict, to)
		}
		if err != nil {
			return err
		}
		return a.save(ctx, q)
	})
	if err != nil {
		return fmt.Errorf("session %s: %w", session, err)
	}
	return nil
}

// EndSession ends an open session without its last event, as lost or because it was never accepted
// (to Gone, or Returned), and its task by task.After or task.GivenBack. ErrConflict if it is not open.
func (s *Store) EndSession(ctx context.Context, session string, to task.SessionState, outcome event.Outcome, reason string, now time.Time) (task.End, error) {
	var end task.End
	err := s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error {
		a, err := load(ctx, q, session)
		if err != nil {
			return err
		}
		if to != task.Gone && to != task.Returned {
			return fmt.Errorf("%w: only its last event makes it %s", ErrConflict, to)
		}
		if end, err = a.end(to, outcome, reason, nanos(now), now); err != nil {
			return err
		}
		return a.save(ctx, q)
	})
	if err != nil {
		return task.End{}, fmt.Errorf("end session %s: %w", session, err)
	}
	return end, nil
}

// StopSession records that a session is to be ended, which its runner will hear and report. The
// first that somebody wanted stays. ErrConflict if it has ended.
func (s *Store) StopSession(ctx context.Context, session string, outcome event.Outcome, reason string) error {
	err := s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error {
		row, err := q.Session(ctx, session)
		if err != nil {
			return err
		}
		if row.StopOutcome != "" {
			return nil
		}
		n, err := q.StopSession(ctx, string(outcome), reason, session)
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: it is %s", ErrConflict, row.State)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("stop session %s: %w", session, err)
	}
	return nil
}

// Session returns one session; id as in Task.
func (s *Store) Session(ctx context.Context, id string) (task.Session, error) {
	full, err := resolve(ctx, id, s.read.SessionIDs)
	if err != nil {
		return task.Session{}, fmt.Errorf("session %s: %w", id, err)
	}
	row, err := s.read.Session(ctx, full)
	if err != nil {
		return task.Session{}, fmt.Errorf("session %s: %w", id, understand(s.dir, err))
	}
	return toSession(row), nil
}

// Sessions returns sessions, newest first; all of them, of one task, or in one state, at most limit
// (0: 100; at most 1000), and the cursor of the next page, if any. taskID and state exclude each other.
func (s *Store) Sessions(ctx context.Context, taskID string, state task.SessionState, limit int, before string) ([]task.Session, string, error) {
	from := int64(math.MaxInt64)
	if before != "" {
		var err error
		if from, err = strconv.ParseInt(before, 10, 64); err != nil {
			return nil, "", fmt.Errorf("sessions: %w: no such page", ErrNotFound)
		}
	}
	var rows []sql.Session
	var err error
	n := pageSize(limit)
	switch {
	case taskID != "":
		rows, err = s.read.SessionsOfTask(ctx, taskID, from, n)
	case state != "":
		rows, err = s.read.ListSessionsIn(ctx, string(state), from, n)
	default:
		rows, err = s.read.ListSessions(ctx, from, n)
	}
	if err != nil {
		return nil, "", fmt.Errorf("sessions: %w", err)
	}
	next := ""
	if len(rows) == int(n) {
		next = strconv.FormatInt(rows[n-1].Key, 10)
	}
	return toSessions(rows), next, nil
}
