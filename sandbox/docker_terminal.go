package sandbox

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/docker/docker/api/types/container"
)

// Terminal is a person at a command in a sandbox.
type Terminal struct {
	In  io.Reader // what is typed; a Read that waits is left behind when the command ends
	Out io.Writer // what is shown, stderr included
	// Size returns the terminal's width and height, in characters. It is asked at
	// the start and twice a second; nil is 80 by 24.
	Size func() (width, height uint)
}

// sizeLook is how soon a program notices that its terminal has another size.
const sizeLook = 500 * time.Millisecond

// Attend runs one more command in the running sandbox id, at a terminal, and
// returns its exit code. It is an ordinary child in there: same user, same limits,
// no more rights, and the same way out. When ctx ends, the command goes on until
// the sandbox is removed.
func (d *Docker) Attend(ctx context.Context, id string, command []string, t Terminal) (exitCode int, err error) {
	size := t.Size
	if size == nil {
		size = func() (uint, uint) { return 80, 24 }
	}
	width, height := size()
	call, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	e, err := d.api.ContainerExecCreate(call, namePrefix+id, container.ExecOptions{
		Cmd: command, Tty: true, ConsoleSize: &[2]uint{height, width},
		AttachStdin: true, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return 0, d.fail("run in sandbox "+id, err)
	}
	live, err := d.api.ContainerExecAttach(call, e.ID, container.ExecAttachOptions{Tty: true, ConsoleSize: &[2]uint{height, width}})
	if err != nil {
		return 0, d.fail("run in sandbox "+id, err)
	}
	defer live.Close()
	stop := context.AfterFunc(ctx, live.Close)
	defer stop()
	go func() {
		_, _ = io.Copy(live.Conn, t.In) // ends with the connection, at the next key
	}()
	shown, done := context.WithCancel(ctx)
	go d.followSize(shown, e.ID, size)
	_, err = io.Copy(t.Out, live.Reader)
	done()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if err != nil {
		return 0, d.fail("run in sandbox "+id, err)
	}
	return d.execCode(ctx, e.ID)
}

// followSize tells the engine when the terminal's size changes. The first time is
// for engines that do not know ConsoleSize.
func (d *Docker) followSize(ctx context.Context, exec string, size func() (uint, uint)) {
	tick := time.NewTicker(sizeLook)
	defer tick.Stop()
	for width, height := uint(0), uint(0); ; {
		if w, h := size(); w != width || h != height {
			width, height = w, h
			_ = d.api.ContainerExecResize(ctx, exec, container.ResizeOptions{Width: w, Height: h})
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (d *Docker) execCode(ctx context.Context, exec string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	for {
		e, err := d.api.ContainerExecInspect(ctx, exec)
		if err != nil {
			return 0, d.fail("ask for an exit code", err)
		}
		if !e.Running {
			return e.ExitCode, nil
		}
		select { // the stream ends an instant before the process
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return 0, fmt.Errorf("ask for an exit code: %w", context.Cause(ctx))
		}
	}
}
