package store

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
)

// Record adds an entry; its ID is not looked at.
func (s *Store) Record(ctx context.Context, e api.AuditEntry) error {
	err := s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error {
		return q.Record(ctx, sql.RecordParams{
			Time: nanos(e.Time), Actor: e.Actor, Action: e.Action, Target: e.Target, Detail: e.Detail, FromAddr: e.From,
		})
	})
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// AuditLog returns entries, newest first, at most limit (0: 100; at most 1000), and the cursor
// of the next page, if any.
func (s *Store) AuditLog(ctx context.Context, before string, limit int) ([]api.AuditEntry, string, error) {
	from := int64(math.MaxInt64)
	if before != "" {
		var err error
		if from, err = strconv.ParseInt(before, 10, 64); err != nil {
			return nil, "", fmt.Errorf("audit: %w: no such page", ErrNotFound)
		}
	}
	n := pageSize(limit)
	rows, err := s.read.AuditLog(ctx, from, n)
	if err != nil {
		return nil, "", fmt.Errorf("audit: %w", err)
	}
	list := make([]api.AuditEntry, len(rows))
	for i, r := range rows {
		list[i] = api.AuditEntry{
			ID: r.ID, Time: at(r.Time), Actor: r.Actor, Action: r.Action, Target: r.Target, Detail: r.Detail, From: r.FromAddr,
		}
	}
	next := ""
	if len(rows) == int(n) {
		next = strconv.FormatInt(rows[n-1].ID, 10)
	}
	return list, next, nil
}
