package store

import (
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite" // the driver, and its errors

	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
)

// Files in the data directory.
const (
	dbFile      = "control-plane.db"
	dataLock    = "lock"       // held by the process that has it open
	sweepLock   = "sweep.lock" // shared: no artifact goes away meanwhile
	copyPattern = "backup-*.tmp"
)

// What connections may cache, in KiB: the control plane's memory is bounded, and the
// kernel caches the file anyway.
const (
	readers     = 4
	readerCache = 512
	writerCache = 4096
)

// ErrLocked says that another process has the data directory open.
var ErrLocked = errors.New("another process uses this data directory")

// Store is an open database.
type Store struct {
	dir    string
	lock   *os.File
	readDB *dbsql.DB
	read   *sql.Queries
	events *dbsql.Stmt // selectEvents
	writer *writer
	busy   busy             // artifacts that are being received
	now    func() time.Time // of what runners report
}

// Open opens or creates the database in dir, and migrates it. It returns an error that
// says so if a newer version of the program wrote it, or another process has it open.
func Open(ctx context.Context, dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, partialDir), 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, dataLock), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	s := &Store{dir: dir, lock: lock, now: time.Now}
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("database in %s: %w", dir, err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	path := filepath.Join(s.dir, dbFile)
	if err := s.sweepCopies(); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // SQLite would let others read it
	if err != nil {
		return err
	}
	f.Close()
	w, err := connect(path, writerCache, "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(4000)",
		"journal_size_limit(67108864)")
	if err != nil {
		return err
	}
	w.SetMaxOpenConns(1)
	if s.writer, err = startWriter(ctx, s.dir, w); err != nil {
		w.Close()
		return err
	}
	if s.readDB, err = connect(path, readerCache, "query_only(1)"); err != nil {
		return err
	}
	s.readDB.SetMaxOpenConns(readers)
	s.readDB.SetMaxIdleConns(readers)
	if s.read, err = sql.Prepare(ctx, s.readDB); err != nil {
		return err
	}
	s.events, err = s.readDB.PrepareContext(ctx, selectEvents)
	return err
}

// Close waits for what is being written.
func (s *Store) Close() error {
	var errs []error
	if s.readDB != nil {
		errs = append(errs, s.readDB.Close()) // and its statements
	}
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// connect returns a pool of connections to the database at path.
func connect(path string, cacheKiB int, pragmas ...string) (*dbsql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}}
	q.Add("_pragma", "busy_timeout(5000)")
	q.Add("_pragma", fmt.Sprintf("cache_size(-%d)", cacheKiB))
	q.Add("_pragma", "foreign_keys(1)")
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	return dbsql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String())
}

// lockFile makes and locks a file: for as long as it is open, or the process lives. With
// LOCK_NB it does not wait, but returns ErrLocked.
func lockFile(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, err
	}
	return f, nil
}

// understand turns an error of the database into one of this package, if it is one.
func understand(dir string, err error) error {
	if errors.Is(err, dbsql.ErrNoRows) {
		return ErrNotFound
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	const full, ioerr = 13, 10 // SQLITE_FULL, SQLITE_IOERR
	switch e.Code() & 0xff {
	case full:
		return fmt.Errorf("%w: %w", ErrFull, err)
	case ioerr: // fsync and the shared memory say nothing of ENOSPC
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && st.Bavail*uint64(st.Bsize) < 1<<20 {
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
	return err
}
