package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConnectDialsOnlyWhatWasChecked(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, target string
		rules        []string
		addrs        []string
		want         Verdict
		dialed       []string
	}{
		{"public", "a.example:443", []string{"a.example"}, []string{publicA}, Allowed, []string{publicA + ":443"}},
		{"mixed", "a.example:443", []string{"a.example"}, []string{"10.0.0.1", "::1", publicA}, Allowed, []string{publicA + ":443"}},
		{"mapped public", "a.example:443", []string{"a.example"}, []string{"::ffff:" + publicA}, Allowed, []string{publicA + ":443"}},
		{"private", "a.example:443", []string{"a.example"}, []string{"192.168.1.1"}, ForbiddenAddress, nil},
		{"metadata by name", "metadata.google.internal:80", []string{"metadata.google.internal"}, []string{"169.254.169.254"}, ForbiddenAddress, nil},
		{"metadata v6", "a.example:80", []string{"a.example"}, []string{"fd00:ec2::254"}, ForbiddenAddress, nil},
		{"mapped metadata", "a.example:80", []string{"a.example"}, []string{"::ffff:169.254.169.254"}, ForbiddenAddress, nil},
		{"nat64 metadata", "a.example:80", []string{"a.example"}, []string{"64:ff9b::a9fe:a9fe"}, ForbiddenAddress, nil},
		{"loopback", "a.example:80", []string{"a.example"}, []string{"127.0.0.1", "::1"}, ForbiddenAddress, nil},
		{"wildcard to private", "x.a.example:80", []string{"*.a.example"}, []string{"10.1.1.1"}, ForbiddenAddress, nil},
		{"no such name", "a.example:443", []string{"a.example"}, nil, Unreachable, nil},
		{"empty answer", "a.example:443", []string{"a.example"}, []string{}, Unreachable, nil},
		{"nobody listens", "a.example:80", []string{"a.example"}, []string{publicB}, Unreachable, []string{publicB + ":80"}},
		{"literal not named", "10.0.0.7:443", []string{"a.example"}, nil, NotListed, nil},
		{"metadata literal", "169.254.169.254:80", []string{"a.example"}, nil, Denied, nil},
		{"loopback literal", "127.0.0.1:8080", []string{"a.example"}, nil, Denied, nil},
		{"literal named", "10.0.0.7:443", []string{"10.0.0.7:443"}, nil, Allowed, []string{"10.0.0.7:443"}},
		{"v6 literal named", "[fd00::7]:443", []string{"[fd00::7]"}, nil, Allowed, []string{"[fd00::7]:443"}},
		{"runner port", "host.ratchet.internal:8080", []string{"host.ratchet.internal:8080"}, []string{publicA}, Allowed, []string{"127.0.0.1:8080"}},
		{"other runner port", "host.ratchet.internal:22", []string{"host.ratchet.internal:8080"}, nil, NotListed, nil},
		{"odd spelling", "127.1:80", []string{"a.example"}, nil, Invalid, nil},
		{"null byte", "evil.example\x00.a.example:443", []string{"*.a.example"}, nil, Invalid, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, tc.rules, nil)
			f.net.lookup = func(string) []string { return tc.addrs }
			f.listen(t, "server", "server", "0", echo)
			real := f.net.conns["server:0"]
			for _, addr := range []string{publicA + ":443", "10.0.0.7:443", "[fd00::7]:443", "127.0.0.1:8080"} {
				f.net.conns[addr] = real
			}
			conn := f.client(t)
			resp, _ := ask(t, conn, "CONNECT", "CONNECT "+tc.target+" HTTP/1.1\r\nHost: x\r\n\r\n")
			if tc.want != Invalid || resp.StatusCode != 400 {
				if got := f.log.list(); len(got) != 1 || got[0].Verdict != tc.want {
					t.Fatalf("status %d, attempts %+v, want one %s", resp.StatusCode, got, tc.want)
				}
			}
			if diff := cmp.Diff(tc.dialed, f.net.dials()); diff != "" {
				t.Errorf("dialled: %s", diff)
			}
		})
	}
}

// TestPermitted: what the runner's owner opens is reachable by allowed names, and nothing else is.
func TestPermitted(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"*.a.example:7"}, func(c *Config) {
		c.Permitted = []netip.Prefix{netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("0.0.0.0/1"),
			netip.MustParsePrefix("::/0"), netip.MustParsePrefix("169.254.0.0/16")}
	})
	f.listen(t, "gateway.a.example", "198.18.0.9", "7", echo)
	f.tunnel(t, "gateway.a.example:7")
	for _, addr := range []string{"127.0.0.1", "169.254.169.254", "192.168.1.1", "::1", "::ffff:127.0.0.1", "fe80::1", "64:ff9b::7f00:1"} {
		f.net.lookup = func(string) []string { return []string{addr} }
		if resp, _ := ask(t, f.client(t), "CONNECT", connectRequest("x.a.example:7")); resp.StatusCode != 403 {
			t.Errorf("%s: %s", addr, resp.Status)
		}
	}
	if diff := cmp.Diff([]string{"198.18.0.9:7"}, f.net.dials()); diff != "" {
		t.Error(diff)
	}
}

// TestRebinding: the second answer of the name server is private, and must not be reached by way of the first.
func TestRebinding(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example"}, nil)
	f.listen(t, "a.example", publicA, "443", echo)
	answers := [][]string{{publicA}, {"169.254.169.254"}}
	f.net.lookup = func(string) []string {
		answer := answers[0]
		answers = answers[1:]
		return answer
	}
	f.tunnel(t, "a.example:443")
	resp, _ := ask(t, f.client(t), "CONNECT", "CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")
	if resp.StatusCode != 403 {
		t.Errorf("second CONNECT: %s", resp.Status)
	}
	if diff := cmp.Diff([]string{publicA + ":443"}, f.net.dials()); diff != "" {
		t.Error(diff)
	}
}

type resolverFunc func(ctx context.Context) ([]netip.Addr, error)

func (r resolverFunc) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	return r(ctx)
}

func fixed(addrs ...string) Resolver {
	return resolverFunc(func(context.Context) ([]netip.Addr, error) {
		var out []netip.Addr
		for _, a := range addrs {
			out = append(out, netip.MustParseAddr(a))
		}
		return out, nil
	})
}

func TestDialTriesEveryAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, far := net.Pipe()
		defer far.Close()
		d := &dialer{resolver: fixed("2606:4700::1", publicA, publicB), timeout: time.Second * 10}
		d.dial = func(ctx context.Context, _, address string) (net.Conn, error) {
			switch address {
			case "[2606:4700::1]:443": // a black hole
				<-ctx.Done()
				return nil, ctx.Err()
			case publicA + ":443":
				return nil, errors.New("connection refused")
			}
			return server, nil
		}
		start := time.Now()
		conn, err := d.open(t.Context(), target(t, "a.example:443"), false)
		if err != nil || conn != server {
			t.Fatalf("open: %v, %v", conn, err)
		}
		conn.Close()
		if took := time.Since(start); took != dialStagger {
			t.Errorf("took %s, want one head start of %s", took, dialStagger)
		}
	})
}

func TestDialClosesLateWinners(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, firstFar := net.Pipe()
		late, lateFar := net.Pipe()
		d := &dialer{resolver: fixed(publicA, publicB), timeout: 10 * time.Second}
		d.dial = func(ctx context.Context, _, address string) (net.Conn, error) {
			if address == publicA+":443" {
				time.Sleep(2 * dialStagger)
				return late, nil
			}
			time.Sleep(dialStagger / 2)
			return first, nil
		}
		conn, err := d.open(t.Context(), target(t, "a.example:443"), false)
		if err != nil || conn != first {
			t.Fatalf("open: %v", err)
		}
		if _, err := lateFar.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the late connection is open: %v", err)
		}
		conn.Close()
		firstFar.Close()
	})
}

func TestDialTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{timeout: 10 * time.Second, resolver: resolverFunc(func(ctx context.Context) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})}
		start := time.Now()
		_, err := d.open(t.Context(), target(t, "a.example:443"), false)
		why, ok := errors.AsType[*refusal](err)
		if !ok || why.verdict != Unreachable || time.Since(start) != 10*time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		if strings.Contains(why.public(), "deadline") {
			t.Errorf("the session is told %q", why.public())
		}
	})
}
