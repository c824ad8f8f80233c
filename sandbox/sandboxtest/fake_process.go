package sandboxtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/sprawlto/ratchetai-runner/sandbox"
	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// fakeProcess is a runner's hold on a fakeContainer.
type fakeProcess struct {
	*fakeContainer
	spec   sandbox.Spec
	ctx    context.Context // until Close
	close  context.CancelFunc
	offset int64 // of the next byte of stdout

	// Guarded by the container's mu.
	first  uint64 // number of lines[0]; 0: nothing was ever sent
	lines  []fakeLine
	bytes  int
	stderr bytes.Buffer
}

type fakeLine struct {
	text []byte
	end  bool
}

func (c *fakeContainer) attach(spec sandbox.Spec, offset int64) *fakeProcess {
	p := &fakeProcess{fakeContainer: c, spec: spec, offset: offset}
	p.ctx, p.close = context.WithCancel(context.Background())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runner = p
	if c.orphan != nil {
		c.orphan.Stop()
	}
	c.change()
	return p
}

func (p *fakeProcess) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close()
	if p.runner == p {
		p.runner = nil
		if !p.hasEnded() {
			p.orphan = time.AfterFunc(cmp.Or(p.spec.OrphanAfter, 10*time.Minute), p.orphaned)
		}
	}
	p.change()
	return nil
}

func (p *fakeProcess) Stdout() io.Reader { return fakeReader{p, p.readStdout} }
func (p *fakeProcess) Stderr() io.Reader { return fakeReader{p, p.readStderr} }

type fakeReader struct {
	p    *fakeProcess
	read func([]byte) (int, bool)
}

// Read waits until there is something, or the end.
func (r fakeReader) Read(b []byte) (int, error) {
	if err := r.p.fake.fault("stdout", r.p.spec.ID); err != nil {
		return 0, err
	}
	var n int
	var over bool
	if !r.p.await(r.p.ctx.Done(), func() bool {
		n, over = r.read(b)
		return n > 0 || over
	}) || n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (p *fakeProcess) readStdout(b []byte) (n int, over bool) {
	f, err := openShared(p.spec.State)
	if err != nil {
		return 0, true
	}
	defer f.Close()
	n, _ = f.ReadAt(b[:min(int64(len(b)), max(p.size-p.offset, 0))], p.offset)
	p.offset += int64(n)
	return n, n == 0 && p.hasEnded()
}

func (p *fakeProcess) readStderr(b []byte) (n int, over bool) {
	n, _ = p.stderr.Read(b)
	return n, p.hasEnded()
}

func (p *fakeProcess) Send(n uint64, line []byte) error {
	if bytes.IndexByte(line, '\n') >= 0 || len(line) > pid1.LineMax {
		return fmt.Errorf("send line %d: a newline, or too long", n)
	}
	return p.queue(n, fakeLine{text: append(bytes.Clone(line), '\n')})
}

func (p *fakeProcess) CloseStdin(n uint64) error { return p.queue(n, fakeLine{end: true}) }

func (p *fakeProcess) queue(n uint64, line fakeLine) error {
	if err := p.fake.fault("send", p.spec.ID); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hasEnded() {
		return sandbox.ErrEnded
	}
	if p.first == 0 {
		p.first = n
	}
	if want := p.first + uint64(len(p.lines)); n > want {
		return fmt.Errorf("send line %d: line %d is next", n, want)
	} else if n < want {
		return nil
	}
	if p.bytes += len(line.text); p.bytes > 64<<20 {
		return fmt.Errorf("send line %d: the process does not read its stdin", n)
	}
	p.lines = append(p.lines, line)
	p.change()
	return nil
}

// next takes the line that follows number last. Called with mu held.
func (p *fakeProcess) next(last uint64) (line fakeLine, ok bool) {
	for len(p.lines) > 0 && p.first <= last+1 {
		line, ok = p.lines[0], p.first == last+1
		p.first++
		p.bytes -= len(line.text)
		p.lines = p.lines[1:]
		if ok {
			return line, true
		}
	}
	return line, false
}

func (p *fakeProcess) Signal(_ context.Context, s syscall.Signal) error {
	if err := p.fake.fault("signal", p.spec.ID); err != nil {
		return err
	}
	if p.hasEnded() {
		return sandbox.ErrEnded
	}
	p.signal(s)
	return nil
}

func (p *fakeProcess) Kill(ctx context.Context) error {
	if err := p.Signal(ctx, syscall.SIGKILL); !errors.Is(err, sandbox.ErrEnded) {
		return err
	}
	return nil
}

func (p *fakeProcess) Wait(ctx context.Context) (sandbox.Result, error) {
	if err := p.fake.fault("wait", p.spec.ID); err != nil {
		return sandbox.Result{}, err
	}
	select {
	case <-p.ended:
		return p.result, nil
	default:
	}
	select {
	case <-p.ended:
		return p.result, nil
	case <-p.ctx.Done():
		return sandbox.Result{}, sandbox.ErrEnded
	case <-ctx.Done():
		return sandbox.Result{}, context.Cause(ctx)
	}
}

func (p *fakeProcess) Stats(context.Context) (sandbox.Stats, error) {
	if err := p.fake.fault("stats", p.spec.ID); err != nil {
		return sandbox.Stats{}, err
	}
	return sandbox.Stats{MemoryBytes: 1 << 20, Processes: 1, CPU: time.Since(p.created)}, nil
}

func (p *fakeProcess) Remove(ctx context.Context) error {
	return errors.Join(p.Close(), p.fake.Remove(ctx, p.spec.ID))
}
