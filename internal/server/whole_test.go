package server

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/schedule"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// One task, from a person to a runner and back, with the real dispatcher and the real
// clients.
func TestOneTask(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b := setup(t, func(c *Config) {
		d, err := schedule.New(t.Context(), c.Store.(*store.Store), c.Log, c.Metrics)
		if err != nil {
			t.Fatal(err)
		}
		c.Dispatcher = d
	})
	person, err := api.NewClient(b.url, b.person, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer person.Close()
	runner, err := api.NewClient(b.url, b.device, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer runner.Close()
	state := api.Sync{Runner: "r1", Instance: "i1", Seq: 1, Name: "nas", Version: "v", Protocol: api.Protocol, Capacity: 1, WaitMS: 30_000, LostAfterMS: 1000,
		Workspaces: []api.Workspace{{Name: "shop", Default: true}}, Agents: []api.Agent{{Kind: "claude", Login: "ready"}}, Health: api.Health{Ready: true}}
	var refused *api.Error
	if _, err := runner.Sync(ctx, api.Sync{Runner: "r1", Instance: "i1", Name: "nas", Protocol: 1, Capacity: -1}); !errors.As(err, &refused) || refused.Code != api.CodeInvalid {
		t.Errorf("a report that makes no sense: %v", err)
	}
	answers := make(chan api.SyncAnswer, 1)
	poll := func() {
		a, err := runner.Sync(ctx, state)
		if err != nil {
			t.Error(err)
		}
		answers <- a
	}
	go poll()
	one, err := person.AddTask(ctx, task.Spec{Prompt: "do it", Workspace: "shop"}, "k")
	if err != nil {
		t.Fatal(err)
	}
	a := <-answers
	if len(a.Leases) != 1 || a.Leases[0].Task.ID != one.ID {
		t.Fatalf("%+v", a)
	}
	l := a.Leases[0]
	state.Seq++
	state.Sessions = []api.SessionReport{{ID: l.Session, Token: l.Token, State: task.Active}}
	go poll()
	if _, err := runner.Upload(ctx, l.Session, l.Token, 1, []byte(batch(l.Session, 1, 2))); err != nil {
		t.Fatal(err)
	}
	seen, ended := make(chan uint64, 10), make(chan error, 1)
	go func() {
		defer close(ended)
		for e, err := range person.Events(ctx, l.Session, api.Follow{}) {
			if err != nil {
				ended <- err
				return
			}
			seen <- e.Seq
		}
	}()
	for want := range uint64(2) {
		if n := <-seen; n != want+1 {
			t.Errorf("event %d instead of %d", n, want+1)
		}
	}
	if a = <-answers; len(a.Renewed) != 1 || a.Renewed[0].UploadMS > 100 {
		t.Errorf("the runner does not hear that somebody watches: %+v", a)
	}
	state.Seq++
	go poll()
	cmd, err := person.Command(ctx, l.Session, api.NewCommand{Kind: api.CommandMessage, Text: "and that"})
	if err != nil {
		t.Fatal(err)
	}
	if a = <-answers; len(a.Commands) != 1 || a.Commands[0].ID != cmd.ID {
		t.Errorf("%+v", a)
	}
	if _, err := runner.Upload(ctx, l.Session, l.Token, 3, []byte(finish(l.Session, 3))); err != nil {
		t.Fatal(err)
	}
	if n := <-seen; n != 3 {
		t.Errorf("event %d", n)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	detail, err := person.Task(ctx, one.ID)
	if err != nil || detail.State != task.Finished || detail.Outcome != event.Succeeded || len(detail.Sessions) != 1 {
		t.Errorf("%+v %v", detail, err)
	}
	state.Seq++
	go poll()
	if a = <-answers; len(a.Done) != 1 || a.Done[0] != l.Session {
		t.Errorf("%+v", a)
	}
}
