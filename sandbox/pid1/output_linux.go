package pid1

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pipeBytes is the size asked for the agent's stdout pipe: the kernel's
	// default cap for unprivileged users.
	pipeBytes = 1 << 20
	copyBytes = 256 << 10
	// drainMax bounds the wait for a runner that reads no more at the end; what
	// it misses is in the file.
	drainMax = 10 * time.Second
)

// output carries the agent's stdout into the file and from there to PID 1's own
// stdout, at two speeds.
type output struct {
	agentEnd *os.File // given to the agent
	pipe     *os.File
	file     *os.File
	max      int64
	stop     chan int // the exit code to end the agent with; sent once by save, holds one

	saved chan struct{} // closed when the pipe is empty and all is in the file
	sent  chan struct{} // closed when all of the file is on stdout

	mu      sync.Mutex
	more    sync.Cond
	written int64 // bytes in the file
	eof     bool
}

func newOutput(max int64) (*output, error) {
	f, err := os.OpenFile(filepath.Join(StateDir, StdoutFile), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep stdout: %w", err)
	}
	r, w, err := pipe()
	if err != nil {
		return nil, err
	}
	// A larger pipe lets the agent run ahead; the default size works as well.
	_, _ = unix.FcntlInt(r.Fd(), unix.F_SETPIPE_SZ, pipeBytes)
	o := &output{
		agentEnd: w, pipe: r, file: f, max: max,
		stop: make(chan int, 1), saved: make(chan struct{}), sent: make(chan struct{}),
	}
	o.more.L = &o.mu
	return o, nil
}

func (o *output) start() {
	go o.save()
	go o.send()
}

// finish waits until everything that the agent wrote is on stdout, as far as
// somebody reads.
func (o *output) finish() {
	select {
	case <-o.sent:
	case <-time.After(drainMax):
	}
}

// save moves the pipe's bytes into the file without copying them through this
// process. It ends when the last writer of the pipe is gone.
func (o *output) save() {
	defer close(o.saved)
	defer o.advance(0, true)
	var total int64
	for {
		n, err := moveToFile(o.pipe, o.file)
		if n > 0 {
			total += n
			o.advance(n, false)
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

func (o *output) advance(n int64, eof bool) {
	o.mu.Lock()
	o.written += n
	o.eof = o.eof || eof
	o.mu.Unlock()
	o.more.Signal()
}

// send copies the file to stdout as it grows.
func (o *output) send() {
	defer close(o.sent)
	var sent int64
	for {
		o.mu.Lock()
		for o.written == sent && !o.eof {
			o.more.Wait()
		}
		written := o.written
		o.mu.Unlock()
		if written == sent {
			return
		}
		for sent < written {
			n, err := unix.Sendfile(1, int(o.file.Fd()), &sent, int(min(written-sent, pipeBytes)))
			if err == syscall.EINTR || err == syscall.EAGAIN {
				continue
			}
			if err == syscall.EINVAL {
				err = o.copyOut(&sent, written)
				n = 1
			}
			if err != nil {
				return // nobody will ever read: the file has it
			}
			if n == 0 {
				sent = written // somebody cut the file; the runner will see the gap
			}
		}
	}
}

func (o *output) copyOut(sent *int64, written int64) error {
	n, err := io.Copy(os.Stdout, io.NewSectionReader(o.file, *sent, written-*sent))
	*sent += n
	return err
}
