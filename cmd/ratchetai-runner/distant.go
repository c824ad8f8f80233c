package main

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
)

// distantMax is how long one command to a distant session may take.
const distantMax = 10 * time.Second

// distant is a session that a runner elsewhere drives, as the keyboard and the ladder
// know sessions. It is safe for concurrent use.
type distant struct {
	ctx           context.Context // of the view: the keyboard and the ladder have none
	client        *api.Client
	session, task string
	raw           bool   // with the vendor's lines
	leave         func() // ends the view
}

// send is a command with an id of its own, so that trying again is harmless.
func (d *distant) send(n api.NewCommand) (string, error) {
	ctx, cancel := context.WithTimeout(d.ctx, distantMax)
	defer cancel()
	n.ID = uuid.NewString()
	cmd, err := d.client.Command(ctx, d.session, n)
	if err != nil && api.Transient(err) && ctx.Err() == nil {
		cmd, err = d.client.Command(ctx, d.session, n)
	}
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
// the task ends.
func (d *distant) Interrupt(stay bool) error {
	if !stay {
		return d.cancel()
	}
	_, err := d.send(api.NewCommand{Kind: api.CommandInterrupt})
	return err
}

// End implements controls.
func (d *distant) End(event.Outcome, string) { _ = d.cancel() }

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

// events are the session's, as in a journal, to its last; broken is told about streams
// that broke.
func (d *distant) events(say func(string)) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		f := api.Follow{Raw: d.raw, Broken: func(err error) { say("the stream broke and is opened again: " + err.Error()) }}
		for e, err := range d.client.Events(d.ctx, d.session, f) {
			if !yield(entryOf(e), err) {
				return
			}
		}
	}
}
