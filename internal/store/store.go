// Package store is the control plane's database: SQLite in one file, reached by SQL
// that sqlc turned into Go (package sql), with forward-only migrations.
//
//	calls that write ─> writer (one goroutine, one connection) ─> a transaction for all that wait ─> fsync
//	calls that read  ─> a few connections, which do not wait for the writer
//
// Every exported method that writes is one transaction. What it writes is on disk when
// it returns; if it returns an error, nothing was written. Methods are safe for
// concurrent use. A method returns ctx's error if ctx ends before it has begun to write.
//
// The data directory belongs to one process: control-plane.db with SQLite's own -wal and
// -shm, artifacts/ (files by the SHA-256 of their content), and lock files.
package store

import "errors"

// Errors that callers tell apart.
var (
	ErrNotFound = errors.New("not found")
	// ErrConflict: it is not in a state in which this can be done.
	ErrConflict = errors.New("conflict")
	// ErrFenced: the lease was lost to another attempt.
	ErrFenced = errors.New("the lease is lost")
	// ErrFull: no disk is left; nothing was written.
	ErrFull = errors.New("no space left for the database")
)

// GapError says that events before the first of a batch are missing.
type GapError struct{ Acked uint64 }

func (e GapError) Error() string { return "events are missing" }
