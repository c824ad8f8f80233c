package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

var (
	// errNotBegun: a task has no session yet.
	errNotBegun = errors.New("it has no session yet")
	// errNeverBegun: a task has ended and had none.
	errNeverBegun = errors.New("it ended without a session")
)

// sessionOf returns the session that id means: one of its own, or a task's newest.
func sessionOf(ctx context.Context, c *api.Client, id string) (task.Session, error) {
	s, err := c.Session(ctx, id)
	if !isNotFound(err) {
		return s, err
	}
	t, err := c.Task(ctx, id)
	switch {
	case isNotFound(err):
		return s, &api.Error{Status: 404, Code: api.CodeNotFound, Message: fmt.Sprintf("no session or task %q", id), Hint: name + " task ls lists tasks"}
	case err != nil:
		return s, err
	case t.Session == "" && t.State == task.Finished:
		return s, fmt.Errorf("task %s: %w (%s)", short(t.ID), errNeverBegun, taskNow(t.Task))
	case t.Session == "":
		return s, fmt.Errorf("task %s: %w (%s)", short(t.ID), errNotBegun, taskNow(t.Task))
	}
	return c.Session(ctx, t.Session)
}

func isNotFound(err error) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Code == api.CodeNotFound
}

// remoteLogs is logs for a session of the control plane.
func (a *app) remoteLogs(ctx context.Context, c *api.Client, id string, follow, asJSON bool) error {
	s, err := sessionOf(ctx, c, id)
	for ; follow && errors.Is(err, errNotBegun); s, err = sessionOf(ctx, c, id) {
		select {
		case <-time.After(taskPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	f := api.Follow{Raw: asJSON}
	if !follow || !s.State.Open() {
		if f.Until = s.LastSeq; s.LastSeq == 0 {
			return nil
		}
	}
	out := a.logSink(s.ID, asJSON)
	f.Broken, f.Silent = func(err error) { out.say(err.Error() + "; trying again") }, sayAway(out.say)
	defer a.stopCommands(viewFlags{json: asJSON})()
	defer out.close()
	for e, err := range c.Events(ctx, s.ID, f) {
		if err != nil {
			return err
		}
		out.entry(entryOf(e))
		if o, ok := asksPerson(e); ok && e.Seq > s.LastSeq { // what is older may be answered
			out.prompt(o, name+" answer "+short(s.ID))
		}
	}
	return nil
}

// asksPerson returns an ask that waits for a person.
func asksPerson(e api.Event) (event.AskOpened, bool) {
	var o event.AskOpened
	ok := e.Type == string(event.TypeAskOpened) && json.Unmarshal(e.Data, &o) == nil && o.Default != ""
	return o, ok
}

// sayAway says that a session's runner went away, and that it came back.
func sayAway(say func(string)) func(task.Session) {
	away := false
	return func(s task.Session) {
		switch {
		case s.Away && !away:
			say(s.RunnerName + " is away: its agent may work on, and what happens is shown when it is back")
		case away && !s.Away:
			say(s.RunnerName + " is back")
		}
		away = s.Away
	}
}

// entryOf is an event as it is in a journal.
func entryOf(e api.Event) journal.Entry {
	j := journal.Entry{Seq: e.Seq, Time: e.Time, Type: e.Type, Data: e.Data, Raw: e.RawBytes}
	if len(e.Raw) > 0 {
		j.Raw, j.RawJSON = e.Raw, true
	}
	return j
}
