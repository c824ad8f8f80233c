package pid1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"
)

const (
	// helperSocket is abstract: it lives in the sandbox's network namespace and
	// needs no writable directory.
	helperSocket = "@ratchetai-tunnel"
	// flushMax bounds the wait for a runner to take the agent's last bytes.
	flushMax = 500 * time.Millisecond
	// keyMax bounds the time to say the key.
	keyMax = 5 * time.Second
	// streamBuffer is the copy buffer of one direction of one connection.
	streamBuffer = 128 << 10
)

// hub joins the runner's tunnel, the agent's stdin and the agent's connections.
type hub struct {
	stdin    *lines
	direct   *net.UnixListener // for runners that see StateDir; nil where it holds no sockets
	key      []byte            // said to them
	helper   *net.UnixListener // for helpers that hand over an exec's stdio
	proxy    net.Listener
	attached chan struct{} // a runner came or went; sent by attach, read by supervise, holds one
	sending  atomic.Int64  // connections of which the agent's side is open, or on its way to the runner

	mu      sync.Mutex
	session *yamux.Session
	changed chan struct{} // closed when session changes

	buffers sync.Pool // of *[]byte, streamBuffer long
}

func newHub(stdin *lines) (*hub, error) {
	key, err := takeKey(StateDir)
	if err != nil {
		return nil, err
	}
	// A file system without sockets, such as one that a desktop's virtual machine
	// shares, leaves the helper.
	direct, _ := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(StateDir, SocketFile), Net: "unix"})
	helper, err := net.ListenUnix("unix", &net.UnixAddr{Name: helperSocket, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for the tunnel: %w", err)
	}
	p, err := net.Listen("tcp", ProxyAddr)
	if err != nil {
		return nil, fmt.Errorf("listen for egress: %w", err)
	}
	h := &hub{
		stdin: stdin, direct: direct, key: key, helper: helper, proxy: p,
		attached: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	h.buffers.New = func() any {
		buf := make([]byte, streamBuffer)
		return &buf
	}
	return h, nil
}

// takeKey reads the key in dir, so that nobody reads it again.
func takeKey(dir string) ([]byte, error) {
	name := filepath.Join(dir, KeyFile)
	key, err := os.ReadFile(name)
	if err == nil {
		err = os.Remove(name)
	}
	if err != nil {
		return nil, fmt.Errorf("take the tunnel's key: %w", err)
	}
	return key, nil
}

// serve accepts tunnels and the agent's connections until ctx ends.
func (h *hub) serve(ctx context.Context) {
	go h.acceptEgress(ctx)
	if h.direct != nil {
		go accept(h.direct, h.attach)
	}
	accept(h.helper, h.attachHelper)
}

func accept(l *net.UnixListener, serve func(*net.UnixConn)) {
	for {
		c, err := l.AcceptUnix()
		switch {
		case err == nil:
			go serve(c)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			time.Sleep(10 * time.Millisecond) // out of descriptors: the agent's doing
		}
	}
}

// attach runs a mux session with the runner at the other end of c. Only a process
// outside of the sandbox may be there.
func (h *hub) attach(c *net.UnixConn) {
	defer c.Close()
	if pid, err := peer(c); err != nil || pid != 0 {
		refuse(errors.New("not from outside"))
		return
	}
	_ = c.SetWriteDeadline(time.Now().Add(keyMax))
	if _, err := c.Write(h.key); err != nil {
		return
	}
	_ = c.SetWriteDeadline(time.Time{})
	h.join(c)
}

// attachHelper does the same on the two ends of an exec's stdio, which it takes
// from the helper at the other end of c.
func (h *hub) attachHelper(c *net.UnixConn) {
	defer c.Close() // the helper leaves when this closes
	stream, err := receive(c)
	if err != nil {
		refuse(err)
		return
	}
	defer stream.Close()
	h.join(stream)
}

func refuse(err error) { fmt.Fprintln(os.Stderr, "sandbox-init: tunnel refused:", err) }

// join serves a mux session on stream until it breaks. A newer tunnel replaces an
// older one: its runner is the one that holds the session's lock.
func (h *hub) join(stream io.ReadWriteCloser) {
	session, err := yamux.Client(stream, MuxConfig())
	if err != nil {
		return
	}
	h.replace(session)
	if control, err := session.AcceptStream(); err == nil {
		go h.stdin.serve(control)
	}
	<-session.CloseChan()
	h.drop(session)
}

func (h *hub) replace(s *yamux.Session) {
	h.mu.Lock()
	old := h.session
	h.session = s
	close(h.changed)
	h.changed = make(chan struct{})
	h.mu.Unlock()
	if old != nil {
		old.Close()
	}
	h.tell()
}

// drop forgets s, unless another session has replaced it.
func (h *hub) drop(s *yamux.Session) {
	h.mu.Lock()
	if h.session == s {
		h.session = nil
	}
	h.mu.Unlock()
	h.tell()
}

// tell wakes supervise, which then asks hasRunner: of a runner that goes while
// another comes, messages could arrive in the wrong order.
func (h *hub) tell() {
	select {
	case h.attached <- struct{}{}:
	default:
	}
}

func (h *hub) hasRunner() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.session != nil
}

// open returns a stream to the runner, waiting for one as long as it takes.
func (h *hub) open(ctx context.Context) (*yamux.Stream, error) {
	for {
		h.mu.Lock()
		session, changed := h.session, h.changed
		h.mu.Unlock()
		if session != nil {
			if s, err := session.OpenStream(); err == nil {
				return s, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (h *hub) acceptEgress(ctx context.Context) {
	slots := make(chan struct{}, connMax)
	for {
		c, err := h.proxy.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			time.Sleep(10 * time.Millisecond) // out of descriptors: the agent's doing
			continue
		}
		select {
		case slots <- struct{}{}:
			go func() {
				defer func() { <-slots }()
				h.carry(ctx, c.(*net.TCPConn))
			}()
		default:
			c.Close()
		}
	}
}

// carry copies between the agent's connection and a stream to the runner, each
// direction until its own end.
func (h *hub) carry(ctx context.Context, c *net.TCPConn) {
	defer c.Close()
	s, err := h.open(ctx)
	if err != nil {
		return
	}
	defer s.Close()
	done := make(chan struct{})
	h.sending.Add(1)
	go func() {
		defer close(done)
		defer h.sending.Add(-1)
		_, _ = h.copy(s, c)
		s.Close() // half: the stream can still be read
	}()
	_, _ = h.copy(c, s)
	_ = c.CloseWrite()
	<-done
}

// flush waits until the runner has what the agent, which has ended, sent on its connections, for
// flushMax at most.
func (h *hub) flush() {
	for end := time.Now().Add(flushMax); h.sending.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// copy reuses its buffers: a new one for each of many short connections costs
// more than the connection.
func (h *hub) copy(w io.Writer, r io.Reader) (int64, error) {
	buf := h.buffers.Get().(*[]byte)
	defer h.buffers.Put(buf)
	return io.CopyBuffer(writerOnly{w}, readerOnly{r}, *buf)
}

// writerOnly and readerOnly hide ReadFrom and WriteTo, whose own buffers are
// smaller than ours.
type (
	writerOnly struct{ io.Writer }
	readerOnly struct{ io.Reader }
)

// lines is the agent's stdin as numbered lines.
type lines struct {
	mu   sync.Mutex
	w    *os.File
	last uint64
}

func stdinWriter(w *os.File) *lines { return &lines{w: w} }

// serve reads `NUMBER SP LINE LF` from control, passes each line on whose number
// follows the last one, and answers with the last number as `NUMBER LF`. A line
// that was passed on before is dropped, which is what makes sending again safe;
// one that is cut off by a broken tunnel has no end and is dropped as well.
// `NUMBER LF` closes the agent's stdin.
func (l *lines) serve(control io.ReadWriteCloser) {
	defer control.Close()
	r := bufio.NewReaderSize(control, 64<<10)
	for {
		frame, err := readLine(r)
		if err != nil {
			return
		}
		last, err := l.take(frame)
		if err != nil {
			fmt.Fprintln(os.Stderr, "sandbox-init: stdin:", err)
			return
		}
		if _, err := control.Write(strconv.AppendUint(nil, last, 10)); err != nil {
			return
		}
		if _, err := control.Write([]byte{'\n'}); err != nil {
			return
		}
	}
}

func readLine(r *bufio.Reader) ([]byte, error) {
	var long []byte
	for {
		part, err := r.ReadSlice('\n')
		if err == nil && long == nil {
			return part, nil
		}
		if len(long)+len(part) > LineMax+32 {
			return nil, errors.New("line too long")
		}
		long = append(long, part...)
		if err == nil {
			return long, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
}

func (l *lines) take(frame []byte) (last uint64, err error) {
	number, line, ok := bytes.Cut(frame, []byte{' '})
	n, err := strconv.ParseUint(string(bytes.TrimSuffix(number, []byte{'\n'})), 10, 64)
	if err != nil {
		return 0, errors.New("a line without a number")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n != l.last+1 {
		return l.last, nil
	}
	if !ok {
		l.w.Close()
	} else if _, err := l.w.Write(line); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, os.ErrClosed) {
		return 0, err
	}
	l.last = n // an agent that reads no more has still been given the line
	return n, nil
}

// tunnelHelper is `sandbox-init tunnel`, which the runner execs: it hands its
// stdin and stdout to PID 1 and waits until PID 1 lets go.
func tunnelHelper() error {
	// Not for the agent to reach into, which has the same uid.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("make undumpable: %w", err)
	}
	c, err := dialPID1()
	if err != nil {
		return err
	}
	defer c.Close()
	if _, _, err := c.WriteMsgUnix([]byte{0}, unix.UnixRights(0, 1), nil); err != nil {
		return err
	}
	os.Stdin.Close()
	os.Stdout.Close()
	_, _ = io.Copy(io.Discard, c)
	return nil
}

// dialPID1 tries for a second: the helper may run before PID 1 listens.
func dialPID1() (c *net.UnixConn, err error) {
	for range 500 {
		c, err = net.DialUnix("unix", nil, &net.UnixAddr{Name: helperSocket, Net: "unix"})
		if err == nil {
			return c, nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil, err
}

// receive reads the two descriptors from c. Only a process that was put into the
// sandbox from outside may offer them: it has no parent here, while everything
// that the agent starts has one.
func receive(c *net.UnixConn) (io.ReadWriteCloser, error) {
	if err := checkOutsider(c); err != nil {
		return nil, err
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	oob := make([]byte, unix.CmsgSpace(2*4))
	_, n, _, _, err := c.ReadMsgUnix(make([]byte, 1), oob)
	if err != nil {
		return nil, err
	}
	_ = c.SetReadDeadline(time.Time{})
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return nil, errors.New("no descriptors")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 2 {
		return nil, errors.New("not two descriptors")
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		_ = unix.SetNonblock(fd, true)
	}
	return &stdio{os.NewFile(uintptr(fds[0]), "tunnel in"), os.NewFile(uintptr(fds[1]), "tunnel out")}, nil
}

func checkOutsider(c *net.UnixConn) error {
	pid, err := peer(c)
	if err != nil {
		return err
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return err
	}
	// "PID (comm) STATE PPID …"; comm may hold anything, the last ")" ends it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 || string(fields[1]) != "0" {
		return errors.New("not from outside")
	}
	return nil
}

// peer returns the process at the other end of c, 0 for one that this PID
// namespace does not have: the kernel says so, and nothing inside can be it.
func peer(c *net.UnixConn) (pid int32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) {
		cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if cerr != nil {
		return 0, cerr
	}
	return cred.Pid, nil
}

// stdio is the exec's stdin and stdout as one stream.
type stdio struct{ in, out *os.File }

func (s *stdio) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s *stdio) Write(p []byte) (int, error) { return s.out.Write(p) }
func (s *stdio) Close() error                { return errors.Join(s.in.Close(), s.out.Close()) }
