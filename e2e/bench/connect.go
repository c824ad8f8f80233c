package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

const (
	connectIdleTime     = 32 * time.Second // one poll ends and is renewed
	connectIdleMemory   = 20               // MB
	connectIdleCPU      = 10               // ms per minute
	connectSessionTime  = 4                // seconds
	connectSessionLines = 100              // ms between two
	connectMemory       = 26               // MB
	awayTime            = 5 * time.Second
	awayBudget          = 2000 // ms
	awayRounds          = 3
)

// measureConnect watches the program's connect while there is nothing to do, then a daemon
// (package connect, in a process of its own) with a session of the probe on the real
// engine, and how soon it has a task after the control plane was away.
func measureConnect(ctx context.Context, l *lab) ([]row, error) {
	var rows []row
	var err error
	var idle sync.WaitGroup
	idle.Go(func() { rows, err = l.connectIdle(ctx) }) // it waits, mostly
	more, err2 := l.connectBusy(ctx)
	idle.Wait()
	if err := errors.Join(err, err2); err != nil {
		return append(rows, more...), err
	}
	// The daemon's process is not as large as the program, with which it would start.
	session := more[0]
	session.Ours = figure(session.Value, "MB") + " more than idle"
	session.Value += rows[0].Value
	more[0] = session.atMost(connectMemory)
	return append(rows, more...), nil
}

// connectBusy measures a daemon with a session, and after its control plane was away.
func (l *lab) connectBusy(ctx context.Context) ([]row, error) {
	p, err := l.plane(ctx)
	if err != nil {
		return nil, err
	}
	defer p.close()
	d, err := l.daemonProcess(ctx, p, "clock", fmt.Sprint(connectSessionLines), fmt.Sprint(connectSessionTime))
	if err != nil {
		return nil, err
	}
	defer d.end()
	rows, err := d.oneSession(ctx, p)
	if err != nil {
		return rows, err
	}
	var took []time.Duration
	for range awayRounds {
		t, err := d.afterAway(ctx, p)
		if err != nil {
			return rows, err
		}
		took = append(took, t.Round(time.Millisecond))
	}
	what := fmt.Sprintf("after %.0f s without control plane: task to its runner", awayTime.Seconds())
	return append(rows, row{What: what, Ours: fmt.Sprint(took), Value: ms(median(took)), Unit: "ms"}.atMost(awayBudget)), nil
}

// connectIdle runs the program's connect without a task.
func (l *lab) connectIdle(ctx context.Context) ([]row, error) {
	p, err := l.plane(ctx)
	if err != nil {
		return nil, err
	}
	defer p.close()
	t, err := p.owner.AddToken(ctx, api.Devices, api.NewToken{Name: "idle"})
	if err != nil {
		return nil, err
	}
	home := filepath.Join(p.dir, "home")
	workspace := filepath.Join(home, "shop")
	if err := os.MkdirAll(workspace, 0o700); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, l.program, "connect", "--workspace", "shop="+workspace, "--user", "1000:1000")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_STATE_HOME="+home, "XDG_CONFIG_HOME="+home, "RATCHET_URL="+p.url, "RATCHET_DEVICE_TOKEN="+t.Secret,
		"ANTHROPIC_API_KEY=sk-ant-api03-0123456789abcdefghijklmnopqrstuvwxyz")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	if err := until(ctx, bufio.NewScanner(stderr), "connected to"); err != nil {
		return nil, err
	}
	go func() { _, _ = io.Copy(io.Discard, stderr) }()
	wait(ctx, 3*time.Second)
	used := watch(cmd.Process.Pid)
	wait(ctx, connectIdleTime)
	use, err := used()
	if err != nil {
		return nil, err
	}
	return []row{
		row{What: "idle: memory", Ours: figure(mib(use.dirty), "MB") + " private dirty", Value: mib(use.rss), Unit: "MB"}.atMost(connectIdleMemory),
		row{What: "idle: processor time per minute", Value: use.cores * 60e3, Unit: "ms"}.atMost(connectIdleCPU),
	}, nil
}

// until reads lines until one has text.
func until(ctx context.Context, lines *bufio.Scanner, text string) error {
	said := ""
	for ctx.Err() == nil && lines.Scan() {
		if said += lines.Text() + "\n"; strings.Contains(lines.Text(), text) {
			return nil
		}
	}
	return fmt.Errorf("nothing says %q, but: %s", text, said[max(0, len(said)-1000):])
}

// daemonProcess is a daemon in a process of its own.
type daemonProcess struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
}

func (l *lab) daemonProcess(ctx context.Context, p *plane, args ...string) (*daemonProcess, error) {
	t, err := p.owner.AddToken(ctx, api.Devices, api.NewToken{Name: "daemon"})
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(p.dir, "daemon-")
	if err != nil {
		return nil, err
	}
	d := &daemonProcess{cmd: exec.CommandContext(ctx, self, daemonCommand)}
	d.cmd.Stderr = os.Stderr
	stdin, err := d.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	d.stdin, d.lines = stdin, bufio.NewScanner(stdout)
	err = json.NewEncoder(stdin).Encode(errand{URL: p.url, Token: t.Secret, Dir: dir, Image: l.bare.image, User: l.user, Capacity: 2, Args: args})
	if err = errors.Join(err, until(ctx, d.lines, "connected to")); err != nil {
		d.end()
		return nil, err
	}
	return d, nil
}

func (d *daemonProcess) end() {
	_ = d.stdin.Close()
	late := time.AfterFunc(20*time.Second, func() { _ = d.cmd.Process.Kill() })
	defer late.Stop()
	for d.lines.Scan() {
	}
	_ = d.cmd.Wait()
}

// oneSession has the daemon run a session that somebody watches. The first row is how much
// the daemon grew.
func (d *daemonProcess) oneSession(ctx context.Context, p *plane) ([]row, error) {
	idle, err := procField(d.cmd.Process.Pid, "status", "VmRSS")
	if err != nil {
		return nil, err
	}
	used := watch(d.cmd.Process.Pid)
	if _, err := p.owner.AddTask(ctx, task.Spec{Prompt: "what time is it?"}, ""); err != nil {
		return nil, err
	}
	if err := until(ctx, d.lines, "started"); err != nil {
		return nil, err
	}
	r := &rig{plane: p}
	if err := r.read(ctx, 1); err != nil {
		return nil, err
	}
	wait(ctx, 1200*time.Millisecond) // until the reader came, events were only uploaded once a second
	r.lags.take()
	err = until(ctx, d.lines, "finished: succeeded")
	r.all.Wait() // for the last event
	use, err2 := used()
	lags := r.lags.take()
	return []row{
		{What: "one session: memory", Value: mib(use.rss - idle), Unit: "MB"},
		row{What: "  its stdout to reader: p50", Ours: fmt.Sprintf("%d lines", len(lags)), Value: ms(quantile(lags, 0.5)), Unit: "ms"}.atMost(liveP50),
	}, errors.Join(err, err2)
}

// afterAway ends the control plane as a crash does, starts it again, gives it a task and
// returns how long that took to be accepted by the daemon, from when the control plane
// answers.
func (d *daemonProcess) afterAway(ctx context.Context, p *plane) (time.Duration, error) {
	p.kill()
	wait(ctx, awayTime)
	if err := p.start(ctx); err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := p.owner.AddTask(ctx, task.Spec{Prompt: "what time is it?"}, ""); err != nil {
		return 0, err
	}
	if err := until(ctx, d.lines, "accepted"); err != nil {
		return 0, err
	}
	took := time.Since(began)
	return took, until(ctx, d.lines, "finished: ")
}
