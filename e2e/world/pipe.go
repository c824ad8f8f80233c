package world

import (
	"context"
	"net"
	"sync"
	"syscall"
)

// pipes is a listener in memory.
type pipes struct {
	incoming chan net.Conn
	down     chan struct{} // closed by Close

	mu   sync.Mutex
	over bool
	open map[net.Conn]bool // ends of the control plane's side
}

func newPipes() *pipes {
	return &pipes{incoming: make(chan net.Conn), down: make(chan struct{}), open: map[net.Conn]bool{}}
}

// errRefused is what a dial gets where nobody listens.
var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

func (l *pipes) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	end := &end{Conn: there, of: l}
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return nil, errRefused
	}
	l.open[end] = true
	l.mu.Unlock()
	select {
	case l.incoming <- end:
		return here, nil
	case <-l.down:
	case <-ctx.Done():
	}
	end.Close()
	return nil, errRefused
}

// Accept implements net.Listener.
func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.incoming:
		return c, nil
	case <-l.down:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener: connections stay.
func (l *pipes) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.over = true
		close(l.down)
	}
	return nil
}

// cut ends it with all connections, as the end of its process would.
func (l *pipes) cut() {
	l.Close()
	l.drop()
}

// drop ends all connections.
func (l *pipes) drop() {
	l.mu.Lock()
	var all []net.Conn
	for c := range l.open {
		all = append(all, c)
	}
	l.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
}

// Addr implements net.Listener.
func (l *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// end is a connection as the control plane sees it.
type end struct {
	net.Conn
	of *pipes
}

func (e *end) Close() error {
	e.of.mu.Lock()
	delete(e.of.open, e)
	e.of.mu.Unlock()
	return e.Conn.Close()
}

func (e *end) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2} }
