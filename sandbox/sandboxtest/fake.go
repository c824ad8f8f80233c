package sandboxtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/sprawlto/ratchetai-runner/sandbox"
	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// Fake is a sandbox.Engine in memory: it runs programs as goroutines and keeps
// their stdout in Spec.State like a real one. Adopt works within one Fake, which
// stands for the engine, not for the runner. Set the fields before its first use.
type Fake struct {
	// Programs are found by Command[0].
	Programs map[string]Program
	// Images are those that exist; nil means all.
	Images []string
	// Fault, if set, is asked before every operation: start, adopt, list, remove,
	// stdout, send, signal, wait or stats, with Spec.ID. An error is returned
	// instead of doing it.
	Fault func(op, id string) error

	mu         sync.Mutex
	containers map[string]*fakeContainer // by Spec.ID
}

func (f *Fake) fault(op, id string) error {
	if f.Fault == nil {
		return nil
	}
	return f.Fault(op, id)
}

// Start implements sandbox.Engine.
func (f *Fake) Start(ctx context.Context, spec sandbox.Spec) (sandbox.Process, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := f.fault("start", spec.ID); err != nil {
		return nil, err
	}
	if f.Images != nil && !slices.Contains(f.Images, spec.Image) {
		return nil, fmt.Errorf("start %s: %w", spec.ID, sandbox.ErrNoImage)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.containers[spec.ID] != nil {
		return nil, fmt.Errorf("start %s: it exists", spec.ID)
	}
	c, err := newFakeContainer(f, spec)
	if err != nil {
		return nil, err
	}
	if f.containers == nil {
		f.containers = map[string]*fakeContainer{}
	}
	f.containers[spec.ID] = c
	p := c.attach(spec, 0)
	go c.run(f.Programs[spec.Command[0]])
	return p, nil
}

// Adopt implements sandbox.Engine.
func (f *Fake) Adopt(_ context.Context, spec sandbox.Spec, offset int64) (sandbox.Process, error) {
	if err := f.fault("adopt", spec.ID); err != nil {
		return nil, err
	}
	f.mu.Lock()
	c := f.containers[spec.ID]
	f.mu.Unlock()
	if c == nil {
		return nil, fmt.Errorf("adopt %s: %w", spec.ID, sandbox.ErrNotFound)
	}
	return c.attach(spec, offset), nil
}

// List implements sandbox.Engine.
func (f *Fake) List(_ context.Context, runner string) ([]sandbox.Info, error) {
	if err := f.fault("list", ""); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []sandbox.Info
	for _, c := range f.containers {
		if runner == "" || runner == c.spec.Runner {
			all = append(all, sandbox.Info{ID: c.spec.ID, Runner: c.spec.Runner, Running: !c.hasEnded(), Created: c.created})
		}
	}
	return all, nil
}

// Remove implements sandbox.Engine. It returns when the program has returned.
func (f *Fake) Remove(ctx context.Context, id string) error {
	if err := f.fault("remove", id); err != nil {
		return err
	}
	f.mu.Lock()
	c := f.containers[id]
	delete(f.containers, id)
	f.mu.Unlock()
	if c == nil {
		return nil
	}
	c.kill(sandbox.Exited, 128+int(syscall.SIGKILL))
	select {
	case <-c.returned:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fakeContainer is one program and what its PID 1 would hold.
type fakeContainer struct {
	fake     *Fake
	spec     sandbox.Spec
	created  time.Time
	ctx      context.Context // the program's
	cancel   context.CancelFunc
	ended    chan struct{} // closed after result is set
	returned chan struct{} // closed when the program has returned
	file     *os.File

	mu      sync.Mutex
	changed chan struct{} // closed at every change of what follows
	result  sandbox.Result
	size    int64        // bytes in file
	runner  *fakeProcess // the latest attached; nil: none
	last    uint64       // number of the last line of stdin that was read
	unread  []byte       // of that line
	eof     bool         // of stdin
	notify  map[os.Signal]chan os.Signal
	orphan  *time.Timer
	cause   sandbox.Cause // of an end that is under way
	code    int
}

func newFakeContainer(f *Fake, spec sandbox.Spec) (*fakeContainer, error) {
	dir := filepath.Join(spec.State, "io")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, pid1.StdoutFile), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &fakeContainer{
		fake: f, spec: spec, created: time.Now(), ctx: ctx, cancel: cancel, file: file,
		ended: make(chan struct{}), returned: make(chan struct{}),
		changed: make(chan struct{}), notify: map[os.Signal]chan os.Signal{},
	}, nil
}

// change is called with mu held after every change.
func (c *fakeContainer) change() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// await blocks until test, called with mu held, is true, or stop is closed.
func (c *fakeContainer) await(stop <-chan struct{}, test func() bool) bool {
	for {
		c.mu.Lock()
		ok, changed := test(), c.changed
		c.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-stop:
			return false
		}
	}
}

func (c *fakeContainer) hasEnded() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

func (c *fakeContainer) run(program Program) {
	defer close(c.returned)
	defer c.file.Close()
	if program == nil {
		fmt.Fprintf(fakeStderr{c}, "sandbox-init: %s: not found\n", c.spec.Command[0])
		c.end(sandbox.NotStarted, 127)
		return
	}
	code := program(c.ctx, Inside{
		Args: c.spec.Command[1:], Env: c.spec.Env,
		Stdin: fakeStdin{c}, Stdout: fakeStdout{c}, Stderr: fakeStderr{c},
		Dial: c.dial, Notify: c.onSignal,
	})
	c.end(sandbox.Exited, code)
}

// end sets the result, unless it is set. A cause that is under way wins.
func (c *fakeContainer) end(cause sandbox.Cause, code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hasEnded() {
		return
	}
	if c.cause != "" {
		cause, code = c.cause, c.code
	}
	c.result = sandbox.Result{Cause: cause, ExitCode: code}
	if c.orphan != nil {
		c.orphan.Stop()
	}
	close(c.ended)
	c.cancel()
	c.change()
}

// kill ends the program as if it were never asked.
func (c *fakeContainer) kill(cause sandbox.Cause, code int) { c.end(cause, code) }

// signal delivers s, or ends the program if it does not ask for s.
func (c *fakeContainer) signal(s syscall.Signal) {
	c.mu.Lock()
	receiver := c.notify[s]
	c.mu.Unlock()
	if receiver == nil || s == syscall.SIGKILL {
		c.kill(sandbox.Exited, 128+int(s))
		return
	}
	select {
	case receiver <- s:
	default: // like the kernel, which does not count pending signals
	}
}

func (c *fakeContainer) onSignal(signals ...os.Signal) <-chan os.Signal {
	received := make(chan os.Signal, 8)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range signals {
		c.notify[s] = received
	}
	return received
}

// orphaned is the orphan timer's end.
func (c *fakeContainer) orphaned() {
	c.mu.Lock()
	if c.runner != nil {
		c.mu.Unlock()
		return
	}
	c.cause, c.code = sandbox.Orphaned, pid1.ExitOrphaned
	c.mu.Unlock()
	c.signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(10 * time.Second):
		c.signal(syscall.SIGKILL)
	}
}
