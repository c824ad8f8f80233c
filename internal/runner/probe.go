package runner

import (
	"context"
	"errors"
	"fmt"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// Probe is a program in the place of an agent, in a sandbox that is a session's
// in everything else: plan, mounts, login, proxy, user, limits. Its methods are
// not safe for concurrent use.
type Probe struct {
	session *Session
	task    Task
	spec    sandbox.Spec
	proc    sandbox.Process
}

// Probe starts command instead of t's agent. change, if not nil, has the last
// word on the sandbox: tests weaken it. Close must be called in the end.
func (r *Runner) Probe(ctx context.Context, t Task, command []string, change func(*sandbox.Spec)) (*Probe, error) {
	login, err := r.Login(t)
	if err != nil {
		return nil, err
	}
	rec := record(t)
	held, err := r.Store.create(rec)
	if err != nil {
		return nil, err
	}
	s, err := r.open(rec, held)
	if err != nil {
		held.release()
		return nil, err
	}
	p := &Probe{session: s, task: t}
	if p.spec, err = r.prepare(s, t, login); err == nil {
		p.spec.Command = command
		if change != nil {
			change(&p.spec)
		}
		p.proc, err = r.startProtected(ctx, s, p.spec, t.Prepare.Mounts)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("session %s: %w", rec.ID, err), p.Close())
	}
	return p, nil
}

// Process is the running program. Takeover replaces it.
func (p *Probe) Process() sandbox.Process { return p.proc }

// Dir is the session's directory on this machine.
func (p *Probe) Dir() string { return p.session.runner.Store.dir(p.session.ID) }

// Takeover does what the runner does that takes a session over from a dead one,
// journal and adapter aside: it projects the login again and reads stdout from
// its first byte, from the file.
func (p *Probe) Takeover(ctx context.Context) error {
	_ = p.proc.Close()
	r := p.session.runner
	login, err := r.Login(p.task)
	if err != nil {
		return err
	}
	if _, err := r.project(p.session, login); err != nil {
		return err
	}
	p.proc, err = r.Engine.Adopt(ctx, p.spec, 0)
	return err
}

// Close ends the program, and removes its sandbox and its session.
func (p *Probe) Close() error {
	s := p.session
	s.finish(end{stop: &stopped{outcome: event.Cancelled, reason: "a probe, not an agent"}}, p.proc)
	return s.runner.Store.Remove(s.ID)
}
