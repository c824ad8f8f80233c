package egress

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"sync"
	"time"
)

// maxAnswerHeaderBytes bounds the header of a server's answer to a plain http request.
const maxAnswerHeaderBytes = 1 << 20

// forwarder passes the plain http requests of one client connection on. Its upstream connections live no longer than
// the client's, so sessions and clients never share one.
type forwarder struct {
	exchange  *exchange
	transport *http.Transport
}

func newForwarder(x *exchange) *forwarder {
	f := &forwarder{exchange: x}
	f.transport = &http.Transport{
		DialContext:            f.dial,
		DisableCompression:     true, // bytes go through as they are
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxAnswerHeaderBytes,
	}
	return f
}

// forward sends r to target, which the policy allows, and its answer back; hop-by-hop headers stay here and an Upgrade
// becomes a tunnel. The attempt is reported when there is an upstream connection for it, or none can be had.
func (f *forwarder) forward(w http.ResponseWriter, r *http.Request, target Target, start time.Time) {
	p := f.exchange.proxy
	// Otherwise net/http closes the request's body when the answer begins, and a transport that is about to look for the
	// body's end takes that for a failure and cuts the answer: one in some ten thousand requests on a busy machine.
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		panic(err) // net/http's own HTTP/1 connections can always do it
	}
	via, _ := p.dialer.via(target, true) // an error meets dial as well
	var once sync.Once                   // the transport may try a second connection
	report := func(why *refusal) {
		once.Do(func() { p.report(r.Method, target, why, start) })
	}
	connected := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { report(nil) }}
	proxy := httputil.ReverseProxy{
		Transport:     f.transport,
		FlushInterval: -1, // streams pass at once
		ErrorLog:      log.New(io.Discard, "", 0),
		BufferPool:    bufferPool{&p.buffers},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.User, r.Out.URL.Host = "http", nil, target.String()
			r.Out.URL.RawQuery = r.In.URL.RawQuery // as sent: a proxy has no opinion on semicolons
			r.Out.Host = hostHeader(target)
			if via != nil {
				sendVia(r.Out, via, target)
			}
		},
		ModifyResponse: func(r *http.Response) error { return answerVia(r, via, target) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			why := asRefusal(err, target)
			report(why)
			answer(w, why)
		},
	}
	proxy.ServeHTTP(w, r.WithContext(httptrace.WithClientTrace(r.Context(), connected)))
}

// dial opens an upstream connection for the transport. It follows the client connection's context: the transport
// keeps dialling after a request has gone away, in the hope of the next one.
func (f *forwarder) dial(_ context.Context, _, address string) (net.Conn, error) {
	x := f.exchange
	target, err := ParseTarget(address)
	if err != nil {
		return nil, &refusal{verdict: Invalid, detail: err.Error()}
	}
	conn, err := x.proxy.dialer.open(x.ctx, target, true)
	if err != nil {
		return nil, err
	}
	return x.proxy.meters.attach(target, conn), nil
}

func (f *forwarder) close() { f.transport.CloseIdleConnections() }

// asRefusal finds the refusal in an error of a round trip; any other failure is an unreachable server.
func asRefusal(err error, target Target) *refusal {
	if why, ok := errors.AsType[*refusal](err); ok {
		return why
	}
	return &refusal{verdict: Unreachable, target: target, detail: err.Error()}
}

// bufferPool lends the proxy's buffers to the standard library.
type bufferPool struct{ pool *sync.Pool }

func (b bufferPool) Get() []byte  { return *b.pool.Get().(*[]byte) }
func (b bufferPool) Put(p []byte) { b.pool.Put(&p) }
