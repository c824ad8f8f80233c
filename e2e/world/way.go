package world

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

// Fault is what happens to one request and its answer.
type Fault string

// The faults of a way.
const (
	None      Fault = ""
	Refused   Fault = "refused"  // no connection
	Lost      Fault = "lost"     // the control plane acts, and the connection breaks before its answer
	Silent    Fault = "silent"   // likewise, and nobody notices until the time is over
	Late      Fault = "late"     // the answer takes a while
	Twice     Fault = "twice"    // the request arrives twice, and the second answer counts
	Repeated  Fault = "repeated" // the request arrives again, after others that followed it
	CutUp     Fault = "cut up"   // the connection breaks while the request is sent
	CutDown   Fault = "cut down" // the answer breaks off
	Slow      Fault = "slow"     // the request is sent a piece at a time
	BadGate   Fault = "502"      // a proxy has no connection
	GateTime  Fault = "504"      // the control plane acts, and the proxy does not wait for its answer
	TooMany   Fault = "429"      // a proxy wants less
	Nonsense  Fault = "nonsense" // something else answers 200 with a page
	TooLarge  Fault = "413"      // a proxy takes no large bodies
	lateTime        = 40 * time.Millisecond
	laterTime       = 150 * time.Millisecond
	silentMax       = api.WaitMax + 30*time.Second
	proxyBody       = "<html><body>the proxy has something to say</body></html>"
	bodyLimit int64 = 512 << 10 // of the proxy that answers 413
)

// AllFaults are those that any request may meet.
var AllFaults = []Fault{Refused, Lost, Late, Twice, Repeated, CutUp, CutDown, Slow, BadGate, GateTime, TooMany, Nonsense}

// Way is one client's way to the control plane. It is an http.RoundTripper.
type Way struct {
	inner *http.Transport
	wait  sync.WaitGroup // requests that are repeated

	mu     sync.Mutex
	dead   bool
	choose func(*http.Request) Fault
	met    map[Fault]int
	change func(r *http.Request, answer []byte) []byte
}

func newWay(dial func(context.Context) (net.Conn, error)) *Way {
	return &Way{
		inner: &http.Transport{
			DialContext:           func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			ResponseHeaderTimeout: silentMax, MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second,
		},
		met: map[Fault]int{},
	}
}

// Choose sets what happens to each request; nil: nothing. It must not block.
func (w *Way) Choose(f func(*http.Request) Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.choose = f
}

// Change sets what becomes of the answers' bodies; nil: nothing.
func (w *Way) Change(f func(r *http.Request, answer []byte) []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.change = f
}

// Met returns how many requests met each fault.
func (w *Way) Met() map[Fault]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	met := map[Fault]int{}
	for f, n := range w.met {
		met[f] = n
	}
	return met
}

// open says whether there is anybody at this end.
func (w *Way) open(yes bool) {
	w.mu.Lock()
	w.dead = !yes
	w.mu.Unlock()
}

func (w *Way) close() {
	w.wait.Wait()
	w.inner.CloseIdleConnections()
}

// is reports what a request asks for: "sync", "events", "artifacts" or the path.
func is(r *http.Request) string {
	for _, s := range []string{"sync", "events"} {
		if strings.HasSuffix(r.URL.Path, "/"+s) {
			return s
		}
	}
	if strings.Contains(r.URL.Path, "/artifacts/") {
		return "artifacts"
	}
	return r.URL.Path
}

// RoundTrip implements http.RoundTripper.
func (w *Way) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	f := None
	if w.dead {
		f = Refused
	} else if w.choose != nil {
		f = w.choose(r)
	}
	if f != None {
		w.met[f]++
	}
	change := w.change
	w.mu.Unlock()
	switch f {
	case Refused:
		return nil, drained(r, errRefused)
	case BadGate:
		return page(r, http.StatusBadGateway), drained(r, nil)
	case TooMany:
		return page(r, http.StatusTooManyRequests), drained(r, nil)
	case Nonsense:
		return page(r, http.StatusOK), drained(r, nil)
	case TooLarge:
		if r.ContentLength > bodyLimit {
			return page(r, http.StatusRequestEntityTooLarge), drained(r, nil)
		}
	case CutUp:
		return w.inner.RoundTrip(withBody(r, func(b io.Reader, n int64) io.Reader {
			return io.MultiReader(io.LimitReader(b, n/2), broken{})
		}))
	case Slow:
		return w.inner.RoundTrip(withBody(r, func(b io.Reader, n int64) io.Reader { return slow{r.Context(), b, int(n/4) + 1} }))
	case Twice, Repeated:
		return w.again(r, f)
	}
	answer, err := w.inner.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch f {
	case Late:
		if err := pause(r.Context(), lateTime); err != nil {
			answer.Body.Close()
			return nil, err
		}
	case Lost:
		return nil, gone(answer, reset("read"))
	case Silent:
		_ = gone(answer, nil)
		_ = pause(r.Context(), silentMax)
		return nil, errors.Join(context.Cause(r.Context()), errors.New("timeout awaiting response headers"))
	case GateTime:
		return page(r, http.StatusGatewayTimeout), gone(answer, nil)
	case CutDown:
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(answer.Body, 9), broken{}), answer.Body}
	}
	if change == nil || f == CutDown {
		return answer, nil
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil {
		return nil, err
	}
	body = change(r, body)
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return answer, nil
}

// again sends a request twice: at once, or the second time in a while.
func (w *Way) again(r *http.Request, f Fault) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	send := func(ctx context.Context) (*http.Response, error) {
		c := r.Clone(ctx)
		if r.Body != nil {
			c.Body = io.NopCloser(bytes.NewReader(body))
		}
		return w.inner.RoundTrip(c)
	}
	if f == Twice {
		first, err := send(r.Context())
		if err != nil {
			return nil, err
		}
		_ = gone(first, nil)
		return send(r.Context())
	}
	w.wait.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 10*laterTime)
		defer cancel()
		_ = pause(ctx, laterTime)
		if second, err := send(ctx); err == nil {
			_ = gone(second, nil)
		}
	})
	return send(r.Context())
}

func withBody(r *http.Request, change func(b io.Reader, n int64) io.Reader) *http.Request {
	if r.Body == nil || r.ContentLength <= 0 {
		return r
	}
	c := r.Clone(r.Context())
	c.Body = struct {
		io.Reader
		io.Closer
	}{change(r.Body, r.ContentLength), r.Body}
	c.GetBody = nil
	return c
}

// drained closes a request's body, as a RoundTripper has to.
func drained(r *http.Request, err error) error {
	if r.Body != nil {
		r.Body.Close()
	}
	return err
}

func gone(answer *http.Response, err error) error {
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20))
	answer.Body.Close()
	return err
}

func page(r *http.Request, status int) *http.Response {
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"text/html"}}, ContentLength: int64(len(proxyBody)),
		Body: io.NopCloser(strings.NewReader(proxyBody)),
	}
}

func reset(op string) error { return &net.OpError{Op: op, Net: "tcp", Err: syscall.ECONNRESET} }

// broken is the end of a connection that broke.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, reset("read") }

// slow gives a piece at a time.
type slow struct {
	ctx   context.Context
	r     io.Reader
	piece int
}

func (s slow) Read(b []byte) (int, error) {
	if err := pause(s.ctx, lateTime/8); err != nil {
		return 0, err
	}
	return s.r.Read(b[:min(len(b), s.piece)])
}

// pause returns ctx's error if it ends before d is over.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
