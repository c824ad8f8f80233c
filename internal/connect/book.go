package connect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// fenced is the state, on this side only, of a session whose lease is lost: it is ended, not
// reported, and its journal stays here.
const fenced task.SessionState = "fenced"

// lease is what the daemon knows of one lease, as sessions/ID/lease.json has it until the
// control plane has everything.
type lease struct {
	URL     string            `json:"url"` // of the control plane
	Session string            `json:"session"`
	Token   int64             `json:"token"`
	Attempt int               `json:"attempt"`
	Task    task.Task         `json:"task"`
	State   task.SessionState `json:"state"` // accepted, running, finished, returned, declined or fenced
	Reason  string            `json:"reason,omitempty"`
	Acked   int64             `json:"acked,omitempty"` // the last command that is in the journal
	Stored  uint64            `json:"stored"`          // events that the control plane has, at least
	// Local: `run` announced it and drives it.
	Local bool `json:"local,omitempty"`
}

func newLease(url string, l api.Lease) lease {
	return lease{URL: url, Session: l.Session, Token: l.Token, Attempt: l.Attempt, Task: l.Task, State: task.Accepted}
}

// book keeps leases in the sessions' directories.
type book struct{ store *runner.Store }

// save replaces the lease's file at once; durably, if sync is set.
func (b book) save(l lease, sync bool) error {
	dir, err := b.store.Reserve(l.Session)
	if err != nil {
		return fmt.Errorf("keep the lease: %w", err)
	}
	data, err := json.Marshal(l)
	if err == nil {
		err = replace(filepath.Join(dir, runner.LeaseFile), data, sync)
	}
	if err != nil {
		return fmt.Errorf("keep the lease of session %s: %w", l.Session, err)
	}
	return nil
}

func replace(name string, data []byte, sync bool) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".lease-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(data, '\n'))
	if sync && err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// forget removes the lease, and the directory of a session that was never created.
func (b book) forget(id string) error {
	dir := b.store.Journal(id)
	if err := os.Remove(filepath.Join(dir, runner.LeaseFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the lease of session %s: %w", id, err)
	}
	_ = os.Remove(dir) // unless something is in it
	return nil
}

// load returns all leases, oldest first. A file that cannot be read is part of the error.
func (b book) load() (all []lease, err error) {
	ids, err := b.store.Reserved()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		l, lerr := b.read(id)
		if lerr != nil {
			err = errors.Join(err, lerr)
			continue
		}
		all = append(all, l)
	}
	return all, err
}

func (b book) read(id string) (l lease, err error) {
	data, err := os.ReadFile(filepath.Join(b.store.Journal(id), runner.LeaseFile))
	if err == nil {
		err = json.Unmarshal(data, &l)
	}
	if err == nil && l.Session != id {
		err = errors.New("it is of another session")
	}
	if err != nil {
		return l, fmt.Errorf("lease of session %s: %w", id, err)
	}
	return l, nil
}
