package main

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

// bench is an app whose output can be read, and a store.
type bench struct {
	*app
	t        *testing.T
	store    *runner.Store
	root     string
	out, err *os.File
}

func setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, root: t.TempDir()}
	var err error
	if b.store, err = runner.OpenStore(b.root); err != nil {
		t.Fatal(err)
	}
	file := func(name string) *os.File {
		f, err := os.Create(filepath.Join(b.root, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	b.out, b.err = file("out"), file("err")
	log := logrus.New()
	log.SetOutput(b.err)
	b.app = &app{
		streams: streams{In: file("in"), Out: &stdout{File: b.out}, Err: b.err}, log: log,
		lookup: func(string) (string, bool) { return "", false },
	}
	return b
}

func (b *bench) text(f *os.File) string {
	b.t.Helper()
	data, err := os.ReadFile(f.Name())
	if err != nil {
		b.t.Fatal(err)
	}
	return string(data)
}

// play lets a fake session go through list; pause is called before its last event.
func (b *bench) play(list []event.Data, pause func(*fakeSession)) *fakeSession {
	b.t.Helper()
	if err := storeSession(b.root, "s1", b.root); err != nil {
		b.t.Fatal(err)
	}
	j, err := journal.Open(b.store.Journal("s1"), "s1")
	if err != nil {
		b.t.Fatal(err)
	}
	f := &fakeSession{done: make(chan struct{}), journal: j}
	f.end, _ = list[len(list)-1].(event.SessionFinished)
	go func() {
		defer close(f.done)
		for i, d := range list {
			if i == len(list)-1 {
				pause(f)
			}
			if err := appendEvent(j, time.Now(), d); err != nil {
				b.t.Error(err)
			}
		}
		if err := j.Close(); err != nil {
			b.t.Error(err)
		}
	}()
	return f
}

func (f *fakeSession) Events(ctx context.Context, from uint64) iter.Seq2[journal.Entry, error] {
	return f.journal.Follow(ctx, from, string(event.TypeSessionFinished))
}

func (f *fakeSession) Left() error { return nil }

// told waits until the session was told n things.
func (f *fakeSession) told(n int) {
	for {
		f.mu.Lock()
		got := len(f.calls)
		f.mu.Unlock()
		if got >= n {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestDrive(t *testing.T) {
	t.Parallel()
	b := setup(t)
	signals := make(chan os.Signal, 4)
	f := b.play(events(event.Cancelled), func(f *fakeSession) {
		f.told(1)
		signals <- os.Interrupt
		f.told(2)
	})
	w := b.newWatch(b.store, "s1", viewFlags{})
	err := w.drive(t.Context(), f, signals, []os.Signal{os.Interrupt})
	if got := exitCode(err); got != exitCancelled {
		t.Errorf("%v: exit code %d", err, got)
	}
	if diff := cmp.Diff([]string{"interrupt", "end cancelled"}, f.calls); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := "› write a poem\n● claude 2.1.330 · opus\n\n  Roses are red.\n\n✓ shell  make poem  1.2s\n"
	if diff := cmp.Diff(want, b.text(b.out)); diff != "" {
		t.Errorf("stdout (-want +got):\n%s", diff)
	}
	for _, text := range []string{"attach s1", "interrupted: the agent stops", "ending the session", "--allow-host evil.example", "■ cancelled · 1m05s"} {
		if !strings.Contains(b.text(b.err), text) {
			t.Errorf("stderr does not say %q:\n%s", text, b.text(b.err))
		}
	}
}

func TestDriveJSON(t *testing.T) {
	t.Parallel()
	b := setup(t)
	f := b.play(events(event.BudgetExceeded), func(*fakeSession) {})
	w := b.newWatch(b.store, "s1", viewFlags{json: true})
	b.log.Warn("a log line")
	if got := exitCode(w.drive(t.Context(), f, nil, nil)); got != exitBudget {
		t.Errorf("exit code %d", got)
	}
	var want bytes.Buffer
	for e, err := range journal.Read(b.store.Journal("s1"), 1) {
		if err != nil {
			t.Fatal(err)
		}
		want.Write(append(e.AppendJSON(nil, "s1"), '\n'))
	}
	if diff := cmp.Diff(want.String(), b.text(b.out)); diff != "" {
		t.Errorf("stdout is not the journal (-want +got):\n%s", diff)
	}
}

// A session goes on when nobody reads its events any more.
func TestStdoutMayClose(t *testing.T) {
	t.Parallel()
	for _, view := range []viewFlags{{}, {json: true}, {quiet: true}} {
		b := setup(t)
		r, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		b.Out = &stdout{File: out}
		f := b.play(events(event.Succeeded), func(*fakeSession) {})
		if err := b.newWatch(b.store, "s1", view).drive(t.Context(), f, nil, nil); err != nil {
			t.Errorf("%+v: %v", view, err)
		}
		out.Close()
	}
}

// A reader that stops reading holds up neither the signals nor, when it is
// killed, the end.
func TestStdoutMayBlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() // lets the writer end
	b.Out = &stdout{File: out}
	signals := make(chan os.Signal, 4)
	list := events(event.Cancelled)
	list[6] = event.Message{ID: "x", Role: "assistant", Text: strings.Repeat("more than a pipe holds ", 1<<14)}
	f := b.play(list, func(f *fakeSession) {
		for i := range 3 {
			signals <- syscall.SIGINT
			f.told(i + 1)
		}
	})
	done := make(chan error, 1)
	go func() { done <- b.newWatch(b.store, "s1", viewFlags{}).drive(t.Context(), f, signals, nil) }()
	if got := exitCode(<-done); got != exitCancelled {
		t.Errorf("exit code %d", got)
	}
}

func TestElsewhere(t *testing.T) {
	t.Parallel()
	t.Run("finished", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		f := b.play(events(event.TimedOut), func(*fakeSession) {})
		err := b.newWatch(b.store, "s1", viewFlags{}).elsewhere(t.Context(), nil)
		if got := exitCode(err); got != exitDeadline {
			t.Errorf("%v: exit code %d", err, got)
		}
		<-f.done
	})
	t.Run("seen enough", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		if err := storeSession(b.root, "s1", b.root, events("")...); err != nil {
			t.Fatal(err)
		}
		signals := make(chan os.Signal, 1)
		signals <- os.Interrupt
		err := b.newWatch(b.store, "s1", viewFlags{}).elsewhere(t.Context(), signals)
		if !errors.Is(err, errDetached) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("orphaned", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		if err := storeSession(b.root, "s1", b.root, events("")...); err != nil {
			t.Fatal(err)
		}
		w := b.newWatch(b.store, "s1", viewFlags{})
		if err := w.elsewhere(t.Context(), nil); !errors.Is(err, errOrphaned) {
			t.Errorf("got %v", err)
		}
		if want := uint64(len(events("")) + 1); w.next != want {
			t.Errorf("goes on at %d, want %d", w.next, want)
		}
	})
}
