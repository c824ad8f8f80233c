package store

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// nanos is t as the database has it; what an int64 cannot hold becomes its nearest.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Year() < 1678:
		return math.MinInt64
	case t.Year() > 2261:
		return math.MaxInt64
	}
	return t.UnixNano()
}

func nanosOf(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return nanos(*t)
}

// at is the time of n nanoseconds, in UTC.
func at(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func atOrNil(n int64) *time.Time {
	if n == 0 {
		return nil
	}
	t := at(n)
	return &t
}

func toTask(r sql.Task) (task.Task, error) {
	t := task.Task{
		ID: r.ID, State: task.State(r.State), CreatedAt: at(r.CreatedAt), CreatedBy: r.CreatedBy,
		Attempts: int(r.Attempts), Outcome: event.Outcome(r.Outcome), Reason: r.Reason,
		FinishedAt: atOrNil(r.FinishedAt), Session: r.Session,
	}
	if err := json.Unmarshal(r.Spec, &t.Spec); err != nil {
		return t, fmt.Errorf("task %s: %w", r.ID, err)
	}
	return t, nil
}

func toSession(r sql.Session) task.Session {
	s := task.Session{
		ID: r.ID, Task: r.Task, Attempt: int(r.Attempt), Runner: r.Runner, RunnerName: r.RunnerName,
		Workspace: r.Workspace, State: task.SessionState(r.State), OfferedAt: at(r.OfferedAt),
		StartedAt: atOrNil(r.StartedAt), FinishedAt: atOrNil(r.FinishedAt), LastSeq: uint64(r.LastSeq),
		Outcome: event.Outcome(r.Outcome), Reason: r.Reason,
	}
	if r.Usage != "" {
		s.Usage = new(event.Usage)
		_ = json.Unmarshal([]byte(r.Usage), s.Usage) // Append wrote it
	}
	return s
}

func toSessions(rows []sql.Session) []task.Session {
	list := make([]task.Session, len(rows))
	for i, r := range rows {
		list[i] = toSession(r)
	}
	return list
}
