package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/task"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

// follower shows a task of a control plane to its end, session after session, and lets the
// person take part as in run.
type follower struct {
	app     *app
	client  *api.Client
	view    viewFlags
	stdin   bool // is free for messages and answers
	task    task.Task
	why     string // as it was shown last
	signals chan os.Signal
	steps   int // signals while no session ran
}

// followTask shows t until it has finished. Its error is the outcome, or errDetached if
// the person gave up on that.
func (a *app) followTask(ctx context.Context, client *api.Client, t task.Task, view viewFlags, stdinUsed bool) error {
	ignorePipe()
	f := &follower{app: a, client: client, view: view, stdin: !stdinUsed, task: t, signals: make(chan os.Signal, 4)}
	signal.Notify(f.signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(f.signals)
	f.note("task " + t.ID)
	for shown := ""; ; {
		t, err := f.wait(ctx, shown)
		if err != nil {
			return err
		}
		if t.Session == "" || t.Session == shown {
			f.finished(t)
			return ended(t.Outcome)
		}
		shown = t.Session
		end, err := f.session(ctx, t)
		if err != nil {
			return err
		}
		if end != "" && !again(t, end) {
			return ended(end)
		}
	}
}

// again reports that a task goes on after a session that ended so.
func again(t task.Task, outcome event.Outcome) bool {
	return task.After(t.Spec, t.Attempts, outcome, "").State == task.Queued
}

// wait returns the task when it has another session than shown, or has finished.
func (f *follower) wait(ctx context.Context, shown string) (task.Task, error) {
	tick := time.NewTicker(taskPause)
	defer tick.Stop()
	for {
		t, err := f.client.Task(ctx, f.task.ID)
		switch {
		case err != nil && !api.Transient(err):
			return f.task, err
		case err != nil:
			f.say("control plane: " + err.Error() + "; trying again")
		default:
			f.task = t.Task
			if t.State == task.Finished || t.Session != "" && t.Session != shown {
				return t.Task, nil
			}
			f.waits(t.Task)
		}
		select {
		case <-f.signals:
			if err := f.giveUp(ctx); err != nil {
				return f.task, err
			}
		case <-tick.C:
		case <-ctx.Done():
			return f.task, ctx.Err()
		}
	}
}

// giveUp cancels the task at the first signal and leaves it alone at the second.
func (f *follower) giveUp(ctx context.Context) error {
	if f.steps++; f.steps > 1 {
		f.say("the task is left as it is: " + name + " task show " + short(f.task.ID))
		return errDetached
	}
	if _, err := f.client.CancelTask(ctx, f.task.ID); err != nil {
		f.say("not cancelled: " + err.Error() + "; Ctrl-C again leaves the task as it is")
	}
	return nil
}

// waits shows once what the task waits for.
func (f *follower) waits(t task.Task) {
	if t.Why != "" && t.Why != f.why {
		f.note(taskNow(t))
	}
	f.why = t.Why
}

// finished shows the end of a task that no session's last event told.
func (f *follower) finished(t task.Task) {
	if f.view.json {
		f.say("task " + taskNow(t))
		return
	}
	data, err := json.Marshal(event.SessionFinished{Outcome: t.Outcome, Reason: t.Reason})
	if err != nil {
		return
	}
	w := f.watch("")
	w.sink.entry(journal.Entry{Time: time.Now(), Type: string(event.TypeSessionFinished), Data: data})
	w.sink.close()
}

func (f *follower) watch(session string) *watch { return f.app.newWatch(nil, session, f.view) }

func (f *follower) note(text string) {
	w := f.watch("")
	w.note(text)
	w.sink.close()
}

func (f *follower) say(text string) {
	w := f.watch("")
	w.sink.say(term.Line(text))
	w.sink.close()
}

// session shows the newest session of t to its end, and returns its outcome; none if it
// ended without saying one.
func (f *follower) session(ctx context.Context, t task.Task) (event.Outcome, error) {
	s, err := f.client.Session(ctx, t.Session)
	if err != nil {
		return "", err
	}
	w := f.watch(s.ID)
	w.keyboard, w.asks = f.stdin, t.Permissions != "allow"
	w.note("session " + s.ID + " on " + s.RunnerName)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	far := &distant{ctx: ctx, client: f.client, session: s.ID, task: t.ID, raw: f.view.json, leave: func() { cancel(errDetached) }}
	l := &ladder{session: far, say: w.say, distant: true}
	w.asker = &asker{answer: far.answer, say: w.say, now: time.Now}
	defer w.listen(l)()
	go func() {
		for {
			select {
			case sig := <-f.signals:
				l.signal(sig)
			case <-ctx.Done():
				return
			}
		}
	}()
	err = w.show(far.events(w.say))
	switch {
	case errors.Is(err, api.ErrNoEnd):
		return "", nil
	case err != nil:
		return "", err
	case w.outcome == "" && ctx.Err() != nil:
		return "", context.Cause(ctx)
	}
	return w.outcome, nil
}
