package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
)

// Complete artifacts lie in artifactDir by the hash of their content, those that are being
// received in partialDir by the hash of session and name.
const (
	artifactDir = "artifacts"
	partialDir  = artifactDir + "/partial"
)

// ArtifactState is what is stored of an artifact so far.
type ArtifactState struct {
	Size     int64
	SHA256   string
	Received int64
	Complete bool
}

// busy has the artifacts that a call of PutArtifact writes now.
type busy struct {
	mu    sync.Mutex
	paths map[string]bool
}

// take reserves a path; ErrConflict if somebody has it.
func (b *busy) take(path string) (release func(), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.paths[path] {
		return nil, fmt.Errorf("%w: it is being received already", ErrConflict)
	}
	if b.paths == nil {
		b.paths = map[string]bool{}
	}
	b.paths[path] = true
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.paths, path)
	}, nil
}

// Artifact returns the state of one, or ErrNotFound.
func (s *Store) Artifact(ctx context.Context, session, name string) (ArtifactState, error) {
	a, err := s.artifact(ctx, session, name)
	if err != nil {
		return ArtifactState{}, fmt.Errorf("session %s: artifact %s: %w", session, name, err)
	}
	return a, nil
}

func (s *Store) artifact(ctx context.Context, session, name string) (ArtifactState, error) {
	row, err := s.read.Artifact(ctx, session, name)
	if err != nil {
		return ArtifactState{}, understand(s.dir, err)
	}
	a := ArtifactState{Size: row.Size, SHA256: row.Sha256, Received: row.Size, Complete: row.Complete == 1}
	if !a.Complete {
		a.Received = 0
		if st, err := os.Stat(s.partialPath(session, name)); err == nil {
			a.Received = st.Size()
		}
	}
	return a, nil
}

func (s *Store) partialPath(session, name string) string {
	return filepath.Join(s.dir, partialDir, checksum([]byte(session+"\x00"+name)))
}

func (s *Store) artifactPath(sha256 string) string {
	return filepath.Join(s.dir, artifactDir, sha256[:2], sha256)
}

// PutArtifact adds bytes from r at offset, which must not be behind what was received so far (else ErrConflict).
// When all of size are there, their hash is compared, and a mismatch starts anew with ErrConflict.
// What r gave before an error is kept. b says whose lease it is; its events are not looked at.
func (s *Store) PutArtifact(ctx context.Context, b Batch, name string, size int64, sha256 string, offset int64, r io.Reader) (ArtifactState, error) {
	a, err := s.putArtifact(ctx, b, name, ArtifactState{Size: size, SHA256: strings.ToLower(sha256)}, offset, r)
	if err != nil {
		return a, fmt.Errorf("session %s: artifact %s: %w", b.Session, name, err)
	}
	return a, nil
}

func (s *Store) putArtifact(ctx context.Context, b Batch, name string, want ArtifactState, offset int64, r io.Reader) (ArtifactState, error) {
	if d, err := hex.DecodeString(want.SHA256); err != nil || len(d) != sha256.Size || want.Size < 0 {
		return want, fmt.Errorf("%w: its size or SHA-256 is none", ErrConflict)
	}
	path := s.partialPath(b.Session, name)
	release, err := s.busy.take(path)
	if err != nil {
		return want, err
	}
	defer release()
	have, err := s.beginArtifact(ctx, b, name, want)
	if err != nil || have.Complete {
		return have, err
	}
	if offset < 0 || offset > have.Received {
		return have, fmt.Errorf("%w: %d bytes of it are here", ErrConflict, have.Received)
	}
	if have.Received, err = receive(path, offset, want.Size, r); err != nil || have.Received < want.Size {
		return have, diskFull(err)
	}
	if err := s.keepArtifact(ctx, b, name, path, want); err != nil {
		return have, diskFull(err)
	}
	have.Complete = true
	return have, nil
}

// beginArtifact checks the lease, and returns what is there of the artifact.
func (s *Store) beginArtifact(ctx context.Context, b Batch, name string, want ArtifactState) (ArtifactState, error) {
	have, err := s.artifact(ctx, b.Session, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return want, err
	}
	same := err == nil && have.SHA256 == want.SHA256 && have.Size == want.Size
	err = s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error {
		st, err := q.AppendState(ctx, b.Session)
		switch {
		case err != nil:
			return err
		case st.Runner != b.Runner:
			return ErrNotFound
		case st.Key != b.Token || st.Newest != b.Session:
			return ErrFenced
		case have.Complete && !same:
			return fmt.Errorf("%w: there is another one of this name", ErrConflict)
		case same:
			return nil
		}
		return q.PutArtifact(ctx, sql.PutArtifactParams{Session: st.Key, Name: name, Size: want.Size, Sha256: want.SHA256})
	})
	if err != nil || same {
		return have, err
	}
	return want, remove(s.partialPath(b.Session, name))
}

// receive adds r to the file at path, up to size in all, and returns how much is there.
func receive(path string, offset, size int64, r io.Reader) (int64, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return offset, err
	}
	n, err := io.Copy(f, io.LimitReader(r, size-offset))
	if err != nil {
		return offset + n, err
	}
	if more, _ := r.Read(make([]byte, 1)); more > 0 {
		return offset + n, fmt.Errorf("%w: it has more than its %d bytes", ErrConflict, size)
	}
	return offset + n, f.Sync()
}

// keepArtifact moves the complete file at path to where its content belongs.
func (s *Store) keepArtifact(ctx context.Context, b Batch, name, path string, want ArtifactState) error {
	sum, err := sumFile(path)
	if err != nil {
		return err
	}
	if sum != want.SHA256 {
		return errors.Join(fmt.Errorf("%w: the bytes have another SHA-256: send it anew", ErrConflict), os.Remove(path))
	}
	// Until the row says that it is complete, the sweep would take the file away.
	sweeping, err := lockFile(filepath.Join(s.dir, sweepLock), unix.LOCK_SH)
	if err != nil {
		return err
	}
	defer sweeping.Close()
	target := s.artifactPath(sum)
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	if err := os.Rename(path, target); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(target)); err != nil {
		return err
	}
	return s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error {
		key, err := q.SessionKey(ctx, b.Session)
		if err != nil {
			return err
		}
		p := sql.PutArtifactParams{Session: key.Key, Name: name, Size: want.Size, Sha256: sum, Complete: 1}
		return q.PutArtifact(ctx, p)
	})
}

// OpenArtifact opens a complete one for reading; the caller closes it.
func (s *Store) OpenArtifact(ctx context.Context, session, name string) (io.ReadSeekCloser, ArtifactState, error) {
	a, err := s.Artifact(ctx, session, name)
	if err != nil {
		return nil, a, err
	}
	if !a.Complete {
		return nil, a, fmt.Errorf("session %s: artifact %s: %w: %d of %d bytes are here", session, name, ErrNotFound, a.Received, a.Size)
	}
	f, err := os.Open(s.artifactPath(a.SHA256))
	if err != nil {
		return nil, a, fmt.Errorf("session %s: artifact %s: %w", session, name, err)
	}
	return f, a, nil
}

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// syncDir makes the names in a directory last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// diskFull is err, as ErrFull if it is that.
func diskFull(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
