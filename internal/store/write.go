package store

import (
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"

	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
)

// What one transaction takes at most: more makes those wait longer who come first.
const (
	groupMax      = 1024
	groupBytesMax = 8 << 20
)

// ErrClosed says that the store was closed.
var ErrClosed = errors.New("the database is closed")

// writer owns the one connection that writes. Writes that wait at the same time share
// a transaction, and so a sync of the disk; each is undone alone if it fails.
type writer struct {
	dir  string
	db   *dbsql.DB
	conn *dbsql.Conn
	q    *sql.Queries
	// ops is not buffered: who waits to send is the queue, and may give up.
	ops  chan *op
	quit chan struct{} // closed by close
	done chan struct{} // closed when the goroutine has ended
}

// op is one write.
type op struct {
	do    func(ctx context.Context, q *sql.Queries) error
	bytes int // about what it writes
	err   error
	done  chan struct{} // closed by the writer
}

// startWriter migrates the database and starts to write.
func startWriter(ctx context.Context, dir string, db *dbsql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, conn, migrations()); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	q, err := sql.Prepare(ctx, conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	w := &writer{dir: dir, db: db, conn: conn, q: q, ops: make(chan *op), quit: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w, nil
}

// close lets the transaction that is open end.
func (w *writer) close() error {
	close(w.quit)
	<-w.done
	return errors.Join(w.conn.Close(), w.db.Close()) // and its statements
}

// write runs do in a transaction, and returns when that is on disk. If ctx ends before
// it has begun, nothing is done; do gets a context that does not end. do must not use
// anything but q, and may run only once.
func (s *Store) write(ctx context.Context, bytes int, do func(ctx context.Context, q *sql.Queries) error) error {
	o := &op{do: do, bytes: bytes, done: make(chan struct{})}
	select {
	case s.writer.ops <- o:
		<-o.done
		return understand(s.dir, o.err)
	case <-s.writer.quit:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) run() {
	defer close(w.done)
	for {
		select {
		case <-w.quit:
			return
		case o := <-w.ops:
			w.group(o)
		}
	}
}

// group collects the writes that wait, and makes them.
func (w *writer) group(first *op) {
	group, bytes := []*op{first}, first.bytes
	for len(group) < groupMax && bytes < groupBytesMax {
		select {
		case o := <-w.ops:
			group, bytes = append(group, o), bytes+o.bytes
			continue
		default:
		}
		break
	}
	for len(group) > 0 {
		n := w.commit(group)
		for _, o := range group[:n] {
			close(o.done)
		}
		group = group[n:]
	}
}

// commit makes writes in one transaction, and returns how many of them it has dealt
// with: all, or fewer if SQLite ended the transaction with an error.
func (w *writer) commit(group []*op) int {
	ctx := context.Background() // an interrupted write would undo the others, too
	if err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fail(group, err)
	}
	for i, o := range group {
		if err := w.one(ctx, o); err != nil {
			_ = w.exec(ctx, "ROLLBACK") // fails if SQLite did it already
			return fail(group[:i+1], err)
		}
	}
	if err := w.exec(ctx, "COMMIT"); err != nil {
		_ = w.exec(ctx, "ROLLBACK")
		return fail(group, err)
	}
	return len(group)
}

// one makes a write, or undoes it. It returns an error if the transaction has ended.
func (w *writer) one(ctx context.Context, o *op) error {
	if err := w.exec(ctx, "SAVEPOINT op"); err != nil {
		return err
	}
	if o.err = o.do(ctx, w.q); o.err != nil {
		if err := w.exec(ctx, "ROLLBACK TO op"); err != nil {
			return errors.Join(o.err, err)
		}
	}
	return w.exec(ctx, "RELEASE op")
}

func (w *writer) exec(ctx context.Context, statement string) error {
	if _, err := w.conn.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// fail gives err to those writes that had none of their own.
func fail(group []*op, err error) int {
	for _, o := range group {
		if o.err == nil {
			o.err = err
		}
	}
	return len(group)
}
