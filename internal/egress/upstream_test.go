package egress

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// upstreamAddr is where the fake internet has the upstream proxy.
const upstreamAddr = "proxy.corp.example:3128"

// upstreamProxy is a proxy that a session's proxy must go through. It notes what it is
// asked, and answers with echo in a tunnel.
type upstreamProxy struct {
	mu     sync.Mutex
	asked  []string // request line and login
	answer string   // of CONNECT; empty: 200
	early  string   // sent with the answer
}

func (u *upstreamProxy) handle(conn net.Conn) {
	r := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		u.mu.Lock()
		u.asked = append(u.asked, req.Method+" "+req.RequestURI+" Host "+req.Host+" "+req.Header.Get("Proxy-Authorization"))
		answer := u.answer
		u.mu.Unlock()
		if req.Method == http.MethodConnect {
			if answer == "" {
				answer = "HTTP/1.1 200 OK\r\nX-Via: corp\r\n\r\n"
			}
			io.WriteString(conn, answer+u.early)
			io.Copy(conn, r)
			return
		}
		if answer == "" {
			answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfrom corp"
		}
		io.WriteString(conn, answer)
	}
}

func (u *upstreamProxy) list() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string(nil), u.asked...)
}

// behind is setup with an upstream proxy at address for everything but direct.example.
func behind(t *testing.T, address string, rules []string, mod func(*Config)) (*fixture, *upstreamProxy) {
	t.Helper()
	proxy, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	f := setup(t, rules, func(c *Config) {
		c.Upstream = func(u *url.URL) (*url.URL, error) {
			if u.Hostname() == "direct.example" {
				return nil, nil
			}
			return proxy, nil
		}
		if mod != nil {
			mod(c)
		}
	})
	up := &upstreamProxy{}
	f.listen(t, "unused.example", "proxy.corp.example", "3128", up.handle)
	return f, up
}

var basic = "Basic " + base64.StdEncoding.EncodeToString([]byte("us er:p:w"))

const withLogin = "http://us%20er:p%3Aw@" + upstreamAddr

func TestUpstreamTunnel(t *testing.T) {
	t.Parallel()
	f, up := behind(t, withLogin, []string{"known.example:7", "unknown.example:7", "10.9.8.7:7"}, nil)
	f.net.names["known.example"] = []string{publicA}
	for _, target := range []string{"known.example:7", "unknown.example:7", "10.9.8.7:7"} {
		conn := f.tunnel(t, target)
		io.WriteString(conn, "ping")
		got := make([]byte, 4)
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "ping" {
			t.Errorf("%s: %q, %v", target, got, err)
		}
		if err := closeWrite(conn); err != nil {
			t.Error(err)
		}
		if rest, err := io.ReadAll(conn); err != nil || len(rest) != 0 {
			t.Errorf("%s: the end is not passed on: %q, %v", target, rest, err)
		}
	}
	want := []string{}
	for _, target := range []string{"known.example:7", "unknown.example:7", "10.9.8.7:7"} {
		want = append(want, "CONNECT "+target+" Host "+target+" "+basic)
	}
	if diff := cmp.Diff(want, up.list()); diff != "" {
		t.Errorf("asked: %s", diff)
	}
	if diff := cmp.Diff([]string{upstreamAddr, upstreamAddr, upstreamAddr}, f.net.dials()); diff != "" {
		t.Errorf("dialled: %s", diff)
	}
	f.wait()
	if u := f.Usage(); len(u) != 3 || u[0].BytesUp != 4 || u[0].BytesDown != 4 {
		t.Errorf("usage %+v", u)
	}
}

// A server that speaks first may do so in the packet of the proxy's answer.
func TestUpstreamEarlyBytes(t *testing.T) {
	t.Parallel()
	f, up := behind(t, "http://"+upstreamAddr, []string{"ssh.example:22"}, nil)
	up.early = "SSH-2.0-x\r\n"
	conn := f.tunnel(t, "ssh.example:22")
	got := make([]byte, len(up.early))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != up.early {
		t.Errorf("%q, %v", got, err)
	}
}

func TestUpstreamPlain(t *testing.T) {
	t.Parallel()
	f, up := behind(t, withLogin, []string{"a.example", "b.example:8080"}, nil)
	client := f.client(t)
	r := bufio.NewReader(client)
	for _, uri := range []string{"http://a.example/x%2Fy?q=1;2", "http://b.example:8080", "http://a.example//z"} {
		go fmt.Fprintf(client, "GET %s HTTP/1.1\r\nHost: evil.example\r\nProxy-Authorization: Basic c2Vzc2lvbg==\r\n\r\n", uri)
		if resp, body := readAnswer(t, r, "GET"); resp.StatusCode != 200 || body != "from corp" {
			t.Errorf("%s: %s %s", uri, resp.Status, body)
		}
	}
	want := []string{
		"GET http://a.example/x%2Fy?q=1;2 Host a.example " + basic,
		"GET http://b.example:8080/ Host b.example:8080 " + basic,
		"GET http://a.example//z Host a.example " + basic,
	}
	if diff := cmp.Diff(want, up.list()); diff != "" {
		t.Errorf("asked: %s", diff)
	}
	if n := len(f.net.dials()); n != 2 {
		t.Errorf("%d connections for two targets", n)
	}
}

func TestUpstreamGuards(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, request string
		addrs         []string
		permitted     string
		want          Verdict
	}{
		{"private", "CONNECT a.example:443", []string{"10.0.0.1"}, "", ForbiddenAddress},
		{"private, plain", "GET http://a.example/", []string{"10.0.0.1"}, "", ForbiddenAddress},
		{"one of them private", "CONNECT a.example:443", []string{publicA, "192.168.1.1"}, "", ForbiddenAddress},
		{"metadata", "GET http://a.example/", []string{"169.254.169.254"}, "169.254.0.0/16", ForbiddenAddress},
		{"loopback", "CONNECT a.example:443", []string{"::1"}, "", ForbiddenAddress},
		{"permitted", "CONNECT a.example:443", []string{"10.0.0.1"}, "10.0.0.0/8", Allowed},
		{"public", "CONNECT a.example:443", []string{publicA}, "", Allowed},
		{"not listed", "CONNECT b.example:443", []string{publicA}, "", NotListed},
		{"literal", "CONNECT 127.0.0.1:443", nil, "", Denied},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f, up := behind(t, "http://"+upstreamAddr, []string{"a.example"}, func(c *Config) {
				if tc.permitted != "" {
					c.Permitted = []netip.Prefix{netip.MustParsePrefix(tc.permitted)}
				}
			})
			f.net.lookup = func(string) []string { return tc.addrs }
			method, _, _ := strings.Cut(tc.request, " ")
			ask(t, f.client(t), method, tc.request+" HTTP/1.1\r\nHost: a.example\r\n\r\n")
			if got := f.log.list(); len(got) != 1 || got[0].Verdict != tc.want {
				t.Errorf("attempts %+v, want one %s", got, tc.want)
			}
			if asked := len(up.list()); asked != 0 && tc.want != Allowed {
				t.Errorf("the upstream proxy was asked %q", up.list())
			}
		})
	}
}

// A port of the runner's own and what the environment excepts are reached directly.
func TestUpstreamNotForAll(t *testing.T) {
	t.Parallel()
	f, up := behind(t, "http://"+upstreamAddr, []string{"host.ratchet.internal:8080", "direct.example:7"}, nil)
	f.listen(t, "direct.example", publicA, "7", echo)
	f.listen(t, "runner", "127.0.0.1", "8080", echo)
	for _, target := range []string{"host.ratchet.internal:8080", "direct.example:7"} {
		f.tunnel(t, target)
	}
	if asked := up.list(); len(asked) != 0 {
		t.Errorf("the upstream proxy was asked %q", asked)
	}
	if diff := cmp.Diff([]string{"127.0.0.1:8080", publicA + ":7"}, f.net.dials()); diff != "" {
		t.Errorf("dialled: %s", diff)
	}
}

func TestUpstreamFails(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, proxy, answer, want string }{
		{"login", withLogin, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "it wants a user name and a password"},
		{"refusal", withLogin, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "it answered 403 Forbidden"},
		{"no HTTP", withLogin, "SSH-2.0-x\r\n\r\n", "its answer: malformed"},
		{"endless answer", withLogin, "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxUpstreamHeader) + "\r\n\r\n", "more than 65536 bytes"},
		{"nobody there", "http://u:p%3Aw@gone.corp.example", "", "connection refused"},
		{"another kind", "socks5://u:p%3Aw@" + upstreamAddr, "", "use an http or https proxy"},
		{"no TLS", "https://us%20er:p%3Aw@" + upstreamAddr, "", "upstream proxy " + upstreamAddr + ": "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f, up := behind(t, tc.proxy, []string{"a.example:7"}, func(c *Config) { c.DialTimeout = 5 * time.Second })
			up.answer = tc.answer
			resp, body := ask(t, f.client(t), "CONNECT", connectRequest("a.example:7"))
			if resp.StatusCode != http.StatusBadGateway || strings.Contains(body, "corp") {
				t.Errorf("%s %s", resp.Status, body)
			}
			got := f.log.list()
			if len(got) != 1 || got[0].Verdict != Unreachable || !strings.Contains(got[0].Reason, tc.want) || strings.Contains(got[0].Reason, "p%3Aw") {
				t.Errorf("attempts %+v, want %q", got, tc.want)
			}
		})
	}
}

func TestUpstreamWantsLoginForPlain(t *testing.T) {
	t.Parallel()
	f, up := behind(t, "http://"+upstreamAddr, []string{"a.example"}, nil)
	up.answer = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
	resp, _ := ask(t, f.client(t), "GET", "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n")
	if resp.StatusCode != http.StatusBadGateway {
		t.Errorf("%s", resp.Status)
	}
}

func TestUpstreamUnknown(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example"}, func(c *Config) {
		c.Upstream = func(*url.URL) (*url.URL, error) { return nil, errors.New("secret") }
	})
	for _, request := range []string{"CONNECT a.example:443", "GET http://a.example/"} {
		method, _, _ := strings.Cut(request, " ")
		ask(t, f.client(t), method, request+" HTTP/1.1\r\nHost: a.example\r\n\r\n")
	}
	for _, a := range f.log.list() {
		if a.Verdict != Unreachable || strings.Contains(a.Reason, "secret") {
			t.Errorf("%+v", a)
		}
	}
	if n := len(f.net.dials()); n != 0 {
		t.Errorf("%d connections", n)
	}
}
