package egress

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestHalfClose: the client ends its stream first and still gets the answer that the server gives only then.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example:7"}, nil)
	f.listen(t, "a.example", publicA, "7", func(c net.Conn) {
		all, _ := io.ReadAll(c)
		c.Write(bytes.ToUpper(all))
	})
	conn := f.tunnel(t, "a.example:7")
	io.WriteString(conn, "hello")
	if err := closeWrite(conn); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if string(got) != "HELLO" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestServerEndsFirst: the server's end reaches the client, whose bytes still reach the server.
func TestServerEndsFirst(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example:7"}, nil)
	got := make(chan string, 1)
	f.listen(t, "a.example", publicA, "7", func(c net.Conn) {
		io.WriteString(c, "bye")
		closeWrite(c)
		all, _ := io.ReadAll(c)
		got <- string(all)
	})
	conn := f.tunnel(t, "a.example:7")
	if all, err := io.ReadAll(conn); string(all) != "bye" || err != nil {
		t.Fatalf("%q, %v", all, err)
	}
	io.WriteString(conn, "last words")
	conn.Close()
	if s := <-got; s != "last words" {
		t.Errorf("server got %q", s)
	}
}

// TestNoHalfClose: on a client connection without CloseWrite the server's end closes the connection.
func TestNoHalfClose(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example:7"}, nil)
	f.listen(t, "a.example", publicA, "7", func(c net.Conn) { io.WriteString(c, "bye") })
	ours, theirs := net.Pipe()
	f.serve(t, theirs)
	if resp, _ := ask(t, ours, "CONNECT", connectRequest("a.example:7")); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	// "bye" may have been read together with the answer's header.
	if _, err := io.ReadAll(ours); err != nil {
		t.Errorf("no end of stream: %v", err)
	}
}

func TestEarlyBytes(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example:7"}, nil)
	f.listen(t, "a.example", publicA, "7", echo)
	conn := f.client(t)
	payload := make([]byte, 300<<10)
	rand.Read(payload)
	go func() {
		conn.Write(append([]byte(connectRequest("a.example:7")), payload...))
		closeWrite(conn)
	}()
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, echoed, _ := bytes.Cut(all, []byte("\r\n\r\n"))
	if !bytes.Equal(echoed, payload) {
		t.Errorf("%d bytes came back, not the %d sent", len(echoed), len(payload))
	}
}

// TestServerRefusesToRead: a server that answers and resets in mid-upload gets its answer through.
func TestServerRefusesToRead(t *testing.T) {
	t.Parallel()
	f := setup(t, []string{"a.example:7"}, nil)
	f.listen(t, "a.example", publicA, "7", func(c net.Conn) {
		io.ReadFull(c, make([]byte, 10))
		io.WriteString(c, "413 too large")
		closeWrite(c)
		c.(*net.TCPConn).CloseRead()
		io.Copy(io.Discard, c)
	})
	conn := f.tunnel(t, "a.example:7")
	go conn.Write(make([]byte, 1<<20))
	got := make([]byte, 13)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "413 too large" {
		t.Errorf("%q, %v", got, err)
	}
}

// halfPipe is a net.Pipe end whose CloseWrite is noted and does nothing else.
type halfPipe struct {
	net.Conn
	ended *atomic.Bool
}

func (h halfPipe) CloseWrite() error { h.ended.Store(true); return nil }

// TestLinger: a client that keeps a connection whose server has gone loses it after a minute of silence.
func TestLinger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, upstream := net.Pipe()
		policy, _ := Parse("a.example:7")
		p := New(Config{
			Policy: policy, Resolver: fixed(publicA),
			Dial: func(context.Context, string, string) (net.Conn, error) {
				return halfPipe{upstream, new(atomic.Bool)}, nil
			},
		})
		ours, theirs := net.Pipe()
		var ended atomic.Bool
		done := make(chan struct{})
		go func() { defer close(done); p.ServeConn(t.Context(), halfPipe{theirs, &ended}) }()
		if resp, _ := ask(t, ours, "CONNECT", connectRequest("a.example:7")); resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
		go io.Copy(io.Discard, ours)
		time.Sleep(24 * time.Hour) // idle tunnels have no limit
		if ended.Load() {
			t.Fatal("an idle tunnel was ended")
		}
		server.Close()
		start := time.Now()
		<-done
		if took := time.Since(start); !ended.Load() || took != lingerTimeout {
			t.Errorf("closed after %s, end passed on: %v", took, ended.Load())
		}
		ours.Close()
	})
}
