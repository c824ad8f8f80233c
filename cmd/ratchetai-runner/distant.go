package main

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
)

// distantMax is how long one command to a distant session may take.
const distantMax = 10 * time.Second

// errNobody: there is no agent to be told something.
var errNobody = errors.New("no session runs at the moment")

// distant is the session that a runner elsewhere drives for a task, as the keyboard and the
// ladder know sessions. It is safe for concurrent use.
type distant struct {
	ctx    context.Context // of the view: the keyboard and the ladder have none
	client *api.Client
	task   string
	raw    bool // with the vendor's lines
	say    func(string)
	leave  func() // ends the view
	id     atomic.Value
}

// setSession says which session runs; "" for none.
func (d *distant) setSession(id string) { d.id.Store(id) }

// send is a command with an id of its own, so that trying again is harmless.
func (d *distant) send(n api.NewCommand) (string, error) {
	session, _ := d.id.Load().(string)
	if session == "" {
		return "", errNobody
	}
	ctx, cancel := context.WithTimeout(d.ctx, distantMax)
	defer cancel()
	n.ID = uuid.NewString()
	cmd, err := d.client.Command(ctx, session, n)
	return cmd.ID, err
}

// Steer implements controls.
func (d *distant) Steer(text string, p agent.Priority) (string, error) {
	return d.send(api.NewCommand{Kind: api.CommandMessage, Text: text, Priority: string(p)})
}

// Withdraw implements controls.
func (d *distant) Withdraw() (string, error) {
	return d.send(api.NewCommand{Kind: api.CommandWithdraw})
}

// Interrupt implements controls. Where nobody could tell the agent what to do instead,
// or none runs, the task ends.
func (d *distant) Interrupt(stay bool) error {
	if !stay {
		return d.cancel()
	}
	_, err := d.send(api.NewCommand{Kind: api.CommandInterrupt})
	return err
}

// End implements controls.
func (d *distant) End(event.Outcome, string) {
	if err := d.cancel(); err != nil {
		d.say("not cancelled: " + err.Error())
	}
}

// Kill implements controls: nothing here can kill what runs elsewhere, so it is left.
func (d *distant) Kill(event.Outcome, string) { d.leave() }

func (d *distant) cancel() error {
	ctx, cancel := context.WithTimeout(d.ctx, distantMax)
	defer cancel()
	_, err := d.client.CancelTask(ctx, d.task)
	return err
}

func (d *distant) answer(a event.Answer, _ bool) error {
	if a.Decision == event.DecideAlways {
		return errors.New("a rule that lasts is made on the runner; a allows it for the session")
	}
	_, err := d.send(api.NewCommand{Kind: api.CommandAnswer, Answer: &a})
	return err
}

// events are those of a session, as in a journal, to its last.
func (d *distant) events(session string) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		f := api.Follow{Raw: d.raw, Broken: func(err error) { d.say(err.Error() + "; trying again") }, Silent: sayAway(d.say)}
		for e, err := range d.client.Events(d.ctx, session, f) {
			if !yield(entryOf(e), err) {
				return
			}
		}
	}
}
