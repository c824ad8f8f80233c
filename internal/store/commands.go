package store

import (
	"context"
	dbsql "database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

const (
	commandsMax   = 10_000 // how many a session takes
	commandsChunk = 16     // how many are read at a time
)

// AddCommand queues a command for an open session. With an ID that the session has already, it
// returns that one and added is false. ErrConflict if the session has ended.
func (s *Store) AddCommand(ctx context.Context, session string, c api.NewCommand, by string, now time.Time) (cmd api.Command, added bool, err error) {
	if c.ID == "" {
		c.ID = uuid.NewString()
	}
	body, err := json.Marshal(c)
	if err != nil {
		return cmd, false, fmt.Errorf("command: %w", err)
	}
	err = s.write(ctx, len(body), func(ctx context.Context, q *sql.Queries) error {
		row, err := q.Session(ctx, session)
		if err != nil {
			return err
		}
		known, err := q.Command(ctx, row.Key, c.ID)
		if err == nil {
			cmd, err = toCommand(session, known)
			return err
		}
		if !errors.Is(err, dbsql.ErrNoRows) {
			return err
		}
		if !task.SessionState(row.State).Open() {
			return fmt.Errorf("%w: it is %s", ErrConflict, row.State)
		}
		if row.Commands >= commandsMax {
			return fmt.Errorf("%w: it has %d commands already", ErrConflict, commandsMax)
		}
		seq, err := q.CountCommand(ctx, row.Key)
		if err != nil {
			return err
		}
		p := sql.InsertCommandParams{Session: row.Key, Seq: seq, ID: c.ID, CreatedAt: nanos(now), CreatedBy: by, Body: body}
		if err := q.InsertCommand(ctx, p); err != nil {
			return err
		}
		added = true
		cmd, err = toCommand(session, sql.Command(p))
		return err
	})
	if err != nil {
		return api.Command{}, false, fmt.Errorf("session %s: command: %w", session, err)
	}
	return cmd, added, nil
}

// Command returns a session's command of an id, or ErrNotFound.
func (s *Store) Command(ctx context.Context, session, id string) (api.Command, error) {
	key, err := s.read.SessionKey(ctx, session)
	if err != nil {
		return api.Command{}, fmt.Errorf("session %s: command: %w", session, understand(s.dir, err))
	}
	row, err := s.read.Command(ctx, key.Key, id)
	if err != nil {
		return api.Command{}, fmt.Errorf("session %s: command %s: %w", session, id, understand(s.dir, err))
	}
	return toCommand(session, row)
}

// Commands returns those of a session after number after, at most limit, or fewer if they are long.
func (s *Store) Commands(ctx context.Context, session string, after int64, limit int) ([]api.Command, error) {
	key, err := s.read.SessionKey(ctx, session)
	if err != nil {
		return nil, fmt.Errorf("session %s: commands: %w", session, understand(s.dir, err))
	}
	var list []api.Command
	for left, bytes := pageSize(limit), 0; left > 0 && bytes < pageBytesMax; {
		n := min(left, commandsChunk)
		rows, err := s.read.Commands(ctx, key.Key, after, n)
		if err != nil {
			return nil, fmt.Errorf("session %s: commands: %w", session, err)
		}
		for _, r := range rows {
			c, err := toCommand(session, r)
			if err != nil {
				return nil, err
			}
			list, after, bytes = append(list, c), r.Seq, bytes+len(r.Body)
		}
		if left -= n; len(rows) < int(n) {
			break
		}
	}
	return list, nil
}

func toCommand(session string, r sql.Command) (api.Command, error) {
	var c api.NewCommand
	if err := json.Unmarshal(r.Body, &c); err != nil {
		return api.Command{}, fmt.Errorf("command %s: %w", r.ID, err)
	}
	return api.Command{
		Session: session, Seq: r.Seq, ID: r.ID, Kind: c.Kind, Text: c.Text, Priority: c.Priority, Answer: c.Answer,
		CreatedAt: at(r.CreatedAt), CreatedBy: r.CreatedBy,
	}, nil
}
