//go:build linux

package pid1

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

// pipedLines returns a lines whose far end is read into the channel.
func pipedLines(t *testing.T) (*lines, <-chan string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(r)
		r.Close()
		out <- string(all)
	}()
	return stdinWriter(w), out
}

// stream is a control stream that ends after its input.
type stream struct {
	io.Reader
	answers bytes.Buffer
}

func (s *stream) Write(p []byte) (int, error) { return s.answers.Write(p) }
func (s *stream) Close() error                { return nil }

func TestLinesOnceAndWhole(t *testing.T) {
	t.Parallel()
	l, out := pipedLines(t)
	first := &stream{Reader: strings.NewReader("1 one\n2 two\n2 twice\n4 gap\n3 cut of")}
	l.serve(first)
	second := &stream{Reader: iotest.OneByteReader(strings.NewReader("1 one\n2 two\n3 three\n4 \n5\n6 after the end\n"))}
	l.serve(second)
	if got := <-out; got != "one\ntwo\nthree\n\n" {
		t.Errorf("the agent read %q", got)
	}
	if got := first.answers.String(); got != "1\n2\n2\n2\n" {
		t.Errorf("confirmed %q", got)
	}
	if got := second.answers.String(); got != "2\n2\n3\n4\n5\n6\n" {
		t.Errorf("confirmed %q", got)
	}
}

func TestLinesRefuse(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"\n", "x y\n", "-1 y\n", "1x y\n", " y\n"} {
		l, out := pipedLines(t)
		s := &stream{Reader: strings.NewReader(bad + "1 one\n")}
		l.serve(s)
		l.w.Close()
		if got := <-out; got != "" || s.answers.Len() > 0 {
			t.Errorf("%q: the agent read %q, confirmed %q", bad, got, s.answers.String())
		}
	}
}

func TestReadLine(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 14, 15, 16, 17, 1000, LineMax} {
		want := append(bytes.Repeat([]byte("x"), n), '\n')
		got, err := readLine(bufio.NewReaderSize(bytes.NewReader(want), 16))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d, %v", n, len(got), err)
		}
	}
	if _, err := readLine(bufio.NewReader(bytes.NewReader(make([]byte, 2*LineMax)))); err == nil || err == io.EOF {
		t.Errorf("a line without end: %v", err)
	}
}
