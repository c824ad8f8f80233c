package egress

import (
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
	"testing"
)

// benchServer is a unix socket server; the result dials it.
func benchServer(b *testing.B, handle func(net.Conn)) DialFunc {
	b.Helper()
	ln, err := net.Listen("unix", filepath.Join(b.TempDir(), "u"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); handle(c) }()
		}
	}()
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", ln.Addr().String())
	}
}

// benchClients serves a proxy on a unix socket; the result connects to it and opens a tunnel.
func benchClients(b *testing.B, dial DialFunc, port string) func() net.Conn {
	b.Helper()
	policy, err := Parse("packages", "github", "a.example:"+port)
	if err != nil {
		b.Fatal(err)
	}
	p := New(Config{Policy: policy, Resolver: fixed(publicA), Dial: dial, Log: func(Attempt) {}})
	ln, err := net.Listen("unix", filepath.Join(b.TempDir(), "p"))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx, ln) }()
	b.Cleanup(func() { cancel(); <-served })
	return func() net.Conn {
		c, err := net.Dial("unix", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		io.WriteString(c, connectRequest("a.example:"+port))
		answer := make([]byte, len("HTTP/1.1 200 Connection established\r\n\r\n"))
		if _, err := io.ReadFull(c, answer); err != nil || string(answer[9:12]) != "200" {
			b.Fatalf("%q, %v", answer, err)
		}
		return c
	}
}

func roundTrip(b *testing.B, c net.Conn) {
	var one [1]byte
	if _, err := c.Write([]byte("x")); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(c, one[:]); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFirstRequest is a new connection and one byte there and back: the difference is what the proxy costs.
func BenchmarkFirstRequest(b *testing.B) {
	b.Run("direct", func(b *testing.B) {
		dial := benchServer(b, echo)
		for b.Loop() {
			c, err := dial(b.Context(), "", "")
			if err != nil {
				b.Fatal(err)
			}
			roundTrip(b, c)
			c.Close()
		}
	})
	for _, port := range []string{"443", "7"} {
		b.Run("proxied-"+port, func(b *testing.B) {
			open := benchClients(b, benchServer(b, echo), port)
			b.ReportAllocs()
			for b.Loop() {
				c := open()
				roundTrip(b, c)
				c.Close()
			}
		})
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	c := benchClients(b, benchServer(b, echo), "443")()
	defer c.Close()
	for b.Loop() {
		roundTrip(b, c)
	}
}

func BenchmarkThroughput(b *testing.B) {
	chunk := make([]byte, 256<<10)
	b.Run("down", func(b *testing.B) {
		c := benchClients(b, benchServer(b, func(c net.Conn) {
			for {
				if _, err := c.Write(chunk); err != nil {
					return
				}
			}
		}), "7")()
		defer c.Close()
		buf := make([]byte, len(chunk))
		b.SetBytes(int64(len(chunk)))
		for b.Loop() {
			if _, err := io.ReadFull(c, buf); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("up", func(b *testing.B) {
		c := benchClients(b, benchServer(b, func(c net.Conn) {
			buf := make([]byte, len(chunk))
			for {
				if _, err := c.Read(buf); err != nil {
					return
				}
			}
		}), "7")()
		defer c.Close()
		b.SetBytes(int64(len(chunk)))
		for b.Loop() {
			if _, err := c.Write(chunk); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkCheckHello is what reading a hello adds to a TLS connection.
func BenchmarkCheckHello(b *testing.B) {
	hello := helloRecord(b, "a.example")
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	want := target(b, "a.example:443")
	for b.Loop() {
		if _, err := checkHello(&clientConn{Conn: near}, bytes.NewReader(hello), want); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPolicyCheck(b *testing.B) {
	p, _ := Parse("packages", "github")
	t := target(b, "raw.githubusercontent.com:443")
	for b.Loop() {
		if p.Check(t) != Allowed {
			b.Fatal()
		}
	}
}
