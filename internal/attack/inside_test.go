//go:build linux

package attack

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAttemptsAreNamed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	all := slices.Concat(attempts(), bombs())
	for _, a := range all {
		checkName(t, seen, a.name, a.tried)
	}
	if len(all) < 120 {
		t.Errorf("%d attempts", len(all))
	}
}

// TestDenied: only the expected answer holds.
func TestDenied(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		held bool
		text string
	}{
		{nil, false, "worked"},
		{syscall.EPERM, true, "operation not permitted"},
		{fmt.Errorf("wrapped: %w", syscall.EPERM), true, "operation not permitted"},
		{syscall.EINVAL, false, "not the expected answer"},
		{errors.New("other"), false, "not the expected answer"},
	} {
		if v := denied("it", tt.err, syscall.EPERM); v.held != tt.held || !strings.Contains(v.happened, tt.text) {
			t.Errorf("%v: %+v", tt.err, v)
		}
	}
}

func TestEvery(t *testing.T) {
	t.Parallel()
	good, bad := held("good"), broken("bad")
	for _, tt := range []struct {
		all  []verdict
		want verdict
	}{
		{nil, broken("nothing was tried")},
		{[]verdict{good}, good},
		{[]verdict{good, bad, good}, bad},
		{[]verdict{good, good}, held("2 of 2 blocked; good")},
	} {
		if v := every(tt.all...); v != tt.want {
			t.Errorf("%v: %+v", tt.all, v)
		}
	}
}

// TestJudge: an answer of the proxy's own is a refusal, whatever else there is
// is not.
func TestJudge(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{
		"HTTP/1.1 403 Forbidden\r\nX-Ratchetai-Egress: denied\r\n\r\n":                   true,
		"HTTP/1.1 403 Forbidden\r\n\r\nfrom a server":                                    false,
		"HTTP/1.1 400 Bad Request\r\n\r\n":                                               true,
		"HTTP/1.1 200 Connection established\r\n\r\n":                                    false,
		"HTTP/1.1 502 Bad Gateway\r\nX-Ratchetai-Egress: unreachable\r\n\r\n":            false,
		"HTTP/1.1 503 Service Unavailable\r\nX-Ratchetai-Egress: busy\r\n\r\n":           false,
		"HTTP/1.1 403 Forbidden\r\nX-Ratchetai-Egress: denied\r\n\r\n" + baitMark:        false,
		"HTTP/1.1 400 Bad Request\r\n\r\n" + sinkMark + " \"GET / HTTP/1.1\" " + sinkEnd: false,
		"": false,
	} {
		if v := judge("GET http://x/ HTTP/1.1", answer); v.held != want {
			t.Errorf("%q: %+v", answer, v)
		}
	}
}

func TestRunIsBounded(t *testing.T) {
	t.Parallel()
	in := &inside{}
	v := in.run(attempt{"quick", "x", func(*inside) verdict { return held("yes") }})
	if !v.held {
		t.Errorf("%+v", v)
	}
}

// TestHello: what the fronting attempts send is a hello for that name, also in
// fragments.
func TestHello(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{"whole": hello(evil), "fragments": fragments(hello(evil))} {
		var got string
		c := tls.Server(readOnly{bytes.NewReader(data)}, &tls.Config{GetConfigForClient: func(i *tls.ClientHelloInfo) (*tls.Config, error) {
			got = i.ServerName
			return nil, errors.New("enough")
		}})
		_ = c.Handshake()
		if got != evil {
			t.Errorf("%s: it names %q", name, got)
		}
	}
}

func TestOneAnswer(t *testing.T) {
	t.Parallel()
	const whole = "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n"
	for i := range len(whole) {
		if oneAnswer([]byte(whole[:i])) {
			t.Errorf("%d bytes are enough", i)
		}
	}
	if !oneAnswer([]byte(whole)) || !oneAnswer([]byte("HTTP/1.1 200 Connection established\r\n\r\n")) {
		t.Error("a whole answer is not enough")
	}
	if attemptMax <= answerMax || attemptMax > 20*time.Second {
		t.Errorf("bounds: %s, %s", attemptMax, answerMax)
	}
}

// readOnly is a connection that has sent its part.
type readOnly struct{ *bytes.Reader }

func (readOnly) Write(p []byte) (int, error)      { return len(p), nil }
func (readOnly) Close() error                     { return nil }
func (readOnly) LocalAddr() net.Addr              { return nil }
func (readOnly) RemoteAddr() net.Addr             { return nil }
func (readOnly) SetDeadline(time.Time) error      { return nil }
func (readOnly) SetReadDeadline(time.Time) error  { return nil }
func (readOnly) SetWriteDeadline(time.Time) error { return nil }
