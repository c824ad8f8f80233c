package store

import (
	"context"
	dbsql "database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Bounds of a page.
const (
	pageMax      = 1000
	pageDefault  = 100
	queuePage    = 20      // as the query says
	pageBytesMax = 8 << 20 // of what tasks or commands say; a page has at least one
)

// AddTask stores a new task as queued. With a key (of one request, by the caller's choice)
// that is known already, it returns the task of then, and added is false.
func (s *Store) AddTask(ctx context.Context, spec task.Spec, by, key string, now time.Time) (t task.Task, added bool, err error) {
	err = s.write(ctx, len(spec.Prompt), func(ctx context.Context, q *sql.Queries) error {
		if key != "" {
			row, err := q.TaskByKey(ctx, by, key)
			if err == nil {
				t, err = toTask(row)
				return err
			}
			if !errors.Is(err, dbsql.ErrNoRows) {
				return err
			}
		}
		added = true
		row, err := insertTask(ctx, q, spec, task.Queued, by, key, now)
		if err != nil {
			return err
		}
		t, err = toTask(row)
		return err
	})
	if err != nil {
		return task.Task{}, false, fmt.Errorf("add a task: %w", err)
	}
	return t, added, nil
}

func insertTask(ctx context.Context, q *sql.Queries, spec task.Spec, state task.State, by, key string, now time.Time) (sql.Task, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return sql.Task{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return sql.Task{}, err
	}
	p := sql.InsertTaskParams{
		ID: id.String(), State: string(state), CreatedAt: nanos(now), CreatedBy: by, RequestKey: key, Spec: data,
	}
	if err := q.InsertTask(ctx, p); err != nil {
		return sql.Task{}, err
	}
	return q.Task(ctx, p.ID)
}

// Task returns a task with its sessions, newest first. id may be the beginning or the
// end of its id, if only one task has it.
func (s *Store) Task(ctx context.Context, id string) (task.Task, []task.Session, error) {
	full, err := resolve(ctx, id, s.read.TaskIDs)
	if err != nil {
		return task.Task{}, nil, fmt.Errorf("task %s: %w", id, err)
	}
	t, err := s.task(ctx, full)
	if err != nil {
		return task.Task{}, nil, fmt.Errorf("task %s: %w", id, err)
	}
	rows, err := s.read.SessionsOfTask(ctx, full, math.MaxInt64, pageMax)
	if err != nil {
		return task.Task{}, nil, fmt.Errorf("task %s: %w", id, err)
	}
	return t, toSessions(rows), nil
}

func (s *Store) task(ctx context.Context, id string) (task.Task, error) {
	row, err := s.read.Task(ctx, id)
	if err != nil {
		return task.Task{}, understand(s.dir, err)
	}
	return toTask(row)
}

// resolve returns the id that part is, begins or ends.
func resolve(ctx context.Context, part string, find func(ctx context.Context, prefix, suffix string) ([]string, error)) (string, error) {
	if len(part) == 36 {
		return part, nil
	}
	if !partial(part) {
		return "", ErrNotFound
	}
	return only(find(ctx, part+"%", "%"+part))
}

// partial reports whether s can be a part of an id: long enough, and no pattern.
func partial(s string) bool {
	return len(s) >= 4 && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == ""
}

func only(ids []string, err error) (string, error) {
	switch {
	case err != nil:
		return "", err
	case len(ids) == 0:
		return "", ErrNotFound
	case len(ids) > 1:
		return "", fmt.Errorf("%w: more than one begins or ends so", ErrNotFound)
	}
	return ids[0], nil
}

// TaskFilter selects tasks; zero fields select all.
type TaskFilter struct {
	State  task.State
	Limit  int    // 0: 100; at most 1000
	Before string // a cursor that Tasks returned
}

// Tasks returns tasks, newest first, and the cursor of the next page, if any. A page of
// long tasks is shorter than Limit.
func (s *Store) Tasks(ctx context.Context, f TaskFilter) ([]task.Task, string, error) {
	before, limit := f.Before, pageSize(f.Limit)
	if before == "" {
		before = "~" // behind every id
	}
	var ids []string
	var err error
	if f.State == "" {
		ids, err = s.read.ListTasks(ctx, before, limit)
	} else {
		ids, err = s.read.ListTasksIn(ctx, string(f.State), before, limit)
	}
	if err != nil {
		return nil, "", fmt.Errorf("tasks: %w", err)
	}
	tasks, last, err := s.tasks(ctx, ids)
	if err != nil || last == len(ids) && len(ids) < int(limit) {
		return tasks, "", err
	}
	return tasks, ids[last-1], nil
}

func pageSize(limit int) int64 {
	if limit <= 0 {
		return pageDefault
	}
	return int64(min(limit, pageMax))
}

// tasks reads tasks by id, as far as a page goes, and says how many ids that took. One
// that is gone by now is left out.
func (s *Store) tasks(ctx context.Context, ids []string) ([]task.Task, int, error) {
	var list []task.Task
	bytes := 0
	for i, id := range ids {
		if bytes > pageBytesMax {
			return list, i, nil
		}
		row, err := s.read.Task(ctx, id)
		if errors.Is(err, dbsql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, 0, fmt.Errorf("tasks: %w", err)
		}
		t, err := toTask(row)
		if err != nil {
			return nil, 0, err
		}
		list, bytes = append(list, t), bytes+len(row.Spec)
	}
	return list, len(ids), nil
}

// FinishTask ends a task that has no open session. ErrConflict if it has one or is finished.
func (s *Store) FinishTask(ctx context.Context, id string, outcome event.Outcome, reason string, now time.Time) error {
	return s.moveTask(ctx, id, task.Queued, task.Finished, func(t *sql.Task) {
		t.Outcome, t.Reason, t.FinishedAt, t.Dismissed = string(outcome), reason, nanos(now), 0
	})
}

// RetryTask queues a finished task again, with a fresh count of attempts. ErrConflict otherwise.
func (s *Store) RetryTask(ctx context.Context, id string) (task.Task, error) {
	err := s.moveTask(ctx, id, task.Finished, task.Queued, func(t *sql.Task) {
		t.Outcome, t.Reason, t.FinishedAt, t.Dismissed, t.Attempts = "", "", 0, 0, 0
	})
	if err != nil {
		return task.Task{}, err
	}
	return s.task(ctx, id)
}

func (s *Store) moveTask(ctx context.Context, id string, from, to task.State, change func(*sql.Task)) error {
	err := s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error {
		t, err := q.Task(ctx, id)
		if err != nil {
			return err
		}
		if t.State != string(from) {
			return fmt.Errorf("%w: it is %s", ErrConflict, t.State)
		}
		t.State = string(to)
		change(&t)
		return saveTask(ctx, q, t, string(from))
	})
	if err != nil {
		return fmt.Errorf("task %s: %w", id, err)
	}
	return nil
}
