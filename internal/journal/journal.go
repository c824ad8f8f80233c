// Package journal keeps the event log of one session in an append-only file on the runner's disk.
//
// The file journal.ndjson holds one record per entry, in the order of their sequence numbers 1, 2, 3 …:
//
//	{"v":1,"session":"s1","seq":7,"time":"2026-01-02T03:04:05.6Z","type":"agent.message","out":812,"sum":99,"data":{…},"raw":{…}}
//
// The envelope is ours; data is the normalised event and raw the vendor's line that caused it, byte for byte. A raw
// line that is large or not JSON follows its record as a line of its own, and the record says "raw_bytes":N instead; so
// nothing is escaped and any bytes survive. Records that were appended together form a group: all but the last carry
// "more":true, and a reader takes a group only as a whole.
//
//	Queue, Append -> write(2), one call for many small groups -> readers wake;  within 50 ms -> fsync in the background
//
// What Append has acknowledged survives the death of the process at once, and of the machine after the next fsync. Open
// cuts off what a crash left behind after the last complete group. Readers only share the file with the writer: they
// may be slow, in another process, or many, and never delay it.
//
// The package knows no event types, deletes nothing, and does not interpret data or raw.
package journal

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// FileName is the name of the file inside a journal's directory.
const FileName = "journal.ndjson"

// Errors that callers tell apart with errors.Is.
var (
	ErrClosed  = errors.New("journal is closed")
	ErrInUse   = errors.New("journal is open in another process")
	ErrDamaged = errors.New("journal is damaged")
	ErrInvalid = errors.New("invalid journal entry")
)

// Mark is a place in a session: the last entry, and how much of the agent's stdout is covered.
type Mark struct {
	Seq uint64 // of the last entry, 0 if there is none
	Out int64  // stdout offset in bytes after the last line that caused an entry
	Sum uint32 // CRC-32C of stdout up to Out, as the caller gave it
}

// file is what the journal needs of its *os.File; tests put failing disks in its place.
type file interface {
	Write(p []byte) (int, error)
	Sync() error
	Truncate(size int64) error
	Close() error
}

// lockedFile gives up its lock when it is closed.
type lockedFile struct{ *os.File }

func (f lockedFile) Close() error {
	unlock(f.File)
	return f.File.Close()
}

// Journal is the writer of one session's log. Its methods are safe for concurrent use. Close it when done.
type Journal struct {
	dir, session string
	recovered    Recovery
	file         file

	mu      sync.Mutex
	err     error         // first failure of the disk; sticky
	closed  bool          // no more appends
	mark    Mark          // the last complete group in the file
	size    int64         // bytes up to the end of it
	queued  Mark          // the last complete group in buf, else mark
	buf     []byte        // what is queued; reused
	written int64         // bytes in the file beyond size, of a group that is being written
	wake    chan struct{} // closed at the next append or Close; nil while nobody waits; made by waiter

	syncMu sync.Mutex // held during fsync and close; never taken while mu is held
	synced int64      // bytes known to be on disk; guarded by syncMu

	dirty chan struct{} // capacity 1: a wish for an fsync; sent by Append, never closed
	stop  chan struct{} // closed by Close
	done  chan struct{} // closed when syncLoop has returned
}

// Recovery tells what Open found.
type Recovery struct {
	Mark           // where the session stands
	CutBytes int64 // length of the incomplete group at the end that a crash had left and Open removed
}

// Open opens the journal of session in dir for appending; it creates both as necessary, private to the user. It reads
// the whole file once, in constant memory, and removes an incomplete group from its end. A session's name consists of
// letters, digits and ._:- only.
//
// It returns ErrInUse if another process has the journal open (where the platform has file locks), and ErrDamaged, with
// the offset, if a record in the middle is unreadable or belongs to another session; the file is then left as it is.
func Open(dir, session string) (*Journal, error) {
	if !isName(session) {
		return nil, fmt.Errorf("open journal: session name %q is not made of letters, digits and ._:-", session)
	}
	j, err := open(dir, session)
	if err != nil {
		return nil, fmt.Errorf("open journal of session %s: %w", session, err)
	}
	go j.syncLoop()
	return j, nil
}

func open(dir, session string) (*Journal, error) {
	f, err := openFile(dir)
	if err != nil {
		return nil, err
	}
	r, size, err := recoverFile(f, session)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return newJournal(dir, session, lockedFile{f}, r, size), nil
}

func newJournal(dir, session string, f file, r Recovery, size int64) *Journal {
	return &Journal{
		dir: dir, session: session, file: f,
		recovered: r, mark: r.Mark, queued: r.Mark, size: size, synced: size,
		dirty: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// openFile opens the file in dir and locks it.
func openFile(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, statErr := root.Lstat(FileName)
	if statErr == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", FileName)
	}
	f, err := root.OpenFile(FileName, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	if statErr != nil {
		syncDir(root)
	}
	return f, nil
}

// syncDir lets the name of a new file survive a power cut as its content does. Not every platform can sync a directory.
func syncDir(root *os.Root) {
	if d, err := root.Open("."); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}

// Recovered returns what Open found.
func (j *Journal) Recovered() Recovery { return j.recovered }

// Last returns where the session stands now.
func (j *Journal) Last() Mark {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mark
}

// Size returns how many bytes the journal's file has, complete groups only.
func (j *Journal) Size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.size
}

// Close makes everything durable, ends the followers of j once they have read everything, and closes the file. It
// returns the first error the disk ever gave. Further calls do nothing and return the same.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		defer j.mu.Unlock()
		return j.err
	}
	if j.err == nil {
		_ = j.flush() // the error is sticky
	}
	j.closed = true
	j.wakeAll()
	j.mu.Unlock()

	close(j.stop)
	<-j.done
	_ = j.sync()
	j.syncMu.Lock()
	defer j.syncMu.Unlock()
	err := j.file.Close()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		return j.fail("close", err)
	}
	return j.err
}

// fail records the first failure of the disk and returns it. The caller holds mu.
func (j *Journal) fail(doing string, err error) error {
	if j.err == nil {
		j.err = fmt.Errorf("journal of session %s: %s: %w", j.session, doing, err)
	}
	return j.err
}
