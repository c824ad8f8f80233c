package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
)

// roomMin is how many bytes a disk must have for a store that is well: some of the
// largest batches, and what SQLite writes beside them.
const roomMin = 32 << 20

// Check returns why nothing can be written, if so: ErrFull, or what the database says.
func (s *Store) Check(ctx context.Context) error {
	_, free, err := s.Disk()
	if err == nil && free < roomMin {
		err = fmt.Errorf("%w: %d MB are free", ErrFull, free/1e6)
	}
	if err != nil {
		return err
	}
	return s.write(ctx, 0, func(context.Context, *sql.Queries) error { return nil })
}

// Disk returns how large the database is, without artifacts, and how much room its disk
// has, in bytes.
func (s *Store) Disk() (database, free int64, err error) {
	for _, name := range []string{dbFile, dbFile + "-wal"} {
		info, err := os.Stat(filepath.Join(s.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, 0, fmt.Errorf("database: %w", err)
		}
		database += info.Size()
	}
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		return 0, 0, fmt.Errorf("disk of %s: %w", s.dir, err)
	}
	return database, int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // their types differ between systems
}
