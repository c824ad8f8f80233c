// Package sandbox runs one command in one isolated container and reports how it
// ended, even when the program that started it did not live to see it.
//
//	engine := sandbox.NewDocker(…)
//	p, err := engine.Start(ctx, spec)
//	go read(p.Stdout())                    // from the file that the sandbox keeps it in
//	p.Send(1, line)                        // stdin: numbered lines, each delivered once
//	result, err := p.Wait(ctx)
//	p.Remove(ctx)
//
// A process that lost its runner is taken over by Adopt, which continues its
// stdout at a byte offset; sending the stdin lines again from number 1 is safe.
//
// Inside, package pid1 is PID 1. The sandbox has no network; a connection to
// 127.0.0.1:3128 in it arrives at Spec.Proxy outside. Every container runs as an
// ordinary user with a read-only root, without capabilities, under limits; see
// plan, whose golden files show the whole request to the engine.
//
// The package knows containers and bytes. It does not know what an agent, a
// task or an event is, and no type of the engine's SDK appears in its API.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Errors that callers tell apart. They are wrapped with what was being done.
var (
	// ErrUnavailable: no engine answers.
	ErrUnavailable = errors.New("the container engine does not answer")
	// ErrNotFound: the engine has no such container.
	ErrNotFound = errors.New("no such container")
	// ErrNoImage: the engine does not have Spec.Image.
	ErrNoImage = errors.New("no such image")
	// ErrImageInUse: a container was made from the image, or an image from it.
	ErrImageInUse = errors.New("the image is in use")
	// ErrStdoutChanged: the stdout file is not what was read from it before.
	ErrStdoutChanged = errors.New("the saved stdout was changed")
	// ErrEnded: the process no longer takes stdin or signals.
	ErrEnded = errors.New("the sandbox has ended")
)

// Engine runs sandboxes. Every method bounds its own calls to the engine, is
// safe for concurrent use and returns ErrUnavailable, wrapped, without one.
type Engine interface {
	// Start runs spec and returns as soon as the process runs. A start that
	// fails leaves nothing behind. Starts beyond a few at a time are queued:
	// more at once is slower for all.
	Start(ctx context.Context, spec Spec) (Process, error)
	// Adopt takes over the process that Start was called for, possibly by another
	// program, running or ended. Stdout continues at offset. Of spec it needs ID,
	// State and Proxy. It returns ErrNotFound when the container is gone, or was made and
	// never started; then it removes it.
	Adopt(ctx context.Context, spec Spec, offset int64) (Process, error)
	// List returns the containers of runner, or of all runners if it is empty.
	List(ctx context.Context, runner string) ([]Info, error)
	// Remove ends and removes a container; one that is gone is no error.
	Remove(ctx context.Context, id string) error
}

// Process is a running or ended sandbox. Its methods are safe for concurrent
// use. Close, or Wait and Remove, must be called in the end.
type Process interface {
	// Stdout is the process's standard output, byte for byte, as it grows. Only one
	// goroutine may read it. Nothing waits for that: what is not read is on the disk.
	Stdout() io.Reader
	// Stderr is what the process and the sandbox itself print. It is for people:
	// it is lost while no runner is attached, and the oldest bytes are dropped
	// when it is not read.
	Stderr() io.Reader
	// Send queues line, without newline and of at most 10 MB, as the n-th line
	// of stdin, counted from 1. Lines go out in order; a number that the process
	// was given before is ignored. Send does not wait for the process to read.
	Send(n uint64, line []byte) error
	// CloseStdin queues the end of stdin as the n-th line.
	CloseStdin(n uint64) error
	// Signal sends s to the process.
	Signal(ctx context.Context, s syscall.Signal) error
	// Kill ends everything in the sandbox at once.
	Kill(ctx context.Context) error
	// Wait blocks until the process has ended, and may be called repeatedly.
	Wait(ctx context.Context) (Result, error)
	// Stats returns what the sandbox uses now.
	Stats(ctx context.Context) (Stats, error)
	// Remove ends the process if it still runs and deletes its container.
	Remove(ctx context.Context) error
	// Close lets go: a running process goes on and can be adopted.
	Close() error
}

// Spec is everything about one sandbox.
type Spec struct {
	ID      string   // unique; letters, digits, dash and underscore
	Runner  string   // who owns it; Reap and List select by it
	Image   string   // must hold InitPath
	Command []string // program and arguments; the program is looked up in PATH
	Env     []string // KEY=VALUE
	Dir     string   // working directory inside
	User    string   // "UID:GID"
	Mounts  []Mount

	// State is a directory of this sandbox alone on the host. The sandbox keeps
	// the process's stdout in it; it is mounted writable.
	State string
	// Proxy serves the connections that the process opens to its proxy address.
	// It must close the connection. nil refuses all.
	Proxy func(net.Conn)
	// Network is NetworkNone by default.
	Network Network
	// OrphanAfter is how long the process goes on without a runner. 0 means 10
	// minutes.
	OrphanAfter time.Duration
	Limits      Limits
	// Runtime is the engine's name of an OCI runtime, such as "runsc"; empty is
	// the engine's default.
	Runtime string
}

// Mount makes the host's Source, which must exist, visible at Target.
type Mount struct {
	Source, Target string
	ReadOnly       bool
}

// Network says what the sandbox can reach by itself.
type Network string

// NetworkNone is an interface to itself and nothing else. NetworkOpen is the
// engine's default bridge: the machine's network with no filter.
const (
	NetworkNone Network = "none"
	NetworkOpen Network = "open"
)

// Limits bound a sandbox. A zero field means its default.
type Limits struct {
	MemoryBytes int64   // 4 GiB, without swap
	CPUs        float64 // 2, or what the machine has
	Processes   int64   // 512, threads included
	OpenFiles   int64   // 16384 per process; the engine cannot exceed its own
	TmpBytes    int64   // 1 GiB for /tmp, which is executable and lives in memory
	ShmBytes    int64   // 1 GiB for /dev/shm
	StdoutBytes int64   // DefaultStdoutBytes; the process is killed when it writes more
}

// DefaultStdoutBytes is what a process may write by default: 1 GiB.
const DefaultStdoutBytes = 1 << 30

// Cause says what ended a process.
type Cause string

// The causes of an end.
const (
	Exited      Cause = "exited" // by itself or by a signal
	OutOfMemory Cause = "out_of_memory"
	StdoutLimit Cause = "stdout_limit" // it wrote more than Limits.StdoutBytes
	Orphaned    Cause = "orphaned"     // no runner for Spec.OrphanAfter
	NotStarted  Cause = "not_started"  // the program is missing or not executable
	Broken      Cause = "broken"       // PID 1 could not work, or the engine lost it
)

// Result is how a process ended.
type Result struct {
	Cause    Cause
	ExitCode int // of the process; 128 + number after a signal
}

// Stats is what a sandbox uses.
type Stats struct {
	MemoryBytes int64
	Processes   int64
	CPU         time.Duration // since the start
}

// Info is one container as the engine lists it.
type Info struct {
	ID      string // Spec.ID
	Runner  string
	Running bool
	Created time.Time
}

func (l Limits) withDefaults() Limits {
	def := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.MemoryBytes, 4<<30)
	def(&l.Processes, 512)
	def(&l.OpenFiles, 16384)
	def(&l.TmpBytes, 1<<30)
	def(&l.ShmBytes, 1<<30)
	def(&l.StdoutBytes, DefaultStdoutBytes)
	if l.CPUs == 0 {
		l.CPUs = 2
	}
	return l
}

// Validate reports every problem of s at once. Start calls it.
func (s Spec) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(s.ID != "" && strings.Trim(s.ID, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == "", "bad id %q", s.ID)
	check(s.Image != "", "no image")
	check(len(s.Command) > 0, "no command")
	check(filepath.IsAbs(s.State), "state directory %q is not absolute", s.State)
	check(s.Network == "" || s.Network == NetworkNone || s.Network == NetworkOpen, "unknown network %q", s.Network)
	var uid, gid uint32
	_, err := fmt.Sscanf(s.User, "%d:%d", &uid, &gid)
	check(err == nil && s.User == fmt.Sprintf("%d:%d", uid, gid), "user %q is not UID:GID", s.User)
	for _, m := range s.Mounts {
		check(filepath.IsAbs(m.Source) && filepath.IsAbs(m.Target), "mount %q to %q is not absolute", m.Source, m.Target)
		check(filepath.Base(m.Source) != "docker.sock", "the engine's socket is never mounted")
	}
	for _, e := range s.Env {
		check(strings.IndexByte(e, '=') > 0 && !strings.ContainsRune(e, 0), "environment %q is not KEY=VALUE", e)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("invalid sandbox: %w", err)
	}
	return nil
}
