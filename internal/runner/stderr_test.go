package runner

import (
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// endless is n bytes of stderr without an end of the line.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	n := min(len(p), e.n)
	for i := range p[:n] {
		p[i] = 'x'
	}
	e.n -= n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// TestStderrIsBounded: a line without an end costs no memory, one that is cut shows no part
// of a token, and so many lines are kept, whatever is empty between them.
func TestStderrIsBounded(t *testing.T) {
	b := setup(t, func(line map[string]any, _ func(string)) bool { return line["type"] == "user" })
	b.task.Timeout = time.Hour
	s, err := b.Start(t.Context(), b.task)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s.readStderr(&endless{64 << 20})
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Errorf("64 MiB without an end took %d MiB", used>>20)
	}
	s.readStderr(strings.NewReader(strings.Repeat("y", stderrLineMax-10) + fakeToken + "\nnext\n" + strings.Repeat("z\n\n", stderrLinesMax+10)))
	s.End(event.Cancelled, "enough")
	waitFor(t, s)
	var lines []string
	cut := 0
	for _, e := range b.entries(t, s.ID) {
		switch d, _ := event.Decode(event.Type(e.Type), e.Data); d := d.(type) {
		case event.Notice:
			if d.Kind == "stderr" {
				lines = append(lines, d.Text)
			} else if strings.Contains(d.Text, "are not kept") {
				cut++
			}
		}
	}
	if len(lines) != stderrLinesMax+1 || cut != 1 { // of two readers
		t.Fatalf("%d lines, %d times cut", len(lines), cut)
	}
	if lines[0] != strings.Repeat("x", stderrLineMax)+"…" || lines[2] != "next" {
		t.Errorf("%d bytes, then %q", len(lines[0]), lines[2])
	}
	if strings.Contains(lines[1], fakeToken[:10]) {
		t.Errorf("a part of the token: %q", lines[1][stderrLineMax-20:])
	}
}
