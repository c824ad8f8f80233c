package sandboxtest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sprawlto/ratchetai-runner/sandbox"
	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

func openShared(state string) (*os.File, error) {
	return os.Open(filepath.Join(state, "io", pid1.StdoutFile))
}

// fakeStdout writes the file first, like PID 1; the runner reads it from there.
type fakeStdout struct{ c *fakeContainer }

func (o fakeStdout) Write(b []byte) (int, error) {
	o.c.mu.Lock()
	if o.c.hasEnded() {
		o.c.mu.Unlock()
		return 0, syscall.EPIPE
	}
	n, err := o.c.file.Write(b)
	o.c.size += int64(n)
	over := o.c.size > cmp.Or(o.c.spec.Limits.StdoutBytes, 1<<30)
	o.c.change()
	o.c.mu.Unlock()
	if over {
		o.c.kill(sandbox.StdoutLimit, pid1.ExitStdoutLimit)
	}
	return n, err
}

// fakeStderr goes to the attached runner or nowhere.
type fakeStderr struct{ c *fakeContainer }

func (e fakeStderr) Write(b []byte) (int, error) {
	e.c.mu.Lock()
	defer e.c.mu.Unlock()
	if e.c.runner != nil {
		e.c.runner.stderr.Write(b)
		e.c.change()
	}
	return len(b), nil
}

// fakeStdin reads from the attached runner's queue.
type fakeStdin struct{ c *fakeContainer }

func (i fakeStdin) Read(b []byte) (int, error) {
	c := i.c
	var n int
	c.await(c.ctx.Done(), func() bool {
		if len(c.unread) == 0 && !c.eof && c.runner != nil {
			if line, ok := c.runner.next(c.last); ok {
				c.last++
				c.unread, c.eof = line.text, line.end
			}
		}
		n = copy(b, c.unread)
		c.unread = c.unread[n:]
		return n > 0 || c.eof
	})
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// dial waits for a runner and gives it one end of a connection, which breaks
// when the runner goes.
func (c *fakeContainer) dial(ctx context.Context) (net.Conn, error) {
	var p *fakeProcess
	if !c.await(ctx.Done(), func() bool {
		p = c.runner
		return p != nil
	}) {
		return nil, context.Cause(ctx)
	}
	inside, outside := duplex()
	for _, end := range []context.Context{c.ctx, p.ctx} {
		context.AfterFunc(end, func() {
			inside.Close()
			outside.Close()
		})
	}
	if p.spec.Proxy == nil {
		outside.Close()
	} else {
		go p.spec.Proxy(outside)
	}
	return inside, nil
}

// duplex is net.Pipe with ends that can half-close: a pipe for each direction.
func duplex() (a, b net.Conn) {
	toA, fromB := net.Pipe()
	toB, fromA := net.Pipe()
	return duplexEnd{toA, fromA}, duplexEnd{toB, fromB}
}

type duplexEnd struct {
	net.Conn // to read
	out      net.Conn
}

func (d duplexEnd) Write(b []byte) (int, error) {
	n, err := d.out.Write(b)
	if errors.Is(err, io.ErrClosedPipe) {
		err = syscall.EPIPE
	}
	return n, err
}

func (d duplexEnd) CloseWrite() error                  { return d.out.Close() }
func (d duplexEnd) Close() error                       { return errors.Join(d.Conn.Close(), d.out.Close()) }
func (d duplexEnd) SetWriteDeadline(t time.Time) error { return d.out.SetWriteDeadline(t) }
func (d duplexEnd) SetDeadline(t time.Time) error {
	return errors.Join(d.SetReadDeadline(t), d.out.SetWriteDeadline(t))
}
