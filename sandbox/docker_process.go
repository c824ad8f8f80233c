package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// engineBack is how long a lost engine has to come back, which a restart takes,
// before the process counts as lost.
const engineBack = 30 * time.Second

// lastWords is how long stderr may come after the process's end.
const lastWords = 2 * time.Second

// process is a container. Its goroutines (wait, tunnel) end with Close.
type process struct {
	d    *Docker
	id   string // the engine's
	spec Spec

	ctx     context.Context // until Close
	cancel  context.CancelFunc
	running sync.WaitGroup
	hijack  io.Closer       // the live stream; nil for an adopted process
	heard   <-chan struct{} // closed at the live stream's end
	out     *stdout
	err     *tail
	in      *stdin

	ended  chan struct{} // closed after result and lost are set
	result Result
	lost   error
}

func newProcess(d *Docker, id string, spec Spec) *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{
		d: d, id: id, spec: spec, ctx: ctx, cancel: cancel,
		err: newTail(), in: newStdin(), ended: make(chan struct{}),
	}
	p.out = &stdout{state: spec.State, ended: p.ended, closed: ctx.Done()}
	return p
}

// start attaches before it starts: what is written before an attach is lost, and
// an attach to a container that has ended never returns.
func (p *process) start(ctx context.Context) error {
	live, err := p.d.api.ContainerAttach(ctx, p.id, container.AttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return err
	}
	p.hijack = live.Conn
	exit, fail := p.d.api.ContainerWait(p.ctx, p.id, container.WaitConditionNextExit)
	if err := p.d.api.ContainerStart(ctx, p.id, container.StartOptions{}); err != nil {
		p.running.Go(func() { abandon(exit, fail) })
		return err
	}
	p.listen(live.Reader)
	p.serve(exit, fail)
	return nil
}

// listen takes what PID 1 says on its stdout, a byte whenever the file has grown,
// and on stderr. It never waits for a reader: an engine whose client does not read
// blocks every call for the container.
func (p *process) listen(live *bufio.Reader) {
	grown, heard := make(chan struct{}, 1), make(chan struct{})
	p.out.grown, p.heard = grown, heard
	p.running.Go(func() {
		defer close(heard)
		defer close(grown)
		f := &frames{r: live, stderr: p.err}
		var bytes [64]byte
		for {
			if _, err := f.Read(bytes[:]); err != nil {
				return
			}
			select {
			case grown <- struct{}{}:
			default: // the reader has not come to the last one yet
			}
		}
	})
}

func (p *process) adopt(offset int64) {
	p.out.offset = offset
	heard := make(chan struct{})
	close(heard) // nothing is attached
	p.heard = heard
	exit, fail := p.d.api.ContainerWait(p.ctx, p.id, container.WaitConditionNotRunning)
	p.serve(exit, fail)
}

func (p *process) serve(exit <-chan container.WaitResponse, fail <-chan error) {
	alive, end := context.WithCancel(p.ctx)
	p.running.Go(func() {
		defer end()
		p.watch(exit, fail)
	})
	t := &tunnel{open: p.openTunnel, proxy: p.spec.Proxy, stdin: p.in}
	p.running.Go(func() { t.run(alive) })
}

// watch sets result when the container has ended, or lost when that can no
// longer be found out.
func (p *process) watch(exit <-chan container.WaitResponse, fail <-chan error) {
	defer func() {
		select { // the engine may report the end before the last of stderr
		case <-p.heard:
		case <-p.ctx.Done():
		case <-time.After(lastWords):
		}
		p.err.Close()
	}()
	defer close(p.ended)
	select {
	case e := <-exit:
		if e.Error == nil && e.StatusCode != int64(exitKilled) { // by whom? inspect finds out
			p.result = exited(int(e.StatusCode))
			return
		}
	case <-fail: //nolint:errcheck // inspect finds out why
	case <-p.ctx.Done():
		abandon(exit, fail)
		p.lost = ErrEnded
		return
	}
	p.result, p.lost = p.inspect()
}

// abandon ends a wait whose context is done or about to be: the client would keep
// a goroutine until somebody takes the answer.
func abandon(exit <-chan container.WaitResponse, fail <-chan error) {
	select {
	case <-exit:
	case <-fail: //nolint:errcheck // nobody wants to know
	}
}

// inspect asks how the container ended, repeatedly while it runs (a wait can
// break without an end) or while the engine is away.
func (p *process) inspect() (Result, error) {
	away := time.Time{}
	for {
		ctx, cancel := context.WithTimeout(p.ctx, callMax)
		c, err := p.d.api.ContainerInspect(ctx, p.id)
		cancel()
		switch {
		case err == nil && !c.State.Running && c.State.Status != "removing":
			return resultOf(c.State), nil
		case err == nil:
			away = time.Time{}
		case errdefs.IsNotFound(err):
			return Result{}, fmt.Errorf("sandbox %s was removed by somebody: %w", p.spec.ID, ErrNotFound)
		case p.ctx.Err() != nil:
			return Result{}, ErrEnded
		case away.IsZero():
			away = time.Now()
		case time.Since(away) > engineBack:
			return Result{}, p.d.fail("wait for sandbox "+p.spec.ID, err)
		}
		select {
		case <-p.ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func resultOf(s *container.State) Result {
	r := exited(s.ExitCode)
	switch {
	case r.Cause != Exited:
	case s.Error != "":
		r.Cause = Broken
	case s.ExitCode == exitKilled && s.OOMKilled:
		r.Cause = OutOfMemory
	}
	return r
}

const exitKilled = 128 + int(syscall.SIGKILL)

// exited is what PID 1's exit code says.
func exited(code int) Result {
	switch code {
	case pid1.ExitStdoutLimit:
		return Result{StdoutLimit, code}
	case pid1.ExitOrphaned:
		return Result{Orphaned, code}
	case pid1.ExitInit:
		return Result{Broken, code}
	case pid1.ExitNotFound:
		return Result{NotStarted, 127}
	case pid1.ExitNotRun:
		return Result{NotStarted, 126}
	}
	return Result{Exited, code}
}

// openTunnel connects to PID 1's socket. Where that cannot be reached it execs the
// helper that hands its stdio to PID 1, which costs the engine as much as a start.
func (p *process) openTunnel(ctx context.Context) (io.ReadWriteCloser, error) {
	c, err := connect(ctx, p.spec.State)
	if err == nil || errors.Is(err, ErrEnded) {
		return c, err
	}
	return p.execTunnel(ctx)
}

func (p *process) execTunnel(ctx context.Context) (io.ReadWriteCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	e, err := p.d.api.ContainerExecCreate(ctx, p.id, container.ExecOptions{
		Cmd:         []string{InitPath, "tunnel"},
		AttachStdin: true, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return nil, p.d.fail("open tunnel", err)
	}
	h, err := p.d.api.ContainerExecAttach(ctx, e.ID, container.ExecAttachOptions{})
	if err != nil {
		return nil, p.d.fail("open tunnel", err)
	}
	return &execStream{frames: newFrames(h.Reader, p.err), Writer: h.Conn, Closer: h.Conn}, nil
}

// execStream is an exec's stdin and stdout.
type execStream struct {
	*frames
	io.Writer
	io.Closer
}

func (p *process) Stdout() io.Reader { return p.out }
func (p *process) Stderr() io.Reader { return p.err }

func (p *process) Send(n uint64, line []byte) error {
	select {
	case <-p.ended:
		return ErrEnded
	default:
		return p.in.push(n, line)
	}
}

func (p *process) CloseStdin(n uint64) error {
	select {
	case <-p.ended:
		return ErrEnded
	default:
		return p.in.pushEnd(n)
	}
}

func (p *process) Signal(ctx context.Context, s syscall.Signal) error {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	err := p.d.api.ContainerKill(ctx, p.id, strconv.Itoa(int(s)))
	if errdefs.IsConflict(err) || errdefs.IsNotFound(err) {
		return ErrEnded
	}
	if err != nil {
		return p.d.fail("signal sandbox "+p.spec.ID, err)
	}
	return nil
}

func (p *process) Kill(ctx context.Context) error {
	if err := p.Signal(ctx, syscall.SIGKILL); !errors.Is(err, ErrEnded) {
		return err
	}
	return nil
}

func (p *process) Wait(ctx context.Context) (Result, error) {
	select {
	case <-p.ended:
		return p.result, p.lost
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	}
}

func (p *process) Stats(ctx context.Context) (Stats, error) { return p.d.stats(ctx, p.id) }

func (p *process) Remove(ctx context.Context) error {
	return errors.Join(p.Close(), p.d.remove(ctx, p.id))
}

func (p *process) Close() error {
	p.cancel()
	if p.hijack != nil {
		p.hijack.Close()
	}
	p.running.Wait()
	return nil
}
