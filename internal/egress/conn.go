package egress

import (
	"errors"
	"net"
	"sync"
	"time"
)

// errNoHalfClose says that a connection can only be closed as a whole.
var errNoHalfClose = errors.New("connection has no CloseWrite")

// closeWrite ends the sending side of conn where its type can do that.
func closeWrite(conn net.Conn) error {
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errNoHalfClose
}

// clientConn is the sandbox's side of a connection. abort ends it for good: after it no deadline can be set, so
// neither net/http nor a tunnel that clears its deadlines can make a blocked read wait again. Deadlines and not only
// Close end blocked calls, because a multiplexed stream may treat Close as the end of its sending side.
type clientConn struct {
	net.Conn

	mu      sync.Mutex // guards aborted and orders deadlines against it
	aborted bool
}

// abort unblocks all reads and writes, now and later, and closes the connection. It may be called again.
func (c *clientConn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.aborted {
		c.aborted = true
		_ = c.Conn.SetDeadline(time.Unix(1, 0))
	}
	_ = c.Conn.Close()
}

func (c *clientConn) guard(set func(time.Time) error, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.aborted {
		return net.ErrClosed
	}
	return set(t)
}

func (c *clientConn) SetDeadline(t time.Time) error      { return c.guard(c.Conn.SetDeadline, t) }
func (c *clientConn) SetReadDeadline(t time.Time) error  { return c.guard(c.Conn.SetReadDeadline, t) }
func (c *clientConn) SetWriteDeadline(t time.Time) error { return c.guard(c.Conn.SetWriteDeadline, t) }

// Close closes for good, like abort.
func (c *clientConn) Close() error {
	c.abort()
	return nil
}

// CloseWrite ends the sending side, or fails when the connection cannot.
func (c *clientConn) CloseWrite() error { return closeWrite(c.Conn) }

// oneConn is a net.Listener that yields one connection and then waits until that has been served, so that
// http.Server.Serve returns exactly then.
type oneConn struct {
	conn   net.Conn // nil once taken
	served <-chan struct{}
	addr   net.Addr
}

// Accept is called by one goroutine only.
func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.served
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.addr }
