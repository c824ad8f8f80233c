package egress

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// bufferBytes is the size of a copy buffer; a tunnel holds two.
	bufferBytes = 64 << 10
	// lingerTimeout is how long a client may stay silent after the server has ended its stream: pooled connections
	// that their owner forgot would otherwise use the session's connections up.
	lingerTimeout = time.Minute
)

// connect answers a CONNECT that the policy allows: it dials first, so that a failure can still be told, then turns
// the connection into a tunnel and returns when that has ended.
func (x *exchange) connect(w http.ResponseWriter, r *http.Request, target Target, start time.Time) {
	conn, err := x.proxy.dialer.open(r.Context(), target, false)
	if err != nil {
		x.refuse(w, r, asRefusal(err, target), start)
		return
	}
	defer conn.Close()
	x.proxy.report(r.Method, target, nil, start)
	early, err := x.takeOver(w)
	if err != nil {
		return
	}
	if _, err := io.WriteString(x.client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	t := &tunnel{
		proxy: x.proxy, target: target, client: x.client, early: early,
		upstream: x.proxy.meters.attach(target, conn),
	}
	if err := t.run(x); err != nil {
		if why, ok := errors.AsType[*refusal](err); ok {
			x.proxy.report(r.Method, target, why, start)
		}
	}
}

// takeOver takes the connection from net/http, with the bytes that the client has sent ahead.
func (x *exchange) takeOver(w http.ResponseWriter) (early []byte, err error) {
	_, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	if err := x.client.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	early = make([]byte, buffered.Reader.Buffered())
	_, err = io.ReadFull(buffered.Reader, early)
	return early, err
}

// tunnel copies bytes both ways until both ends are done or one is broken.
type tunnel struct {
	proxy    *Proxy
	target   Target
	client   *clientConn
	early    []byte // client bytes that were read already
	upstream *meteredConn
	ending   atomic.Bool // the server has ended its stream
}

// run returns when the tunnel has ended, with both connections closed; its error is a *refusal when the tunnel was
// ended for what the client sent.
func (t *tunnel) run(x *exchange) error {
	abort := func() {
		t.client.abort()
		_ = t.upstream.Close()
	}
	stop := context.AfterFunc(x.ctx, abort)
	defer stop()
	up := make(chan error, 1) // one send, after the last read of the client
	go func() {
		err := t.up()
		if err != nil {
			abort()
		}
		up <- err
	}()
	if err := t.down(); err != nil {
		abort()
	}
	err := <-up
	abort()
	return err
}

// down copies from the server. It returns nil when the server has ended its stream and the client can go on sending.
func (t *tunnel) down() error {
	if err := t.copy(t.client, t.upstream, nil); err != nil {
		return err
	}
	t.ending.Store(true)
	if err := t.client.SetReadDeadline(time.Now().Add(lingerTimeout)); err != nil {
		return err
	}
	return t.client.CloseWrite()
}

// up copies from the client. It returns nil when the client has ended its stream, or the server no longer takes it:
// what the server has still to say then decides.
func (t *tunnel) up() error {
	var src io.Reader = t.client
	if len(t.early) > 0 {
		src = io.MultiReader(bytes.NewReader(t.early), t.client)
	}
	if t.target.Port == portHTTPS {
		checked, err := checkHello(t.client, src, t.target)
		if err != nil {
			return err
		}
		src = checked
	}
	linger := func() {
		if t.ending.Load() {
			_ = t.client.SetReadDeadline(time.Now().Add(lingerTimeout))
		}
	}
	err := t.copy(t.upstream, src, linger)
	if errors.Is(err, errWrite) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.upstream.CloseWrite(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// errWrite marks a failure of the receiving side of a copy.
var errWrite = errors.New("write failed")

// copy passes bytes on until src ends, which is no error; before is called ahead of each read, if not nil.
func (t *tunnel) copy(dst io.Writer, src io.Reader, before func()) error {
	buf := t.proxy.buffers.Get().(*[]byte)
	defer t.proxy.buffers.Put(buf)
	for {
		if before != nil {
			before()
		}
		n, err := src.Read(*buf)
		if n > 0 {
			if _, werr := dst.Write((*buf)[:n]); werr != nil {
				return errors.Join(errWrite, werr)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
