package store

import (
	"context"
	dbsql "database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
)

// SaveRunner stores a runner's state as it last said; the dispatcher calls it when that changes, and
// from time to time. ErrConflict if the device belongs to another runner already, or the runner to
// another device whose token is still valid.
func (s *Store) SaveRunner(ctx context.Context, r api.Runner) error {
	state, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("runner %s: %w", r.ID, err)
	}
	err = s.write(ctx, len(state), func(ctx context.Context, q *sql.Queries) error {
		if err := checkDevice(ctx, q, r, nanos(s.now())); err != nil {
			return err
		}
		return q.SaveRunner(ctx, sql.SaveRunnerParams{ID: r.ID, Device: r.Device, SeenAt: nanos(r.SeenAt), State: state})
	})
	if err != nil {
		return fmt.Errorf("runner %s: %w", r.ID, err)
	}
	return nil
}

// checkDevice keeps a device from taking another one's runner over, and its sessions.
func checkDevice(ctx context.Context, q *sql.Queries, r api.Runner, now int64) error {
	switch other, err := q.RunnerOfDevice(ctx, r.Device); {
	case err == nil && other != r.ID:
		return fmt.Errorf("%w: its device token belongs to another runner", ErrConflict)
	case err != nil && !errors.Is(err, dbsql.ErrNoRows):
		return err
	}
	switch device, err := q.Runner(ctx, r.ID); {
	case errors.Is(err, dbsql.ErrNoRows):
		return nil
	case err != nil:
		return err
	case device != r.Device:
		valid, err := q.ValidToken(ctx, device, now)
		if err == nil && valid > 0 {
			err = fmt.Errorf("%w: it connected with another device token, which has to be revoked first", ErrConflict)
		}
		return err
	}
	return nil
}

// Runners returns all runners that ever connected and were not removed.
func (s *Store) Runners(ctx context.Context) ([]api.Runner, error) {
	rows, err := s.read.Runners(ctx)
	if err != nil {
		return nil, fmt.Errorf("runners: %w", err)
	}
	list := make([]api.Runner, len(rows))
	for i, r := range rows {
		if err := json.Unmarshal(r.State, &list[i]); err != nil {
			return nil, fmt.Errorf("runner %s: %w", r.ID, err)
		}
		list[i].Connected = false // who is that, only the dispatcher knows
	}
	return list, nil
}

// RemoveRunner forgets a runner that has no open session (else ErrConflict).
func (s *Store) RemoveRunner(ctx context.Context, id string) error {
	err := s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error {
		switch open, err := q.OpenSessionsOfRunner(ctx, id); {
		case err != nil:
			return err
		case open > 0:
			return fmt.Errorf("%w: it has %d open sessions", ErrConflict, open)
		}
		n, err := q.DeleteRunner(ctx, id)
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("runner %s: %w", id, err)
	}
	return nil
}
