package runner

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

const cleanupMax = 60 * time.Second

// replay brings a fresh adapter to where the journal ends. The stdin lines that
// it yields on the way wait for run, which sends all of them.
func (s *Session) replay(dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again(s.adapter.Start())
	for e, err := range journal.Read(dir, 1) {
		if err != nil {
			return err
		}
		if e.Out > 0 {
			s.out, s.sum = e.Out, e.Sum
		}
		s.replayAsk(e)
		switch t := event.Type(e.Type); {
		case t == event.TypeSessionFinished:
			return s.recall(e.Data)
		case t == event.TypeCommandQueued:
			s.again(s.redo(e.Data))
		case t == event.TypeCommandFailed && e.Raw == nil:
			s.recallRefused(e.Data)
		case t == event.TypeBudgetWarned, t == event.TypeSessionStopping:
			d, err := event.Decode(t, e.Data)
			if err != nil {
				return err
			}
			s.note([]event.Data{d})
			if t == event.TypeSessionStopping {
				s.stopAt = e.Time
			}
		case e.Raw != nil:
			s.again(s.adapter.Line(preview(e.Raw)))
		}
	}
	return nil
}

// recall takes over the end that a runner had journalled before it died.
func (s *Session) recall(data []byte) error {
	d, err := event.Decode(event.TypeSessionFinished, data)
	if err != nil {
		return err
	}
	s.final = d.(event.SessionFinished)
	return nil
}

func (s *Session) redo(data []byte) agent.Step {
	d, err := event.Decode(event.TypeCommandQueued, data)
	if err != nil {
		return agent.Step{}
	}
	c := d.(event.CommandQueued)
	s.commands[c.Command] = true
	if c.Kind == string(agent.End) {
		s.ending = true
	}
	return s.adapter.Do(agent.Command{
		ID: c.Command, Kind: agent.CommandKind(c.Kind), Text: c.Text, Priority: agent.Priority(c.Priority), Answer: c.Answer,
	})
}

// again repeats a step whose events are journalled already: all that is kept of it is
// what goes to the agent, because a journal can be long.
func (s *Session) again(step agent.Step) {
	s.note(step.Events)
	if len(step.Send) > 0 || step.Terminate {
		s.pending = append(s.pending, agent.Step{Send: step.Send, Terminate: step.Terminate})
	}
}

// run gives proc what waits for it and drives the session to its end in the
// background.
func (s *Session) run(proc sandbox.Process) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc = proc
	for _, step := range s.pending {
		if err := s.send(step); err != nil {
			return err
		}
	}
	s.pending = nil
	s.armAsks()
	s.heard = time.Now()
	if s.ending {
		go s.insist()
	} else if err := errors.Join(s.resumeStop(), s.settle()); err != nil { // the dead runner had not come to it
		return err
	}
	go s.drive(proc)
	return nil
}

// drive reads the session to its end and records it.
func (s *Session) drive(proc sandbox.Process) {
	w := s.watch()
	stderr := make(chan struct{})
	go func() {
		defer close(stderr)
		s.readStderr(proc.Stderr())
	}()
	rest, fault := s.readStdout(proc)
	result, lost := proc.Wait(s.ctx)
	<-stderr
	leave := errors.Is(lost, sandbox.ErrUnavailable) && fault == nil
	if len(rest) > 0 && fault == nil && !leave {
		fault = s.line(rest, len(rest), false)
	}
	s.mu.Lock()
	s.over = true
	e := end{stop: s.stop, turn: s.turn, result: result, lost: lost, fault: fault, stderr: s.stderr, prepare: s.Prepare != ""}
	if s.graceEnd != nil {
		s.graceEnd.Stop()
	}
	unwritten := s.fault
	s.mu.Unlock()
	w.stop()
	if leave || unwritten != nil {
		s.leaveBehind(cmp.Or(unwritten, lost), proc)
		return
	}
	s.finish(e, proc)
}

// readStdout feeds every line to the adapter until the process has ended. It
// returns what followed the last newline: whether that is a line depends on how
// the process ended. When the journal fails, the process is killed and the rest is
// read and dropped.
func (s *Session) readStdout(proc sandbox.Process) (rest []byte, fault error) {
	r := newLineReader(proc.Stdout())
	defer r.close()
	for {
		line, size, err := r.next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.emit(event.Notice{Kind: "warning", Text: "gap: " + err.Error()})
			}
			return rest, fault
		}
		if size == len(line) {
			rest = bytes.Clone(line)
			continue
		}
		if fault != nil {
			continue
		}
		if fault = s.line(line, size, r.more()); fault != nil {
			go func() { _ = proc.Kill(context.Background()) }()
		}
	}
}

// leaveBehind lets go of a session whose engine is gone for good, so that its agent may
// still work, or whose end cannot be written down. Whoever takes it over, when the engine is
// back or the disk has room, goes on where the journal ends: what the agent printed is in the
// sandbox's file.
func (s *Session) leaveBehind(why error, proc sandbox.Process) {
	defer close(s.ended)
	s.left = fmt.Errorf("session %s: %w: %w", s.ID, ErrLeft, why)
	s.cancel()
	s.keeper.end()
	if proc != nil {
		_ = proc.Close()
	}
	if err := s.journal.Close(); err != nil {
		s.runner.Log.WithField("session", s.ID).WithError(err).Error("journal not closed")
	}
	s.held.release()
}

// finish records the session's end and lets go of it.
func (s *Session) finish(e end, proc sandbox.Process) {
	outcome, reason := e.outcome()
	s.mu.Lock()
	s.dropAsks()
	s.over = true
	s.final = event.SessionFinished{
		Outcome: outcome, Reason: string(s.secrets.Bytes([]byte(reason))), Usage: s.usage,
		DurationMS: max(0, time.Since(s.Created).Milliseconds()), // another runner's clock may have been ahead
	}
	if proc != nil && e.lost == nil {
		code := e.result.ExitCode
		s.final.ExitCode = &code
	}
	if e.turn != nil {
		s.final.Result, s.final.ResetsAt = e.turn.Text, e.turn.ResetsAt
	}
	s.mu.Unlock()
	if proc != nil {
		_ = proc.Close()
	}
	s.keeper.end() // it may have something to say, and nothing follows the end
	s.emit(append(s.violations(), s.final)...)
	s.mu.Lock()
	unwritten := s.fault
	s.mu.Unlock()
	if unwritten != nil {
		s.leaveBehind(unwritten, nil)
		return
	}
	s.close()
}

// close removes the session's container and what only a running session needs.
// The journal's last event is written; a runner that dies in here leaves the
// rest to Sweep.
func (s *Session) close() {
	defer close(s.ended)
	s.cancel()
	s.keeper.end()
	ctx, cancel := context.WithTimeout(context.Background(), cleanupMax)
	defer cancel()
	dir := s.runner.Store.dir(s.ID)
	log := s.runner.Log.WithField("session", s.ID)
	if err := s.runner.Engine.Remove(ctx, s.ID); err != nil {
		log.WithError(err).Warn("sandbox not removed")
	}
	if err := s.journal.Close(); err != nil {
		log.WithError(err).Error("journal not closed")
	}
	for _, name := range []string{"sandbox", "login", secretsFile, mcpFile, guardedFile, emptyDir} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			log.WithError(err).Warn("session directory not cleaned")
		}
	}
	if err := markFinished(dir, s.final); err != nil {
		log.WithError(err).Error("end not recorded")
	}
	if err := s.runner.Store.release(s.ID); err != nil {
		log.WithError(err).Warn("paths held in the workspace not removed")
	}
	s.held.release()
}
