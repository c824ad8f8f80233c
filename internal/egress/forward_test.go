package egress

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// web starts a plain http server for name at addr, port 80.
func (f *fixture) web(t testing.TB, name, addr string, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	f.route(name, addr, "80", server.Listener.Addr().String())
	return server
}

func TestForward(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example"}, nil)
	var seen *http.Request
	var body string
	f.web(t, "a.example", publicA, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		seen, body = r, string(b)
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		w.Header().Set("X-End", "1")
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "answer")
	})
	resp, got := ask(t, f.client(t), "POST", "POST http://A.example./p/%2Fx?a=1;b=2&%zz HTTP/1.1\r\nHost: evil.example\r\n"+
		"Connection: X-Secret, keep-alive\r\nX-Secret: 1\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\n"+
		"Keep-Alive: 5\r\nTE: gzip\r\nX-Keep: 1\r\nAccept-Encoding: br\r\nContent-Length: 4\r\n\r\nbody")
	if resp.StatusCode != http.StatusTeapot || got != "answer" || resp.Header.Get("X-End") != "1" || resp.Header.Get("X-Hop") != "" {
		t.Errorf("%s %v %q", resp.Status, resp.Header, got)
	}
	if resp.Header.Get(egressHeader) != "" {
		t.Error("a server's answer is marked as ours")
	}
	want := http.Header{"X-Keep": {"1"}, "Accept-Encoding": {"br"}, "Content-Length": {"4"}}
	if diff := cmp.Diff(want, seen.Header); diff != "" {
		t.Errorf("forwarded header: %s", diff)
	}
	if seen.Host != "a.example" || seen.RequestURI != "/p/%2Fx?a=1;b=2&%zz" || body != "body" {
		t.Errorf("server saw %s %s %q", seen.Host, seen.RequestURI, body)
	}
}

// TestForwardKeepAlive: many requests and two hosts on one client connection; each is checked, reported and counted.
func TestForwardKeepAlive(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example", "b.example"}, nil)
	who := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name+r.Host+r.URL.Path) }
	}
	f.web(t, "a.example", publicA, who("A "))
	f.web(t, "b.example", publicB, who("B "))
	conn := f.client(t)
	r := bufio.NewReader(conn)
	for i, tc := range []struct{ url, want string }{
		{"http://a.example/1", "A a.example/1"}, {"http://b.example/2", "B b.example/2"}, {"http://a.example/3", "A a.example/3"},
		{"http://c.example/4", "egress to c.example:80 is not allowed; allow it with --allow-host c.example:80\n"},
		{"http://b.example/5", "B b.example/5"},
	} {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a.example\r\n\r\n", tc.url)
		if _, body := readAnswer(t, r, "GET"); body != tc.want {
			t.Errorf("request %d: %q", i, body)
		}
	}
	var verdicts []Verdict
	for _, a := range f.log.list() {
		verdicts = append(verdicts, a.Verdict)
	}
	if diff := cmp.Diff([]Verdict{Allowed, Allowed, Allowed, NotListed, Allowed}, verdicts); diff != "" {
		t.Error(diff)
	}
	if n := len(f.net.dials()); n != 2 {
		t.Errorf("%d upstream connections, want 2", n)
	}
	for _, u := range f.Usage() {
		if u.Conns != 1 || u.BytesUp == 0 || u.BytesDown == 0 {
			t.Errorf("%+v", u)
		}
	}
}

// TestForwardBothWays: a server may answer while the request is still being sent; neither side ends the other.
func TestForwardBothWays(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example"}, nil)
	f.web(t, "a.example", publicA, func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if err := c.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		for b := make([]byte, 4); ; {
			if _, err := io.ReadFull(r.Body, b); err != nil {
				return
			}
			_, _ = w.Write(b)
			_ = c.Flush()
		}
	})
	conn := f.client(t)
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nContent-Length: 12\r\n\r\nping")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, next := range []string{"pong", "last", ""} {
		if got, err := io.ReadAll(io.LimitReader(resp.Body, 4)); err != nil || len(got) != 4 {
			t.Fatalf("before %q: %q, %v", next, got, err)
		}
		fmt.Fprint(conn, next)
	}
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("the answer ends with %q, %v", rest, err)
	}
}

// TestSmuggling: requests whose end two parsers could see in different places.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	inner := "GET /inner HTTP/1.1\r\nHost: a.example\r\n\r\n"
	for name, request := range map[string]string{
		"two lengths":       "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + inner,
		"length, chunked":   "Content-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"odd encoding":      "Transfer-Encoding: xchunked\r\nContent-Length: 44\r\n\r\n" + inner,
		"space before":      "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner,
		"line folding":      "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 44\r\n\r\n" + inner,
		"signed length":     "Content-Length: +44\r\n\r\n" + inner,
		"two hosts":         "Host: evil.example\r\n\r\n",
		"bare return":       "X: y\rTransfer-Encoding: chunked\r\n\r\n",
		"null in a value":   "X: y\x00z\r\n\r\n",
		"header injection":  "X\r\nHost: evil.example: y\r\n\r\n",
		"chunk size padded": "Transfer-Encoding: chunked\r\n\r\n0_0\r\n\r\n" + inner,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, []string{"a.example"}, nil)
			paths := make(chan string, 10)
			server := f.web(t, "a.example", publicA, func(_ http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				paths <- r.Host + r.URL.Path
			})
			conn := f.client(t)
			go func() {
				io.WriteString(conn, "POST http://a.example/outer HTTP/1.1\r\nHost: a.example\r\n"+request)
				closeWrite(conn)
			}()
			io.Copy(io.Discard, conn)
			server.Close() // waits for its handlers
			close(paths)
			for p := range paths {
				if p != "a.example/outer" {
					t.Errorf("the server saw %s", p)
				}
			}
		})
	}
}

// TestForwardStreams: parts of an answer arrive when they are sent.
func TestForwardStreams(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example"}, nil)
	next := make(chan struct{})
	f.web(t, "a.example", publicA, func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n", i)
			http.NewResponseController(w).Flush()
			<-next
		}
	})
	conn := f.client(t)
	io.WriteString(conn, "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(resp.Body)
	for i := range 3 {
		if line, err := lines.ReadString('\n'); line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("%q, %v", line, err)
		}
		next <- struct{}{}
	}
}

// TestForwardUpgrade: a plain web socket becomes a tunnel.
func TestForwardUpgrade(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example"}, nil)
	f.listen(t, "a.example", publicA, "80", func(c net.Conn) {
		r := bufio.NewReader(c)
		req, err := http.ReadRequest(r)
		if err != nil || req.Header.Get("Upgrade") != "websocket" {
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(c, r)
	})
	conn := f.client(t)
	io.WriteString(conn, "GET http://a.example/ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	io.WriteString(conn, "frame\n")
	if line, err := r.ReadString('\n'); line != "frame\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// TestForwardRedials: rebinding within one client connection is checked at each dial.
func TestForwardRedials(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example"}, nil)
	f.web(t, "a.example", publicA, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close") })
	conn := f.client(t)
	r := bufio.NewReader(conn)
	io.WriteString(conn, "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n")
	if resp, _ := readAnswer(t, r, "GET"); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	f.net.mu.Lock()
	f.net.names["a.example"] = []string{"127.0.0.1"}
	f.net.mu.Unlock()
	io.WriteString(conn, "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n")
	if resp, body := readAnswer(t, r, "GET"); resp.StatusCode != 403 || !strings.Contains(body, "no public address") {
		t.Errorf("%s %q", resp.Status, body)
	}
}
