package pid1

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pipeBytes is the size asked for the agent's stdout pipe: the kernel's
	// default cap for unprivileged users.
	pipeBytes = 1 << 20
	copyBytes = 256 << 10
	// drainMax bounds the wait for the last writer of the pipe to be gone.
	drainMax = 30 * time.Second
)

// output carries the agent's stdout into the file, at the disk's speed, and tells
// a runner that there is more of it.
type output struct {
	agentEnd *os.File // given to the agent
	pipe     *os.File
	file     *os.File
	max      int64
	stop     chan int // the exit code to end the agent with; sent once by save, holds one

	saved chan struct{} // closed by save when the pipe is empty and all is in the file
	grown chan struct{} // sent by save, received by tell; holds one, closed by save
}

// newOutput takes the file that the runner has made.
func newOutput(max int64) (*output, error) {
	name := filepath.Join(StateDir, StdoutFile)
	if err := os.Rename(filepath.Join(StateDir, NewStdoutFile), name); err != nil {
		return nil, fmt.Errorf("keep stdout: %w", err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("keep stdout: %w", err)
	}
	r, w, err := pipe()
	if err != nil {
		return nil, err
	}
	// A larger pipe lets the agent run ahead; the default size works as well.
	_, _ = unix.FcntlInt(r.Fd(), unix.F_SETPIPE_SZ, pipeBytes)
	return &output{
		agentEnd: w, pipe: r, file: f, max: max,
		stop: make(chan int, 1), saved: make(chan struct{}), grown: make(chan struct{}, 1),
	}, nil
}

func (o *output) start() {
	go o.save()
	go o.tell()
}

// drain waits until the pipe is empty and nobody has its other end, for drainMax at most: the
// agent could have given it to a process that is not killed with it, through a socket in
// the workspace.
func (o *output) drain() {
	select {
	case <-o.saved:
	case <-time.After(drainMax):
		fmt.Fprintln(os.Stderr, "sandbox-init: stdout has not ended: somebody outside of the sandbox has it")
	}
}

// seal says that PID 1 ends.
func (o *output) seal() { _ = o.file.Chmod(SealedMode) }

// save moves the pipe's bytes into the file without copying them through this
// process. It ends when the last writer of the pipe is gone.
func (o *output) save() {
	defer close(o.saved)
	defer close(o.grown)
	var total int64
	for {
		n, err := moveToFile(o.pipe, o.file)
		if n > 0 {
			total += n
			select {
			case o.grown <- struct{}{}:
			default: // tell has not come to the last one yet
			}
		}
		if err != nil { // a full disk, most likely; an agent that nobody reads would hang
			fmt.Fprintln(os.Stderr, "sandbox-init: keep stdout:", err)
			o.stop <- ExitInit
			return
		}
		if n == 0 {
			return
		}
		if total > o.max {
			o.stop <- ExitStdoutLimit
			return
		}
	}
}

// moveToFile moves what the pipe holds, at least a byte, to the end of the file.
func moveToFile(pipe, file *os.File) (int64, error) {
	for {
		n, err := unix.Splice(int(pipe.Fd()), nil, int(file.Fd()), nil, pipeBytes, unix.SPLICE_F_MOVE)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR, syscall.EAGAIN:
			continue
		case syscall.EINVAL: // a filesystem without splice
			buf := make([]byte, copyBytes)
			n, err := pipe.Read(buf)
			if err == io.EOF {
				return 0, nil
			}
			if err == nil {
				_, err = file.Write(buf[:n])
			}
			return int64(n), err
		}
		return 0, err
	}
}

// tell writes a byte to PID 1's own stdout whenever the file has grown since the
// last one. With nobody to read it the write blocks, and only this goroutine.
func (o *output) tell() {
	for range o.grown {
		if _, err := os.Stdout.Write([]byte{'\n'}); err != nil {
			return // a runner that comes later looks by itself
		}
	}
}
