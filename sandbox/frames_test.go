package sandbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func frame(stream byte, data string) string {
	header := make([]byte, 8)
	header[0] = stream
	binary.BigEndian.PutUint32(header[4:], uint32(len(data)))
	return string(header) + data
}

func TestFrames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é🙂", 100_000)
	in := frame(1, "out 1 ") + frame(2, "err 1 ") + frame(1, "") + frame(2, "") + frame(1, long) + frame(2, "err 2")
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r },
		"byte":  iotest.OneByteReader,
		"half":  iotest.HalfReader,
		"eof":   iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stderr := newTail()
			out, err := io.ReadAll(newFrames(wrap(strings.NewReader(in)), stderr))
			if err != nil || string(out) != "out 1 "+long {
				t.Errorf("stdout has %d bytes, %v", len(out), err)
			}
			stderr.Close()
			if text, _ := io.ReadAll(stderr); string(text) != "err 1 err 2" {
				t.Errorf("stderr %q", text)
			}
		})
	}
}

func TestFramesBroken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		in, out string
		err     error
	}{
		"in a header": {frame(1, "a") + "\x01\x00", "a", io.ErrUnexpectedEOF},
		"in stdout":   {frame(1, "abc")[:10], "ab", nil},
		"in stderr":   {frame(1, "a") + frame(2, "abc")[:10], "a", nil},
		"unknown":     {frame(1, "a") + frame(9, "b"), "a", errors.New("unknown")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := io.ReadAll(newFrames(strings.NewReader(test.in), newTail()))
			if string(out) != test.out || (err == nil) != (test.err == nil) {
				t.Errorf("got %q, %v", out, err)
			}
		})
	}
}

// FuzzFrames checks that no stream makes the reader panic, hang, or give more
// bytes than it was given.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(frame(1, "a") + frame(2, "b")))
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		stderr := newTail()
		out, _ := io.ReadAll(newFrames(bytes.NewReader(in), stderr))
		bytewise, _ := io.ReadAll(newFrames(iotest.OneByteReader(bytes.NewReader(in)), newTail()))
		if !bytes.Equal(out, bytewise) {
			t.Errorf("%q read at once, %q by byte", out, bytewise)
		}
		if len(out)+len(stderr.buf) > len(in) {
			t.Errorf("%d bytes from %d", len(out), len(in))
		}
	})
}

func TestTail(t *testing.T) {
	t.Parallel()
	tail := newTail()
	old := strings.Repeat("o", 1000)
	_, _ = io.WriteString(tail, old)
	_, _ = io.WriteString(tail, strings.Repeat("m", stderrMax-500))
	_, _ = io.WriteString(tail, "new")
	tail.Close()
	got, err := io.ReadAll(tail)
	want := "[503 bytes of stderr dropped]\n" + old[503:] + strings.Repeat("m", stderrMax-500) + "new"
	if err != nil || string(got) != want {
		t.Errorf("%d bytes: %.60q…, %v", len(got), got, err)
	}

	tail = newTail()
	_, _ = tail.Write(bytes.Repeat([]byte("x"), stderrMax+7))
	tail.Close()
	got, _ = io.ReadAll(tail)
	if note := "[7 bytes of stderr dropped]\n"; len(got) != stderrMax+len(note) || !strings.HasPrefix(string(got), note) {
		t.Errorf("%d bytes: %.60q…", len(got), got)
	}
}
