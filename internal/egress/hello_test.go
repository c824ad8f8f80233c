package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// https starts a TLS server for name and returns a client that uses f as its proxy and trusts the server.
func (f *fixture) https(t testing.TB, name string) *http.Client {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Host+" "+r.TLS.ServerName)
	}))
	t.Cleanup(server.Close)
	f.route(name, publicA, "443", server.Listener.Addr().String())
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "127.0.0.1:3128"})
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return f.client(t), nil }
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestHTTPSEndToEnd(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"*.example.com"}, nil) // httptest certificates are for example.com and names below it
	client := f.https(t, "www.example.com")
	resp, err := client.Get("https://www.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "www.example.com www.example.com" {
		t.Errorf("%s %q", resp.Status, body)
	}
}

// helloRecord is the hello that crypto/tls sends for a server name ("" for none).
func helloRecord(t testing.TB, name string) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		tls.Client(far, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
		far.Close()
	}()
	head := make([]byte, 5)
	if _, err := io.ReadFull(near, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(near, body); err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}

// split cuts the one record of a hello into records of n bytes, as a client may that wants to hide the name.
func split(record []byte, n int) []byte {
	var out []byte
	for body := record[5:]; len(body) > 0; {
		size := min(n, len(body))
		out = append(out, record[0], record[1], record[2], byte(size>>8), byte(size))
		out = append(out, body[:size]...)
		body = body[size:]
	}
	return out
}

func TestHello(t *testing.T) {
	t.Parallel()
	good, other, none := helloRecord(t, "a.example"), helloRecord(t, "evil.example"), helloRecord(t, "")
	trailing := append([]byte(nil), good...)
	huge := append([]byte{22, 3, 1, 0x40, 0, 1, 0, 0x7f, 0xff}, make([]byte, 20<<10)...)
	for _, tc := range []struct {
		name, target string
		sent         []byte
		passes       bool
	}{
		{"same name", "a.example:443", good, true},
		{"same name, other case", "A.EXAMPLE.:443", good, true},
		{"no name", "a.example:443", none, true},
		{"hello and more", "a.example:443", append(trailing, "\x17\x03\x03\x00\x01x"...), true},
		{"split", "a.example:443", split(good, 7), true},
		{"not TLS", "a.example:443", []byte("SSH-2.0-x\r\n"), true},
		{"plain http", "a.example:443", []byte("GET / HTTP/1.1\r\n\r\n"), true},
		{"other port", "a.example:7", other, true},
		{"other name", "a.example:443", other, false},
		{"other name, split", "a.example:443", split(other, 1), false},
		{"name for an address", "10.0.0.7:443", good, false},
		{"alert first", "a.example:443", append([]byte("\x15\x03\x01\x00\x02\x01\x00"), other...), false},
		{"change cipher first", "a.example:443", append([]byte("\x14\x03\x01\x00\x01\x01"), other...), false},
		{"handshake, no hello", "a.example:443", []byte("\x16\x03\x01\x00\x04\x02\x00\x00\x00"), false},
		{"too long", "a.example:443", huge, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, []string{"a.example", "a.example:7", "10.0.0.7"}, nil)
			f.listen(t, "a.example", publicA, "443", echo)
			for _, addr := range []string{publicA + ":7", "10.0.0.7:443"} {
				f.net.conns[addr] = f.net.conns[publicA+":443"]
			}
			conn := f.tunnel(t, tc.target)
			go conn.Write(tc.sent)
			got := make([]byte, len(tc.sent))
			_, err := io.ReadFull(conn, got)
			log := f.log.list()
			if tc.passes {
				if err != nil || string(got) != string(tc.sent) || len(log) != 1 {
					t.Errorf("did not pass: %v, %+v", err, log)
				}
				return
			}
			f.wait()
			log = f.log.list()
			if err == nil || len(log) != 2 || log[1].Verdict != Fronting || log[1].Allowed || log[1].Reason == "" {
				t.Errorf("read %v, attempts %+v", err, log)
			}
			if up := f.Usage()[0].BytesUp; up != 0 {
				t.Errorf("%d bytes of it were passed on", up)
			}
		})
	}
}

// TestFrontingReason: the log names the other host, escaped.
func TestFrontingReason(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example"}, nil)
	f.listen(t, "a.example", publicA, "443", echo)
	conn := f.tunnel(t, "a.example:443")
	conn.Write(helloRecord(t, "evil.example"))
	io.Copy(io.Discard, conn)
	f.wait()
	if log := f.log.list(); len(log) != 2 || !strings.Contains(log[1].Reason, `"evil.example"`) {
		t.Errorf("%+v", log)
	}
}

// TestServerSpeaksFirst: on 443 a client that says nothing still gets what the server says.
func TestServerSpeaksFirst(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example"}, nil)
	f.listen(t, "a.example", publicA, "443", func(c net.Conn) { io.WriteString(c, "SSH-2.0-server\r\n"); echo(c) })
	conn := f.client(t)
	io.WriteString(conn, connectRequest("a.example:443"))
	r := bufio.NewReader(conn)
	readAnswer(t, r, "CONNECT")
	if line, err := r.ReadString('\n'); line != "SSH-2.0-server\r\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	io.WriteString(conn, "SSH-2.0-client\r\n")
	if line, err := r.ReadString('\n'); line != "SSH-2.0-client\r\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
}

// TestSlowHello: a hello has ten seconds from its first byte; before that there is no limit.
func TestSlowHello(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, upstream := net.Pipe()
		defer server.Close()
		policy, _ := Parse("a.example")
		var log attempts
		p := New(Config{Policy: policy, Resolver: fixed(publicA), Log: log.add,
			Dial: func(context.Context, string, string) (net.Conn, error) { return upstream, nil }})
		ours, theirs := net.Pipe()
		defer ours.Close()
		done := make(chan struct{})
		go func() { defer close(done); p.ServeConn(t.Context(), theirs) }()
		ask(t, ours, "CONNECT", connectRequest("a.example:443"))
		time.Sleep(time.Hour)
		ours.Write([]byte{22, 3, 1})
		start := time.Now()
		<-done
		if took := time.Since(start); took != helloTimeout {
			t.Errorf("gave up after %s", took)
		}
		if all := log.list(); len(all) != 2 || all[1].Verdict != Fronting {
			t.Errorf("%+v", all)
		}
	})
}

func FuzzHello(f *testing.F) {
	f.Add(helloRecord(f, "a.example"))
	f.Add(split(helloRecord(f, "evil.example"), 9))
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	a := target(f, "a.example:443")
	f.Fuzz(func(t *testing.T, sent []byte) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		r, err := checkHello(&clientConn{Conn: near}, strings.NewReader(string(sent)), a)
		if err != nil {
			return
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != string(sent) {
			t.Fatalf("%q passed as %q, %v", sent, got, err)
		}
	})
}
