package connect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

const (
	// DefaultHookTimeout is what a hook gets.
	DefaultHookTimeout = 2 * time.Minute
	// hookOutputMax is how much of a hook's output is kept, in bytes: the end.
	hookOutputMax = 16 << 10
	// hookGrace is what a hook gets to end after SIGTERM.
	hookGrace = 5 * time.Second
)

// before runs the hook before the session, in its workspace. What it prints becomes part
// of the session.
func (w *work) before(ctx context.Context, dir string) ([]event.Notice, error) {
	if w.d.HookBefore == "" {
		return nil, nil
	}
	out, err := w.hook(ctx, w.d.HookBefore, dir, "")
	var notes []event.Notice
	if out != "" {
		notes = append(notes, event.Notice{Kind: "info", Text: "hook before: " + out})
	}
	if err != nil {
		err = fmt.Errorf("the hook before the session failed: %w", err)
	}
	return notes, err
}

// after runs the hook after the session, which has its end by then. A daemon that dies
// before it is done runs it again.
func (w *work) after(ctx context.Context, sum runner.Summary) {
	if w.d.HookAfter == "" || sum.End == nil {
		return
	}
	out, err := w.hook(ctx, w.d.HookAfter, sum.Workspace, sum.End.Outcome)
	log := w.d.Log.WithField("session", sum.ID)
	if out != "" {
		log.WithField("output", out).Info("hook after")
	}
	if err != nil {
		log.WithError(err).Warn("the hook after the session failed")
	}
}

// hook runs the owner's command and returns the end of what it printed.
func (w *work) hook(ctx context.Context, command, dir string, outcome event.Outcome) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, w.d.HookTimeout, fmt.Errorf("no end within %s", w.d.HookTimeout))
	defer cancel()
	l := w.snapshot()
	c := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	out := &tail{}
	c.Dir, c.Stdout, c.Stderr = dir, out, out
	c.Env = append(slices.DeleteFunc(os.Environ(), isToken), "RATCHET_SESSION="+l.Session, "RATCHET_TASK="+l.Task.ID, "RATCHET_TITLE="+l.Task.Name(),
		"RATCHET_WORKSPACE="+l.Task.Workspace, "RATCHET_WORKSPACE_DIR="+dir, "RATCHET_OUTCOME="+string(outcome))
	// A group of its own: what it started ends with it, and Ctrl-C is the daemon's.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGTERM) }
	c.WaitDelay = hookGrace
	err := c.Run()
	if c.Process != nil {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // what is left of the group
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, exec.ErrWaitDelay) { // it left something behind that holds its output
		err = nil
	}
	if err != nil && out.String() != "" {
		last := out.String()[strings.LastIndexByte(out.String(), '\n')+1:]
		err = fmt.Errorf("%w: %s", err, last)
	}
	return out.String(), err
}

// isToken finds the device token, which is no hook's business.
func isToken(variable string) bool {
	return strings.HasPrefix(variable, "RATCHET_DEVICE_TOKEN=") || strings.HasPrefix(variable, "RATCHETAI_TOKEN=")
}

// tail keeps the end of what is written.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-hookOutputMax):]...)
	if cut := len(t.b) - hookOutputMax; cut > 0 {
		t.b = append(t.b[:0], t.b[cut:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	return strings.ToValidUTF8(string(bytes.TrimSpace(t.b)), "\uFFFD")
}
