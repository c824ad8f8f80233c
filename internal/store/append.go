package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Batch is consecutive events of one session.
type Batch struct {
	Session string
	Token   int64
	Runner  string // id; the session must be its
	Events  []api.Event
}

// Appended says what a batch changed.
type Appended struct {
	Acked uint64
	New   int // events that were not known before
	// Finished: the batch had the session's last event, for the first time; Task is then
	// what became of its task.
	Finished *task.Session
	Task     *task.Task
	Asks     bool // an ask was opened or answered
}

// What the database has of an event's raw.
const (
	rawNone = iota
	rawJSON
	rawBytes
	rawRef // JSON of api.RawRef
)

// Append stores the new events of b, ignores those that it has, and returns the highest number
// up to which all are there. Many calls at a time share one commit. It returns GapError, ErrFenced,
// ErrNotFound or ErrFull; then nothing of b was stored. Nothing follows a session's last event:
// that is ErrFenced, too.
func (s *Store) Append(ctx context.Context, b Batch) (Appended, error) {
	var a Appended
	bytes := 0
	for i := range b.Events {
		bytes += len(b.Events[i].Data) + len(b.Events[i].Raw) + len(b.Events[i].RawBytes)
	}
	err := s.write(ctx, bytes, func(ctx context.Context, q *sql.Queries) (err error) {
		a, err = s.append(ctx, q, b)
		return err
	})
	if err != nil {
		return Appended{}, fmt.Errorf("session %s: events: %w", b.Session, err)
	}
	return a, nil
}

func (s *Store) append(ctx context.Context, q *sql.Queries, b Batch) (Appended, error) {
	st, err := q.AppendState(ctx, b.Session)
	if err != nil {
		return Appended{}, err
	}
	fresh, err := admit(st, b)
	if err != nil || len(fresh) == 0 {
		return Appended{Acked: uint64(st.LastSeq)}, err
	}
	p := projection{key: st.Key}
	for i := range fresh {
		if err := insertEvent(ctx, q, st.Key, &fresh[i]); err != nil {
			return Appended{}, err
		}
		if err := p.see(ctx, q, &fresh[i]); err != nil {
			return Appended{}, err
		}
	}
	last := fresh[len(fresh)-1].Seq
	a := Appended{Acked: last, New: len(fresh), Asks: p.asks}
	if !p.changes() {
		return a, q.SetLastSeq(ctx, int64(last), st.Key)
	}
	return a, p.apply(ctx, q, b.Session, last, s.now(), &a)
}

// admit returns those events of b that are to be stored.
func admit(st sql.AppendStateRow, b Batch) ([]api.Event, error) {
	switch {
	case st.Runner != b.Runner:
		return nil, ErrNotFound
	case st.Key != b.Token:
		return nil, ErrFenced
	case len(b.Events) == 0:
		return nil, nil
	}
	acked, first := uint64(st.LastSeq), b.Events[0].Seq
	for i := range b.Events {
		if seq := b.Events[i].Seq; seq != first+uint64(i) || seq == 0 || seq > math.MaxUint32 {
			return nil, GapError{Acked: acked}
		}
	}
	switch last := b.Events[len(b.Events)-1].Seq; {
	case last <= acked:
		return nil, nil // the answer to these was lost
	case st.Newest != b.Session || st.State == string(task.Ended):
		return nil, ErrFenced
	case first > acked+1:
		return nil, GapError{Acked: acked}
	}
	return b.Events[acked+1-first:], nil
}

func insertEvent(ctx context.Context, q *sql.Queries, key int64, e *api.Event) error {
	p := sql.InsertEventParams{
		ID: eventID(key, e.Seq), V: int64(e.V), Time: nanos(e.Time), Type: e.Type, Data: some(e.Data), Raw: []byte{},
	}
	switch {
	case e.Raw != nil:
		p.RawForm, p.Raw = rawJSON, some(e.Raw)
	case e.RawBytes != nil:
		p.RawForm, p.Raw = rawBytes, e.RawBytes
	case e.RawRef != nil:
		ref, err := json.Marshal(e.RawRef)
		if err != nil {
			return err
		}
		p.RawForm, p.Raw = rawRef, ref
	}
	return q.InsertEvent(ctx, p)
}

// eventID is the place of a session's event: see the table.
func eventID(key int64, seq uint64) int64 { return key<<32 | int64(seq) }

// some is b, or what the database does not take for NULL.
func some(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
