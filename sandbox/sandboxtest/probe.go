package sandboxtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// Program is what runs in a sandbox, as a function: the Fake runs it in a
// goroutine. It returns the exit code and must return soon after ctx ends.
type Program func(ctx context.Context, in Inside) int

// Inside is what a program sees of its sandbox.
type Inside struct {
	Args   []string // the command without the program
	Env    []string
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	// Dial connects to the egress proxy. The connection has CloseWrite.
	Dial func(context.Context) (net.Conn, error)
	// Notify makes the program receive a signal that would end it otherwise.
	Notify func(...os.Signal) <-chan os.Signal
}

// Probe runs the test program as a process; see Run for args.
func Probe(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return Run(context.Background(), Inside{
		Args: args, Env: os.Environ(), Stdin: stdin, Stdout: stdout, Stderr: stderr,
		Dial: func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", pid1.ProxyAddr)
		},
		Notify: func(s ...os.Signal) <-chan os.Signal {
			c := make(chan os.Signal, 8)
			signal.Notify(c, s...)
			return c
		},
	})
}

// Run is the test program. Its first argument is what it does:
//
//	cat                copy stdin to stdout
//	lines N SIZE       write lines 0 to N-1 of SIZE bytes each, see Line
//	slow N SIZE PAUSE  the same with a pause after each
//	streams            write to stdout and stderr
//	exit N             exit with code N
//	env                print the environment and the arguments
//	hold [stubborn]    print "ready" and wait for a signal, or for none
//	closestdout        close stdout and copy stdin to stderr
//	dial [N]           join stdin and stdout to the proxy; or say hello to it N times
//	repeat N SIZE      write line 0 N times, as fast as it can
//	ping N [WAIT]      exchange a line with the proxy N times, print the microseconds of each
//	chat N [WAIT]      the same on one connection
//	pull, push BYTES   read all from the proxy or write so much to it, print the time
//	flood BYTES        write zeros, then how long it took to stderr
//
// and further ones, in probe_linux.go, that need a real container.
func Run(ctx context.Context, in Inside) int {
	if len(in.Args) == 0 {
		in.Args = []string{""}
	}
	var err error
	switch in.Args[0] {
	case "cat":
		_, err = io.Copy(in.Stdout, in.Stdin)
	case "lines", "slow":
		err = writeLines(ctx, in)
	case "streams":
		fmt.Fprint(in.Stdout, "out 1\nüber 2\n")
		_, err = fmt.Fprint(in.Stderr, "err 1\nüber err 2\n")
	case "exit":
		return in.number(1)
	case "env":
		err = printEnv(in)
	case "hold":
		return hold(ctx, in)
	case "closestdout":
		if c, ok := in.Stdout.(io.Closer); ok {
			c.Close()
		}
		_, err = io.Copy(in.Stderr, in.Stdin)
	case "dial":
		err = dial(ctx, in)
	case "repeat":
		err = repeat(in)
	case "ping", "chat", "pull", "push":
		err = measure(ctx, in)
	case "flood":
		err = flood(in, in.Stdout)
	default:
		return runReal(in)
	}
	if err != nil {
		fmt.Fprintln(in.Stderr, "probe:", err)
		return 1
	}
	return 0
}

func (in Inside) number(arg int) int {
	if arg >= len(in.Args) {
		return 0
	}
	n, _ := strconv.Atoi(in.Args[arg])
	return n
}

// Line returns line i of the probe's output, size bytes with its newline: a
// number, characters of one to four bytes, and a checksum of both.
func Line(i, size int) []byte {
	const filler = "aé界🙂"
	line := strconv.AppendInt(nil, int64(i), 10)
	for len(line)+len(filler)+10 <= size {
		line = append(line, filler...)
	}
	for len(line)+10 < size {
		line = append(line, '.')
	}
	return fmt.Appendf(line, " %08x\n", crc32.ChecksumIEEE(line))
}

// Lines returns lines 0 to n-1 as one text.
func Lines(n, size int) []byte {
	var all []byte
	for i := range n {
		all = append(all, Line(i, size)...)
	}
	return all
}

func writeLines(ctx context.Context, in Inside) error {
	var pause time.Duration
	w := bufio.NewWriterSize(in.Stdout, 64<<10)
	if in.Args[0] == "slow" {
		pause, _ = time.ParseDuration(in.Args[3])
		w = bufio.NewWriterSize(in.Stdout, in.number(2)+16)
	}
	for i := range in.number(1) {
		if _, err := w.Write(Line(i, in.number(2))); err != nil {
			return err
		}
		if pause == 0 {
			continue
		}
		if err := w.Flush(); err != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return w.Flush()
}

func printEnv(in Inside) error {
	for _, e := range in.Env {
		fmt.Fprintf(in.Stdout, "%s\n", e)
	}
	_, err := fmt.Fprintf(in.Stdout, "args %q\n", in.Args)
	return err
}

func hold(ctx context.Context, in Inside) int {
	var signals <-chan os.Signal
	if len(in.Args) > 1 {
		signals = in.Notify(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	}
	fmt.Fprintln(in.Stdout, "ready")
	for {
		select {
		case s := <-signals:
			fmt.Fprintln(in.Stdout, "ignored", s)
		case <-ctx.Done():
			return 1
		case <-time.After(time.Hour): // without a timer the Go runtime sees a deadlock
		}
	}
}

func dial(ctx context.Context, in Inside) error {
	if n := in.number(1); n > 0 {
		return dialMany(ctx, in, n)
	}
	c, err := in.Dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(c, in.Stdin)
		sent <- errors.Join(err, c.(interface{ CloseWrite() error }).CloseWrite())
	}()
	if _, err := io.Copy(in.Stdout, c); err != nil {
		return err
	}
	return <-sent
}

// dialMany exchanges a line with the proxy n times, each over its own connection.
func dialMany(ctx context.Context, in Inside, n int) error {
	for i := range n {
		c, err := in.Dial(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(c, "hello %d\n", i)
		answer, err := bufio.NewReader(c).ReadString('\n')
		c.Close()
		if err != nil {
			return err
		}
		fmt.Fprint(in.Stdout, answer)
	}
	return nil
}

func repeat(in Inside) error {
	line := Line(0, in.number(2))
	block := bytes.Repeat(line, max(1, 64<<10/len(line)))
	for left := in.number(1) * len(line); left > 0; left -= len(block) {
		if _, err := in.Stdout.Write(block[:min(left, len(block))]); err != nil {
			return err
		}
	}
	return nil
}

func measure(ctx context.Context, in Inside) error {
	if in.Args[0] == "pull" || in.Args[0] == "push" {
		c, err := in.Dial(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		if in.Args[0] == "push" {
			return flood(in, c)
		}
		started := time.Now()
		_, err = io.Copy(io.Discard, c)
		fmt.Fprintln(in.Stderr, time.Since(started))
		return err
	}
	if len(in.Args) > 2 { // until the tunnel is there
		wait, _ := time.ParseDuration(in.Args[2])
		time.Sleep(wait)
	}
	if in.Args[0] == "chat" {
		return chat(ctx, in)
	}
	for range in.number(1) {
		started := time.Now()
		if err := dialMany(ctx, Inside{Stdout: io.Discard, Dial: in.Dial}, 1); err != nil {
			return err
		}
		fmt.Fprintln(in.Stdout, time.Since(started).Microseconds())
	}
	return nil
}

// chat is ping on one connection.
func chat(ctx context.Context, in Inside) error {
	c, err := in.Dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for range in.number(1) {
		started := time.Now()
		if _, err := io.WriteString(c, "hello\n"); err != nil {
			return err
		}
		if _, err := r.ReadString('\n'); err != nil {
			return err
		}
		fmt.Fprintln(in.Stdout, time.Since(started).Microseconds())
	}
	return nil
}

func flood(in Inside, w io.Writer) error {
	started := time.Now()
	buf := make([]byte, 64<<10)
	for left := in.number(1); left > 0; left -= len(buf) {
		if _, err := w.Write(buf[:min(left, len(buf))]); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(in.Stderr, time.Since(started))
	return err
}

// Checksum is the sum that sandbox.VerifyStdout compares with.
func Checksum(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }
