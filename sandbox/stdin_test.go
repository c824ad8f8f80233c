package sandbox

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"testing"
	"testing/synctest"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// control is PID 1's end of a control stream.
type control struct {
	net.Conn
	r *bufio.Reader
}

func serveStdin(s *stdin) (c control, served chan struct{}) {
	near, far := net.Pipe()
	served = make(chan struct{})
	go func() {
		defer close(served)
		s.serve(far)
	}()
	return control{near, bufio.NewReader(near)}, served
}

func (c control) want(t *testing.T, frame string) {
	t.Helper()
	if got, err := c.r.ReadString('\n'); got != frame+"\n" {
		t.Fatalf("read %q, %v; want %q", got, err, frame)
	}
}

func (c control) confirm(n int) { fmt.Fprintf(c, "%d\n", n) }

func TestStdinSurvivesItsStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStdin()
		mustPush(t, s, 1, "one")
		a, served := serveStdin(s)
		a.want(t, "1 one")
		mustPush(t, s, 2, "two")
		a.want(t, "2 two")
		a.confirm(1)
		synctest.Wait()
		a.Close() // line 2 was written, and is not confirmed
		<-served

		mustPush(t, s, 3, "")
		b, served := serveStdin(s)
		b.want(t, "2 two")
		b.want(t, "3 ")
		mustPush(t, s, 2, "two again") // dropped
		if err := s.pushEnd(4); err != nil {
			t.Fatal(err)
		}
		b.want(t, "4")
		b.confirm(4)
		synctest.Wait()
		if len(s.lines) != 0 || s.bytes != 0 {
			t.Errorf("%d lines, %d bytes are left", len(s.lines), s.bytes)
		}
		b.Close()
		<-served
	})
}

func TestStdinNewStreamReplacesOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStdin()
		a, servedA := serveStdin(s)
		synctest.Wait()
		b, servedB := serveStdin(s)
		<-servedA
		mustPush(t, s, 1, "one")
		b.want(t, "1 one")
		a.Close()
		synctest.Wait()
		mustPush(t, s, 2, "two")
		b.want(t, "2 two")
		b.Close()
		<-servedB
	})
}

// A confirmation of what the process had before: a runner that came back sends
// everything again.
func TestStdinConfirmedAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStdin()
		c, served := serveStdin(s)
		for n := uint64(1); n <= 3; n++ {
			mustPush(t, s, n, "x")
			c.want(t, fmt.Sprint(n, " x"))
			c.confirm(5)
			synctest.Wait()
		}
		for n := uint64(4); n <= 6; n++ {
			mustPush(t, s, n, "x")
		}
		c.want(t, "4 x") // it does not matter whether 4 and 5 go out
		c.want(t, "5 x")
		c.want(t, "6 x")
		c.Close()
		<-served
	})
}

func TestStdinRefuses(t *testing.T) {
	t.Parallel()
	s := newStdin()
	if err := s.push(1, []byte("a\n")); err == nil {
		t.Error("a newline was taken")
	}
	if err := s.push(1, make([]byte, pid1.LineMax+1)); err == nil {
		t.Error("a line above the limit was taken")
	}
	mustPush(t, s, 7, "first")
	if err := s.push(9, nil); err == nil {
		t.Error("a gap was taken")
	}
	big := bytes.Repeat([]byte("x"), pid1.LineMax)
	for n := uint64(8); ; n++ {
		if err := s.push(n, big); err != nil {
			if s.bytes > stdinMax || s.bytes < stdinMax-2*pid1.LineMax {
				t.Errorf("refused at %d bytes", s.bytes)
			}
			return
		}
	}
}

func mustPush(t *testing.T, s *stdin, n uint64, line string) {
	t.Helper()
	if err := s.push(n, []byte(line)); err != nil {
		t.Fatal(err)
	}
}
