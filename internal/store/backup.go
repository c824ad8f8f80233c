package store

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A backup is a tar archive: the database, the artifacts that it names, and at last
// backupEnd, without which the archive is cut.
const backupEnd = "backup.json"

// backupInfo is the content of backupEnd.
type backupInfo struct {
	Artifacts int    `json:"artifacts"`
	SHA256    string `json:"sha256"` // of the database; the artifacts' are their names
}

var artifactName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{64}$`) })

// Backup writes a consistent copy of the database and the artifacts in dir, as a tar stream;
// the control plane goes on meanwhile, in this process or another. It needs room in dir for
// another database.
func Backup(ctx context.Context, dir string, w io.Writer) error {
	if err := backup(ctx, dir, w); err != nil {
		return fmt.Errorf("backup of %s: %w", dir, diskFull(understand(dir, err)))
	}
	return nil
}

func backup(ctx context.Context, dir string, w io.Writer) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, dbFile)
	if _, err := os.Stat(path); err != nil {
		return err
	}
	// While this is held, no artifact is swept away.
	keep, err := lockFile(filepath.Join(dir, sweepLock), unix.LOCK_SH)
	if err != nil {
		return err
	}
	defer keep.Close()
	copied, err := copyDB(ctx, dir)
	if err != nil {
		return err
	}
	defer os.Remove(copied)
	tw := tar.NewWriter(w)
	sum, err := addFile(tw, copied, dbFile)
	if err != nil {
		return err
	}
	n, err := addArtifacts(ctx, tw, dir, copied)
	if err != nil {
		return err
	}
	info, err := json.Marshal(backupInfo{Artifacts: n, SHA256: sum})
	if err != nil {
		return err
	}
	if err := tw.WriteHeader(&tar.Header{Name: backupEnd, Mode: 0o600, Size: int64(len(info))}); err != nil {
		return err
	}
	if _, err := tw.Write(info); err != nil {
		return err
	}
	return tw.Close()
}

// copyDB makes a copy of the database as it is now, beside it.
func copyDB(ctx context.Context, dir string) (string, error) {
	db, err := connect(filepath.Join(dir, dbFile), readerCache)
	if err != nil {
		return "", err
	}
	defer db.Close()
	f, err := os.CreateTemp(dir, copyPattern)
	if err != nil {
		return "", err
	}
	f.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", f.Name()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// addArtifacts adds those that the database at path names, and says how many.
func addArtifacts(ctx context.Context, tw *tar.Writer, dir, path string) (n int, err error) {
	db, err := connect(path, readerCache)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "SELECT DISTINCT sha256 FROM artifacts WHERE complete = 1")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var sum string
		if err := rows.Scan(&sum); err != nil {
			return n, err
		}
		name := artifactDir + "/" + sum[:2] + "/" + sum
		have, err := addFile(tw, filepath.Join(dir, name), name)
		if err == nil && have != sum {
			err = fmt.Errorf("artifact %s is damaged", sum) // Restore would refuse all
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, rows.Err()
}

// addFile adds a file, and returns its SHA-256.
func addFile(tw *tar.Writer, path, name string) (sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: st.Size()}); err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(tw, h), f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// Restore makes the directory dir of what Backup wrote. dir must not hold a database
// (fs.ErrExist). An archive that is cut or damaged leaves none.
func Restore(ctx context.Context, dir string, r io.Reader) error {
	if err := restore(ctx, dir, r); err != nil {
		return fmt.Errorf("restore to %s: %w", dir, diskFull(err))
	}
	return nil
}

func restore(ctx context.Context, dir string, r io.Reader) error {
	path := filepath.Join(dir, dbFile)
	for _, name := range []string{path, path + "-wal"} { // of which SQLite would take the changes for the new one's
		if _, err := os.Stat(name); err == nil {
			return fmt.Errorf("there is a database, %s: %w", filepath.Base(name), fs.ErrExist)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	lock, err := lockFile(filepath.Join(dir, dataLock), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return err
	}
	defer lock.Close()
	copied := filepath.Join(dir, "restored.tmp")
	defer os.Remove(copied)
	if err := extract(ctx, dir, copied, r); err != nil {
		return err
	}
	if err := os.Rename(copied, path); err != nil {
		return err
	}
	return syncDir(dir)
}

// extract writes the files of an archive, the database to the path copied.
func extract(ctx context.Context, dir, copied string, r io.Reader) error {
	tr := tar.NewReader(r)
	database := ""
	for n := 0; ; {
		h, err := tr.Next()
		if err != nil {
			return fmt.Errorf("the archive is cut, or no backup: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		sum := filepath.Base(h.Name)
		switch {
		case h.Name == backupEnd:
			var info backupInfo
			if err := json.NewDecoder(io.LimitReader(tr, 1<<10)).Decode(&info); err != nil || info.Artifacts != n {
				return fmt.Errorf("the archive is damaged: it has %d of %d artifacts", n, info.Artifacts)
			}
			if info.SHA256 != "" && database != "" && database != info.SHA256 {
				return errors.New("the archive is damaged: its database is not what was saved")
			}
			return checkDB(ctx, copied)
		case h.Name == dbFile:
			database, err = writeFile(copied, tr)
		case artifactName().MatchString(sum) && h.Name == artifactDir+"/"+sum[:2]+"/"+sum:
			n++
			err = restoreArtifact(filepath.Join(dir, h.Name), sum, tr)
		default:
			return fmt.Errorf("%q does not belong into a backup", h.Name)
		}
		if err != nil {
			return err
		}
	}
}

func restoreArtifact(path, sum string, r io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	have, err := writeFile(path, r)
	if err == nil && have != sum {
		err = errors.Join(fmt.Errorf("artifact %s is damaged", sum), os.Remove(path))
	}
	return err
}

// writeFile writes what r gives, and returns its SHA-256.
func writeFile(path string, r io.Reader) (sum string, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, h), r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), f.Sync()
}

// checkDB looks whether every page of the database at path can be read.
func checkDB(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil {
		return errors.New("the archive has no database")
	}
	db, err := connect(path, readerCache)
	if err != nil {
		return err
	}
	defer db.Close()
	var result string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result); err != nil {
		return fmt.Errorf("the database is damaged: %w", err)
	}
	if result != "ok" {
		return fmt.Errorf("the database is damaged: %s", strings.TrimSpace(result))
	}
	return nil
}
