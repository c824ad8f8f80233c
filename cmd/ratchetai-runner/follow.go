package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// taskPause is how often a task is looked at that waits for its session.
const taskPause = 300 * time.Millisecond

// follower shows a task of a control plane to its end, session after session, and lets the
// person take part as in run.
//
//	task without a session: wait ──┐
//	its newest session:     show ──┴─> one goroutine -> sink -> stdout, stderr
type follower struct {
	*watch
	client *api.Client
	task   task.Task
	far    *distant
	ladder *ladder
	why    string // as it was shown last
	away   bool   // the control plane did not answer last time
}

// followTask shows t until it has finished. Its error is the outcome, or errDetached if
// the person gave up on that.
func (a *app) followTask(ctx context.Context, client *api.Client, t task.Task, view viewFlags, stdinUsed bool) error {
	ignorePipe()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	w := a.newWatch(nil, "", view)
	w.keyboard, w.asks = !stdinUsed, t.Permissions == "ask"
	far := &distant{ctx: ctx, client: client, task: t.ID, raw: view.json, say: w.say, leave: func() { cancel(errDetached) }}
	f := &follower{watch: w, client: client, task: t, far: far, ladder: &ladder{session: far, say: w.say, distant: true}}
	w.asker = &asker{answer: far.answer, say: w.say, now: time.Now, distant: true}
	w.note("task " + t.ID)
	defer w.listen(f.ladder)()
	go func() {
		for {
			select {
			case sig := <-signals:
				f.ladder.signal(sig)
			case <-ctx.Done():
				return
			}
		}
	}()
	return f.run(ctx)
}

func (f *follower) run(ctx context.Context) error {
	for shown := ""; ; {
		if err := f.wait(ctx, shown); err != nil {
			return err
		}
		if f.task.Session == "" || f.task.Session == shown {
			return f.finished()
		}
		shown = f.task.Session
		err := f.session(ctx, shown)
		switch {
		case errors.Is(err, api.ErrNoEnd): // declined, given back or lost
		case err != nil:
			return err
		case f.outcome == "": // ctx has ended
			return context.Cause(ctx)
		case task.After(f.task.Spec, f.task.Attempts, f.outcome, "").State == task.Finished:
			return ended(f.outcome)
		}
	}
}

// wait returns when the task has another session than shown, or has finished.
func (f *follower) wait(ctx context.Context, shown string) error {
	show := time.NewTicker(tick)
	defer show.Stop()
	defer f.sink.close()
	var look <-chan time.Time // nil: at once
	for {
		if look == nil {
			if known, err := f.look(ctx, shown); known || err != nil {
				return err
			}
			look = time.After(taskPause)
		}
		select {
		case <-look:
			look = nil
		case text := <-f.said:
			f.sink.say(text)
		case text := <-f.typed:
			f.sink.input(text)
		case <-show.C:
			f.sink.tick()
		case <-ctx.Done():
			f.drain()
			return context.Cause(ctx)
		}
	}
}

// look asks for the task, and reports whether there is something new.
func (f *follower) look(ctx context.Context, shown string) (known bool, err error) {
	t, err := f.client.Task(ctx, f.task.ID)
	switch {
	case err != nil && ctx.Err() == nil && !api.Transient(err):
		return false, err
	case err != nil:
		if !f.away && ctx.Err() == nil {
			f.sink.say(err.Error() + "; trying again")
		}
		f.away = true
		return false, nil
	}
	f.task, f.away = t.Task, false
	if t.State == task.Finished || t.Session != "" && t.Session != shown {
		return true, nil
	}
	if now := taskNow(t.Task); now != f.why {
		f.why = now
		f.sink.waits(now)
	}
	return false, nil
}

// finished shows the end of a task that no session's last event told.
func (f *follower) finished() error {
	if f.view.json {
		f.sink.say("task " + short(f.task.ID) + ": " + taskNow(f.task))
		return ended(f.task.Outcome)
	}
	data, err := json.Marshal(event.SessionFinished{Outcome: f.task.Outcome, Reason: f.task.Reason})
	if err != nil {
		return err
	}
	f.sink.entry(journal.Entry{Seq: 1, Time: time.Now(), Type: string(event.TypeSessionFinished), Data: data})
	f.sink.close()
	return ended(f.task.Outcome)
}

// session shows one session to its end; f.outcome is its outcome then.
func (f *follower) session(ctx context.Context, id string) error {
	s, err := f.client.Session(ctx, id)
	if err != nil {
		return err
	}
	f.id, f.next, f.outcome = s.ID, 1, ""
	f.sink = f.app.newSink(s.ID, f.view)
	f.asker.forget()
	text := fmt.Sprintf("session %s on %s", s.ID, s.RunnerName)
	if s.Attempt > 1 {
		text += fmt.Sprintf(", attempt %d", s.Attempt)
	}
	f.note(text)
	f.far.setSession(s.ID)
	defer f.far.setSession("")
	if err := f.show(f.far.events(s.ID)); err != nil {
		return err
	}
	if err := f.app.stepSummary(f.far.events(s.ID), s.ID); err != nil {
		f.app.log.WithError(err).Warn("the job's summary cannot be written")
	}
	return nil
}
