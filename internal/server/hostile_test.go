package server

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

// serve has the bed's server listen as serve does, and returns its address.
func (b *bed) serve(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) string {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := listen(b.t)
	done := make(chan error, 1)
	go func() { done <- b.s.Serve(ctx, l, certificate) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
	return l.Addr().String()
}

// raw sends text and returns the answer's first line, or what ended the connection.
func raw(t *testing.T, address, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		return err.Error()
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(line)
}

func TestSlowBodyIsCut(t *testing.T) {
	t.Parallel()
	short := 300 * time.Millisecond
	b := setup(t)
	b.s.bodyTime = short
	address := b.serve(nil)
	for _, path := range []string{"/api/v1/tasks", "/api/v1/login"} {
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 1000\r\n\r\n{", path, b.person)
		if got := raw(t, address, head); !strings.Contains(got, "400") {
			t.Errorf("%s: %q", path, got)
		}
	}
	s := b.session()
	head := fmt.Sprintf("POST /api/v1/runner/sessions/%s/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nLease-Token: %s\r\nFirst-Seq: 1\r\nContent-Length: 1000\r\n\r\n{", s.id, b.device, s.token)
	if got := raw(t, address, head); !strings.Contains(got, "400") {
		t.Errorf("upload: %q", got)
	}
	// Whoever is refused before the body is read holds nothing for longer.
	began := time.Now()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	answer, err := io.ReadAll(c)
	if !strings.Contains(string(answer), "401") || err != nil || time.Since(began) > 30*time.Second {
		t.Errorf("after %v: %v %s", time.Since(began), err, answer)
	}
	// A poll goes on while it is held for longer than a body may take.
	poll := report
	poll.WaitMS = 3 * short.Milliseconds()
	b.url = "http://" + address
	b.do(200, "POST", "/api/v1/runner/sync", b.device, poll, nil)
	if b.s.uploads.left != uploadsMax {
		t.Errorf("%d bytes were not given back", uploadsMax-b.s.uploads.left)
	}
}

func TestLargeHeader(t *testing.T) {
	t.Parallel()
	b := setup(t)
	address := b.serve(nil)
	got := raw(t, address, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("a", 64<<10)+"\r\n\r\n")
	if !strings.Contains(got, "431") && !strings.Contains(got, "reset") && !strings.Contains(got, "broken pipe") {
		t.Errorf("%q", got)
	}
}

func TestForwardedAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ peer, said, want string }{
		{"127.0.0.1:1", "192.0.2.1", "192.0.2.1"},
		{"10.0.0.2:1", "198.51.100.7, 192.0.2.1", "192.0.2.1"},
		{"[fd00::2]:1", "2001:db8::1", "2001:db8::1"},
		{"127.0.0.1:1", "", "127.0.0.1"},
		{"127.0.0.1:1", "nonsense", "127.0.0.1"},
		{"203.0.113.9:1", "192.0.2.1", "203.0.113.9"},
		{"@", "192.0.2.1", "@"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": {c.said}}}
		if got := address(r); got != c.want {
			t.Errorf("%s says %q: %s", c.peer, c.said, got)
		}
	}
}

// writePair makes a certificate for 127.0.0.1.
func writePair(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	log := logrus.New()
	log.SetOutput(t.Output())
	dir := t.TempDir()
	cert, key := writePair(t, dir, 1)
	c := &certificate{certFile: cert, keyFile: key, log: log, now: time.Now}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.now = func() time.Time { now = now.Add(time.Minute); return now }
	serial := func() int64 { return c.get().Leaf.SerialNumber.Int64() }
	if serial() != 1 {
		t.Error(serial())
	}
	if err := os.WriteFile(cert, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if serial() != 1 {
		t.Error("a damaged file replaced the certificate")
	}
	writePair(t, dir, 2)
	if serial() != 2 {
		t.Error("the new certificate is not used")
	}
	if _, err := Certificate(cert, cert, log); err == nil {
		t.Error("a key that is none")
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cert, key := writePair(t, t.TempDir(), 1)
	get, err := Certificate(cert, key, b.s.log)
	if err != nil {
		t.Fatal(err)
	}
	address := b.serve(get)
	data, _ := os.ReadFile(cert)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(data)
	b.client.Transport = checked{t, "", &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	b.url = "https://" + address
	s := b.session()
	b.upload(s, 1, batch(s.id, 1, 2))
	stream := b.sse("/api/v1/sessions/" + s.id + "/events")
	if stream.resp.ProtoMajor != 2 {
		t.Errorf("%s", stream.resp.Proto)
	}
	stream.next()
	b.upload(s, 3, finish(s.id, 3))
	stream.next()
	if id, _, _ := stream.next(); id != "3" {
		t.Errorf("event %s", id)
	}
	if _, _, ok := stream.next(); ok {
		t.Error("the stream goes on")
	}
	stream.resp.Body.Close()
	done := make(chan int, 1)
	go func() {
		resp := b.request("POST", "/api/v1/runner/sync", b.device, report)
		resp.Body.Close()
		done <- resp.StatusCode
	}()
	<-b.dispatch.synced
	b.s.Stop()
	if code := <-done; code != 503 {
		t.Errorf("the poll answers %d", code)
	}
	var e api.ErrorBody
	b.do(503, "GET", "/readyz", "", nil, &e)
}
