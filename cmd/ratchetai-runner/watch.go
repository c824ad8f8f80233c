package main

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

const (
	tick = 100 * time.Millisecond
	// graceMax is what the view gets to show the rest of a session that has ended.
	graceMax = 2 * time.Second
	// saidMax is how many messages wait for a stdout that nobody reads.
	saidMax = 64
)

// watch shows one session, from its journal, while it is driven here or elsewhere.
//
//	journal ────────────┐
//	ladder, log ─ said ─┼─> one goroutine -> sink -> stdout, stderr
//	keyboard ── typed ──┘
//
// Only that goroutine writes, so that a slow terminal holds up neither the
// session nor the signals.
type watch struct {
	app      *app
	store    *runner.Store
	id       string
	view     viewFlags
	keyboard bool // stdin is free for messages and answers
	sink     sink
	rules    rulesFile   // takes what is allowed always
	asks     bool        // the session may ask, so that stdin is read for answers
	asker    *asker      // nil while another process drives the session
	next     uint64      // seq of the entry that is shown next
	said     chan string // from anywhere; capacity saidMax, dropped beyond; never closed
	typed    chan string // what is being typed; from the keyboard; capacity 16; never closed
	outcome  event.Outcome
}

func (a *app) newWatch(store *runner.Store, id string, view viewFlags) *watch {
	w := &watch{
		app: a, store: store, id: id, view: view, next: 1,
		said: make(chan string, saidMax), typed: make(chan string, 16),
	}
	w.sink = a.newSink(id, view)
	return w
}

func (a *app) newSink(session string, view viewFlags) sink {
	if view.json {
		return &jsonSink{out: a.Out, err: a.Err, session: session}
	}
	o := a.display()
	o.Quiet = view.quiet
	o.Live = o.Live && !view.quiet
	return &humanSink{printer: term.New(o), quiet: view.quiet}
}

// skipTo shows entries from seq on only.
func (w *watch) skipTo(seq uint64) {
	switch s := w.sink.(type) {
	case *humanSink:
		s.skip = seq
	case *jsonSink:
		s.skip = seq
	}
}

// say gives the view a line to show; it does not block.
func (w *watch) say(text string) {
	select {
	case w.said <- text:
	default:
	}
}

// Write shows log lines without spoiling the status line.
func (w *watch) Write(line []byte) (int, error) {
	w.say(strings.TrimSpace(string(line)))
	return len(line), nil
}

// session is what drive needs of a runner.Session.
type session interface {
	controls
	Events(ctx context.Context, from uint64) iter.Seq2[journal.Entry, error]
	Answer(a event.Answer, stay bool) error
	Asked(id string) (event.AskOpened, error)
	Done() <-chan struct{}
	Result() event.SessionFinished
	Left() error
}

// drive shows a session that this process runs, to its end, and lets the person
// take part. Its error is the outcome.
func (w *watch) drive(ctx context.Context, s session, signals <-chan os.Signal, early []os.Signal) error {
	w.introduce()
	l := &ladder{session: s, say: w.say}
	w.asker = &asker{answer: w.answering(s), say: w.say, now: time.Now}
	defer w.listen(l)()
	w.app.log.SetOutput(w)
	defer w.app.log.SetOutput(w.app.Err)
	for _, sig := range early {
		l.signal(sig)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for {
			select {
			case sig := <-signals:
				l.signal(sig)
			case <-ctx.Done():
				return
			}
		}
	}()
	shown := make(chan error, 1) // by the view, once
	go func() { shown <- w.show(s.Events(ctx, w.next)) }()
	var err error
	select {
	case err = <-shown:
	case <-s.Done():
		err = w.rest(shown, l.killed)
	}
	if err != nil {
		w.app.log.WithError(err).Warn("the session's journal cannot be read")
	}
	if err := w.app.stepSummary(journal.Read(w.store.Journal(w.id), 1), w.id); err != nil {
		w.app.log.WithError(err).Warn("the job's summary cannot be written")
	}
	if err := s.Left(); err != nil {
		return leftError{err, w.id}
	}
	return ended(s.Result().Outcome)
}

// rest waits for the view after the session's end: for as long as somebody reads,
// unless the person wants it to end at once.
func (w *watch) rest(shown <-chan error, impatient func() bool) error {
	t := time.NewTicker(graceMax)
	defer t.Stop()
	for {
		select {
		case err := <-shown:
			return err
		case <-t.C:
			if impatient() {
				return nil
			}
		}
	}
}

// introduce says which session this is.
func (w *watch) introduce() {
	text := "session " + w.id
	if w.view.json {
		w.sink.note(text)
		return
	}
	w.note(text + "; should this runner die: " + name + " attach " + short(w.id))
}

func (w *watch) note(text string) { w.sink.note(text) }

// stored is the session's journal on disk from w.next on, up to the session's end.
func (w *watch) stored(ctx context.Context) iter.Seq2[journal.Entry, error] {
	return journal.Follow(ctx, w.store.Journal(w.id), w.next, string(event.TypeSessionFinished))
}

// show shows entries as they come, until there are no more. Everything is shown
// by its caller's goroutine.
func (w *watch) show(all iter.Seq2[journal.Entry, error]) error {
	entries := make(chan journal.Entry, 256) // from the goroutine, which closes it
	failed := make(chan error, 1)            // likewise, before it closes entries
	go func() {
		defer close(entries)
		for e, err := range all {
			if err != nil {
				failed <- err
				return
			}
			entries <- e
		}
		failed <- nil
	}()
	t := time.NewTicker(tick)
	defer t.Stop()
	defer w.app.stopCommands(w.view)()
	defer w.sink.close()
	for {
		select {
		case e, ok := <-entries:
			if !ok {
				w.drain()
				return <-failed
			}
			w.entry(e)
		case text := <-w.said:
			w.sink.say(text)
		case text := <-w.typed:
			w.sink.input(text)
		case <-t.C:
			w.sink.tick()
			if len(entries) == 0 {
				w.promptAsk()
			}
		}
	}
}

// drain shows what was said meanwhile.
func (w *watch) drain() {
	for {
		select {
		case text := <-w.said:
			w.sink.say(text)
		default:
			return
		}
	}
}

func (w *watch) entry(e journal.Entry) {
	w.next = e.Seq + 1
	if e.Type == string(event.TypeSessionFinished) {
		var end event.SessionFinished
		if json.Unmarshal(e.Data, &end) == nil {
			w.outcome = end.Outcome
		}
	}
	w.sink.entry(e)
	if w.asker != nil {
		w.asker.entry(e)
	}
}

// elsewhere shows a session that another process drives, until it has finished
// (then the error is its outcome), the person has seen enough (errDetached), or
// nobody drives it any more (errOrphaned).
func (w *watch) elsewhere(ctx context.Context, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{}) // closed when nothing is waited for any more
	defer close(done)
	go func() {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		for orphaned := 0; orphaned < 2; { // once may be a runner that is just taking over
			select {
			case <-signals:
				cancel(errDetached)
				return
			case <-t.C:
			case <-done:
				return
			}
			if sum, err := w.store.Summary(w.id); err == nil && sum.State == runner.Orphaned {
				orphaned++
			} else {
				orphaned = 0
			}
		}
		cancel(errOrphaned)
	}()
	if err := w.show(w.stored(ctx)); err != nil {
		return err
	}
	if w.outcome != "" {
		return ended(w.outcome)
	}
	return context.Cause(ctx)
}

// errOrphaned: the runner that drove the session is gone.
var errOrphaned = errors.New("the session's runner is gone")
