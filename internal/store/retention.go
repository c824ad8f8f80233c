package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// What one transaction removes at most.
const (
	removeTasks  = 100 // are looked up at a time
	removeEvents = 2000
	removeAudit  = 1000 // as the query says
)

// Retention removes finished tasks, with their sessions, events and artifacts, that
// finished before a time, audit entries likewise, and tokens that expired or were revoked
// before it. It works in small transactions, and returns how many tasks it removed.
func (s *Store) Retention(ctx context.Context, before time.Time) (int, error) {
	n, err := s.retain(ctx, nanos(before))
	if err == nil {
		err = s.sweep(ctx, before)
	}
	if err != nil {
		return n, fmt.Errorf("retention: %w", err)
	}
	return n, nil
}

func (s *Store) retain(ctx context.Context, before int64) (n int, err error) {
	for {
		ids, err := s.read.FinishedTasks(ctx, before, removeTasks)
		if err != nil {
			return n, err
		}
		if len(ids) == 0 {
			break
		}
		for _, id := range ids {
			err := s.removeTask(ctx, id, before)
			if errors.Is(err, ErrConflict) {
				continue
			}
			if err != nil {
				return n, err
			}
			n++
		}
	}
	for rows := int64(removeAudit); rows == removeAudit; {
		err := s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) (err error) {
			rows, err = q.DeleteAudit(ctx, before)
			return err
		})
		if err != nil {
			return n, err
		}
	}
	return n, s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error {
		_, err := q.DeleteTokens(ctx, before)
		return err
	})
}

// removeTask removes a task and all that belongs to it. ErrConflict if it was queued again
// meanwhile.
func (s *Store) removeTask(ctx context.Context, id string, before int64) error {
	sessions, err := s.read.SessionsOfTask(ctx, id, math.MaxInt64, math.MaxInt32)
	if err != nil {
		return err
	}
	for _, row := range sessions {
		for seq := uint64(0); seq < uint64(row.LastSeq); seq += removeEvents {
			first, last := eventID(row.Key, seq), eventID(row.Key, seq+removeEvents)
			err := s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error {
				if err := expired(ctx, q, id, before); err != nil {
					return err
				}
				_, err := q.DeleteEvents(ctx, first, last)
				return err
			})
			if err != nil {
				return err
			}
		}
		names, err := s.read.ArtifactNames(ctx, row.Key)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := remove(s.partialPath(row.ID, name)); err != nil {
				return err
			}
		}
	}
	return s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error {
		if err := expired(ctx, q, id, before); err != nil {
			return err
		}
		for _, row := range sessions {
			for _, del := range []func(context.Context, int64) error{q.DeleteCommands, q.DeleteAsks, q.DeleteArtifacts, q.DeleteSession} {
				if err := del(ctx, row.Key); err != nil {
					return err
				}
			}
		}
		return q.DeleteTask(ctx, id)
	})
}

// expired returns ErrConflict unless the task finished before a time.
func expired(ctx context.Context, q *sql.Queries, id string, before int64) error {
	t, err := q.Task(ctx, id)
	if err == nil && (t.State != string(task.Finished) || t.FinishedAt >= before) {
		err = ErrConflict
	}
	return err
}

// sweep removes files that no artifact is made of, unless somebody needs that they stay:
// then the next sweep does.
func (s *Store) sweep(ctx context.Context, before time.Time) error {
	lock, err := lockFile(filepath.Join(s.dir, sweepLock), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	return filepath.WalkDir(filepath.Join(s.dir, artifactDir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if filepath.Base(filepath.Dir(path)) == filepath.Base(partialDir) {
			if info, err := d.Info(); err == nil && info.ModTime().Before(before) {
				return remove(path)
			}
			return nil
		}
		n, err := s.read.ArtifactsWith(ctx, d.Name())
		if err == nil && n == 0 {
			err = remove(path)
		}
		return err
	})
}

// sweepCopies removes what a backup left that was killed.
func (s *Store) sweepCopies() error {
	lock, err := lockFile(filepath.Join(s.dir, sweepLock), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	left, err := filepath.Glob(filepath.Join(s.dir, copyPattern))
	for _, path := range left {
		err = errors.Join(err, remove(path))
	}
	return err
}

// remove removes a file, if it is there.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
