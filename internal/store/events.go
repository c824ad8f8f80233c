package store

import (
	"context"
	dbsql "database/sql"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

// What is read at a time, so that a slow reader holds neither memory nor a transaction.
const (
	chunkEvents = 256
	chunkBytes  = 1 << 20 // and one event
)

// selectEvents is not sqlc's: that would read all rows, of any size, before it returns. Without the
// plus signs, SQLite plans it anew whenever a bound changes, which takes four times as long as to run it.
const selectEvents = `SELECT id, v, time, type, data, raw_form, CASE WHEN ?1 THEN raw ELSE NULL END
FROM events WHERE id > +?2 AND id <= +?3 ORDER BY id LIMIT ?4`

// Events calls yield with the stored events of a session after number after, in order, as far
// as there are any, at most limit (0: all). An error of yield ends it, and is returned. What
// yield gets is its own.
func (s *Store) Events(ctx context.Context, session string, after uint64, raw bool, limit int, yield func(*api.Event) error) error {
	row, err := s.read.SessionKey(ctx, session)
	if err != nil {
		return fmt.Errorf("session %s: events: %w", session, understand(s.dir, err))
	}
	if limit <= 0 {
		limit = math.MaxInt
	}
	for limit > 0 && after < uint64(row.LastSeq) {
		chunk, err := s.chunk(ctx, session, row.Key, after, raw, min(limit, chunkEvents))
		if err != nil {
			return fmt.Errorf("session %s: events: %w", session, err)
		}
		if len(chunk) == 0 {
			return nil // removed meanwhile
		}
		for i := range chunk {
			after = chunk[i].Seq
			if err := yield(&chunk[i]); err != nil {
				return err
			}
		}
		limit -= len(chunk)
	}
	return nil
}

// chunk reads some events.
func (s *Store) chunk(ctx context.Context, session string, key int64, after uint64, raw bool, limit int) ([]api.Event, error) {
	rows, err := s.events.QueryContext(ctx, raw, eventID(key, after), eventID(key, math.MaxUint32), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []api.Event
	bytes := 0
	for bytes < chunkBytes && rows.Next() {
		e, err := scanEvent(rows)
		if err != nil {
			return nil, err
		}
		e.Session = session
		list, bytes = append(list, e), bytes+len(e.Data)+len(e.Raw)+len(e.RawBytes)
	}
	return list, rows.Err()
}

func scanEvent(rows *dbsql.Rows) (api.Event, error) {
	var e api.Event
	var id, when, form int64
	var data, raw []byte
	if err := rows.Scan(&id, &e.V, &when, &e.Type, &data, &form, &raw); err != nil {
		return e, err
	}
	e.Seq, e.Time = uint64(id&math.MaxUint32), time.Unix(0, when).UTC() // 0 is 1970, not none
	if len(data) > 0 {
		e.Data = data
	}
	switch {
	case raw == nil:
	case form == rawJSON:
		e.Raw = raw
	case form == rawBytes:
		e.RawBytes = raw
	case form == rawRef:
		e.RawRef = new(api.RawRef)
		if err := json.Unmarshal(raw, e.RawRef); err != nil {
			return e, err
		}
	}
	return e, nil
}
