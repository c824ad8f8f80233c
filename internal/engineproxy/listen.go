package engineproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// connMax is how many connections there are at a time; each session takes three.
	connMax = 1024
	// headerMax bounds a request's headers, in bytes: a registry's login is in them.
	headerMax = 256 << 10
)

// Listen makes the socket at path, in place of one that a dead proxy left. Everybody
// who reaches it may connect: who that is, its directory decides.
func Listen(path string) (net.Listener, error) {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("listen on %s: another proxy does", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		_ = os.Remove(path)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Serve answers on l until ctx ends, and then cuts every connection: sandboxes and
// their runner survive that, as they survive a restart of the engine. It closes l.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: p, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: headerMax,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	err := server.Serve(&limited{Listener: l, slots: make(chan struct{}, connMax)})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// limited is a listener with at most cap(slots) connections at a time.
type limited struct {
	net.Listener
	slots chan struct{} // one for each open connection
}

// Accept waits until there is room before it takes a connection.
func (l *limited) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{UnixConn: c.(*net.UnixConn), free: sync.OnceFunc(func() { <-l.slots })}, nil
}

type limitedConn struct {
	*net.UnixConn
	free func()
}

func (c *limitedConn) Close() error {
	defer c.free()
	return c.UnixConn.Close()
}

// socketGroup is the group that may use the socket at path, -1 if unknown.
func socketGroup(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int64(stat.Gid)
	}
	return -1
}
