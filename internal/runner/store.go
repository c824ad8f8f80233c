package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// Errors that callers tell apart.
var (
	// ErrNoSession: no session has this id, or several begin with it.
	ErrNoSession = errors.New("no such session")
	// ErrFinished: the session has ended.
	ErrFinished = errors.New("the session has ended")
	// ErrBusy: another runner drives the session at this moment.
	ErrBusy = errors.New("another runner drives this session")
	// ErrLeft: the engine is gone, and the session's agent may still work; or the disk is full, so
	// that its end could not be written down.
	ErrLeft = errors.New("left without an end")
)

// Record is what is known about a session before it begins. It is stored as
// session.json and never changes; everything later is in the journal.
type Record struct {
	ID        string        `json:"id"`
	Title     string        `json:"title"`
	Created   time.Time     `json:"created"`
	Agent     agent.Options `json:"agent"`
	Workspace string        `json:"workspace"` // directory on this machine
	User      string        `json:"user"`      // UID:GID
	Allow     []string      `json:"allow,omitempty"`
	// Permit are private addresses that allowed names may lead to.
	Permit []netip.Prefix `json:"permit,omitempty"`
	// AllowPaths are guarded paths of the workspace that stay writable.
	AllowPaths []string `json:"allow_paths,omitempty"`
	Login      string   `json:"login,omitempty"` // credential mode
	// Account is one of the runner's own logins; empty: the host's.
	Account string `json:"account,omitempty"`
	// Image is what the sandbox started from, From what that was made of.
	Image string `json:"image,omitempty"`
	From  Image  `json:"from,omitzero"`
	// Prepare is the command that runs in the sandbox before the agent.
	Prepare string `json:"prepare,omitempty"`
	// Deadline ends the session wherever its runner is.
	Deadline    time.Time      `json:"deadline"`
	OrphanAfter time.Duration  `json:"orphan_after"`
	AskTimeout  time.Duration  `json:"ask_timeout"`
	Limits      sandbox.Limits `json:"limits"`
	Budget      Budget         `json:"budget,omitzero"`
	Silence     time.Duration  `json:"silence,omitempty"` // that ends the session; 0: none does
	// RulesFile takes what is allowed always; Agent.Permissions has what was in it.
	RulesFile string `json:"rules_file,omitempty"`
	// Continues is the id of the session whose conversation goes on here.
	Continues string `json:"continues,omitempty"`
}

const (
	recordFile = "session.json"
	resultFile = "result.json"
)

// Store is the directory of all sessions of one runner on one machine:
//
//	runner-id                   who owns the containers
//	accounts/                   logins of the runner's own, credential.Accounts
//	helpers/                    of sandboxes that are no session's, while they run
//	sessions/ID/session.json    Record
//	           /lock            held by the runner that drives the session
//	           /lease.json      of a control plane's session, until that has all of it (package connect)
//	           /journal.ndjson  what happened
//	           /result.json     a copy of its last event
//	           /home/           the agent's home: its config and transcripts
//	           /login/          the projected login, while the session runs
//	           /secrets         what to redact besides it, while the session runs
//	           /mcp             the agent's MCP servers, while the session runs
//	           /sandbox/        package sandbox's, while the session runs
//	           /guarded.json    what guarded paths of the workspace held at the start, while the session runs
//	           /hold.json       what was made in the workspace, until that is removed
//	           /empty/          is mounted there
//	           /pinned.json     which paths of the workspace are mounted in the sandbox
type Store struct {
	root   string
	runner string

	mu      sync.Mutex
	unended map[string]Record   // by id, as beside last found them: they never change
	past    map[string]struct{} // ids that current leaves out
}

// OpenStore opens the store at root and creates it if necessary, readable by
// this user only.
func OpenStore(root string) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(root, "sessions"), 0o700); err != nil {
		return nil, fmt.Errorf("open session store: %w", err)
	}
	name := filepath.Join(root, "runner-id")
	id, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		id = []byte(uuid.NewString() + "\n")
		if err = writeFileOnce(name, id); errors.Is(err, fs.ErrExist) {
			id, err = os.ReadFile(name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open session store: %w", err)
	}
	return &Store{root: root, runner: strings.TrimSpace(string(id))}, nil
}

// writeFileOnce creates a file with its content at once; fs.ErrExist if there is one.
func writeFileOnce(name string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Link(tmp.Name(), name)
}

// Root is the directory that was opened.
func (s *Store) Root() string { return s.root }

func (s *Store) dir(id string) string { return filepath.Join(s.root, "sessions", id) }

// Journal returns the directory that package journal reads for session id.
func (s *Store) Journal(id string) string { return s.dir(id) }

// ID is the runner's: it owns its containers, and a control plane knows it by that.
func (s *Store) ID() string { return s.runner }

// LeaseFile is the file in a session's directory that keeps the directory before the
// session is created. Its content is the caller's.
const LeaseFile = "lease.json"

// Reserve returns the directory for a session that is to be created under this id.
func (s *Store) Reserve(id string) (string, error) {
	if err := checkID(id); err != nil {
		return "", err
	}
	return s.dir(id), os.MkdirAll(s.dir(id), 0o700)
}

// Reserved returns the ids of all sessions with a LeaseFile, oldest first.
func (s *Store) Reserved() ([]string, error) {
	ids, err := s.ids()
	return slices.DeleteFunc(ids, func(id string) bool { return checkID(id) != nil || !s.reserved(id) }), err
}

func (s *Store) reserved(id string) bool {
	_, err := os.Lstat(filepath.Join(s.dir(id), LeaseFile))
	return err == nil
}

// checkID refuses an id from elsewhere that is no UUID in its usual form: it becomes a
// path.
func checkID(id string) error {
	if u, err := uuid.Parse(id); err != nil || u.String() != id {
		return fmt.Errorf("session id %.50q is no UUID", id)
	}
	return nil
}

// create makes r's directory and takes its lock.
func (s *Store) create(r Record) (*lock, error) {
	if err := checkID(r.ID); err != nil {
		return nil, err
	}
	dir := s.dir(r.ID)
	for _, d := range []string{dir, filepath.Join(dir, "home"), filepath.Join(dir, "sandbox")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("create session %s: %w", r.ID, err)
		}
	}
	held, err := s.lock(r.ID)
	if err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = writeFileOnce(filepath.Join(dir, recordFile), append(data, '\n'))
	}
	if err != nil {
		held.release()
		return nil, fmt.Errorf("create session %s: %w", r.ID, err)
	}
	return held, nil
}

// Load returns the record of the session whose id is, or begins with, id.
func (s *Store) Load(id string) (Record, error) {
	if checkID(id) == nil {
		if r, err := s.load(id); err == nil {
			return r, nil
		}
	}
	full, err := s.resolve(id)
	if err != nil {
		return Record{}, err
	}
	return s.load(full)
}

func (s *Store) load(id string) (Record, error) { return loadRecord(s.dir(id)) }

func loadRecord(dir string) (Record, error) {
	var r Record
	data, err := os.ReadFile(filepath.Join(dir, recordFile))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return r, fmt.Errorf("load session %s: %w", filepath.Base(dir), err)
	}
	return r, nil
}

func (s *Store) resolve(prefix string) (string, error) {
	ids, err := s.ids()
	if err != nil {
		return "", err
	}
	match := slices.DeleteFunc(ids, func(id string) bool { return !strings.HasPrefix(id, prefix) && !strings.HasSuffix(id, prefix) })
	switch {
	case prefix == "" || len(match) == 0:
		return "", fmt.Errorf("session %q: %w", prefix, ErrNoSession)
	case len(match) > 1:
		return "", fmt.Errorf("session %q: %w: %d sessions match", prefix, ErrNoSession, len(match))
	}
	return match[0], nil
}

// ids lists the sessions in the order of their creation: ids sort by time.
func (s *Store) ids() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.root, "sessions"))
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.Name()
	}
	return ids, nil
}

// current returns the ids of all sessions but those that have ended and hold nothing in a
// workspace, which stays so. There may be thousands of these, and each session that begins
// or ends looks at the others.
func (s *Store) current() ([]string, error) {
	d, err := os.Open(filepath.Join(s.root, "sessions"))
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	defer d.Close()
	ids, err := d.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.past == nil || len(s.past) > len(ids) { // some were removed
		s.past = make(map[string]struct{}, len(ids))
	}
	ids = slices.DeleteFunc(ids, func(id string) bool {
		_, over := s.past[id]
		if !over && isFinished(s.dir(id)) {
			if _, err := os.Lstat(filepath.Join(s.dir(id), holdFile)); errors.Is(err, fs.ErrNotExist) {
				s.past[id], over = struct{}{}, true
			}
		}
		return over
	})
	slices.Sort(ids)
	return ids, nil
}

// sweep removes directories of sessions whose creation was cut off long ago.
func (s *Store) sweep() error {
	ids, err := s.current()
	for _, id := range ids {
		info, serr := os.Stat(s.dir(id))
		_, rerr := os.Stat(filepath.Join(s.dir(id), recordFile))
		if errors.Is(rerr, fs.ErrNotExist) && serr == nil && !s.reserved(id) && time.Since(info.ModTime()) > time.Minute {
			err = errors.Join(err, os.RemoveAll(s.dir(id)))
		}
	}
	return err
}

// State says where a session stands.
type State string

// The states of a session.
const (
	Running  State = "running"  // a runner drives it
	Orphaned State = "orphaned" // no end is recorded and no runner drives it
	Finished State = "finished"
)

// Summary is a session as lists show it.
type Summary struct {
	Record
	State State                  `json:"state"`
	End   *event.SessionFinished `json:"end,omitempty"`
}

// List returns all sessions, oldest first. A directory that cannot be read is
// left out.
func (s *Store) List() ([]Summary, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	var all []Summary
	for _, id := range ids {
		if sum, err := s.Summary(id); err == nil {
			all = append(all, sum)
		}
	}
	return all, nil
}

// Summary returns the session with exactly this id.
func (s *Store) Summary(id string) (Summary, error) {
	r, err := s.load(id)
	if err != nil {
		return Summary{}, err
	}
	sum := Summary{Record: r, State: Orphaned}
	if sum.End = finished(s.dir(id)); sum.End != nil {
		sum.State = Finished
		return sum, nil
	}
	held, err := s.tryLock(id)
	if errors.Is(err, ErrBusy) {
		sum.State = Running
	}
	held.release()
	return sum, nil
}

// finished returns the session's last event, or nil while there is none. It is
// a copy of the journal's, which may be too long to be read for a list.
func finished(dir string) *event.SessionFinished {
	data, err := os.ReadFile(filepath.Join(dir, resultFile))
	if err != nil {
		return nil
	}
	var end event.SessionFinished
	if json.Unmarshal(data, &end) != nil {
		return nil
	}
	return &end
}

// isFinished reports whether the session has its last event.
func isFinished(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, resultFile))
	return err == nil
}

// markFinished is called when the journal is complete.
func markFinished(dir string, end event.SessionFinished) error {
	data, err := json.Marshal(end)
	if err == nil {
		err = writeFileOnce(filepath.Join(dir, resultFile), append(data, '\n'))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("mark session finished: %w", err)
	}
	return nil
}

// Remove deletes a session that no runner drives, transcripts included.
func (s *Store) Remove(id string) error {
	held, err := s.lock(id)
	if err != nil {
		return err
	}
	defer held.release()
	if s.reserved(id) {
		return fmt.Errorf("session %s is not removed: its control plane does not have all of it yet, and the next connect uploads the rest; "+
			"remove %s to give that up", id, filepath.Join(s.dir(id), LeaseFile))
	}
	err = s.release(id)
	if _, holds := readHold(filepath.Join(s.dir(id), holdFile)); holds && err == nil {
		err = errors.New("another session works in its workspace; try again when that has ended")
	}
	if err == nil {
		err = os.RemoveAll(s.dir(id))
	}
	if err != nil {
		return fmt.Errorf("remove session %s: %w", id, err)
	}
	return nil
}

// lock is the right to drive a session. The kernel gives it up with the process
// that holds it, however that ends.
type lock struct{ f *os.File }

// lock takes it within 50 ms: somebody may hold it for an instant, to see
// whether it is free.
func (s *Store) lock(id string) (held *lock, err error) {
	for range 5 {
		if held, err = s.tryLock(id); !errors.Is(err, ErrBusy) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return held, err
}

func (s *Store) tryLock(id string) (*lock, error) {
	f, err := os.OpenFile(filepath.Join(s.dir(id), "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock session %s: %w", id, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("session %s: %w", id, ErrBusy)
		}
		return nil, fmt.Errorf("lock session %s: %w", id, err)
	}
	return &lock{f}, nil
}

// release gives the lock up; a nil lock is released already.
func (l *lock) release() {
	if l != nil {
		// Closing alone is not enough for a moment: a process that is just being
		// started may hold a copy of the descriptor.
		_ = unix.Flock(int(l.f.Fd()), unix.LOCK_UN)
		l.f.Close()
	}
}
