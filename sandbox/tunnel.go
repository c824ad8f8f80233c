package sandbox

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// tunnel keeps one mux session to PID 1 open for as long as ctx lives: it is
// opened again, after a pause that grows to a second, whenever it breaks.
type tunnel struct {
	open  func(context.Context) (io.ReadWriteCloser, error)
	proxy func(net.Conn)
	stdin *stdin
}

func (t *tunnel) run(ctx context.Context) {
	pause := 20 * time.Millisecond
	for ctx.Err() == nil {
		started := time.Now()
		if stream, err := t.open(ctx); err == nil {
			t.serve(ctx, stream)
		}
		if time.Since(started) > 10*time.Second {
			pause = 20 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, time.Second)
	}
}

// serve runs one session until it breaks or ctx ends.
func (t *tunnel) serve(ctx context.Context, stream io.ReadWriteCloser) {
	session, err := yamux.Server(stream, pid1.MuxConfig())
	if err != nil {
		stream.Close()
		return
	}
	defer session.Close()
	stop := context.AfterFunc(ctx, func() { session.Close() })
	defer stop()
	control, err := session.OpenStream()
	if err != nil {
		return
	}
	go t.stdin.serve(control)
	for {
		s, err := session.AcceptStream()
		if err != nil {
			return
		}
		c := egressConn{s}
		if t.proxy == nil {
			c.Close()
			continue
		}
		go t.proxy(c)
	}
}

// egressConn is a connection of the process inside. Closing a mux stream closes
// one direction only, so that is CloseWrite here, and Close ends both.
type egressConn struct{ *yamux.Stream }

// CloseWrite tells the process inside that nothing more will come.
func (c egressConn) CloseWrite() error { return c.Stream.Close() }

// Close ends both directions and wakes a pending Read.
func (c egressConn) Close() error {
	err := c.Stream.Close()
	_ = c.SetDeadline(time.Unix(1, 0))
	return err
}
