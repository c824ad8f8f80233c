package credential

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// lockName is beside the login file: that is what all runners on a machine
	// have in common, whatever their state directories are.
	lockName     = ".ratchetai-keeper"
	backupSuffix = ".last-good"
)

var errKeeperBusy = errors.New("another keeper renews this login")

// keeperLock is the right to renew the login of a directory. The kernel gives it
// up with the process that holds it. The file also holds the last failure.
type keeperLock struct{ f *os.File }

// failure is what the lock file holds while a login is not renewed:
//
//	{"file":"5f3c…","count":2,"next":"2026-11-25T16:00:00Z","text":"…"}
type failure struct {
	File  string    `json:"file"` // SHA-256 of the login file that it is about
	Count int       `json:"count"`
	Next  time.Time `json:"next"` // when to try again
	Text  string    `json:"text"`
}

func lockKeeper(path string) (*keeperLock, error) {
	name := filepath.Join(filepath.Dir(path), lockName)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	_ = sameOwner(path)(name) // or root's runner would shut the owner's out
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errKeeperBusy
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return &keeperLock{f}, nil
}

// release gives the lock up at once, even if a process that is just being started
// has a copy of the descriptor.
func (k *keeperLock) release() {
	_ = unix.Flock(int(k.f.Fd()), unix.LOCK_UN)
	k.f.Close()
}

// fail records that the login in data, which may be lost, was not renewed.
func (k *keeperLock) fail(data []byte, err error) failure {
	f := failure{File: sum(data), Count: 1, Text: short(err.Error())}
	if last := loadFailure(k.f.Name(), data); last.Count > 0 {
		f.Count = last.Count + 1
	}
	pause := keepMost
	if f.Count < 7 {
		pause = keepFirst << (f.Count - 1)
	}
	f.Next = time.Now().Add(min(pause, keepMost)).UTC()
	text, _ := json.Marshal(f) // strings, a number and a time
	// In one write, for those that read meanwhile; what is left of an older text
	// follows for a moment. Without the record, the next try comes too early.
	_, _ = k.f.WriteAt(text, 0)
	_ = k.f.Truncate(int64(len(text)))
	return f
}

func (k *keeperLock) clear() { _ = k.f.Truncate(0) }

// loadFailure returns the failure that is recorded beside path for a login file
// with content data; the zero value if there is none.
func loadFailure(path string, data []byte) failure {
	var f failure
	text, err := readFile(filepath.Join(filepath.Dir(path), lockName))
	if err != nil || json.NewDecoder(bytes.NewReader(text)).Decode(&f) != nil || f.File != sum(data) {
		return failure{}
	}
	return f
}

func (f failure) err(path string) error {
	if f.Count == 0 {
		return nil
	}
	return fmt.Errorf("%w (%s): %s", ErrNotRenewed, path, f.Text)
}

// short bounds what a vendor's CLI had to say.
func short(text string) string {
	const textMax = 1000
	if len(text) > textMax {
		text = strings.ToValidUTF8(text[:textMax], "") + "…"
	}
	return text
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// sameOwner gives a new file the owner that the file at path has, as far as this
// process may.
func sameOwner(path string) func(string) error {
	return func(name string) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			return os.Lchown(name, int(s.Uid), int(s.Gid))
		}
		return nil
	}
}
