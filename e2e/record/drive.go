package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// scenarioMax bounds one scenario; the slowest waits out a few retries.
const scenarioMax = 2 * time.Minute

// recording is what a scenario became: commands and lines of stdout, in order.
type recording struct {
	buf      bytes.Buffer
	lines    int
	unparsed []string // lines that the adapter did not understand, with the reason
}

// command is how a recording keeps what the person did. No vendor's line has "do".
//
//	{"do":"message","id":"c0000000-…","text":"Do what the script says."}
type command struct {
	Do   agent.CommandKind `json:"do"`
	ID   string            `json:"id"`
	Text string            `json:"text,omitempty"`
}

func (r *recording) line(line []byte, events []event.Data) {
	r.lines++
	r.buf.Write(line)
	r.buf.WriteByte('\n')
	for _, e := range events {
		if u, ok := e.(event.Unparsed); ok {
			r.unparsed = append(r.unparsed, fmt.Sprintf("%s: %.300s", u.Reason, line))
		}
	}
}

// watch records the stdout of an agent that nobody talks to.
func watch(out io.Reader, kind agent.Kind) (*recording, error) {
	r, d := &recording{}, agent.NewDecoder(kind)
	err := eachLine(out, func(line []byte) error {
		r.line(line, d.Line(line))
		return nil
	})
	return r, err
}

// driver plays the runner: it feeds an adapter and does the scenario's steps.
type driver struct {
	*recording
	adapter   agent.Adapter
	stdin     io.Writer
	terminate func() error
	steps     []step
	seen      int // events of the type that the next step waits for
	commands  int
	ended     bool
}

// drive records a session from the prompt to the end of the agent's stdout.
func drive(s scenario, o agent.Options, stdin io.Writer, out io.Reader, terminate func() error) (*recording, error) {
	d := &driver{recording: &recording{}, adapter: agent.New(o), stdin: stdin, terminate: terminate, steps: s.steps}
	if err := d.follow(d.adapter.Start()); err != nil {
		return d.recording, err
	}
	prompt := s.prompt
	if prompt == "" {
		prompt = defaultPrompt
	}
	if err := d.do(agent.Message, prompt); err != nil {
		return d.recording, err
	}
	err := eachLine(out, func(line []byte) error {
		step := d.adapter.Line(line)
		d.line(line, step.Events)
		if err := d.follow(step); err != nil {
			return err
		}
		return d.next(step.Events)
	})
	return d.recording, err
}

// next does the step whose time has come, and leaves when none is left.
func (d *driver) next(events []event.Data) error {
	if len(d.steps) == 0 {
		if d.ended || !d.adapter.Idle() {
			return nil
		}
		return d.do(agent.End, "")
	}
	s := d.steps[0]
	for _, e := range events {
		if e.EventType() == s.on {
			d.seen++
		}
	}
	if s.on == "" && !d.adapter.Idle() || s.on != "" && d.seen < max(s.nth, 1) {
		return nil
	}
	d.steps, d.seen = d.steps[1:], 0
	return d.do(s.kind, s.text)
}

func (d *driver) do(kind agent.CommandKind, text string) error {
	d.commands++
	d.ended = d.ended || kind == agent.End
	c := command{Do: kind, ID: fmt.Sprintf("%s%012d", ownID, d.commands), Text: text}
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	d.buf.Write(append(line, '\n'))
	return d.follow(d.adapter.Do(agent.Command{ID: c.ID, Kind: kind, Text: text}))
}

func (d *driver) follow(s agent.Step) error {
	for _, line := range s.Send {
		if _, err := d.stdin.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("stdin: %w", err)
		}
	}
	if s.Terminate {
		return d.terminate()
	}
	return nil
}

func eachLine(out io.Reader, f func([]byte) error) error {
	in := bufio.NewReader(out)
	for {
		line, err := in.ReadBytes('\n')
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			if err := f(line); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// run starts the container of a scenario and records it.
func (c container) run(ctx context.Context, s scenario, o agent.Options) (*recording, error) {
	ctx, cancel := context.WithTimeout(ctx, scenarioMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", c.args()...)
	cmd.Cancel = func() error { return c.kill("KILL") }
	cmd.WaitDelay = 10 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var stdin io.WriteCloser
	if !s.stream.plain() {
		if stdin, err = cmd.StdinPipe(); err != nil {
			return nil, err
		}
		defer stdin.Close()
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var r *recording
	if s.stream.plain() {
		r, err = watch(out, s.stream.kind())
	} else {
		r, err = drive(s, o, stdin, out, func() error { return c.kill("TERM") })
	}
	_ = cmd.Wait() // the recording tells how it ended; an agent's exit code is no verdict
	if ctx.Err() != nil {
		err = fmt.Errorf("not done after %s", scenarioMax)
	}
	if r.lines == 0 && err == nil {
		err = fmt.Errorf("no output; stderr: %.1000s", stderr.Bytes())
	}
	return r, err
}
