package egress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example", "dead.example", "inner.example"}, func(c *Config) {
		c.Policy, _ = c.Policy.Deny("denied.example")
	})
	f.net.names["inner.example"] = []string{"10.9.8.7"}
	for _, tc := range []struct {
		method, uri string
		status      int
		header      string
		body        string
	}{
		{"CONNECT", "evil.example:443", 403, "denied",
			"egress to evil.example:443 is not allowed; allow it with --allow-host evil.example:443"},
		{"CONNECT", "EVIL.example.:8443", 403, "denied",
			"egress to evil.example:8443 is not allowed; allow it with --allow-host evil.example:8443"},
		{"CONNECT", "denied.example:443", 403, "denied", "egress to denied.example:443 is denied to every session"},
		{"CONNECT", "inner.example:443", 403, "denied", "egress to inner.example:443 is not allowed: it has no public address"},
		{"CONNECT", "dead.example:443", 502, "unreachable", "egress to dead.example:443 is allowed but it cannot be reached"},
		{"CONNECT", "169.254.169.254:80", 403, "denied", "egress to 169.254.169.254:80 is denied: " +
			"a link-local address can never be allowed (a port of the runner is host.ratchet.internal:PORT)"},
		{"GET", "http://evil.example/x", 403, "denied",
			"egress to evil.example:80 is not allowed; allow it with --allow-host evil.example:80"},
		{"GET", "http://inner.example/x", 403, "denied", "egress to inner.example:80 is not allowed: it has no public address"},
		{"POST", "http://dead.example/x", 502, "unreachable", "egress to dead.example:80 is allowed but it cannot be reached"},
		{"GET", "/", 400, "invalid", ""},
		{"OPTIONS", "*", 400, "invalid", ""},
		{"GET", "https://a.example/", 400, "invalid", ""},
		{"GET", "ftp://a.example/", 400, "invalid", ""},
		{"GET", "http://user:pw@a.example/", 400, "invalid", ""},
		{"GET", "http://a.example@evil.example/", 400, "invalid", ""},
		{"GET", "http://%61.example/", 400, "", ""},
		{"GET", "http://a.example:x/", 400, "", ""},
		{"GET", "http://0x7f.1/", 400, "invalid", ""},
		{"GET", `http://evil.example\.a.example/`, 400, "", ""},
		{"CONNECT", "u@a.example:443", 400, "invalid", ""},
		{"CONNECT", "a.example", 400, "invalid", ""},
		{"CONNECT", "/a.example:443", 400, "invalid", ""},
	} {
		conn := f.client(t)
		resp, body := ask(t, conn, tc.method, tc.method+" "+tc.uri+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp.StatusCode != tc.status || resp.Header.Get(egressHeader) != tc.header {
			t.Errorf("%s %s: %s, header %q", tc.method, tc.uri, resp.Status, resp.Header.Get(egressHeader))
		}
		if tc.body != "" && strings.TrimSpace(body) != tc.body {
			t.Errorf("%s %s: body %q", tc.method, tc.uri, body)
		}
		if strings.Contains(body, "10.9.8.7") {
			t.Errorf("the session is told an internal address: %q", body)
		}
	}
	log := fmt.Sprint(f.log.list())
	if !strings.Contains(log, "10.9.8.7 is private") || strings.Contains(log, "\x00") {
		t.Errorf("log: %s", log)
	}
}

func TestAttemptsAndUsage(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example:7"}, nil)
	f.listen(t, "a.example", publicA, "7", echo)
	conn := f.tunnel(t, "A.example:7")
	io.WriteString(conn, "hello")
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	want := []Attempt{{Host: "a.example", Port: 7, Method: "CONNECT", Allowed: true, Verdict: Allowed}}
	if diff := cmp.Diff(want, f.log.list()); diff != "" {
		t.Error(diff)
	}
	usage := []Usage{{Host: "a.example", Port: 7, Conns: 1, BytesUp: 5, BytesDown: 5}}
	if diff := cmp.Diff(usage, f.Usage()); diff != "" {
		t.Errorf("while the tunnel is open: %s", diff)
	}
}

func TestUsageIsBounded(t *testing.T) {
	t.Parallel()
	var m meters
	for i := range 3 * maxMeters {
		_ = m.attach(target(t, fmt.Sprintf("n%d.example:443", i)), nil)
	}
	got := m.snapshot()
	if len(got) != maxMeters+1 || got[0].Host != "" || got[0].Conns != 2*maxMeters {
		t.Errorf("%d targets, first %+v", len(got), got[0])
	}
}

func TestSetPolicy(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.listen(t, "a.example", publicA, "7", echo)
	conn := f.client(t)
	r := bufio.NewReader(conn)
	request := "CONNECT a.example:7 HTTP/1.1\r\nHost: x\r\n\r\n"
	io.WriteString(conn, request)
	if resp, _ := readAnswer(t, r, "CONNECT"); resp.StatusCode != 403 {
		t.Fatal(resp.Status)
	}
	policy, err := f.Policy().Allow("a.example:7")
	if err != nil {
		t.Fatal(err)
	}
	f.SetPolicy(policy)
	io.WriteString(conn, request) // the refused connection can be used again
	if resp, _ := readAnswer(t, r, "CONNECT"); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
}

func TestConnFlood(t *testing.T) {
	t.Parallel()
	const limit = 8
	reported := make(chan Attempt, 3*limit)
	f := setup(t, []string{"a.example:7"}, func(c *Config) {
		c.MaxConns = limit
		c.Log = func(a Attempt) { reported <- a }
	})
	f.listen(t, "a.example", publicA, "7", echo)
	for range limit {
		f.tunnel(t, "a.example:7")
		<-reported
	}
	var silent []net.Conn
	for range limit { // excess connections that say nothing hold a place in the queue for an answer
		silent = append(silent, f.client(t))
		if a := <-reported; a.Verdict != Busy || a.Allowed || a.Reason == "" {
			t.Fatalf("%+v", a)
		}
	}
	over := f.client(t)
	if _, err := over.Read(make([]byte, 1)); err == nil {
		t.Error("past twice the limit there is an answer")
	}
	resp, body := ask(t, silent[0], "CONNECT", "CONNECT a.example:7 HTTP/1.1\r\nHost: x\r\n\r\n")
	if resp.StatusCode != 503 || resp.Header.Get(egressHeader) != "busy" || !strings.Contains(body, "too many") {
		t.Errorf("%s %v %q", resp.Status, resp.Header, body)
	}
	if a := <-reported; a.Verdict != Busy {
		t.Errorf("%+v", a)
	}
	for _, c := range silent {
		c.Close()
	}
}

func TestSlowHeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() { defer close(done); p.ServeConn(t.Context(), theirs) }()
		start := time.Now()
		stop := make(chan struct{})
		go func() { // a byte now and then does not help
			defer close(stop)
			for {
				if _, err := io.WriteString(ours, "C"); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		go io.Copy(io.Discard, ours)
		<-done
		if took := time.Since(start); took < DefaultHeaderTimeout || took > DefaultHeaderTimeout+2*time.Second {
			t.Errorf("gave up after %s", took)
		}
		<-stop
		ours.Close()
	})
}

func TestLargeHeader(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example"}, nil)
	conn := f.client(t)
	resp, _ := ask(t, conn, "GET", "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nX: "+strings.Repeat("x", 80<<10)+"\r\n\r\n")
	if resp.StatusCode != 431 {
		t.Errorf("%s", resp.Status)
	}
	if len(f.net.dials()) != 0 {
		t.Error("dialled")
	}
}

// stubborn is a client connection that Close does not unblock, as with a multiplexed stream that only sends its end.
type stubborn struct{ net.Conn }

func (s stubborn) Close() error { return nil }

func TestCancelEndsEverything(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, request string }{
		{"no request", ""},
		{"half a request", "CONNECT a.exa"},
		{"tunnel", "CONNECT a.example:7 HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"tunnel before its hello", "CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"tunnel in its hello", "CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\n\r\n\x16\x03\x01"},
		{"request without an answer", "GET http://a.example:7/ HTTP/1.1\r\nHost: a.example\r\n\r\n"},
		{"endless body", "POST http://a.example:7/ HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100\r\n\r\nx"},
		{"dialling", "CONNECT hole.example:7 HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"dialling for http", "GET http://hole.example:7/ HTTP/1.1\r\nHost: x\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, []string{"a.example:7", "a.example:443", "hole.example:7"}, nil)
			reached := make(chan struct{})
			var once sync.Once
			silent := func(c net.Conn) { once.Do(func() { close(reached) }); io.Copy(io.Discard, c) }
			f.listen(t, "a.example", publicA, "7", silent)
			f.listen(t, "a.example", publicA, "443", silent)
			f.net.names["hole.example"] = []string{publicB}
			dial := f.dialer.dial
			f.dialer.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if !strings.HasPrefix(address, publicB) {
					return dial(ctx, network, address)
				}
				once.Do(func() { close(reached) })
				<-ctx.Done()
				return nil, ctx.Err()
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			f.ctx = ctx
			ours, theirs := socketPair(t)
			defer ours.Close()
			defer theirs.Close()
			done := f.serve(t, stubborn{theirs})
			io.WriteString(ours, tc.request)
			if strings.Contains(tc.request, "\r\n\r\n") {
				<-reached
			}
			cancel(errors.New("session ended"))
			select {
			case <-done:
			case <-time.After(5 * time.Second):
				t.Fatal("ServeConn goes on")
			}
		})
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example:7"}, nil)
	f.listen(t, "a.example", publicA, "7", echo)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- f.Serve(ctx, ln) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if resp, _ := ask(t, conn, "CONNECT", "CONNECT a.example:7 HTTP/1.1\r\nHost: x\r\n\r\n"); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the tunnel is open after Serve")
	}
	if err := f.Serve(t.Context(), ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve on a closed listener: %v", err)
	}
}
