package pid1

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// A byte that was written is in the file when it is told, and the end is told too.
func TestSaveTells(t *testing.T) {
	t.Parallel()
	o, w := newTestOutput(t, 100)
	go o.save()
	for n, text := range []string{"one", "two"} {
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if _, ok := <-o.grown; !ok {
			t.Fatal("it ended early")
		}
		if got, want := o.content(t), "onetwo"[:3*(n+1)]; got != want {
			t.Errorf("the file has %q, want %q", got, want)
		}
	}
	w.Close()
	<-o.saved
	if _, ok := <-o.grown; ok {
		t.Error("told of nothing")
	}
}

// An agent that has given its stdout to somebody outside keeps the sandbox no longer than this.
func TestDrainEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ after, want time.Duration }{{0, 0}, {time.Second, time.Second}, {time.Hour, drainMax}} {
			o := &output{saved: make(chan struct{})}
			time.AfterFunc(c.after, func() { close(o.saved) })
			start := time.Now()
			o.drain()
			if got := time.Since(start); got != c.want {
				t.Errorf("saved after %v: it took %v, not %v", c.after, got, c.want)
			}
		}
		time.Sleep(time.Hour)
	})
}

// Nobody has to listen, and what is above the limit ends it.
func TestSaveStopsAtTheLimit(t *testing.T) {
	t.Parallel()
	o, w := newTestOutput(t, 10)
	go o.save()
	for range 3 {
		if _, err := w.WriteString("12345"); err != nil {
			t.Fatal(err)
		}
	}
	<-o.saved
	if code := <-o.stop; code != ExitStdoutLimit {
		t.Errorf("code %d", code)
	}
	if got := o.content(t); len(got) <= 10 {
		t.Errorf("the file has %q", got)
	}
}

func newTestOutput(t *testing.T, limit int64) (*output, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), StdoutFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close(); f.Close() })
	return &output{
		pipe: r, file: f, max: limit,
		stop: make(chan int, 1), saved: make(chan struct{}), grown: make(chan struct{}, 1),
	}, w
}

func (o *output) content(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(o.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
