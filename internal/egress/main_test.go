package egress

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Addresses that are public to the checks; fakeNet leads them to servers of the test.
const (
	publicA = "93.184.216.34"
	publicB = "93.184.216.35"
)

// fakeNet is the internet of a test: names, and what answers at which address.
type fakeNet struct {
	mu     sync.Mutex
	names  map[string][]string // host -> addresses
	conns  map[string]string   // IP:port -> listener address, TCP
	dialed []string            // every address that was dialled
	lookup func(host string) []string
}

func (f *fakeNet) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	texts := f.names[host]
	if f.lookup != nil {
		texts = f.lookup(host)
	}
	if texts == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var addrs []netip.Addr
	for _, s := range texts {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	return addrs, nil
}

func (f *fakeNet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	f.mu.Lock()
	f.dialed = append(f.dialed, address)
	real, ok := f.conns[address]
	f.mu.Unlock()
	if !ok {
		return nil, errors.New("connection refused")
	}
	return (&net.Dialer{}).DialContext(ctx, network, real)
}

func (f *fakeNet) dials() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.dialed...)
}

// attempts collects what a proxy reports.
type attempts struct {
	mu  sync.Mutex
	all []Attempt
}

func (a *attempts) add(at Attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at.Duration = 0
	a.all = append(a.all, at)
}

func (a *attempts) list() []Attempt {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Attempt(nil), a.all...)
}

// fixture is a proxy with its surroundings.
type fixture struct {
	*Proxy
	net *fakeNet
	log *attempts
	ctx context.Context

	served sync.WaitGroup
}

// wait returns when no connection is being served.
func (f *fixture) wait() { f.served.Wait() }

// setup makes a proxy that allows rules, with a fake internet. mod may be nil.
func setup(t testing.TB, rules []string, mod func(*Config)) *fixture {
	t.Helper()
	f := &fixture{
		net: &fakeNet{names: map[string][]string{}, conns: map[string]string{}},
		log: &attempts{}, ctx: t.Context(),
	}
	policy, err := Parse(rules...)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Policy: policy, Resolver: f.net, Dial: f.net.dial, Log: f.log.add}
	if mod != nil {
		mod(&cfg)
	}
	f.Proxy = New(cfg)
	return f
}

// listen starts a TCP server for a name at an address of the fake internet.
func (f *fixture) listen(t testing.TB, name, addr, port string, handle func(net.Conn)) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer conn.Close(); handle(conn) })
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	f.route(name, addr, port, ln.Addr().String())
}

func (f *fixture) route(name, addr, port, real string) {
	f.net.mu.Lock()
	defer f.net.mu.Unlock()
	f.net.names[name] = []string{addr}
	f.net.conns[net.JoinHostPort(addr, port)] = real
}

// client opens a connection to the proxy over a unix socket, as good as the real tunnel: it has CloseWrite.
func (f *fixture) client(t testing.TB) net.Conn {
	t.Helper()
	ours, theirs := socketPair(t)
	f.serve(t, theirs)
	t.Cleanup(func() { ours.Close() })
	return ours
}

// serve runs ServeConn and waits for it at the end of the test.
func (f *fixture) serve(t testing.TB, conn net.Conn) (done chan struct{}) {
	done = make(chan struct{})
	f.served.Go(func() { defer close(done); f.ServeConn(f.ctx, conn) })
	t.Cleanup(func() {
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Error("ServeConn did not return")
		}
	})
	return done
}

func socketPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if a, err = net.Dial("unix", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// ask sends a raw request and reads the answer.
func ask(t testing.TB, conn net.Conn, method, raw string) (*http.Response, string) {
	t.Helper()
	go io.WriteString(conn, raw)
	return readAnswer(t, bufio.NewReader(conn), method)
}

func readAnswer(t testing.TB, r *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	if method == http.MethodConnect && resp.StatusCode == 200 {
		return resp, ""
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("answer body: %v", err)
	}
	return resp, string(body)
}

// tunnel opens a CONNECT tunnel or fails.
func (f *fixture) tunnel(t testing.TB, target string) net.Conn {
	t.Helper()
	conn := f.client(t)
	go io.WriteString(conn, connectRequest(target))
	r := bufio.NewReader(conn)
	resp, body := readAnswer(t, r, http.MethodConnect)
	if resp.StatusCode != 200 {
		t.Fatalf("CONNECT %s: %s %s", target, resp.Status, body)
	}
	return bufferedConn{conn, r}
}

func connectRequest(target string) string {
	return "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n\r\n"
}

// bufferedConn is a connection of which some bytes were read ahead.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c bufferedConn) Read(p []byte) (int, error) { return c.r.Read(p) }
func (c bufferedConn) CloseWrite() error          { return closeWrite(c.Conn) }

func echo(conn net.Conn) { io.Copy(conn, conn) }
