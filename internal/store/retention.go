package store

import (
	"context"
	"time"
)

// Retention TODO
func (s *Store) Retention(ctx context.Context, before time.Time) (int, error) { return 0, nil }
