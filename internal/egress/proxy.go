package egress

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of Config, and limits that are not configurable.
const (
	DefaultMaxConns      = 256
	DefaultDialTimeout   = 10 * time.Second
	DefaultHeaderTimeout = 30 * time.Second

	maxHeaderBytes = 64 << 10
	maxMethodBytes = 32              // of a method in a report: sessions may invent long ones
	idleTimeout    = 2 * time.Minute // between two plain http requests on one connection
	busyTimeout    = 2 * time.Second // to tell an excess connection that it is one
)

// Config is what a Proxy is made of. The zero value allows nothing and dials directly.
type Config struct {
	Policy Policy
	// Permitted are address ranges that names may resolve to although they are not public. It is for the runner's owner
	// alone, and for networks that answer public names with addresses of their own: a gateway that inspects TLS, a VPN
	// with 100.64.0.0/10 or 198.18.0.0/15, split DNS. Every allowed name may then lead to every address in them.
	// Loopback, link-local, multicast and translated addresses and the runner's own stay out of reach.
	Permitted []netip.Prefix
	// Resolver is nil for the machine's own, without search domains.
	Resolver Resolver
	// Dial is nil for the machine's own TCP.
	Dial DialFunc
	// Upstream returns the proxy on the way to u, which is http://HOST:PORT for plain http requests and
	// https://HOST:PORT for tunnels; nil for none. A nil Upstream means no proxy at all. An http or https proxy is
	// asked for tunnels with CONNECT and gets plain requests as they are, with the login in its URL as basic
	// authentication. [RunnerHost] is never behind one. What the private-address rule means then: see the package.
	Upstream func(u *url.URL) (*url.URL, error)
	// Log, if not nil, is called for every attempt, from many goroutines at once and before the client has its answer:
	// it must return quickly and should hand over to a queue that drops rather than blocks. How many attempts there
	// are is up to the session, hostile ones included: limit what is stored.
	Log func(Attempt)
	// MaxConns bounds the connections at a time, 0 for 256. Excess ones get 503; past twice the number they are closed
	// without an answer.
	MaxConns int
	// DialTimeout bounds resolving and dialling together, 0 for 10 s.
	DialTimeout time.Duration
	// HeaderTimeout bounds the wait for a complete request header, 0 for 30 s.
	HeaderTimeout time.Duration
}

// Proxy is the egress of one session. It holds no goroutine or file of its own, so it needs no closing. All methods
// are safe for concurrent use.
type Proxy struct {
	cfg     Config
	policy  atomic.Pointer[Policy]
	dialer  *dialer
	meters  meters
	active  atomic.Int64
	buffers sync.Pool // of *[]byte, bufferBytes each
}

// New makes a proxy.
func New(cfg Config) *Proxy {
	if cfg.Resolver == nil {
		cfg.Resolver = systemResolver{}
	}
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{}).DialContext
	}
	if cfg.MaxConns <= 0 {
		cfg.MaxConns = DefaultMaxConns
	}
	if cfg.DialTimeout <= 0 {
		cfg.DialTimeout = DefaultDialTimeout
	}
	if cfg.HeaderTimeout <= 0 {
		cfg.HeaderTimeout = DefaultHeaderTimeout
	}
	p := &Proxy{cfg: cfg, dialer: &dialer{
		resolver: cfg.Resolver, dial: cfg.Dial, upstream: cfg.Upstream, timeout: cfg.DialTimeout, permitted: slices.Clone(cfg.Permitted),
	}}
	p.policy.Store(&cfg.Policy)
	p.buffers.New = func() any { b := make([]byte, bufferBytes); return &b }
	return p
}

// SetPolicy changes the policy for all later requests. Tunnels that are open stay open.
func (p *Proxy) SetPolicy(policy Policy) { p.policy.Store(&policy) }

// Policy returns the policy in force.
func (p *Proxy) Policy() Policy { return *p.policy.Load() }

// Usage returns the totals per target so far, sorted by host and port.
func (p *Proxy) Usage() []Usage { return p.meters.snapshot() }

// Serve serves every connection of ln (the runner's end of a session's tunnel) until Accept fails or ctx ends, then
// ends them all, closes ln and returns once they have ended: nil when ctx ended, else the error of Accept.
func (p *Proxy) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return nil
		}
		if err != nil {
			_ = ln.Close()
			return err
		}
		conns.Go(func() { p.ServeConn(ctx, conn) })
	}
}

// ServeConn serves one client connection: a CONNECT tunnel, or plain http requests one after the other. It blocks until
// the client is done or ctx ends, and has then closed conn and everything that it opened.
//
// conn must honour deadlines. If it has a method CloseWrite() error, a server's end of stream is passed on as such;
// otherwise it closes the connection. (A yamux stream's Close ends the sending side: wrap it as CloseWrite.)
func (p *Proxy) ServeConn(ctx context.Context, conn net.Conn) {
	limit := int64(p.cfg.MaxConns)
	defer p.active.Add(-1)
	if n := p.active.Add(1); n > limit {
		p.refuseConn(conn, n <= 2*limit)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client := &clientConn{Conn: conn}
	defer client.abort()
	stop := context.AfterFunc(ctx, client.abort)
	defer stop()
	newExchange(ctx, p, client).serve()
}

// refuseConn ends a connection that is one too many. It reads first, so that a client that is still sending its
// request does not lose the answer to a reset.
func (p *Proxy) refuseConn(conn net.Conn, answer bool) {
	defer conn.Close()
	r := &refusal{verdict: Busy}
	p.report("", r.target, r, time.Now())
	if !answer {
		return
	}
	if err := conn.SetDeadline(time.Now().Add(busyTimeout)); err != nil {
		return
	}
	if _, err := conn.Read(make([]byte, 4096)); err != nil {
		return
	}
	_, _ = conn.Write(rawAnswer(r))
}

// report tells Log about one attempt; r is nil when it succeeded.
func (p *Proxy) report(method string, t Target, r *refusal, start time.Time) {
	if p.cfg.Log == nil {
		return
	}
	a := Attempt{Method: method[:min(len(method), maxMethodBytes)], Allowed: true, Verdict: Allowed, Duration: time.Since(start)}
	if t != (Target{}) {
		a.Host, a.Port = t.Host.String(), int(t.Port)
	}
	if r != nil {
		a.Allowed = r.verdict == Unreachable
		a.Verdict, a.Reason = r.verdict, r.Error()
	}
	p.cfg.Log(a)
}
