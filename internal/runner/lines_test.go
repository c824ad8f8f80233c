package runner

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// split returns what a lineReader makes of r, and the sum of the sizes.
func split(t *testing.T, r io.Reader) (lines []string, total int) {
	t.Helper()
	l := newLineReader(r)
	defer l.close()
	for {
		line, size, err := l.next()
		if errors.Is(err, io.EOF) {
			return lines, total
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
		total += size
	}
}

func TestLineReaderKeepsLongLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 3<<20)
	want := []string{"a", "", long, "b", strings.Repeat("c", readBytes), "no newline"}
	text := strings.Join(want, "\n")
	got, total := split(t, strings.NewReader(text))
	if !slices.Equal(got, want) || total != len(text) {
		t.Errorf("split into %d lines, %d bytes; want %d, %d", len(got), total, len(want), len(text))
	}
}

// A long line's memory is there for the next long one, and gone when there is none.
func TestLineReaderGivesLongBuffersBack(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 8<<20) + "\n"
	short := strings.Repeat("a\n", readBytes/2)
	l := newLineReader(strings.NewReader(long + long + "a\n" + short + short))
	defer l.close()
	for n := 0; ; n++ {
		line, size, err := l.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if isLong := n < 2; isLong != (len(line) == 8<<20) || size != len(line)+1 {
			t.Fatalf("line %d has %d bytes", n, len(line))
		}
		if want := 16 << 20; n == 1 && len(l.buf) != want {
			t.Errorf("a buffer of %d bytes, want %d", len(l.buf), want)
		}
	}
	if len(l.buf) != readBytes {
		t.Errorf("a buffer of %d bytes is kept", len(l.buf))
	}
}

func TestLineReaderReturnsTheStreamsError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	l := newLineReader(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)))
	for _, want := range []string{"a", "b"} {
		if line, _, err := l.next(); err != nil || string(line) != want {
			t.Fatalf("%q, %v", line, err)
		}
	}
	if _, _, err := l.next(); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
}

func FuzzLineReader(f *testing.F) {
	f.Add([]byte("a\n\nb"), 1)
	f.Add([]byte("\xff\n\x00"), 3)
	f.Fuzz(func(t *testing.T, data []byte, chunk int) {
		want := strings.SplitAfter(string(data), "\n")
		for i := range want {
			want[i] = strings.TrimSuffix(want[i], "\n")
		}
		if len(want) > 0 && want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		for _, r := range []io.Reader{bytes.NewReader(data), iotest.OneByteReader(bytes.NewReader(data)), iotest.DataErrReader(bytes.NewReader(data))} {
			got, total := split(t, r)
			if !slices.Equal(got, want) || total != len(data) {
				t.Fatalf("%q became %q", data, got)
			}
		}
	})
}

func TestLineReaderKnowsWhetherMoreIsThere(t *testing.T) {
	t.Parallel()
	l := newLineReader(io.MultiReader(strings.NewReader("a\nb\nc"), strings.NewReader("d\n")))
	for _, want := range []struct {
		line string
		more bool
	}{{"a", true}, {"b", false}, {"cd", false}} {
		line, _, err := l.next()
		if err != nil || string(line) != want.line || l.more() != want.more {
			t.Errorf("%q, more %t, %v; want %q, %t", line, l.more(), err, want.line, want.more)
		}
	}
}
