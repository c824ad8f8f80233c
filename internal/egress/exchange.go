package egress

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// egressHeader marks answers that come from the proxy itself and not from a server.
const egressHeader = "X-Ratchetai-Egress"

// exchange is one client connection being served. Parsing is all net/http's: a second parser of ours would be a
// second opinion on where a request ends.
type exchange struct {
	proxy  *Proxy
	client *clientConn
	ctx    context.Context // of the connection; a request's context is derived from it

	served chan struct{} // closed by finish
	finish func()        // may be called again

	// Used by net/http's one goroutine for the connection until served is closed, then by serve.
	hijacked  bool
	forwarder *forwarder // nil until there is a plain http request
}

func newExchange(ctx context.Context, p *Proxy, client *clientConn) *exchange {
	served := make(chan struct{})
	return &exchange{
		proxy: p, client: client, ctx: ctx,
		served: served, finish: sync.OnceFunc(func() { close(served) }),
	}
}

// serve returns when the connection is done with. Two things can end it: net/http closes it, or the handler that took
// it over returns.
func (x *exchange) serve() {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler:                      x,
		Protocols:                    &protocols,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            x.proxy.cfg.HeaderTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		ErrorLog:                     log.New(io.Discard, "", 0), // what goes wrong here is the client's doing
		BaseContext:                  func(net.Listener) context.Context { return x.ctx },
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateHijacked:
				x.hijacked = true
			case http.StateClosed:
				x.finish()
			}
		},
	}
	_ = server.Serve(&oneConn{conn: x.client, served: x.served, addr: x.client.LocalAddr()}) // always net.ErrClosed
	if x.forwarder != nil {
		x.forwarder.close()
	}
}

// ServeHTTP answers one request, or takes the connection over for a tunnel.
func (x *exchange) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if x.hijacked {
			x.finish()
		}
	}()
	start := time.Now()
	target, err := requestTarget(r)
	if err != nil {
		x.refuse(w, r, &refusal{verdict: Invalid, detail: quote(r.RequestURI) + ": " + err.Error()}, start)
		return
	}
	if verdict := x.proxy.Policy().Check(target); verdict != Allowed {
		x.refuse(w, r, &refusal{verdict: verdict, target: target}, start)
		return
	}
	if r.Method == http.MethodConnect {
		x.connect(w, r, target, start)
		return
	}
	if x.forwarder == nil {
		x.forwarder = newForwarder(x)
	}
	x.forwarder.forward(w, r, target, start)
}

// refuse reports and answers.
func (x *exchange) refuse(w http.ResponseWriter, r *http.Request, why *refusal, start time.Time) {
	x.proxy.report(r.Method, why.target, why, start)
	answer(w, why)
}

func answer(w http.ResponseWriter, why *refusal) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(egressHeader, why.header())
	w.WriteHeader(why.status())
	_, _ = fmt.Fprintln(w, why.public())
}

// rawAnswer is the same for a connection that net/http does not serve.
func rawAnswer(why *refusal) []byte {
	body := why.public() + "\n"
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n%s: %s\r\n"+
		"Content-Length: %d\r\nConnection: close\r\n\r\n%s",
		why.status(), http.StatusText(why.status()), egressHeader, why.header(), len(body), body)
}
